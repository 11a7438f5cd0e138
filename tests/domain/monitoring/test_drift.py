"""The drift of a date: statistics, limits, the ranking by points, and what cannot be measured."""

import msgspec
import numpy as np
import polars as pl
import pytest

from risk_assets.domain.contract.policy import Monitoring, Points, Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import Profile
from risk_assets.domain.monitoring.drift import Reference, count, measure
from risk_assets.domain.monitoring.evidence import drift_table, flagged_text, statistic_text, summary
from risk_assets.domain.monitoring.flagged import FlaggedChange
from risk_assets.domain.monitoring.report import MISSING, OUT_OF_RANGE, POINTS, PSI, UNSEEN, Drift, DriftReport
from risk_assets.domain.scorecard.arrays import with_reference_points
from risk_assets.domain.scorecard.expressions import encode, frame_log_odds, probabilities
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term
from risk_assets.domain.scorecard.scoring import feature_points
from risk_assets.domain.training.reference_profile import profile

SCALE = Points()
CONTRACT = Contract.model_validate(
    {
        "id": "id",
        "target": {"column": "t", "bad": 1},
        "features": {name: {"type": "number", "reason": name} for name in ("usage", "income", "constant")}
        | {"region": {"type": "category", "reason": "region"}},
    }
)
SHAPES = {
    "usage": Line(0.9, 0.0, 0.5),
    "income": Steps((-0.5, 0.5), (0.4, 0.0, -0.4), 0.3),
    "region": Levels(("north", "south"), (0.2, -0.2), 0.0, 0.1),
}


def rows(number: int, seed: int = 1) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "usage": random.normal(size=number),
            "income": random.normal(size=number),
            "constant": np.full(number, 7.0),
            "region": random.choice(["north", "south"], number),
        }
    )
    return frame.with_columns(income=pl.when(pl.Series(random.random(number) > 0.05)).then("income"))


def reference(trained: pl.DataFrame) -> Reference:
    raw = Scorecard("scorecard", -2.0, tuple(Term(name, shape, 0.0, 0.0, name) for name, shape in SHAPES.items()))
    card = with_reference_points(raw, encode(trained, raw))
    found = profile(trained.to_pandas(), card, encode(trained, card), np.arange(len(trained)), CONTRACT)
    return Reference("model_v001", card, found, found.independent or 0.0)


TRAINED = rows(2_000)
REFERENCE = reference(TRAINED)


def report(found: pl.DataFrame, against: Reference = REFERENCE, policy: Monitoring | None = None) -> DriftReport:
    scores = pl.LazyFrame({"probability": probabilities(against.card, found)})
    return measure(count("2026-01-05", found.lazy(), scores, against), against, policy or Monitoring(), SCALE)


def of(found: DriftReport, name: str) -> Drift:
    return next(each for each in found.features if each.name == name)


def test_the_training_rows_have_no_drift() -> None:
    found = report(TRAINED)
    assert found.exceeded == ()
    assert found.score.psi.value == pytest.approx(0, abs=1e-12)
    assert [each.points for each in found.features if each.points is not None] == pytest.approx([0, 0, 0], abs=1e-9)
    assert of(found, "usage").out_of_range == of(report(TRAINED), "usage").out_of_range
    assert of(found, "usage").statistics[OUT_OF_RANGE].value == pytest.approx(of(found, "usage").statistics[OUT_OF_RANGE].training)


@pytest.mark.parametrize("number", [50, 500, 5_000])
def test_other_accounts_without_drift_are_within_the_limits(number: int) -> None:
    assert report(rows(number, seed=2)).exceeded == ()


def test_points_of_all_features_are_the_shift_of_the_mean_score() -> None:
    moved = rows(800, seed=3).with_columns(pl.col("usage") + 0.7, region=pl.lit("north"))
    found = report(moved)
    shift = frame_log_odds(REFERENCE.card, moved).mean() - frame_log_odds(REFERENCE.card, TRAINED).mean()
    assert found.score.points == pytest.approx(feature_points(float(shift), SCALE), abs=1e-9)
    assert sum(each.points or 0.0 for each in found.features) == pytest.approx(found.score.points)
    assert [each.name for each in found.features][:2] == ["usage", "region"]
    assert found.features[0].points is not None and found.features[0].points < -15


def test_a_shift_is_found_in_the_feature_and_the_score() -> None:
    found = report(rows(1_000, seed=4).with_columns(pl.col("usage") + 1.0))
    assert [(name, statistic) for name, statistic, _ in found.exceeded] == [
        ("the score", PSI),
        ("the score", POINTS),
        ("usage", PSI),
        ("usage", POINTS),
    ]


def test_a_shift_of_the_score_is_found_in_either_direction() -> None:
    policy = Monitoring(max_psi=1.0, max_points=3.0)
    for by in (-0.15, 0.15):
        found = report(rows(5_000, seed=14).with_columns(pl.col("usage") + by), policy=policy)
        assert ("usage", POINTS) in [each[:2] for each in found.exceeded]
    assert report(rows(5_000, seed=14), policy=policy).exceeded == ()
    few = report(rows(50, seed=14).with_columns(pl.col("usage") + 0.15), policy=policy)
    assert few.exceeded == ()


