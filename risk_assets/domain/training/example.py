"""The synthetic record that is stored with a model, so that whoever loads the model can verify it."""

import numpy as np
import pandas as pd
import polars as pl

from risk_assets.domain.contract.column_types import polars_schema
from risk_assets.domain.contract.field_rules import missing_codes
from risk_assets.domain.contract.schema import Contract, Feature
from risk_assets.domain.scorecard.arrays import Floats
from risk_assets.domain.scorecard.scorecard import Example
from risk_assets.domain.training.estimators import FittedModel

DIGITS = 4  # medians are rounded: with an odd number of rows, the exact median is one customer's value


def example(model: FittedModel, frame: pd.DataFrame, contract: Contract) -> Example:
    """Return a record of rounded medians and most frequent levels, with the fitted pipeline's probability."""
    record = {name: _typical(frame[name], feature, contract) for name, feature in contract.inputs.items()}
    types = polars_schema({name: feature.type for name, feature in contract.inputs.items()})
    probability = model.probabilities(pl.DataFrame([record], schema=types).to_pandas())
    return Example(record, float(probability[0]))


def _typical(values: pd.Series, feature: Feature, contract: Contract) -> float | str | None:
    if feature.type == "number":
        return _typical_number(values.to_numpy(dtype=np.float64), feature, contract)
    return _typical_level(values, feature)


def _typical_number(values: Floats, feature: Feature, contract: Contract) -> float | None:
    """Return the rounded median of the known values, within the contract's bounds and not a code for missing."""
    known = values[~np.isnan(values)]
    if not len(known):
        return _bounded(0.0, feature) if feature.required else None
    median = float(f"{np.median(known):.{DIGITS}g}")
    whole = bool((known == np.rint(known)).all())
    rounded = _bounded(float(round(median)) if whole else median, feature)
    return float(np.quantile(known, 0.5, method="lower")) if rounded in missing_codes(feature, contract) else rounded


def _bounded(number: float, feature: Feature) -> float:
    low = -np.inf if feature.min is None else feature.min
    high = np.inf if feature.max is None else feature.max
    return float(min(max(number, low), high))


def _typical_level(levels: pd.Series, feature: Feature) -> str | None:
    """Return the most frequent level; of several, the first in order."""
    frequent = levels.mode()
    if len(frequent):
        return str(frequent.iloc[0])
    return "any" if feature.required else None
