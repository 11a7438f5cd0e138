"""Applies a model and a policy to accounts: probability, points, band and reasons for each row, with numpy only."""

import math
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from risk_assets.domain.contract.policy import Points, Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.arrays import Floats, Integers, contributions, log_odds, sigmoid
from risk_assets.domain.scorecard.reasons import reference, text_positions
from risk_assets.domain.scorecard.scorecard import Scorecard, VersionedScorecard
from risk_assets.errors import ModelError

HISTOGRAM_BINS = 20
MAX_POINTS_LOG_ODDS = 1e9


@dataclass(frozen=True)
class Decisions:
    """What a policy decides for n accounts; `band` is a position in the policy's bands."""

    probability: Floats
    prediction: npt.NDArray[np.bool_]
    points: Integers
    band: Integers


@dataclass(frozen=True)
class Scores(Decisions):
    """The scores of n accounts.

    `reasons` and `texts`, shape (n, most), are positions of terms and of their texts in
    `reason_texts`, -1 for none.
    """

    reasons: Integers
    texts: Integers


def score(card: Scorecard, policy: Policy, x: Floats) -> Scores:
    """Return the scores of inputs of shape (rows, features)."""
    parts = contributions(card, x)
    decisions = decide(log_odds(card, parts), policy)
    flagged = np.flatnonzero(decisions.prediction)
    raised = parts[:, flagged]
    reasons = _reasons(card, raised, policy)
    texts = text_positions(card, x.T[:, flagged].T, raised, reasons)
    return Scores(
        probability=decisions.probability,
        prediction=decisions.prediction,
        points=decisions.points,
        band=decisions.band,
        reasons=_of_all(reasons, flagged, len(x)),
        texts=_of_all(texts, flagged, len(x)),
    )


def decide(log_odds: Floats, policy: Policy) -> Decisions:
    """Return the decisions for log-odds of default, shape (n,). Cuts by points use the rounded points, which are the ones shown."""
    probability, shown, cuts = sigmoid(log_odds), points(log_odds, policy.points), policy.cuts
    risk = -shown if cuts.by_points else probability
    return Decisions(probability, risk >= cuts.cut_off, shown, np.searchsorted(cuts.bounds, risk, side="right").astype(np.int64))


def cut_off_probability(policy: Policy) -> float:
    """Return the cut-off as a probability; cut-off points include all probabilities that are rounded to them."""
    if not policy.cuts.by_points:
        return policy.threshold
    scale = policy.points
    lowest = (scale.base - policy.threshold - 0.5) * math.log(2) / scale.pdo - math.log(scale.odds)
    return float(sigmoid(np.array([lowest]))[0])


def points(log_odds: Floats, scale: Points) -> Integers:
    """Return whole points for log-odds of default: more points are safer, `pdo` more points double the odds of good.

    Source: N. Siddiqi, Credit Risk Scorecards (2006), chapter 6, "Scorecard scaling".
    """
    factor = scale.pdo / math.log(2)
    bounded = np.clip(log_odds, -MAX_POINTS_LOG_ODDS, MAX_POINTS_LOG_ODDS)
    return np.rint(scale.base - factor * (math.log(scale.odds) + bounded)).astype(np.int64)


def base_points(card: Scorecard, scale: Points) -> float:
    """Return the unrounded points of an account whose features all contribute their mean in training."""
    mean = card.intercept + sum(term.mean for term in card.terms)
    return scale.base - scale.pdo / math.log(2) * (math.log(scale.odds) + mean)


@overload
def feature_points(log_odds: float, scale: Points) -> float: ...


@overload
def feature_points(log_odds: Floats, scale: Points) -> Floats: ...


def feature_points(log_odds: float | Floats, scale: Points) -> float | Floats:
    """Return the unrounded points for log-odds above the mean: positive points are safer."""
    return -scale.pdo / math.log(2) * log_odds


def require_fit(model: VersionedScorecard, contract: Contract) -> None:
    """Verify that the contract has the model's features.

    Raises
    ------
    ModelError
        If a feature of the model is not in the contract, has another type there, or is not an input of models.
    """
    barred = [name for name in model.scorecard.features if name in contract.features and name not in contract.inputs]
    if barred:
        raise ModelError(
            f"{model.version} uses features that the contract marks as sensitive or with input: false: {', '.join(barred)}. "
            "Train a version without them: risk train DATE."
        )
    types = {name: feature.type for name, feature in contract.features.items()}
    missing = [f"{name} ({kind})" for name, kind in model.scorecard.features.items() if types.get(name) != kind]
    if missing:
        raise ModelError(
            f"{model.version} needs features that are not in the contract: {', '.join(missing)}. "
            "Add them to the contract, or train a version on the new contract: risk train DATE."
        )


def _reasons(card: Scorecard, parts: Floats, policy: Policy) -> Integers:
    """Return the terms that raise the risk of m predicted-bad accounts most above their reference, highest first, shape (m, most).

    Ties go to the term that comes first in the contract; -1 for none.
    """
    references = [reference(term, policy) for term in card.terms]
    excess = np.subtract(parts.T, references, order="C")
    found = np.full((len(excess), policy.reasons), -1, dtype=np.int64)
    rows = np.arange(len(excess))
    for rank in range(min(policy.reasons, len(card.terms))):
        highest = excess.argmax(axis=1)
        found[:, rank] = np.where(excess[rows, highest] > 0, highest, -1)
        excess[rows, highest] = -np.inf
    return found


def _of_all(found: Integers, flagged: Integers, rows: int) -> Integers:
    """Return the positions of all accounts from those of the predicted-bad ones: the others have no reasons."""
    positions = np.full((rows, found.shape[1]), -1, dtype=np.int64, order="F")
    positions[flagged] = found
    return positions
