"""The estimators by name: fitted by scikit-learn, recalibrated if necessary, compiled to a scorecard."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import msgspec
import numpy as np
import pandas as pd
import polars as pl
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import Calibration, CalibrationBin
from risk_assets.domain.scorecard.arrays import Floats, Integers, never_missing, sigmoid, with_reference_points, with_worst_missing
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Scorecard, scaled
from risk_assets.domain.training.boosting import boosting, compile_boosting
from risk_assets.domain.training.calibration import calibration_bins, calibration_error, calibration_noise
from risk_assets.domain.training.logistic import compile_logistic, logistic

FOLDS = 3
PARALLEL_FROM = 100_000  # rows; below, more than one thread only spins and slows down other processes on the same cores


@dataclass(frozen=True)
class Estimator:
    """How an unfitted pipeline is built, and how a fitted one is compiled."""

    pipeline: Callable[[Contract, Training], Pipeline]
    compile: Callable[[Pipeline, Contract], Scorecard]


# The simplest first.
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {"logistic": Estimator(logistic, compile_logistic), "scorecard": Estimator(boosting, compile_boosting)}
)


@dataclass(frozen=True)
class FittedModel:
    """A fitted classifier (`predict_proba`), the same model as data, and its calibration.

    They differ in one case: a missing value of a feature without missing values in the training rows. The card scores it as
    the policy's `unseen_missing` sets, and the classifier as an average value or level.
    """

    classifier: Any
    card: Scorecard
    calibration: Calibration

    def probabilities(self, features: pd.DataFrame) -> Floats:
        """Return the fitted classifier's probabilities of default, shape (n,)."""
        with _threads(features):
            return np.asarray(self.classifier.predict_proba(features)[:, 1], dtype=np.float64)


def names(estimator: str) -> tuple[str, ...]:
    """Return the estimators that a policy's `estimator` selects, the simplest first."""
    return tuple(ESTIMATORS) if estimator == "both" else (estimator,)


def fit(name: str, features: pd.DataFrame, bad: Integers, contract: Contract, policy: Training) -> FittedModel:
    """Return the estimator fitted to rows, compiled, with the reference points of its reasons.

    Parameters
    ----------
    features : DataFrame, shape (n, features)
        Numbers as floats with NaN for missing, categories as text with None.
    bad : array of int, shape (n,)
        1 if the account went bad.

    Notes
    -----
    Probabilities are compared with outcomes in three-fold cross-validation. If the calibration error exceeds the policy's
    `recalibrate_above` plus sampling noise, log-odds are rescaled by a sigmoid fitted to the cross-validated values, provided
    that this reduces the error. The model stays additive. Source: J. Platt, Probabilistic outputs for support vector
    machines (1999).
    """
    with _threads(features):
        return _fit(ESTIMATORS[name], features, bad, contract, policy)


def _fit(estimator: Estimator, features: pd.DataFrame, bad: Integers, contract: Contract, policy: Training) -> FittedModel:
    folds = _folds(bad, policy)
    if folds is None:
        return _uncorrected(estimator, features, bad, contract, policy, error=None)
    log_odds = _cross_validated(estimator.pipeline(contract, policy), features, bad, folds)
    bins = _bins(bad, log_odds)
    error = calibration_error(bins)
    if error > policy.recalibrate_above + calibration_noise(bins):
        classifier = CalibratedClassifierCV(estimator.pipeline(contract, policy), method="sigmoid", cv=folds, ensemble=False)
        (inner,) = classifier.fit(features, bad).calibrated_classifiers_
        (platt,) = inner.calibrators
        slope, shift = -float(platt.a_), -float(platt.b_)
        recalibrated = calibration_error(_bins(bad, slope * log_odds + shift))
        if slope > 0 and recalibrated < error:
            card = scaled(estimator.compile(inner.estimator, contract), slope, shift)
            return FittedModel(classifier, _finished(card, features, policy), Calibration(error, recalibrated, slope, shift))
    return _uncorrected(estimator, features, bad, contract, policy, error)


def _uncorrected(
    estimator: Estimator, features: pd.DataFrame, bad: Integers, contract: Contract, policy: Training, error: float | None
) -> FittedModel:
    pipeline = estimator.pipeline(contract, policy).fit(features, bad)
    return FittedModel(pipeline, _finished(estimator.compile(pipeline, contract), features, policy), Calibration(error))


def _threads(features: pd.DataFrame) -> AbstractContextManager[Any]:
    return cast(AbstractContextManager[Any], threadpool_limits(1 if len(features) < PARALLEL_FROM else None, "openmp"))


def _finished(card: Scorecard, features: pd.DataFrame, policy: Training) -> Scorecard:
    """Return the compiled card with what it needs of the training rows: reference points and the policy's `unseen_missing`."""
    x = encode(pl.from_pandas(features, nan_to_null=True), card)
    finished = with_worst_missing(with_reference_points(card, x), x)
    return _requiring(finished, never_missing(x)) if policy.unseen_missing == "issue" else finished


def _requiring(card: Scorecard, required: list[bool]) -> Scorecard:
    terms = (msgspec.structs.replace(term, required=needed) for term, needed in zip(card.terms, required, strict=True))
    return Scorecard(card.estimator, card.intercept, tuple(terms))


def _folds(bad: Integers, policy: Training) -> StratifiedKFold | None:
    """Return the folds of cross-validation; None if a class has too few rows for two."""
    smallest = int(np.bincount(bad, minlength=2).min())
    return StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=policy.random_state) if smallest > 1 else None


def _cross_validated(pipeline: Pipeline, features: pd.DataFrame, bad: Integers, folds: StratifiedKFold) -> Floats:
    """Return the log-odds of each row from the model that was not trained on it."""
    return np.asarray(cross_val_predict(pipeline, features, bad, cv=folds, method="decision_function"), dtype=np.float64)


def _bins(bad: Integers, log_odds: Floats) -> tuple[CalibrationBin, ...]:
    return calibration_bins(bad, sigmoid(log_odds))
