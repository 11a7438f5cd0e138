"""The performance of a date: figures, limits, bands and categories, estimates, and what cannot be measured."""

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from risk_assets.domain.batch.review_list import HELD_OUT, LISTED
from risk_assets.domain.contract.policy import Monitoring
from risk_assets.domain.governance.artifacts import Metrics
from risk_assets.domain.monitoring.migration import migration
from risk_assets.domain.monitoring.performance import Scored, expected_auc, largest_gap, measure, own_estimate
from risk_assets.domain.monitoring.performance_evidence import (
    estimate_text,
    migration_table,
    part_rows,
    parts_table,
    performance_table,
    summary,
)
from risk_assets.domain.monitoring.performance_report import ALL, RANKING, ModelPerformance, Parts, PerformanceReport
from risk_assets.domain.training.metrics import performance as held_out

BANDS = {"A": 0.05, "B": 0.15, "C": 0.4, "D": 1.0}
LIMITS = Monitoring()


def metrics(trained_bads: int = 2_000) -> Metrics:
    """Return the figures of a version that is right, on 4,000 other accounts."""
    frame = rows(4_000, seed=9)
    held = held_out(frame["bad"].to_numpy().astype(np.int64), frame["probability"].to_numpy(), np.arange(4_000), 0.25)
    shared = dict.fromkeys(("accuracy", "base_accuracy", "gini", "ks", "compiled_difference", "bad_rate_test"), 0.0)
    unused = dict.fromkeys(("champion_version", "champion_other_accounts", "champion_later_dates", "auc_gain", "later_dates"))
    counts = {"n_train": 20_000, "groups_train": 20_000, "n_test": 4_000, "random_state": 1}
    return msgspec.convert(
        {**shared, **unused, **counts, "roc_auc": held.roc_auc, "bad_groups_train": trained_bads, "bad_rate_train": 0.17}
        | {"against_direction": (), "considered": {}, "calibration": {"error": None}, "other_accounts": msgspec.to_builtins(held)},
        Metrics,
    )


