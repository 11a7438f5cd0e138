"""At a cut-off or a bound, and just beside it, batch, service, explanation and impact decide the same."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.batch.predictions import prediction_descriptions, predictions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.governance.impact import measure
from risk_assets.domain.scorecard.explanation import explain
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Term, VersionedScorecard
from risk_serving.scoring.answers import Result
from risk_serving.scoring.records import Columns, Rows
from risk_serving.scoring.scorer import Scorer

CONTRACT = Contract.model_validate(
    {"id": "id", "target": {"column": "t", "bad": 1}, "features": {"x": {"type": "number", "reason": "X", "required": True}}}
)
CARD = Scorecard("logistic", 0.0, (Term("x", Line(1.0, 0.0, 0.0), -1e9, -1e9, "X"),))
ARMS = Arms(VersionedScorecard("model_v001", CARD))
SCHEMA = dict.fromkeys(("account_id", "group", "excluded", "issues"), pl.String) | {"x": pl.Float64}


def decisions(log_odds: list[float], policy: Policy) -> list[tuple[int, str, int]]:
    """Return prediction, band and points of each account after verifying that all ways to score give the same."""
    rows = [{"account_id": f"a{at}", "group": f"a{at}", "excluded": None, "issues": None, "x": x} for at, x in enumerate(log_odds)]
    frame = pl.DataFrame(rows, schema=SCHEMA)
    table = predictions(frame.lazy(), ARMS, policy).collect()
    batch = list(zip(table["prediction"], table["band"], table["points"], strict=True))
    ids, scorer = frame["account_id"].to_list(), Scorer(ARMS, policy, CONTRACT)
    for records in (Rows(ids, [(x,) for x in log_odds]), Columns(ids, [np.array(log_odds)])):
        results = scorer.score(records).results
        assert [(one.prediction, one.band, one.points) for one in results if isinstance(one, Result)] == batch
    stored = table.rows(named=True)
    explained = [explain(frame[[at]], row, CARD, policy).recomputed for at, row in enumerate(stored)]
    assert [(one["prediction"], one["band"], one["points"]) for one in explained] == batch
    impact, _ = measure({"2026-01-01": frame.lazy()}, ARMS.champion, ARMS.champion, policy, CONTRACT)
    assert impact.flagged == sum(prediction for prediction, *_ in batch)
    assert {name: row[name] for name, row in impact.migration.items()} == {
        name: [b for _, b, _ in batch].count(name) for name in policy.bands
    }
    return batch


def probability_of(log_odds: float) -> float:
    return float(1.0 / (1.0 + np.exp(-log_odds)))


@settings(deadline=None, max_examples=40)
@given(st.floats(-6, 6))
def test_probability_at_a_bound_is_flagged_and_in_the_riskier_band(log_odds: float) -> None:
    exact = probability_of(log_odds)
    for bound, risky in ((exact, True), (math.nextafter(exact, 0), True), (math.nextafter(exact, 1), False)):
        found = decisions([log_odds], Policy(threshold=bound, bands={"safe": bound, "risky": 1.0}))
        assert found[0][:2] == ((1, "risky") if risky else (0, "safe"))


@settings(deadline=None, max_examples=40)
@given(st.floats(-6, 6), st.integers(-1, 1))
def test_rounded_points_at_a_bound_are_flagged_and_in_the_riskier_band(log_odds: float, beside: int) -> None:
    one_point = math.log(2) / 20
    around = [log_odds + step * one_point / 8 for step in range(-20, 21)]
    shown = decisions(around, Policy())
    bound = shown[20][2] + beside
    found = decisions(around, Policy(cut_by="points", threshold=bound, bands={"safe": bound, "risky": None}))
    assert found == [(1, "risky", points) if points <= bound else (0, "safe", points) for _, _, points in shown]


def test_probability_one_is_in_the_last_band() -> None:
    assert decisions([1e5, -1e5], Policy(threshold=0.5, bands={"A": 0.5, "B": 1.0}))[0][:2] == (1, "B")


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (Policy(), "1 (bad) if the probability is at least 0.25, else 0"),
        (Policy(cut_by="points", threshold=540, bands={"A": 540, "B": None}), "1 (bad) if the points are at most 540, else 0"),
    ],
)
def test_descriptions_state_the_cut_off(policy: Policy, text: str) -> None:
    described = prediction_descriptions(policy)
    assert described["prediction"] == text
    assert described["band"].endswith(f"(riskiest), by {policy.cut_by}")
