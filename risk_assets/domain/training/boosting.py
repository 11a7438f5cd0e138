"""Boosting in which no tree mixes features: fitted by scikit-learn, compiled to exact step tables."""

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
from risk_assets.domain.scorecard.scorecard import Floats, Levels, Scorecard, Steps, Term

RARELY = 1e-4  # the share of known rows up to which a number counts as empty: scikit-learn draws rows to bin, which might hold none
UNSEEN = "\x1funseen"
SAME = 1e-12
DIRECTIONS = {"up": 1, "down": -1, None: 0}


class FilledWhereEmpty(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fills the columns that have next to no value in training, of which scikit-learn can make no bins; no tree splits them."""

    def fit(self, columns: pd.DataFrame, bad: Any = None) -> Self:
        """Remember which columns are empty."""
        self.empty_ = (~np.isnan(np.asarray(columns, dtype=np.float64))).mean(axis=0) <= RARELY
        return self

    def transform(self, columns: pd.DataFrame) -> Floats:
        """Return the columns with zeros in those that were empty."""
        return np.where(self.empty_, 0.0, np.asarray(columns, dtype=np.float64))


def boosting(contract: Contract, policy: Training) -> Pipeline:
    """Return the unfitted pipeline: numbers as they are, levels as codes, directions of risk kept as the contract says.

    A category has as many levels of its own as a number may have steps; all rarer ones share one.
    """
    how, numbers, categories = policy.scorecard, list(contract.numbers), list(contract.categories)
    unknown: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan, "encoded_missing_value": np.nan}
    codes = OrdinalEncoder(max_categories=how.max_bins, **unknown)
    columns = ColumnTransformer([("levels", codes, categories), ("numbers", FilledWhereEmpty(), numbers)])
    directions = [0] * len(categories) + [DIRECTIONS[contract.features[name].risk] for name in numbers]
    model = HistGradientBoostingClassifier(
        learning_rate=how.learning_rate,
        max_iter=how.rounds,
        max_leaf_nodes=how.max_leaves,
        max_bins=how.max_bins,
        min_samples_leaf=how.min_rows,
        l2_regularization=how.shrinkage,
        categorical_features=list(range(len(categories))),
        monotonic_cst=directions,
        interaction_cst="no_interactions",
        early_stopping=False,
        random_state=policy.random_state,
    )
    return Pipeline([("columns", columns), ("model", model)])


def compile_boosting(pipeline: Pipeline, contract: Contract) -> Scorecard:
    """Return the same model as data.

    No tree mixes features, so a feature's part is the change of the log-odds when it alone takes a value and all others are
    missing. It is evaluated at every threshold of the model, infinity, missing and every level, in one call.
    """
    thresholds = [*_thresholds(pipeline), math.inf, None]
    levels = {name: [*known, UNSEEN, None] for name, known in _levels(pipeline, contract).items()}
    probes = {name: levels.get(name, thresholds) for name in contract.features}
    log_odds = np.asarray(pipeline.decision_function(_one_at_a_time(probes, contract)), dtype=np.float64)
    base, ends = log_odds[0], np.cumsum([len(values) for values in probes.values()])
    parts = np.split(log_odds[1:] - base, ends[:-1])
    terms = (
        Term(name, _shape(values, part), 0.0, 0.0, contract.features[name].reason)
        for (name, values), part in zip(probes.items(), parts, strict=True)
    )
    return Scorecard("scorecard", float(base), tuple(terms))


def _thresholds(pipeline: Pipeline) -> list[float]:
    """Return every finite threshold of a number in the model, rising; one that splits another feature changes nothing."""
    trees = [tree for trees in pipeline.named_steps["model"]._predictors for tree in trees]
    nodes = np.concatenate([tree.nodes for tree in trees])
    splits = nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)]["num_threshold"]
    return np.unique(splits[np.isfinite(splits)]).tolist()  # type: ignore[no-any-return]


def _levels(pipeline: Pipeline, contract: Contract) -> dict[str, list[str]]:
    """Return the levels of each category that training saw."""
    if not contract.categories:
        return {}
    found = pipeline.named_steps["columns"].named_transformers_["levels"].categories_
    return {
        name: [str(level) for level in levels if isinstance(level, str)] for name, levels in zip(contract.categories, found, strict=True)
    }


def _one_at_a_time(probes: dict[str, list[Any]], contract: Contract) -> pd.DataFrame:
    """Return a row where all is missing, then one for each probe, in which one feature takes a value and all others are missing."""
    rows, start = 1 + sum(map(len, probes.values())), 1
    columns = {}
    for name, values in probes.items():
        column = [None] * start + values + [None] * (rows - start - len(values))
        columns[name] = pl.Series(column, dtype=POLARS_TYPES[contract.features[name].type])
        start += len(values)
    return pl.DataFrame(columns).to_pandas()


def _shape(probes: list[Any], part: Floats) -> Steps | Levels:
    """Return the feature's part; neighbouring steps of one weight are one step."""
    *weights, missing = part.tolist()
    if isinstance(probes[-2], str):
        return Levels(tuple(probes[:-2]), tuple(weights[:-1]), missing, unseen=weights[-1])
    edges, kept = [], weights[:1]
    for edge, weight in zip(probes[:-2], weights[1:], strict=True):
        if abs(weight - kept[-1]) > SAME:
            edges.append(edge)
            kept.append(weight)
    return Steps(tuple(edges), tuple(kept), missing)
