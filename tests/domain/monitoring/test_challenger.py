"""The verdict on a challenger: better, worse or undecided, how often it is wrong at repeated looks, and when a decision is expected."""

from collections.abc import Iterator

import msgspec
import numpy as np
import polars as pl
import pytest

from risk_assets.clock import shift
from risk_assets.domain.monitoring.challenger import Pair, looked_at_interval, looks, verdict
from risk_assets.domain.monitoring.performance_evidence import verdict_text
from risk_assets.domain.monitoring.performance_report import Role, Verdict
from risk_assets.domain.training.intervals import Estimate, auc_gain, gain_interval

FIRST, WINDOW = "2026-01-01", 28


def challenge(seed: int, accounts: int, days: int, gain: float = 0.0, role: Role = "shadow") -> list[pl.DataFrame]:
    """Return the rows of each date: the same accounts, until they go bad, which is known for the dates of the window before.

    `gain` moves skill from the champion to the challenger; without it, they are different models of the same skill.
    """
    random = np.random.default_rng(seed)
    risk = random.normal(-2.2, 1.2, accounts)
    bad_on = random.exponential(-WINDOW / np.log1p(-1 / (1 + np.exp(-risk))))
    errors = random.normal(0.0, 0.8, (2, accounts))
    models = risk + errors[0] * (1 + gain), risk + errors[1] * (1 - gain)
    decides = random.random(accounts) < 0.5
    frames = []
    for day in range(days):
        here = bad_on > day
        scores = [1 / (1 + np.exp(-(model + random.normal(0.0, 0.3, accounts))))[here] for model in models]
        bad = (bad_on <= day + WINDOW)[here].astype(np.int8)
        frame = pl.DataFrame({"group": np.flatnonzero(here), "bad": bad, "champion": scores[0], "rival": scores[1]})
        if role == "challenger":
            own = pl.Series(decides[here])
            frame = frame.with_columns(pl.when(~own).then("champion").alias("champion"), pl.when(own).then("rival").alias("rival"))
        frames.append(frame.with_columns(pl.lit(shift(FIRST, day)).alias("date")))
    return frames


def looked_at(frames: list[pl.DataFrame], every: int, role: Role = "shadow") -> Iterator[Verdict]:
    """Yield the verdict at each look."""
    for end in range(every, len(frames) + 1, every):
        found = verdict(Pair("model_v001", "model_v002", role, pl.concat(frames[:end]), WINDOW))
        assert found
        yield found


def newest(frames: list[pl.DataFrame], role: Role = "shadow") -> Verdict:
    (found,) = looked_at(frames, len(frames), role)
    return found


@pytest.mark.long
@pytest.mark.parametrize("role", ["shadow", "challenger"])
def test_equal_models_are_rarely_decided_at_any_of_many_looks(role: Role) -> None:
    simulated = 60
    wrong = sum(
        any(found.result != "undecided" for found in looked_at(challenge(seed, 200, 48, role=role), 6, role)) for seed in range(simulated)
    )
    assert wrong <= 0.05 * simulated


def test_a_95_percent_interval_at_each_look_would_be_wrong_often() -> None:
    simulated, wrong = 60, 0
    for seed in range(simulated):
        frames, excluded = challenge(seed, 200, 48), False
        for end in range(6, 49, 6):
            rows = pl.concat(frames[:end])
            arrays = rows["bad"].to_numpy(), rows["rival"].to_numpy(), rows["champion"].to_numpy(), rows["group"].to_numpy()
            low, high = gain_interval(auc_gain(*arrays))
            excluded |= low > 0 or high < 0
        wrong += excluded
    assert wrong > 0.12 * simulated


def test_a_better_and_a_worse_shadow_are_found() -> None:
    assert newest(challenge(1, 1_500, 20, gain=0.5)).result == "better"
    found = newest(challenge(1, 1_500, 20, gain=-0.5))
    assert found.result == "worse" and found.gain and found.gain < 0 and found.interval[1] < 0
    assert found.decision_on is None
    assert verdict_text(found).startswith("model_v002 (shadow) is worse than model_v001: gain in AUC -0.")


def test_a_better_challenger_of_other_accounts_is_found() -> None:
    found = newest(challenge(1, 4_000, 12, gain=0.9, role="challenger"), "challenger")
    assert (found.role, found.result) == ("challenger", "better")
    assert found.champion.rows + found.challenger.rows == sum(len(frame) for frame in challenge(1, 4_000, 12))
    assert " bad accounts or customers, " in verdict_text(found) and " of model_v001;" in verdict_text(found)


