"""Gradient boosting without interactions: fitted by scikit-learn, compiled to exact step tables."""

import math
from typing import Any, Self

import numpy as np
import pandas as pd
import polars as pl
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from risk_assets.domain.contract.column_types import POLARS_TYPES
from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.arrays import Floats
from risk_assets.domain.scorecard.scorecard import Levels, Scorecard, Steps, Term

EMPTY_SHARE = 1e-4  # scikit-learn bins a sample of rows, which may miss all known values of a column with fewer than this share
UNSEEN_LEVEL = "\x1funseen"  # a level that no category has
EQUAL_WEIGHTS = 1e-12  # log-odds; neighbouring steps that differ by no more are merged
DIRECTIONS = {"up": 1, "down": -1, None: 0}


class EmptyColumnFiller(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Replaces columns that have almost no known value in training by zeros, because scikit-learn cannot bin them."""

    def fit(self, columns: pd.DataFrame, bad: Any = None) -> Self:
        """Find the columns that are empty in training."""
        self.empty_ = (~np.isnan(np.asarray(columns, dtype=np.float64))).mean(axis=0) <= EMPTY_SHARE
        return self

    def transform(self, columns: pd.DataFrame) -> Floats:
        """Return the columns, with zeros in those that were empty in training."""
        return np.where(self.empty_, 0.0, np.asarray(columns, dtype=np.float64))


def boosting(contract: Contract, policy: Training) -> Pipeline:
    """Return the unfitted pipeline: trees of one feature each, monotonic where the contract declares a direction of risk.

    A category has at most `max_bins` codes: the rarest levels share one.
    """
    return Pipeline([("columns", _columns(contract, policy.scorecard.max_bins)), ("model", _trees(contract, policy))])


def _columns(contract: Contract, max_bins: int) -> ColumnTransformer:
    """Return the transformer to numbers and level codes, categories first; unseen and missing levels become NaN."""
    unknown: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan, "encoded_missing_value": np.nan}
    codes = OrdinalEncoder(max_categories=max_bins, **unknown)
    return ColumnTransformer([("levels", codes, list(contract.categories)), ("numbers", EmptyColumnFiller(), list(contract.numbers))])


def _trees(contract: Contract, policy: Training) -> HistGradientBoostingClassifier:
    options, categories = policy.scorecard, len(contract.categories)
    return HistGradientBoostingClassifier(
        learning_rate=options.learning_rate,
        max_iter=options.rounds,
        max_leaf_nodes=options.max_leaves,
        max_bins=options.max_bins,
        min_samples_leaf=options.min_rows,
        l2_regularization=options.shrinkage,
        categorical_features=list(range(categories)),
        monotonic_cst=[0] * categories + [DIRECTIONS[contract.features[name].risk] for name in contract.numbers],
        interaction_cst="no_interactions",
        early_stopping=False,
        random_state=policy.random_state,
    )


def compile_boosting(pipeline: Pipeline, contract: Contract) -> Scorecard:
    """Return the fitted pipeline as a scorecard, without reference points.

    No tree combines features. A feature's contribution is therefore the change of the log-odds when this feature alone has a
    value and all others are missing. One call evaluates it at every threshold of the model, infinity, missing and every level.
    """
    thresholds = [*_thresholds(pipeline), math.inf, None]
    levels = {name: [*known, UNSEEN_LEVEL, None] for name, known in _levels(pipeline, contract).items()}
    probes = {name: levels.get(name, thresholds) for name in contract.inputs}
    log_odds = np.asarray(pipeline.decision_function(_one_at_a_time(probes, contract)), dtype=np.float64)
    base, ends = log_odds[0], np.cumsum([len(values) for values in probes.values()])
    parts = np.split(log_odds[1:] - base, ends[:-1])
    terms = (
        Term(name, _shape(values, part), 0.0, 0.0, contract.features[name].reason)
        for (name, values), part in zip(probes.items(), parts, strict=True)
    )
    return Scorecard("scorecard", float(base), tuple(terms))


def _thresholds(pipeline: Pipeline) -> list[float]:
    """Return all finite thresholds of numbers in the model, ascending, of all features: a foreign threshold changes nothing."""
    trees = [tree for trees in pipeline.named_steps["model"]._predictors for tree in trees]
    nodes = np.concatenate([tree.nodes for tree in trees])
    splits = nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)]["num_threshold"]
    return np.unique(splits[np.isfinite(splits)]).tolist()  # type: ignore[no-any-return]


def _levels(pipeline: Pipeline, contract: Contract) -> dict[str, list[str]]:
    """Return the levels of each category in training."""
    if not contract.categories:
        return {}
    found = pipeline.named_steps["columns"].named_transformers_["levels"].categories_
    return {
        name: [str(level) for level in levels if isinstance(level, str)] for name, levels in zip(contract.categories, found, strict=True)
    }


def _one_at_a_time(probes: dict[str, list[Any]], contract: Contract) -> pd.DataFrame:
    """Return a row with all features missing, then one row for each probe with only that feature known."""
    rows, start = 1 + sum(map(len, probes.values())), 1
    columns = {}
    for name, values in probes.items():
        column = [None] * start + values + [None] * (rows - start - len(values))
        columns[name] = pl.Series(column, dtype=POLARS_TYPES[contract.features[name].type])
        start += len(values)
    return pl.DataFrame(columns).to_pandas()


def _shape(probes: list[Any], part: Floats) -> Steps | Levels:
    """Return the shape of a feature's contribution; neighbouring steps of equal weight are merged."""
    *weights, missing = part.tolist()
    if isinstance(probes[-2], str):
        return Levels(tuple(probes[:-2]), tuple(weights[:-1]), missing, unseen=weights[-1])
    edges, kept = [], weights[:1]
    for edge, weight in zip(probes[:-2], weights[1:], strict=True):
        if abs(weight - kept[-1]) > EQUAL_WEIGHTS:
            edges.append(edge)
            kept.append(weight)
    return Steps(tuple(edges), tuple(kept), missing)
