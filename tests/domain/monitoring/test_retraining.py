"""When a model is due for retraining: how many dates, which drift and performance count, and the reason in words."""

import msgspec
import polars as pl
import pytest

from risk_assets.domain.contract.policy import Checks, Monitoring, Retraining
from risk_assets.domain.monitoring.report import POINTS, SCORE, Drift, DriftReport, Statistic
from risk_assets.domain.monitoring.retraining import Exceeded, RetrainingReason, drift_exceeded, due, is_misled, performance_exceeded
from tests.domain.monitoring.test_drift import report as drift_of
from tests.domain.monitoring.test_drift import rows as accounts
from tests.domain.monitoring.test_performance import measured, rows

BEYOND = (Exceeded("PSI of usage", 0.3, 0.2),)
RULE = Retraining(exceeded=3, of_dates=5)
FINE, FAULT = Statistic(0.0, 0.0, 0.2), Statistic(0.4, 0.0, 0.05)


def found(pattern: str) -> list[tuple[str, tuple[Exceeded, ...]]]:
    """Return a date for each mark, oldest first: `x` is beyond a limit."""
    return [(f"2026-01-{day:02d}", BEYOND if mark == "x" else ()) for day, mark in enumerate(pattern, start=1)]


def reason(pattern: str) -> RetrainingReason | None:
    return due("drift", "model_v001", found(pattern), RULE)


@pytest.mark.parametrize("pattern", ["xxx", "xx.x", "x.x.x", "..xxx", "xxxxxxx", ".....x.xx"])
def test_three_of_five_dates_with_the_newest_are_a_reason(pattern: str) -> None:
    assert reason(pattern)


@pytest.mark.parametrize("pattern", ["", "x", "xx", "x.x", "xxx.", "xxxx.", "x..xx."])
def test_fewer_dates_or_a_newest_one_within_limits_are_none(pattern: str) -> None:
    assert reason(pattern) is None


def test_dates_before_the_newest_five_do_not_count() -> None:
    assert reason("xx...x") is None
    assert reason("xxx...x") is None


def test_the_reason_names_dates_figures_and_limits() -> None:
    given = reason("x.x.x")
    assert given and given.dates == ("2026-01-01", "2026-01-03", "2026-01-05")
    assert given.text == "drift of model_v001 beyond a limit on 3 of 5 newest scored dates, on 2026-01-05: PSI of usage 0.300 (limit 0.200)"
    assert "; and 2 more" in msgspec.structs.replace(given, figures=BEYOND * 5).text


def test_a_shift_of_the_accounts_is_a_reason() -> None:
    moved = drift_of(accounts(1_000, seed=4).with_columns(pl.col("usage") + 1.0))
    assert [figure.name for figure in drift_exceeded(moved)] == [
        "PSI of the score",
        "points by which the mean score shifted",
        "PSI of usage",
        "points by which usage shifted the mean score",
    ]
    assert not is_misled(moved)


def test_accounts_without_drift_are_none() -> None:
    assert drift_exceeded(drift_of(accounts(1_000, seed=4))) == ()


@pytest.mark.parametrize(
    "fault",
    [
        (pl.col("usage") * 100).alias("usage"),  # another unit
        pl.lit(None, pl.Float64).alias("usage"),  # a blank column
        pl.lit("NORTH").alias("region"),  # a renamed level
    ],
)
def test_a_fault_of_the_data_is_none(fault: pl.Expr) -> None:
    broken = drift_of(accounts(1_000, seed=4).with_columns(fault))
    assert broken.exceeded
    assert drift_exceeded(broken) == ()


def drift(name: str, points: float, max_points: float = 5.0, **figures: Statistic) -> Drift:
    return Drift(name, figures.pop("psi", FINE), points=points, max_points=max_points, **figures)


def drift_report(score: Drift, *features: Drift) -> DriftReport:
    return DriftReport("2026-01-05", "model_v001", 100, 100.0, 1_000, 1_000.0, score, features, None, ())


def test_a_fault_beside_a_shift_leaves_the_shift() -> None:
    shifted, at_fault = drift("income", 9.0), drift("usage", -30.0, missing=FAULT)
    given = drift_exceeded(drift_report(drift(SCORE, -21.0, psi=Statistic(0.9, 0.0, 0.2)), shifted, at_fault))
    assert [(figure.name, figure.value) for figure in given] == [
        ("points by which the mean score shifted", 9.0),
        ("points by which income shifted the mean score", 9.0),
    ]


@pytest.mark.parametrize(("points", "misled"), [(-30.0, True), (-1.0, False)])
def test_a_fault_misleads_the_score_if_its_points_do(points: float, misled: bool) -> None:
    at_fault = drift("usage", points, missing=FAULT)
    assert (POINTS in at_fault.exceeded) == misled
    assert is_misled(drift_report(drift(SCORE, points), at_fault)) == misled
    assert not is_misled(drift_report(drift(SCORE, points), drift("usage", points)))


def test_calibration_and_ranking_beyond_their_limits_are_reasons() -> None:
    shocked = performance_exceeded(measured(rows(6_000, shock=0.7)), Checks())
    assert shocked[0].name == "observed / expected bads of all accounts"
    assert shocked[0].value > shocked[0].limit > 1
    safe = performance_exceeded(measured(rows(6_000, shock=-1.2)), Checks())
    assert safe[0].value < safe[0].limit < 1
    assert "AUC" in [figure.name for figure in performance_exceeded(measured(rows(6_000, skill=0.2)), Checks())]
    assert performance_exceeded(measured(rows(6_000)), Checks()) == ()


def test_outcomes_with_an_impossible_bad_rate_are_no_reason() -> None:
    shocked = measured(rows(6_000, shock=0.7))
    assert shocked.overall is not None
    rate = shocked.overall.observed / shocked.overall.rows
    assert performance_exceeded(shocked, Checks(max_bad_rate=rate + 0.01))
    assert performance_exceeded(shocked, Checks(max_bad_rate=rate - 0.01)) == ()


def test_dates_used_in_training_have_no_figures() -> None:
    assert performance_exceeded(measured(rows(6_000, shock=2.0), used_in_training=True), Checks()) == ()


def test_the_defaults_are_three_of_five_and_four_weeks() -> None:
    assert Monitoring().retraining == Retraining(exceeded=3, of_dates=5, cool_down_days=28)
