"""Explanations of an account's score: contributions, points, ranks, and the recomputed prediction."""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.scorecard.explanation import Explanation, FeatureContribution, explain
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Term

LN2 = math.log(2)  # 20 points with the default scale
# mean and best contributions differ in every term
DEBT = Term("debt", Line(LN2, 1.0, missing=3 * LN2), mean=LN2, best=-2 * LN2, reason="Debt")
AGE = Term("age", Line(-LN2, 4.0, missing=0.0), mean=-LN2, best=-8 * LN2, reason="Age")
REGION = Term("region", Levels(("north",), (2 * LN2,), missing=0.0, unseen=LN2), mean=0.5 * LN2, best=0.0, reason="Region")
CARD = Scorecard("scorecard", -math.log(50) - 0.5 * LN2, (DEBT, AGE, REGION))
SCHEMA = {"debt": pl.Float64, "age": pl.Float64, "region": pl.String}
RISKY: Mapping[str, Any] = {"debt": 10.0, "age": 5.0, "region": "north"}


def policy(**more: Any) -> Policy:
    return Policy.model_validate({"threshold": 0.5, "bands": {"A": 0.125, "B": 0.5, "C": 1}, "reasons": 2} | more)


def explained(row: Mapping[str, Any], how: Policy, issues: str | None = None) -> Explanation:
    status = "issue" if issues else "scored"
    return explain(pl.DataFrame([row], schema=SCHEMA), {"account_id": "a1", "status": status, "issues": issues}, CARD, how)


def test_explanation_by_hand() -> None:
    found = explained(RISKY, policy())
    # the means add up to zero: 600 points at odds of 50 to 1, plus 10 points for the intercept, minus 10 for the means
    assert found.base_points == pytest.approx(600 + 10 - 10)
    assert found.contributions == (
        FeatureContribution("debt", 10.0, pytest.approx(9 * LN2), pytest.approx(8 * LN2), pytest.approx(-160), 1),
        FeatureContribution("age", 5.0, pytest.approx(-LN2), pytest.approx(0), pytest.approx(0), None),
        FeatureContribution("region", "north", pytest.approx(2 * LN2), pytest.approx(1.5 * LN2), pytest.approx(-30), 2),
    )
    # log-odds of -ln 50 + (-0.5 + 9 - 1 + 2) ln 2
    assert found.recomputed == {
        "probability": pytest.approx(2**9.5 / (50 + 2**9.5)),
        "prediction": 1,
        "points": 410,
        "band": "C",
        "reason_1": "Debt",
        "reason_2": "Region",
    }


def test_points_are_relative_to_the_mean_for_any_reference() -> None:
    mean, best = (explained(RISKY, policy(reasons=3, reasons_against=against)) for against in ("mean", "best"))
    assert [one.points for one in best.contributions] == [one.points for one in mean.contributions]
    assert best.base_points == mean.base_points
    assert best.recomputed["points"] == mean.recomputed["points"] == 410


def test_excess_and_rank_follow_the_policy_reference() -> None:
    found = explained(RISKY, policy(reasons=3, reasons_against="best")).contributions
    assert [one.excess / LN2 for one in found] == pytest.approx([11, 7, 2])
    assert [one.rank for one in found] == [1, 2, 3]


def test_missing_and_unseen_values_are_explained() -> None:
    found = explained({"debt": None, "age": None, "region": "west"}, policy()).contributions
    assert [one.value for one in found] == [None, None, "west"]
    assert [one.log_odds / LN2 for one in found] == pytest.approx([3, 0, 1])


def test_account_predicted_good_has_no_ranks_and_no_reasons() -> None:
    found = explained({"debt": 1.0, "age": 4.0, "region": None}, policy())
    assert [one.rank for one in found.contributions] == [None] * 3
    assert (found.recomputed["prediction"], found.recomputed["reason_1"], found.recomputed["reason_2"]) == (0, None, None)


def test_row_with_issues_has_no_recomputed_prediction() -> None:
    found = explained(RISKY, policy(), issues="debt: above 9")
    assert found.recomputed == {}
    assert found.stored == {"account_id": "a1", "status": "issue", "issues": "debt: above 9"}
    assert len(found.contributions) == 3


def test_row_that_is_not_eligible_has_no_recomputed_prediction() -> None:
    stored = {"account_id": "a1", "status": "not eligible", "excluded": "closed", "issues": None}
    found = explain(pl.DataFrame([RISKY], schema=SCHEMA), stored, CARD, policy())
    assert (found.stored, found.recomputed) == (stored, {})


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.none() | st.floats(-20, 20),
    st.none() | st.floats(-20, 20),
    st.sampled_from(["north", "west", None]),
    st.sampled_from(["mean", "best"]),
)
def test_base_points_and_contributions_sum_to_the_points(debt: float | None, age: float | None, region: str | None, against: str) -> None:
    found = explained({"debt": debt, "age": age, "region": region}, policy(reasons_against=against))
    total = found.base_points + sum(one.points for one in found.contributions)
    assert abs(total - found.recomputed["points"]) <= 0.5 + 1e-9
