"""The estimators by name: fitted by scikit-learn, made true where they are not, compiled to a scorecard."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pandas as pd
import polars as pl
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import Calibration
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Floats, Scorecard, scaled, sigmoid, with_reference_points
from risk_assets.domain.training.boosting import boosting, compile_boosting
from risk_assets.domain.training.logistic import compile_logistic, logistic
from risk_assets.domain.training.metrics import Labels, calibration, calibration_error, calibration_noise

FOLDS = 3
PARALLEL_FROM = 100_000  # rows


@dataclass(frozen=True)
class Estimator:
    """How a pipeline is made before it is fitted, and how it becomes data afterwards."""

    pipeline: Callable[[Contract, Training], Pipeline]
    compile: Callable[[Pipeline, Contract], Scorecard]


# From the simplest on.
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {"logistic": Estimator(logistic, compile_logistic), "scorecard": Estimator(boosting, compile_boosting)}
)


@dataclass(frozen=True)
class FittedModel:
    """A fitted classifier (`predict_proba`), the same model as data, and how true it was."""

    classifier: Any
    card: Scorecard
    calibration: Calibration

    def chance(self, features: pd.DataFrame) -> Floats:
        """Return the fitted classifier's own probability of default, shape (n,)."""
        with _threads(features):
            return np.asarray(self.classifier.predict_proba(features)[:, 1], dtype=np.float64)


def wanted(name: str) -> tuple[str, ...]:
    """Return the estimators that a policy's `estimator` asks for, the simplest first."""
    return tuple(ESTIMATORS) if name == "both" else (name,)


def fit(name: str, features: pd.DataFrame, bad: Labels, contract: Contract, policy: Training) -> FittedModel:
    """Return the estimator fitted to rows, compiled, with its references.

    Parameters
    ----------
    features : DataFrame, shape (n, features)
        Numbers as floats with NaN for missing, categories as text with None.
    bad : array of int, shape (n,)
        1 where the account went bad.

    Notes
    -----
    Probabilities are held against outcomes in three-fold cross-validation. Where they are off by more than the policy
    allows, chance set aside, the log-odds are rescaled by a sigmoid fitted to these very probabilities, if that brings them
    nearer; the model stays additive. Source: J. Platt, Probabilistic outputs for support vector machines (1999). Few rows are fitted by one
    thread: more gain nothing there, and spin for minutes where other processes want the same cores.
    """
    with _threads(features):
        return _fit(ESTIMATORS[name], features, bad, contract, policy)


def _fit(estimator: Estimator, features: pd.DataFrame, bad: Labels, contract: Contract, policy: Training) -> FittedModel:
    folds = _folds(bad, policy)
    odds = _cross_validated(estimator.pipeline(contract, policy), features, bad, folds) if folds else None
    error = _error(bad, odds) if odds is not None else None
    if odds is not None and error is not None and error > policy.recalibrate_above + _noise(bad, odds):
        classifier = CalibratedClassifierCV(estimator.pipeline(contract, policy), method="sigmoid", cv=folds, ensemble=False)
        (inner,) = classifier.fit(features, bad).calibrated_classifiers_
        (sigmoid,) = inner.calibrators
        slope, shift = -float(sigmoid.a_), -float(sigmoid.b_)
        mended = _error(bad, slope * odds + shift)
        if slope > 0 and mended < error:
            card = scaled(estimator.compile(inner.estimator, contract), slope, shift)
            return FittedModel(classifier, _with_reference_points(card, features), Calibration(error, mended, slope, shift))
    pipeline = estimator.pipeline(contract, policy).fit(features, bad)
    return FittedModel(pipeline, _with_reference_points(estimator.compile(pipeline, contract), features), Calibration(error))


def _threads(features: pd.DataFrame) -> AbstractContextManager[Any]:
    return cast(AbstractContextManager[Any], threadpool_limits(1 if len(features) < PARALLEL_FROM else None, "openmp"))


def _with_reference_points(card: Scorecard, features: pd.DataFrame) -> Scorecard:
    return with_reference_points(card, encode(pl.from_pandas(features, nan_to_null=True), card))


def _folds(bad: Labels, policy: Training) -> StratifiedKFold | None:
    """Return the folds of cross-validation; None where a class has too few rows for two."""
    smallest = int(np.bincount(bad, minlength=2).min())
    return StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=policy.random_state) if smallest > 1 else None


def _cross_validated(pipeline: Pipeline, features: pd.DataFrame, bad: Labels, folds: StratifiedKFold) -> Floats:
    """Return the log-odds of each row by the model that did not see it."""
    return np.asarray(cross_val_predict(pipeline, features, bad, cv=folds, method="decision_function"), dtype=np.float64)


def _error(bad: Labels, odds: Floats) -> float:
    return calibration_error(calibration(bad, sigmoid(odds)))


def _noise(bad: Labels, odds: Floats) -> float:
    return calibration_noise(calibration(bad, sigmoid(odds)))