def test_missing_values_unseen_levels_and_numbers_out_of_range_are_found() -> None:
    moved = rows(1_000, seed=5).with_columns(
        usage=pl.col("usage") * 100,
        income=pl.when(pl.int_range(pl.len()) % 2 == 0).then("income"),
        region=pl.when(pl.int_range(pl.len()) % 4 == 0).then(pl.lit("NORTH")).otherwise("region"),
    )
    found = report(moved)
    assert OUT_OF_RANGE in of(found, "usage").exceeded
    assert MISSING in of(found, "income").exceeded
    assert UNSEEN in of(found, "region").exceeded
    assert of(found, "region").new_levels == {"NORTH": 250}
    assert of(found, "constant").exceeded == {}


def test_a_feature_that_was_constant_in_training_is_found_when_it_varies() -> None:
    varied = rows(400, seed=6).with_columns(constant=pl.int_range(pl.len()).cast(pl.Float64))
    constant = of(report(varied), "constant")
    assert list(constant.exceeded) == [OUT_OF_RANGE]
    assert (constant.psi.value, constant.points, constant.max_points) == (0.0, None, None)


def test_rare_unseen_levels_are_counted_and_not_named() -> None:
    found = report(rows(400, seed=7).with_columns(region=pl.when(pl.int_range(pl.len()) < 9).then(pl.lit("x y")).otherwise("region")))
    assert of(found, "region").new_levels == {}
    assert "x y" not in drift_table(found, 10)


def test_levels_that_training_saw_once_make_unseen_ones_likely() -> None:
    rare = pl.Series("region", [f"r{at}" if at < 400 else "north" for at in range(2_000)])
    against = reference(TRAINED.with_columns(rare))
    once = of(report(rows(500, seed=8), against), "region").statistics[UNSEEN]
    assert once.limit > 0.2 > of(report(rows(500, seed=8)), "region").statistics[UNSEEN].limit


def test_bins_of_the_score_without_accounts_give_a_finite_index() -> None:
    found = report(rows(100, seed=9).with_columns(usage=pl.lit(-3.0)))
    assert np.isfinite(found.score.psi.value)
    assert found.score.psi.exceeded
    assert msgspec.json.decode(msgspec.json.encode(found), type=DriftReport) == found


def test_the_policy_sets_the_limits_of_large_samples() -> None:
    moved = rows(20_000, seed=10).with_columns(pl.col("usage") + 0.15)
    assert report(moved).exceeded == ()
    assert ("usage", PSI) in [each[:2] for each in report(moved, policy=Monitoring(max_psi=0.015)).exceeded]


def test_the_profile_of_an_earlier_release_gives_a_report_without_ranges() -> None:
    old = msgspec.json.decode(msgspec.json.encode(REFERENCE.profile), type=dict)
    del old["ranges"], old["independent"], old["spreads"]
    against = Reference("model_v001", REFERENCE.card, msgspec.convert(old, Profile), 2_000.0)
    found = report(rows(500, seed=11), against)
    assert all((each.out_of_range, each.max_points) == (None, None) for each in (*found.features, found.score))
    assert "earlier release" in found.notes[0]
    assert report(rows(500, seed=11)).notes == ()


def test_customers_with_several_rows_raise_the_limit() -> None:
    found = rows(500, seed=12)
    scores = pl.LazyFrame({"probability": probabilities(REFERENCE.card, found)})
    few = measure(count("2026-01-05", found.lazy(), scores, REFERENCE, 50.0), REFERENCE, Monitoring(), SCALE)
    assert few.score.psi.limit > 2 * report(found).score.psi.limit
    assert few.independent == 50.0


def test_the_score_of_a_part_of_the_rows_has_a_higher_limit() -> None:
    found = rows(1_000, seed=13)
    narrow = Monitoring(max_psi=0.01)
    part = pl.LazyFrame({"probability": probabilities(REFERENCE.card, found.head(100))})
    measured = measure(count("2026-01-05", found.lazy(), part, REFERENCE), REFERENCE, narrow, SCALE)
    assert measured.score.psi.limit > 2 * report(found, policy=narrow).score.psi.limit


def test_the_summary_names_what_is_beyond_its_limit() -> None:
    found = report(rows(1_000, seed=4).with_columns(pl.col("usage") + 1.0))
    assert summary(found).startswith("1000 rows compared with 2000 training rows of model_v001: PSI of the score")
    assert "the largest shift by usage (-2" in summary(found)
    assert "nothing is beyond its limit" in summary(report(TRAINED))
    name, statistic, figure = found.exceeded[0]
    assert statistic_text(name, statistic, figure) in summary(found)


def test_the_table_has_the_largest_shifts_and_all_that_is_beyond_a_limit() -> None:
    varied = rows(400, seed=6).with_columns(constant=pl.int_range(pl.len()).cast(pl.Float64))
    lines = drift_table(report(varied), 1).splitlines()
    assert len(lines) == 2 + 3
    assert "the score" in lines[2]
    assert "constant" in lines[4] and OUT_OF_RANGE in lines[4]


def test_a_change_of_flagged_accounts_in_words() -> None:
    change = FlaggedChange("2026-01-04", before=10, now=13, joined=2, left=-1, model=0, policy=0, features=2)
    assert flagged_text(change) == "13 accounts predicted bad, +3 since 2026-01-04: +2 by features, +2 joined, -1 left"


def test_the_default_policy_monitors() -> None:
    assert Policy().monitoring == Monitoring(
        max_psi=0.2, max_points=5, max_missing_increase=0.05, max_unseen_share=0.01, max_out_of_range_increase=0.05
    )
