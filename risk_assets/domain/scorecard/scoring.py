"""What a model and a policy say of accounts: probability, points, band and reasons, row for row, with numpy alone."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from risk_assets.domain.contract.policy import Points, Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import VersionedScorecard
from risk_assets.domain.scorecard.scorecard import Floats, Scorecard, Term, contributions, log_odds, sigmoid
from risk_assets.errors import ModelError

HISTOGRAM_BINS = 20
MAX_POINTS_ODDS = 1e9

Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """What a model and a policy say of n accounts.

    `band` is a position in the policy's bands, `reasons` (n, most) are positions of terms, -1 where there is none.
    """

    probability: Floats
    prediction: npt.NDArray[np.bool_]
    points: Integers
    band: Integers
    reasons: Integers


def score(card: Scorecard, policy: Policy, x: Floats) -> Scores:
    """Return the scores of inputs of shape (rows, features)."""
    parts = contributions(card, x)
    odds = log_odds(card, parts)
    chance = sigmoid(odds)
    bad = chance >= policy.threshold
    return Scores(
        probability=chance,
        prediction=bad,
        points=points(odds, policy.points),
        band=np.searchsorted(list(policy.bands.values()), chance).astype(np.int64),
        reasons=_reasons(card, parts, bad, policy),
    )


def points(odds: Floats, scale: Points) -> Integers:
    """Return whole points for log-odds of default: higher is safer, `pdo` more points double the odds of good.

    Source: N. Siddiqi, Credit Risk Scorecards (2006), chapter 6, "Scorecard scaling".
    """
    factor = scale.pdo / math.log(2)
    bounded = np.clip(odds, -MAX_POINTS_ODDS, MAX_POINTS_ODDS)
    return np.rint(scale.base - factor * (math.log(scale.odds) + bounded)).astype(np.int64)


def base_points(card: Scorecard, scale: Points) -> float:
    """Return the points, before rounding, of an account whose every feature adds its mean in training."""
    odds = card.intercept + sum(term.mean for term in card.terms)
    return scale.base - scale.pdo / math.log(2) * (math.log(scale.odds) + odds)


def feature_points(log_odds: float, scale: Points) -> float:
    """Return the points, before rounding, that log-odds above the mean add: above zero is safer."""
    return -scale.pdo / math.log(2) * log_odds


def reference(term: Term, policy: Policy) -> float:
    """Return the log-odds that a feature's part is held against, by the policy."""
    return term.best if policy.reasons_against == "best" else term.mean


def require_fit(model: VersionedScorecard, contract: Contract) -> None:
    """Refuse a model whose features the contract no longer gives.

    Raises
    ------
    ModelError
        When a feature of the model is not in the contract, or has another type there.
    """
    now = {name: feature.type for name, feature in contract.features.items()}
    odd = [f"{name} ({kind})" for name, kind in model.scorecard.features.items() if now.get(name) != kind]
    if odd:
        raise ModelError(
            f"{model.version} needs features that the contract no longer gives: {', '.join(odd)}. "
            "Put them back into the contract, or train a version on the new one: risk train DATE."
        )


def _reasons(card: Scorecard, parts: Floats, bad: npt.NDArray[np.bool_], policy: Policy) -> Integers:
    """Return the terms that raise a predicted-bad account's risk most above what the policy holds them against, in order.

    Ties go to the term that comes first in the contract. A predicted-good account has none.
    """
    flagged = np.flatnonzero(bad)
    against = [reference(term, policy) for term in card.terms]
    above = np.subtract(parts[:, flagged].T, against, order="C")
    found = np.full((len(bad), policy.reasons), -1, dtype=np.int64)
    rows = np.arange(len(flagged))
    for rank in range(min(policy.reasons, len(card.terms))):
        highest = above.argmax(axis=1)
        found[flagged, rank] = np.where(above[rows, highest] > 0, highest, -1)
        above[rows, highest] = -np.inf
    return found
