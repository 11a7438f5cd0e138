"""`StandardScaler + LogisticRegression`: fitted by scikit-learn, compiled to lines and level weights."""

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.scorecard import Floats, Levels, Line, Scorecard, Term

MISSING = "\x1fmissing"


def logistic(contract: Contract, policy: Training) -> Pipeline:
    """Return the unfitted pipeline: median for missing numbers and scaling, one weight a level for categories."""
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    filler = SimpleImputer(strategy="constant", fill_value=MISSING, missing_values=np.nan, keep_empty_features=True)
    levels = make_pipeline(filler, OneHotEncoder(handle_unknown="ignore", sparse_output=False))
    columns = ColumnTransformer([("numbers", numbers, list(contract.numbers)), ("levels", levels, list(contract.categories))])
    model = LogisticRegression(max_iter=1000, tol=1e-8, random_state=policy.random_state)
    return Pipeline([("columns", columns), ("model", model)])


def compile_logistic(pipeline: Pipeline, contract: Contract) -> Scorecard:
    """Return the same model as data."""
    model = pipeline.named_steps["model"]
    shapes = _shapes(pipeline.named_steps["columns"], model.coef_[0], contract)
    terms = tuple(Term(name, shapes[name], 0.0, 0.0, feature.reason) for name, feature in contract.features.items())
    return Scorecard("logistic", float(model.intercept_[0]), terms)


def _shapes(columns: ColumnTransformer, weights: Floats, contract: Contract) -> dict[str, Line | Levels]:
    cut = len(contract.numbers)
    return _lines(columns, weights[:cut], contract) | _levels(columns, weights[cut:], contract)


def _lines(columns: ColumnTransformer, weights: Floats, contract: Contract) -> dict[str, Line | Levels]:
    if not contract.numbers:
        return {}
    steps: Any = columns.named_transformers_["numbers"].named_steps
    slopes = weights / steps["standardscaler"].scale_
    centers = steps["standardscaler"].mean_
    missing = slopes * (steps["simpleimputer"].statistics_ - centers)
    figures = zip(contract.numbers, slopes, centers, missing, strict=True)
    return {name: Line(float(slope), float(center), float(gap)) for name, slope, center, gap in figures}


def _levels(columns: ColumnTransformer, weights: Floats, contract: Contract) -> dict[str, Line | Levels]:
    """A level's weight is its coefficient; a level never seen is all zeros after one-hot, so it adds nothing."""
    if not contract.categories:
        return {}
    encoder: Any = columns.named_transformers_["levels"].named_steps["onehotencoder"]
    shapes: dict[str, Line | Levels] = {}
    start = 0
    for name, found in zip(contract.categories, encoder.categories_, strict=True):
        table = dict(zip(map(str, found), map(float, weights[start : start + len(found)]), strict=True))
        missing = table.pop(MISSING, 0.0)
        shapes[name] = Levels(tuple(table), tuple(table.values()), missing, unseen=0.0)
        start += len(found)
    return shapes
