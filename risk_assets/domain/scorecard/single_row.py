"""One account at a time: what `scoring.score` says, to the bit, without what numpy costs for a few rows."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.scorecard.scorecard import MAX_LOG_ODDS, Levels, Line, Scorecard, Steps
from risk_assets.domain.scorecard.scoring import MAX_POINTS_ODDS, reference

Part: TypeAlias = Callable[[Any], float]
Single: TypeAlias = tuple[float, bool, int, int, tuple[int, ...]]

_MAX_EXPONENT = math.log(np.finfo(np.float64).max)


def scorer(card: Scorecard, policy: Policy) -> Callable[[Sequence[float | str | None]], Single]:
    """Return the function that scores one account's features, in the order of the card's terms, None for missing.

    It returns probability, whether predicted bad, points, the position of the band, and the positions of the terms that
    are its reasons: what `scoring.score` returns for the same account, to the bit.
    """
    parts = [_part(term.shape) for term in card.terms]
    against = [reference(term, policy) for term in card.terms]
    intercept, threshold, most = card.intercept, policy.threshold, policy.reasons
    bands = list(policy.bands.values())
    factor, offset, base = policy.points.pdo / math.log(2), math.log(policy.points.odds), policy.points.base

    def score(values: Sequence[float | str | None]) -> Single:
        told = [part(value) for part, value in zip(parts, values, strict=True)]
        odds = intercept
        for log_odds in told:
            odds += log_odds
        chance = 1.0 / (1.0 + (float(np.exp(-odds)) if -odds < _MAX_EXPONENT else math.inf))
        bounded = min(max(odds, -MAX_POINTS_ODDS), MAX_POINTS_ODDS)
        points = round(base - factor * (offset + bounded))
        bad = chance >= threshold
        return chance, bad, points, bisect_left(bands, chance), _reasons(told, against, most) if bad else ()

    return score


def _reasons(parts: Sequence[float], against: Sequence[float], most: int) -> tuple[int, ...]:
    above = [(limit - part, position) for position, (part, limit) in enumerate(zip(parts, against, strict=True)) if part - limit > 0]
    above.sort()
    return tuple(position for _, position in above[:most])


def _part(shape: Line | Steps | Levels) -> Part:
    """Return the function from a value to the log-odds that it adds, bounded."""
    missing = _bounded(shape.missing)
    if isinstance(shape, Line):
        slope, center = shape.slope, shape.center
        return lambda value: missing if value is None else _bounded(slope * (value - center))
    weights = [_bounded(weight) for weight in shape.weights]
    if isinstance(shape, Steps):
        edges = shape.edges
        return lambda value: missing if value is None else weights[bisect_left(edges, value)]
    known: dict[Any, float] = dict(zip(shape.levels, weights, strict=True))
    unseen = _bounded(shape.unseen)
    return lambda value: missing if value is None else known.get(value, unseen)


def _bounded(log_odds: float) -> float:
    return min(max(log_odds, -MAX_LOG_ODDS), MAX_LOG_ODDS)
