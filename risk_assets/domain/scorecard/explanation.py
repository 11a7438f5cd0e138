"""Explains a score: what each feature contributes, in log-odds and in points."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import SCORED, STATUS
from risk_assets.domain.scorecard.arrays import contributions
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.reasons import reason_texts, reference
from risk_assets.domain.scorecard.scorecard import Scorecard, Term
from risk_assets.domain.scorecard.scoring import Scores, base_points, feature_points, score


@dataclass(frozen=True)
class FeatureContribution:
    """What one feature contributes to an account's score.

    `excess` is the log-odds above the reference that the policy compares reasons with. `points` are relative to the
    feature's mean in training, whatever the policy's reference; positive points are safer. `rank` is the number of the
    reason, None if the feature is not a reason.
    """

    feature: str
    value: str | float | None
    log_odds: float
    excess: float
    points: float
    rank: int | None


@dataclass(frozen=True)
class Explanation:
    """An account's contributions, and its prediction as stored and as recomputed.

    `base_points` plus the points of all contributions are the account's points before rounding. `recomputed` is empty for a
    row that is not scored.
    """

    base_points: float
    contributions: tuple[FeatureContribution, ...]
    stored: Mapping[str, Any]
    recomputed: Mapping[str, Any]


def explain(features: pl.DataFrame, stored: Mapping[str, Any], card: Scorecard, policy: Policy) -> Explanation:
    """Return the explanation of one account.

    Parameters
    ----------
    features : pl.DataFrame, one row
        The account's features.
    stored : mapping
        The account's row in the predictions table.
    """
    x = encode(features, card)
    scores = score(card, policy, x)
    ranks = {int(position): rank for rank, position in enumerate(scores.reasons[0], start=1) if position >= 0}
    found = tuple(
        _contribution(term, features[term.feature][0], log_odds, policy, ranks.get(position))
        for position, (term, log_odds) in enumerate(zip(card.terms, contributions(card, x)[:, 0].tolist(), strict=True))
    )
    recomputed = _prediction(scores, card, policy) if stored[STATUS] == SCORED else {}
    return Explanation(base_points(card, policy.points), found, stored, recomputed)


def _contribution(term: Term, value: str | float | None, log_odds: float, policy: Policy, rank: int | None) -> FeatureContribution:
    points = feature_points(log_odds - term.mean, policy.points)
    return FeatureContribution(term.feature, value, log_odds, log_odds - reference(term, policy), points, rank)


def _prediction(scores: Scores, card: Scorecard, policy: Policy) -> dict[str, Any]:
    """Return the first row of scores as columns of the predictions table."""
    texts = reason_texts(card)
    reasons = [texts[position] if position >= 0 else None for position in scores.texts[0]]
    return {
        "probability": float(scores.probability[0]),
        "prediction": int(scores.prediction[0]),
        "points": int(scores.points[0]),
        "band": list(policy.bands)[int(scores.band[0])],
        **{f"reason_{rank}": reason for rank, reason in enumerate(reasons, start=1)},
    }
