"""The estimators by name: fitted by scikit-learn, recalibrated if necessary, compiled to a scorecard."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Any, cast

import msgspec
import numpy as np
import pandas as pd
import polars as pl
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import Calibration, CrossValidated
from risk_assets.domain.scorecard.arrays import Floats, Integers, never_missing, sigmoid, with_reference_points, with_worst_missing
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Scorecard, scaled
from risk_assets.domain.training.boosting import boosting, compile_boosting
from risk_assets.domain.training.calibration import calibration_bins, calibration_error, calibration_noise
from risk_assets.domain.training.intervals import Codes, auc, auc_interval, mean_auc
from risk_assets.domain.training.logistic import DirectedLogistic, compile_logistic
from risk_assets.domain.training.reason_texts import with_reason_texts

FOLDS = 3
Fold = tuple[Codes, Codes]
PARALLEL_FROM = 100_000  # rows; below, more than one thread only spins and slows down other processes on the same cores


@dataclass(frozen=True)
class Estimator:
    """How an unfitted classifier is built, which pipeline it has fitted, and how that is compiled."""

    unfitted: Callable[[Contract, Training], Any]
    fitted: Callable[[Any], Pipeline]
    compile: Callable[[Pipeline, Contract], Scorecard]


# The simplest first.
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        "logistic": Estimator(DirectedLogistic, attrgetter("pipeline_"), compile_logistic),
        "scorecard": Estimator(boosting, lambda pipeline: pipeline, compile_boosting),
    }
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


@dataclass(frozen=True)
class Validation:
    """An estimator in cross-validation: the folds, and the log-odds of each row by the model that did not see its group."""

    folds: list[Fold]
    log_odds: Floats
    figures: CrossValidated


def cross_validate(
    name: str, features: pd.DataFrame, bad: Integers, groups: Codes, contract: Contract, policy: Training
) -> Validation | None:
    """Return an estimator's three-fold cross-validation by group; None if a class has too few groups for two folds.

    Parameters
    ----------
    features : DataFrame, shape (n, features)
        Numbers as floats with NaN for missing, categories as text with None.
    bad : array of int, shape (n,)
        1 if the account went bad.
    groups : array of int, shape (n,)
        The group of each row, as a number from 0.
    """
    folds = _folds(bad, groups, policy)
    if folds is None:
        return None
    with _threads(features):
        unfitted = ESTIMATORS[name].unfitted(contract, in_rows(policy, groups))
        log_odds = np.asarray(cross_val_predict(unfitted, features, bad, cv=folds, method="decision_function"), dtype=np.float64)
    found = mean_auc([auc(bad[held], log_odds[held], groups[held]) for _, held in folds])
    return Validation(folds, log_odds, CrossValidated(found.value, auc_interval(found)))


def fit(
    name: str,
    features: pd.DataFrame,
    bad: Integers,
    groups: Codes,
    contract: Contract,
    policy: Training,
    validation: Validation | None,
) -> FittedModel:
    """Return the estimator fitted to rows, compiled, with the reference points of its reasons.

    The parameters are those of `cross_validate`, and its result.

    Notes
    -----
    Probabilities of the cross-validation are compared with outcomes. If the calibration error exceeds the policy's
    `recalibrate_above` plus sampling noise, log-odds are rescaled by a sigmoid fitted to the cross-validated values, provided
    that this reduces the error. The model stays additive. Source: J. Platt, Probabilistic outputs for support vector
    machines (1999).
    """
    with _threads(features):
        return _fit(ESTIMATORS[name], features, bad, groups, contract, in_rows(policy, groups), validation)


def in_rows(policy: Training, groups: Codes) -> Training:
    """Return the policy with the leaf size, which counts groups, as a number of rows: that of so many groups on average."""
    rows = math.ceil(policy.scorecard.min_rows * len(groups) / len(np.unique(groups)))
    return policy.model_copy(update={"scorecard": policy.scorecard.model_copy(update={"min_rows": rows})})


def _fit(
    estimator: Estimator,
    features: pd.DataFrame,
    bad: Integers,
    groups: Codes,
    contract: Contract,
    policy: Training,
    validation: Validation | None,
) -> FittedModel:
    if validation is None:
        return _uncorrected(estimator, features, bad, contract, policy, error=None)
    bins = calibration_bins(bad, sigmoid(validation.log_odds), groups)
    error = calibration_error(bins)
    if error > policy.recalibrate_above + calibration_noise(bins):
        classifier = CalibratedClassifierCV(estimator.unfitted(contract, policy), method="sigmoid", cv=validation.folds, ensemble=False)
        (inner,) = classifier.fit(features, bad).calibrated_classifiers_
        (platt,) = inner.calibrators
        slope, shift = -float(platt.a_), -float(platt.b_)
        recalibrated = calibration_error(calibration_bins(bad, sigmoid(slope * validation.log_odds + shift), groups))
        if slope > 0 and recalibrated < error:
            # the pipeline takes the place of the classifier that fitted it, so that loading the file needs scikit-learn only
            pipeline = inner.estimator = estimator.fitted(inner.estimator)
            classifier.estimator = clone(pipeline)
            card = scaled(estimator.compile(pipeline, contract), slope, shift)
            return FittedModel(classifier, _finished(card, features, contract, policy), Calibration(error, recalibrated, slope, shift))
    return _uncorrected(estimator, features, bad, contract, policy, error)


def _uncorrected(
    estimator: Estimator, features: pd.DataFrame, bad: Integers, contract: Contract, policy: Training, error: float | None
) -> FittedModel:
    pipeline = estimator.fitted(estimator.unfitted(contract, policy).fit(features, bad))
    return FittedModel(pipeline, _finished(estimator.compile(pipeline, contract), features, contract, policy), Calibration(error))


def _threads(features: pd.DataFrame) -> AbstractContextManager[Any]:
    return cast(AbstractContextManager[Any], threadpool_limits(1 if len(features) < PARALLEL_FROM else None, "openmp"))


def _finished(card: Scorecard, features: pd.DataFrame, contract: Contract, policy: Training) -> Scorecard:
    """Return the compiled card with what it needs of the training rows: reference points, `unseen_missing` and reason texts."""
    x = encode(pl.from_pandas(features, nan_to_null=True), card)
    finished = with_reason_texts(with_worst_missing(with_reference_points(card, x), x), contract, x)
    return _requiring(finished, never_missing(x)) if policy.unseen_missing == "issue" else finished


def _requiring(card: Scorecard, required: list[bool]) -> Scorecard:
    terms = (msgspec.structs.replace(term, required=needed) for term, needed in zip(card.terms, required, strict=True))
    return Scorecard(card.estimator, card.intercept, tuple(terms))


def _folds(bad: Integers, groups: Codes, policy: Training) -> list[Fold] | None:
    """Return training and held-out rows of each fold; None if a class has too few groups for two.

    Groups are drawn, stratified by whether they have a bad row. Unlike scikit-learn's `StratifiedGroupKFold`, which places
    groups one by one, this takes no longer with a million groups.
    """
    codes, of_row = np.unique(groups, return_inverse=True)
    went_bad = np.zeros(len(codes), dtype=np.int64)
    np.maximum.at(went_bad, of_row, bad)
    smallest = int(np.bincount(went_bad, minlength=2).min())
    if smallest < 2:
        return None
    folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=policy.random_state)
    parts = (np.isin(of_row, held) for _, held in folds.split(codes, went_bad))
    return [(np.flatnonzero(~held), np.flatnonzero(held)) for held in parts]