def rows(number: int, seed: int = 1, shock: float = 0.0, skill: float = 1.0) -> pl.DataFrame:
    """Return accounts; a shock raises the log-odds of all of them, and without skill the outcomes do not follow the probabilities."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(-2.0, 1.2, number)
    chance = 1 / (1 + np.exp(-log_odds))
    true = 1 / (1 + np.exp(-(log_odds * skill + (1 - skill) * -1.6 + shock)))
    cuts = list(BANDS.values())[:-1]
    return pl.DataFrame(
        {
            "probability": chance,
            "band": np.array(list(BANDS))[np.searchsorted(cuts, chance, side="right")],
            "group": np.arange(number),
            "bad": (random.random(number) < true).astype(np.int8),
            "region": random.choice(["north", "south"], number),
        }
    ).with_columns(treatment=pl.lit(None, pl.String))


METRICS = metrics()


def scored(frame: pl.DataFrame, **more: object) -> Scored:
    values = {"version": "model_v001", "role": "champion", "rows": frame, "bands": tuple(BANDS), "categories": ("region",)}
    return Scored(**{**values, "metrics": METRICS, **more})  # type: ignore[arg-type]


def measured(frame: pl.DataFrame, evaluated: bool = True, **more: object) -> ModelPerformance:
    (found,) = measure([scored(frame, **more)], LIMITS, evaluated)
    return found


def report(*models: ModelPerformance) -> PerformanceReport:
    return PerformanceReport("2026-01-07", "2026-02-04", "2026-02-05", True, 100, 100, None, models)


def test_the_figures_are_those_of_scikit_learn() -> None:
    frame = rows(3_000)
    found, bad, chance = measured(frame), frame["bad"].to_numpy(), frame["probability"].to_numpy()
    assert found.ranking and found.overall
    assert found.ranking.roc_auc == pytest.approx(sk.roc_auc_score(bad, chance))
    assert found.ranking.gini == pytest.approx(2 * sk.roc_auc_score(bad, chance) - 1)
    false, true, _ = sk.roc_curve(bad, chance)
    assert found.ranking.ks == pytest.approx(np.max(true - false))
    assert found.brier == pytest.approx(sk.brier_score_loss(bad, chance))
    assert (found.overall.observed, found.overall.expected) == (bad.sum(), pytest.approx(chance.sum()))
    assert found.exceeded == ()
    assert found.training[0].roc_auc == METRICS.other_accounts.roc_auc
    assert found.training[0].expected == pytest.approx(rows(4_000, seed=9)["probability"].sum())


def test_what_treatment_changes_is_seen_next_to_accounts_that_are_held_out() -> None:
    frame = rows(20_000).filter(pl.col("probability") > 0.25)
    at = pl.int_range(pl.len())
    state = pl.when(at % 10 == 0).then(pl.lit(HELD_OUT)).when(at % 10 < 6).then(pl.lit(LISTED)).otherwise(pl.lit(None, pl.String))
    cured = (state == LISTED).fill_null(False) & (at % 2 == 0)
    treated = frame.with_columns(state.alias("treatment"), bad=pl.when(cured).then(0).otherwise("bad"))
    listed, apart = measured(treated).flagged.shown
    assert (listed.name, apart.name) == (LISTED, HELD_OUT)
    assert (listed.lowest, apart.lowest) == (None, None)
    assert listed.interval[1] / listed.expected < 0.75 < apart.interval[0] / apart.expected < 1 < apart.interval[1] / apart.expected
    assert [cells[1] for cells in part_rows(measured(treated)) if "flagged" in cells[1]] == [
        "flagged, on the review list",
        "flagged, held out",
    ]


def test_few_held_out_accounts_are_not_shown() -> None:
    frame = rows(2_000).with_columns(treatment=pl.when(pl.int_range(pl.len()) < 9).then(pl.lit(HELD_OUT)))
    assert measured(frame).flagged == Parts((), 1)
    assert measured(rows(2_000)).flagged == Parts(())


def test_ties_are_in_the_gap() -> None:
    assert largest_gap(np.array([1, 0, 1, 0]), np.full(4, 0.3)) == 0.0


def test_a_shock_is_found_by_calibration_and_not_by_ranking() -> None:
    found = measured(rows(6_000, shock=0.7))
    assert ALL in found.exceeded and RANKING not in found.exceeded
    assert summary(report(found)).startswith("model_v001 (champion): ")
    assert "ratio 1." in summary(report(found))


def test_lost_skill_is_found_by_ranking() -> None:
    found = measured(rows(6_000, skill=0.2))
    assert RANKING in found.exceeded
    assert "AUC" in summary(report(found)) and "at training, lowest" in summary(report(found))


def test_a_wrong_band_is_found_although_the_whole_is_right() -> None:
    frame = rows(20_000)
    safe, risky = pl.col("band") == "A", pl.col("band") == "B"
    swapped = pl.when(safe).then(pl.int_range(pl.len()) % 12 == 0).when(risky).then(pl.int_range(pl.len()) % 20 == 0).otherwise("bad")
    found = measured(frame.with_columns(bad=swapped.cast(pl.Int8)))
    assert ALL not in found.exceeded
    assert {"A", "B"} <= set(found.exceeded)
    assert "in band A" in summary(report(found)) or "in band B" in summary(report(found))


def test_few_training_bads_widen_the_limits() -> None:
    frame = rows(6_000, shock=0.5)
    assert ALL in measured(frame).exceeded
    assert ALL not in measured(frame, metrics=metrics(trained_bads=15)).exceeded


@pytest.mark.parametrize("more", [{"used_in_training": True}, {"same_target": False}])
def test_dates_of_training_and_other_targets_have_no_limits(more: dict[str, bool]) -> None:
    found = measured(rows(6_000, shock=2.0), **more)
    assert found.overall and found.overall.lowest is None
    assert found.ranking and found.ranking.lowest is None
    assert found.exceeded == ()


def test_figures_that_are_not_evaluated_have_no_limits() -> None:
    assert measured(rows(6_000, shock=2.0), evaluated=False).exceeded == ()


def test_the_rows_of_a_customer_count_as_one() -> None:
    once = rows(600)
    found = measured(pl.concat([once] * 5))
    alone, together = measured(once).overall, found.overall
    assert alone and together
    assert (together.rows, together.groups) == (3_000, 600)
    assert together.interval[0] / 5 == pytest.approx(alone.interval[0], rel=0.02)
    assert together.highest == pytest.approx(alone.highest, rel=0.05)
    assert found.ranking and found.ranking.roc_auc_interval == pytest.approx(measured(once).ranking.roc_auc_interval, abs=0.002)  # type: ignore[union-attr]


@pytest.mark.parametrize("label", [0, 1])
def test_a_single_class_has_calibration_only(label: int) -> None:
    found = measured(rows(500).with_columns(bad=pl.lit(label, pl.Int8)))
    assert found.ranking is None and found.brier is not None
    assert found.overall and found.overall.observed == 500 * label
    assert found.overall.interval[label] == 500 * label
    assert ALL in found.exceeded


def test_a_band_without_accounts_or_with_few_is_not_shown() -> None:
    frame = rows(2_000).filter(pl.col("band") != "C")
    few = pl.concat([frame.filter(pl.col("band") != "B"), frame.filter(pl.col("band") == "B").head(9)])
    found = measured(few)
    assert [part.name for part in found.bands.shown] == ["A", "D"]
    assert found.bands.too_small == 1


def test_levels_are_ordered_and_rare_ones_are_not_shown() -> None:
    names = pl.when(pl.int_range(pl.len()) < 700).then(pl.lit("south")).when(pl.int_range(pl.len()) < 709).then(pl.lit("rare"))
    found = measured(rows(1_000).with_columns(region=names)).categories["region"]
    assert [part.name for part in found.shown] == ["south", "(missing)"]
    assert found.too_small == 1
    assert all(part.lowest is None for part in found.shown)


def test_rows_without_an_outcome_are_only_in_the_estimate() -> None:
    frame = rows(1_000).with_columns(bad=pl.when(pl.int_range(pl.len()) < 400).then("bad"))
    found = measured(frame)
    assert found.overall and found.overall.rows == 400
    assert found.estimate.rows == 1_000
    assert found.estimate.expected == pytest.approx(frame["probability"].sum())


def test_without_an_outcome_there_is_an_estimate_only() -> None:
    found = measured(rows(1_000).with_columns(bad=pl.lit(None, pl.Int8)))
    assert (found.overall, found.ranking, found.brier, found.exceeded) == (None, None, None, ())
    assert summary(report(found)).startswith("estimate: model_v001 (champion) expects ")
    assert "outcomes matured on 2026-02-04 and have not arrived" in summary(report(found))


def test_a_model_without_rows_is_left_out() -> None:
    assert measure([scored(rows(100)), scored(rows(100).clear(), role="challenger")], LIMITS, True)[1:] == ()


def test_more_models_share_the_false_alerts() -> None:
    frame = rows(2_000)
    (alone,), (first, second) = measure([scored(frame)], LIMITS, True), measure([scored(frame)] * 2, LIMITS, True)
    assert alone.bands.shown[0].highest is not None and first == second
    assert first.bands.shown[0].highest and first.bands.shown[0].highest > alone.bands.shown[0].highest


def test_the_estimated_auc_is_the_mean_of_simulated_ones() -> None:
    chance = rows(400)["probability"].to_numpy()
    random = np.random.default_rng(2)
    simulated = [sk.roc_auc_score(random.random(400) < chance, chance) for _ in range(150)]
    assert expected_auc(chance) == pytest.approx(np.mean(simulated), abs=0.008)


def test_the_estimated_auc_of_equal_probabilities_is_a_half() -> None:
    assert expected_auc(np.full(50, 0.2)) == pytest.approx(0.5)
    assert expected_auc(np.array([0.2])) is None
    assert expected_auc(np.zeros(3)) is None


def test_the_interval_of_the_estimate_has_most_outcomes() -> None:
    frame, random = rows(300), np.random.default_rng(3)
    found = own_estimate(frame)
    bads = (random.random((2_000, 300)) < frame["probability"].to_numpy()).sum(axis=1)
    assert ((bads >= found.interval[0]) & (bads <= found.interval[1])).mean() == pytest.approx(0.95, abs=0.02)
    assert "expects" in estimate_text(measured(frame))


def test_tables_have_models_estimates_holdouts_bands_and_levels() -> None:
    found = measured(rows(2_000))
    lines = performance_table(report(found)).splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == [
        "| model_v001 (champion)",
        "| model_v001 (champion), own estimate",
        "| model_v001 (champion), other accounts at training",
    ]
    assert [cells[1] for cells in part_rows(found)] == ["band A", "band B", "band C", "band D", "region south", "region north"]
    assert "band A" in parts_table([found])


def test_migration_counts_accounts_and_hides_few() -> None:
    before = pl.LazyFrame({"account_id": [str(at) for at in range(60)], "band": ["A"] * 30 + ["B"] * 30})
    now = pl.LazyFrame({"account_id": [str(at) for at in range(5, 65)], "band": ["A"] * 14 + ["B"] * 37 + [None] * 9})
    found = migration("2026-01-01", before, ("A", "B", "C"), now, ("A", "B"))
    assert found.accounts == ((14, 11), (None, 26), (None, None))
    lines = migration_table(found).splitlines()
    assert lines[0] == "| band on 2026-01-01 | A | B |"
    assert lines[3] == "| B | \\< 10 | 26 |"
