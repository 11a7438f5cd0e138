"""Logistic regression: fitted by scikit-learn with the declared directions of risk, compiled to lines and level weights."""

from collections.abc import Collection, Mapping, Set
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.arrays import Floats, Integers
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Term
from risk_assets.domain.training.boosting import DIRECTIONS

MISSING_FILL = "\x1fmissing"  # replaces null in categories during fitting; a control character, so that no level has this name
MIN_GRADIENT = 1e-6  # per row, of the log loss by a standardised weight; smaller ones are within the tolerance of the fit


class DirectedLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression in which no number has a slope against its declared direction of risk.

    Numbers whose slope contradicts the direction are left out, and the others are fitted again. A number that was left out
    enters again if a slope in its direction would reduce the loss. The result is the fit with the smallest loss among those
    that respect the directions: the loss is convex, and no number left out can reduce it in its direction.

    Attributes
    ----------
    pipeline_
        The fitted pipeline, of scikit-learn's classes only.
    """

    def __init__(self, contract: Contract, policy: Training) -> None:
        self.contract = contract
        self.policy = policy

    def fit(self, features: pd.DataFrame, bad: Integers) -> Self:
        """Fit to rows: numbers as floats with NaN for missing, categories as text with None."""
        self.pipeline_ = _fit(features, bad, self.contract, self.policy)
        self.classes_ = self.pipeline_.classes_
        return self

    def decision_function(self, features: pd.DataFrame) -> Floats:
        """Return the log-odds of each row, shape (n,)."""
        return np.asarray(self.pipeline_.decision_function(features), dtype=np.float64)

    def predict(self, features: pd.DataFrame) -> Integers:
        """Return the more probable outcome of each row, shape (n,); scikit-learn requires the method of classifiers."""
        return np.asarray(self.pipeline_.predict(features), dtype=np.int64)


def pipeline(contract: Contract, policy: Training, left_out: Collection[str] = ()) -> Pipeline:
    """Return the unfitted pipeline, in which the numbers left out have no slope.

    Missing numbers become the median and have a weight of their own, numbers are standardised, and each level of a category
    has a weight, also missing.
    """
    numbers = [name for name in contract.numbers if name not in left_out]
    filler = SimpleImputer(strategy="constant", fill_value=MISSING_FILL, missing_values=np.nan, keep_empty_features=True)
    levels = make_pipeline(filler, OneHotEncoder(handle_unknown="ignore", sparse_output=False))
    columns = ColumnTransformer(
        [
            ("numbers", _standardised(), numbers),
            ("missing", MissingIndicator(features="all"), list(contract.numbers)),
            ("levels", levels, list(contract.categories)),
        ]
    )
    model = LogisticRegression(max_iter=1000, tol=1e-8, random_state=policy.random_state)
    return Pipeline([("columns", columns), ("model", model)])


def compile_logistic(pipeline: Pipeline, contract: Contract) -> Scorecard:
    """Return the fitted pipeline as a scorecard, without reference points."""
    model = pipeline.named_steps["model"]
    shapes = _shapes(pipeline.named_steps["columns"], model.coef_[0], contract)
    terms = tuple(Term(name, shapes[name], 0.0, 0.0, feature.reason) for name, feature in contract.inputs.items())
    return Scorecard("logistic", float(model.intercept_[0]), terms)


def _fit(features: pd.DataFrame, bad: Integers, contract: Contract, policy: Training) -> Pipeline:
    """Return the fitted pipeline; a number enters again at most once, so that the search ends."""
    left_out: set[str] = set()
    entered: set[str] = set()
    while True:
        fitted = pipeline(contract, policy, left_out).fit(features, bad)
        slopes = _slopes(fitted)
        if against := {name for name, slope in slopes.items() if slope * _direction(contract, name) < 0}:
            left_out |= against
            continue
        gains = _gains(fitted, features, bad, contract, left_out - entered)
        best = max(gains, key=gains.__getitem__, default=None)
        if best is None or gains[best] <= MIN_GRADIENT:
            return fitted
        left_out.remove(best)
        entered.add(best)


def _gains(fitted: Pipeline, features: pd.DataFrame, bad: Integers, contract: Contract, names: Set[str]) -> Mapping[str, float]:
    """Return by how much a standardised weight in the declared direction would reduce the log loss: the derivative at 0, per row."""
    ordered = [name for name in contract.numbers if name in names]
    if not ordered:
        return {}
    residual = bad - fitted.predict_proba(features)[:, 1]
    gradient = residual @ _standardised().fit_transform(features[ordered]) / len(bad)
    return {name: float(value) * _direction(contract, name) for name, value in zip(ordered, gradient, strict=True)}


def _direction(contract: Contract, name: str) -> int:
    return DIRECTIONS[contract.features[name].risk]


def _standardised() -> Pipeline:
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())


def _numbers(columns: ColumnTransformer) -> list[str]:
    """Return the numbers that have a slope."""
    return next(list(names) for step, _, names in columns.transformers_ if step == "numbers")


def _slopes(fitted: Pipeline) -> dict[str, float]:
    """Return the standardised weight of each number that has one."""
    names = _numbers(fitted.named_steps["columns"])
    return dict(zip(names, fitted.named_steps["model"].coef_[0, : len(names)].tolist(), strict=True))


def _shapes(columns: ColumnTransformer, weights: Floats, contract: Contract) -> dict[str, Line | Levels]:
    sloped = _numbers(columns)
    slopes, missing, levels = np.split(weights, np.cumsum([len(sloped), len(contract.numbers)]))
    lines = _lines(columns, sloped, slopes)
    flat = Line(0.0, 0.0, 0.0)
    shapes: dict[str, Line | Levels] = {
        name: _with_missing(lines.get(name, flat), weight) for name, weight in zip(contract.numbers, missing.tolist(), strict=True)
    }
    return shapes | _levels(columns, levels, contract)


def _with_missing(line: Line, weight: float) -> Line:
    return Line(line.slope, line.center, line.missing + weight)


def _lines(columns: ColumnTransformer, names: list[str], weights: Floats) -> dict[str, Line]:
    """Return the line of each number, at which a missing value contributes what the median does."""
    if not names:
        return {}
    steps: Any = columns.named_transformers_["numbers"].named_steps
    slopes = weights / steps["standardscaler"].scale_
    centers = steps["standardscaler"].mean_
    missing = slopes * (steps["simpleimputer"].statistics_ - centers)
    return dict(zip(names, map(Line, slopes.tolist(), centers.tolist(), missing.tolist()), strict=True))


def _levels(columns: ColumnTransformer, weights: Floats, contract: Contract) -> dict[str, Line | Levels]:
    """Return each category's weights: a coefficient for each level, 0 for an unseen level, whose one-hot columns are all 0."""
    if not contract.categories:
        return {}
    encoder: Any = columns.named_transformers_["levels"].named_steps["onehotencoder"]
    ends = np.cumsum([len(levels) for levels in encoder.categories_])[:-1]
    shapes: dict[str, Line | Levels] = {}
    for name, levels, part in zip(contract.categories, encoder.categories_, np.split(weights, ends), strict=True):
        table = dict(zip(map(str, levels), part.tolist(), strict=True))
        missing = table.pop(MISSING_FILL, 0.0)
        shapes[name] = Levels(tuple(table), tuple(table.values()), missing, unseen=0.0)
    return shapes