def test_the_gain_of_a_shadow_is_that_of_the_same_rows() -> None:
    rows = pl.concat(frames := challenge(2, 400, 6, gain=0.3))
    expected = auc_gain(rows["bad"].to_numpy(), rows["rival"].to_numpy(), rows["champion"].to_numpy(), rows["group"].to_numpy())
    found = newest(frames)
    assert found.gain == pytest.approx(expected.value)
    assert found.champion.roc_auc and found.challenger.roc_auc
    assert found.challenger.roc_auc - found.champion.roc_auc == pytest.approx(found.gain)
    assert (found.dates, found.first, found.last) == (6, FIRST, shift(FIRST, 5))
    assert found.challenger.expected == pytest.approx(rows["rival"].sum())
    assert found.challenger.observed == rows["bad"].sum()
    assert found.challenger.interval[0] < found.challenger.observed < found.challenger.interval[1]


def test_dates_that_repeat_the_same_accounts_add_no_evidence() -> None:
    once = challenge(3, 400, 1, gain=0.3)
    again = [once[0].with_columns(pl.lit(shift(FIRST, day)).alias("date")) for day in range(10)]
    one, ten = newest(once).interval, newest(again).interval
    assert ten[1] - ten[0] == pytest.approx(one[1] - one[0], rel=0.02)


def test_the_interval_of_all_looks_is_about_that_of_998_per_mille_at_one() -> None:
    assert 3.0 < looks(200) < 3.1
    assert looks(20) > looks(100) > looks(200) < looks(2_000) < looks(50_000) < 4


def test_a_class_of_one_group_decides_nothing() -> None:
    assert looked_at_interval(Estimate(0.9, 0.0, 1)) == (-1.0, 1.0)


def test_a_decision_is_expected_about_when_it_is_made() -> None:
    frames = challenge(1, 600, 45, gain=0.3)
    early = newest(frames[:20])
    assert (early.result, early.decision_on) == ("undecided", "2026-03-07")  # by outcomes of dates up to 2026-02-07
    assert "; a decision is expected on 2026-03-07 if the gain stays the same" in verdict_text(early)
    made = next(found for found in looked_at(frames, 1) if found.result != "undecided")
    assert made.result == "better"
    assert "2026-01-28" < made.last < "2026-02-14"


def test_twice_the_bads_per_day_decide_in_half_the_days() -> None:
    slow = challenge(1, 600, 20, gain=0.2)
    fast = [frame.with_columns(pl.lit(shift(FIRST, day // 2)).alias("date")) for day, frame in enumerate(slow)]
    one, other = newest(slow).decision_on, newest(fast).decision_on
    assert one and other
    days = [(np.datetime64(date) - np.datetime64(last)).astype(int) - WINDOW for date, last in ((one, "2026-01-20"), (other, "2026-01-10"))]
    assert days[0] == pytest.approx(2 * days[1], rel=0.15)


def test_one_date_has_no_rate_and_a_tiny_gain_no_date() -> None:
    one = newest(challenge(1, 300, 1))
    assert (one.result, one.dates, one.decision_on) == ("undecided", 1, None)
    assert "no date of a decision can be expected" in verdict_text(one) and "on 1 matured date, 2026-01-01" in verdict_text(one)
    same = [frame.with_columns(pl.col("champion").alias("rival")) for frame in challenge(1, 300, 5)]
    assert newest(same).gain == 0.0
    assert newest(same).decision_on is None


@pytest.mark.parametrize("label", [0, 1])
def test_a_single_class_is_undecided(label: int) -> None:
    frames = [frame.with_columns(pl.lit(label, pl.Int8).alias("bad")) for frame in challenge(1, 100, 3)]
    found = newest(frames)
    assert (found.result, found.gain, found.interval, found.decision_on) == ("undecided", None, (-1.0, 1.0), None)
    assert found.champion.roc_auc is None
    assert "AUC not known, all outcomes are the same" in verdict_text(found)


def test_without_a_row_of_one_model_there_is_no_verdict() -> None:
    rows = pl.concat(challenge(1, 100, 2)).with_columns(pl.lit(None, pl.Float64).alias("rival"))
    assert verdict(Pair("model_v001", "model_v002", "challenger", rows, WINDOW)) is None


def test_a_verdict_round_trips() -> None:
    found = newest(challenge(1, 300, 4))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == found
