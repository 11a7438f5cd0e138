"""Why an account has the score it has: each feature's part, in log-odds and points."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ISSUES
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Scorecard, contributions
from risk_assets.domain.scorecard.scoring import base_points, feature_points, reference, score


@dataclass(frozen=True)
class Part:
    """One feature's part: its value, the log-odds it adds, how far that is above what reasons are told against, its points.

    `rank` is the reason's number, None where it is none. Points are against the feature's mean in training: above zero is
    safer.
    """

    feature: str
    value: str | float | None
    log_odds: float
    above: float
    points: float
    rank: int | None


@dataclass(frozen=True)
class Explanation:
    """An account's parts, and the prediction as it stands in the table and as it is worked out again: empty with issues."""

    base_points: float
    parts: tuple[Part, ...]
    stored: Mapping[str, Any]
    again: Mapping[str, Any]


def explain(features: pl.DataFrame, stored: Mapping[str, Any], card: Scorecard, policy: Policy) -> Explanation:
    """Return the explanation of one account.

    Parameters
    ----------
    features : pl.DataFrame, one row
        The account's features.
    stored : mapping
        Its row of the predictions table.
    """
    x = encode(features, card)
    scores = score(card, policy, x)
    parts = contributions(card, x)[:, 0].tolist()
    ranks = {int(position): rank for rank, position in enumerate(scores.reasons[0], start=1) if position >= 0}
    told = tuple(
        Part(
            term.feature,
            features[term.feature][0],
            part,
            part - reference(term, policy),
            feature_points(part - term.mean, policy.points),
            ranks.get(position),
        )
        for position, (term, part) in enumerate(zip(card.terms, parts, strict=True))
    )
    reasons = {f"reason_{rank}": card.terms[position].reason for position, rank in ranks.items()}
    again = {
        "probability": float(scores.probability[0]),
        "prediction": int(scores.prediction[0]),
        "points": int(scores.points[0]),
        "band": list(policy.bands)[int(scores.band[0])],
        **{f"reason_{rank}": reasons.get(f"reason_{rank}") for rank in range(1, policy.reasons + 1)},
    }
    return Explanation(base_points(card, policy.points), told, stored, again if stored[ISSUES] is None else {})
