"""Figures by group of sensitive features."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.fairness import FAIRNESS_COLUMNS, Fairness, GroupFigures, fairness_rows, fairness_table
from risk_assets.domain.training.fairness import Outcomes, fairness
from risk_assets.domain.training.intervals import auc, auc_interval, ratio_interval, share_interval

ROWS = 400


def contract_of(**kinds: str) -> Contract:
    features: dict[str, Any] = {name: {"type": kind, "reason": name, "sensitive": True} for name, kind in kinds.items()}
    features["x"] = {"type": "number", "reason": "X"}
    return Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})


def outcomes_of(rows: int = ROWS, each: int = 1) -> Outcomes:
    """Return outcomes of accounts with `each` equal rows."""
    random = np.random.default_rng(2)
    probability = np.repeat(random.uniform(size=rows // each), each)
    bad = np.repeat((random.uniform(size=rows // each) < probability[::each]).astype(np.int64), each)
    return Outcomes(bad, probability, probability >= 0.6, np.repeat(np.arange(rows // each), each))


def figures_of(values: Any, kind: str = "category", outcomes: Outcomes | None = None, training: Any = None) -> Fairness:
    frame = pd.DataFrame({"s": values})
    before = frame if training is None else pd.DataFrame({"s": training})
    (found,) = fairness(frame, before, outcomes or outcomes_of(len(frame)), contract_of(s=kind))
    return found


def test_figures_by_hand() -> None:
    levels = np.where(np.arange(ROWS) % 4 == 0, "f", "m")
    outcomes = outcomes_of()
    few, many = figures_of(levels.tolist(), outcomes=outcomes).groups
    rows = levels == "f"
    bad, probability = outcomes.bad[rows], outcomes.probability[rows]
    assert (few.group, few.rows, few.accounts, many.group, many.accounts) == ("f", 100, 100, "m", 300)
    assert (few.flagged, few.bad, few.predicted) == pytest.approx((np.mean(probability >= 0.6), bad.mean(), probability.mean()))
    assert few.flagged_interval == share_interval(few.flagged, 100)
    assert few.calibration == pytest.approx(probability.mean() / bad.mean())
    low, high = share_interval(few.bad, 100)
    assert few.calibration_interval == pytest.approx((few.predicted / high, few.predicted / low))
    assert few.roc_auc == pytest.approx(roc_auc_score(bad, probability))
    assert few.roc_auc_interval == auc_interval(auc(bad, probability, np.arange(100)))
    assert few.impact_ratio == pytest.approx((1 - few.flagged) / (1 - many.flagged))
    assert few.impact_ratio_interval == ratio_interval(1 - few.flagged, 100, 1 - many.flagged, 300)
    assert (many.impact_ratio, many.impact_ratio_interval) == (None, None)


def test_intervals_count_accounts_and_not_rows() -> None:
    levels = ["f"] * 200 + ["m"] * 200
    single, repeated = (figures_of(levels, outcomes=outcomes_of(ROWS, each)).groups[0] for each in (1, 4))
    assert (repeated.rows, repeated.accounts) == (200, 50)
    for name in ("flagged_interval", "bad_interval", "roc_auc_interval"):
        narrow, wide = getattr(single, name), getattr(repeated, name)
        assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])


def test_groups_with_fewer_than_ten_accounts_are_not_shown() -> None:
    found = figures_of(["a"] * 10 + ["b"] * 9 + ["c"] * 381)
    assert ([group.group for group in found.groups], found.too_small) == (["a", "c"], 1)
    repeated = figures_of(["a"] * 36 + ["c"] * 364, outcomes=outcomes_of(ROWS, 4))  # nine accounts
    assert ([group.group for group in repeated.groups], repeated.too_small) == (["c"], 1)


def test_missing_values_are_a_group_and_never_the_largest() -> None:
    found = figures_of([None] * 250 + ["(missing)"] * 100 + ["b"] * 50)
    assert [group.group for group in found.groups] == ['"(missing)"', "b", "(missing)"]
    assert [group.impact_ratio is None for group in found.groups] == [True, False, False]


def test_numbers_are_grouped_by_quartiles_of_the_training_rows() -> None:
    found = figures_of([*np.linspace(0, 200, ROWS - 20), *[np.nan] * 20], "number", training=np.linspace(0, 100, 101))
    assert [group.group for group in found.groups] == ["under 25", "from 25 under 50", "from 50 under 75", "from 75", "(missing)"]
    assert sum(group.rows for group in found.groups) == ROWS
    assert found.groups[3].rows > 200


@pytest.mark.parametrize("training", [[7.0] * 100, [np.nan] * 100])
def test_a_number_without_quartiles_has_a_group_for_its_values(training: list[float]) -> None:
    found = figures_of([7.0] * ROWS, "number", training=training)
    assert [group.rows for group in found.groups] == [ROWS]


def test_groups_of_one_outcome_have_no_auc_and_no_calibration() -> None:
    outcomes = outcomes_of()
    good = Outcomes(np.zeros(ROWS, dtype=np.int64), outcomes.probability, np.ones(ROWS, dtype=bool), outcomes.accounts)
    found = figures_of(["f"] * 100 + ["m"] * 300, outcomes=good).groups[0]
    assert (found.roc_auc, found.calibration, found.impact_ratio, found.flagged, found.bad) == (None, None, None, 1, 0)
    assert found.bad_interval[0] == 0 < found.bad_interval[1] < 0.05


def test_a_contract_without_sensitive_features_has_no_figures() -> None:
    contract = Contract.model_validate(
        {"id": "id", "target": {"column": "t", "bad": 1}, "features": {"x": {"type": "number", "reason": "X"}}}
    )
    assert fairness(pd.DataFrame({"x": [1.0]}), pd.DataFrame({"x": [1.0]}), outcomes_of(), contract) == ()


def test_the_table_has_a_row_for_each_group_and_the_small_ones() -> None:
    group = GroupFigures("f", 20, 15, 0.25, (0.1, 0.5), 0.0, (0.0, 0.2), 0.3, None, None, None, None, 0.8, (0.5, 1.3))
    rows = list(fairness_rows([Fairness("sex", (group,), 2)]))
    assert rows[0] == ("sex", "f", "15", "25.0% (10.0% to 50.0%)", "0.0% (0.0% to 20.0%)", "", "", "0.80 (0.50 to 1.30)")
    assert rows[1][:3] == ("sex", "2 with fewer than 10 accounts", "")
    assert {len(row) for row in rows} == {len(FAIRNESS_COLUMNS)}
    assert fairness_table([Fairness("sex", (group,), 0)]).count("\n") == 2


@pytest.mark.parametrize(("share", "groups", "interval"), [(0.0, 20, (0, 0.1172)), (1.0, 20, (0.8828, 1)), (0.1, 100, (0.0526, 0.1701))])
def test_share_interval_is_that_of_jeffreys(share: float, groups: int, interval: tuple[float, float]) -> None:
    assert share_interval(share, groups) == pytest.approx(interval, abs=2e-3)


def test_ratio_intervals_cover_the_true_ratio() -> None:
    random = np.random.default_rng(3)
    ours, theirs = random.binomial(200, 0.7, 2000) / 200, random.binomial(500, 0.8, 2000) / 500
    covered = [low <= 0.7 / 0.8 <= high for low, high in (ratio_interval(a, 200, b, 500) for a, b in zip(ours, theirs, strict=True))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
