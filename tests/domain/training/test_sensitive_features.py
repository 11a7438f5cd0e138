"""Sensitive features are stored with the others and never used by a model."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import SNAPSHOT, Contract
from risk_assets.domain.governance.impact import measure
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Term, VersionedScorecard
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.domain.training.dataset import labelled
from risk_assets.domain.training.train import train
from risk_assets.errors import ModelError

DATES = ("2026-01-01", "2026-01-02")
ROWS = 400
SCHEMA = {
    "account_id": pl.String,
    "sex": pl.String,
    "x": pl.Float64,
    "age": pl.Float64,
    "k": pl.String,
    "excluded": pl.String,
    "issues": pl.String,
}
POLICY = Policy.model_validate({"threshold": 0.3, "bands": {"A": 1}, "training": {"min_rows": 100, "min_bad": 10, "estimator": "both"}})


def contract(**sensitive: bool) -> Contract:
    kinds = {"sex": "category", "x": "number", "age": "number", "k": "category"}
    features: dict[str, Any] = {
        name: {"type": kind, "reason": name, "sensitive": sensitive.get(name, False)} for name, kind in kinds.items()
    }
    return Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})


CONTRACT = contract(sex=True, age=True)


def book() -> tuple[dict[str, pl.LazyFrame], dict[str, pl.LazyFrame]]:
    """Return features and outcomes; the outcome depends on `x` and, more, on `sex` and `age`."""
    random = np.random.default_rng(5)
    features, outcomes = {}, {}
    for date in DATES:
        x, age = random.normal(size=(2, ROWS))
        sex, k = random.choice(["f", "m"], ROWS), random.choice(["u", "v"], ROWS)
        bad = (x + 2 * age + 2 * (sex == "m") + random.logistic(size=ROWS) > 2).astype(int)
        ids = [f"a{row}" for row in range(ROWS)]
        columns = {"account_id": ids, "sex": sex, "x": x, "age": age, "k": k, "excluded": [None] * ROWS, "issues": [None] * ROWS}
        features[date] = pl.LazyFrame(columns, schema=SCHEMA)
        outcomes[date] = pl.LazyFrame({"account_id": ids, "bad": bad}, schema={"account_id": pl.String, "bad": pl.Int8})
    return features, outcomes


def test_training_rows_have_sensitive_columns_for_figures_only() -> None:
    frame = labelled(*book(), CONTRACT, POLICY.training)
    assert list(frame.columns) == ["x", "k", "bad", SNAPSHOT, "group", "sex", "age"]


@pytest.mark.parametrize("estimator", ["logistic", "scorecard"])
def test_sensitive_values_do_not_change_the_model(estimator: str) -> None:
    policy = POLICY.with_estimator(estimator)
    frame = labelled(*book(), CONTRACT, policy.training)
    other = frame.assign(sex="x", age=np.nan)
    first, second = (train(rows, DATES[-1], CONTRACT, policy, live=None) for rows in (frame, other))
    assert first.scorecard.to_json() == second.scorecard.to_json()
    assert first.pipeline == second.pipeline


def test_metrics_have_figures_of_sensitive_features() -> None:
    model = train(labelled(*book(), CONTRACT, POLICY.training), DATES[-1], CONTRACT, POLICY, live=None)
    sex, age = model.metrics.fairness
    assert (sex.feature, [group.group for group in sex.groups]) == ("sex", ["f", "m"])
    assert (age.feature, len(age.groups)) == ("age", 4)
    for found in (sex, age):
        assert sum(group.rows for group in found.groups) == model.metrics.n_test


@pytest.mark.parametrize("estimator", ["logistic", "scorecard"])
def test_models_profiles_and_examples_have_no_sensitive_feature(estimator: str) -> None:
    policy = POLICY.with_estimator(estimator)
    model = train(labelled(*book(), CONTRACT, policy.training), DATES[-1], CONTRACT, policy, live=None)
    assert model.scorecard.features == {"x": "number", "k": "category"}
    assert list(model.profile.features) == list(model.example.record) == list(model.origin.features) == ["x", "k"]
    require_fit(VersionedScorecard("model_v001", model.scorecard), CONTRACT)


def test_a_model_with_a_sensitive_feature_does_not_fit() -> None:
    terms = (Term("x", Line(1.0, 0.0, 0.0), 0.0, 0.0, "X"), Term("sex", Levels(("f", "m"), (0.0, 1.0), 0.0, 0.0), 0.0, 0.0, "Sex"))
    model = VersionedScorecard("model_v001", Scorecard("logistic", 0.0, terms))
    require_fit(model, contract())
    with pytest.raises(
        ModelError, match=r"model_v001 uses features that the contract marks as sensitive or with input: false: sex\. Train a version"
    ):
        require_fit(model, CONTRACT)
    require_fit(replace(model, scorecard=Scorecard("logistic", 0.0, terms[:1])), CONTRACT)


def test_the_impact_compares_the_levels_of_sensitive_categories() -> None:
    features, _ = book()
    model = VersionedScorecard("model_v001", Scorecard("logistic", 0.0, (Term("x", Line(1.0, 0.0, 0.0), 0.0, 0.0, "X"),)))
    impact, _ = measure(features, model, None, POLICY, CONTRACT)
    assert {(part.feature, part.level) for part in impact.categories} == {("sex", "f"), ("sex", "m"), ("k", "u"), ("k", "v")}
