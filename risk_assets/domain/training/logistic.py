"""Logistic regression: fitted by scikit-learn, compiled to lines and level weights."""

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.arrays import Floats
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Term

MISSING_FILL = "\x1fmissing"  # replaces null in categories during fitting; a control character, so that no level has this name


def logistic(contract: Contract, policy: Training) -> Pipeline:
    """Return the unfitted pipeline.

    Missing numbers become the median, numbers are standardised, and each level of a category has a weight, also missing.
    """
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    filler = SimpleImputer(strategy="constant", fill_value=MISSING_FILL, missing_values=np.nan, keep_empty_features=True)
    levels = make_pipeline(filler, OneHotEncoder(handle_unknown="ignore", sparse_output=False))
    columns = ColumnTransformer([("numbers", numbers, list(contract.numbers)), ("levels", levels, list(contract.categories))])
    model = LogisticRegression(max_iter=1000, tol=1e-8, random_state=policy.random_state)
    return Pipeline([("columns", columns), ("model", model)])


def compile_logistic(pipeline: Pipeline, contract: Contract) -> Scorecard:
    """Return the fitted pipeline as a scorecard, without reference points."""
    model = pipeline.named_steps["model"]
    shapes = _shapes(pipeline.named_steps["columns"], model.coef_[0], contract)
    terms = tuple(Term(name, shapes[name], 0.0, 0.0, feature.reason) for name, feature in contract.inputs.items())
    return Scorecard("logistic", float(model.intercept_[0]), terms)


def _shapes(columns: ColumnTransformer, weights: Floats, contract: Contract) -> dict[str, Line | Levels]:
    first_level = len(contract.numbers)
    return _lines(columns, weights[:first_level], contract) | _levels(columns, weights[first_level:], contract)


def _lines(columns: ColumnTransformer, weights: Floats, contract: Contract) -> dict[str, Line | Levels]:
    if not contract.numbers:
        return {}
    steps: Any = columns.named_transformers_["numbers"].named_steps
    slopes = weights / steps["standardscaler"].scale_
    centers = steps["standardscaler"].mean_
    missing = slopes * (steps["simpleimputer"].statistics_ - centers)
    lines = map(Line, slopes.tolist(), centers.tolist(), missing.tolist())
    return dict(zip(contract.numbers, lines, strict=True))


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
