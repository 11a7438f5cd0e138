"""Scores one account at a time: bit-identical to `scoring.score`, without the fixed cost of numpy for a few rows."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.scorecard.reasons import reference, text_of
from risk_assets.domain.scorecard.scorecard import MAX_LOG_ODDS, Levels, Line, Scorecard, Shape, bounded
from risk_assets.domain.scorecard.scoring import MAX_POINTS_LOG_ODDS

Values: TypeAlias = Sequence[float | str | None]
Score: TypeAlias = tuple[float, bool, int, int, tuple[str, ...]]

_MAX_EXPONENT = math.log(np.finfo(np.float64).max)


def scorer(card: Scorecard, policy: Policy) -> Callable[[Values], Score]:
    """Return the function that scores one account's features, in the order of the card's terms, None for missing.

    It returns probability, whether predicted bad, points, the position of the band, and the texts of its reasons.
    """
    parts_of = contributions(card)
    references = [reference(term, policy) for term in card.terms]
    texts = [text_of(term) for term in card.terms]
    intercept, cuts, most = card.intercept, policy.cuts, policy.reasons
    factor, offset, base = policy.points.pdo / math.log(2), math.log(policy.points.odds), policy.points.base

    def score(values: Values) -> Score:
        parts = parts_of(values)
        log_odds = intercept
        for part in parts:
            log_odds += part
        probability = sigmoid(log_odds)
        bounded = min(max(log_odds, -MAX_POINTS_LOG_ODDS), MAX_POINTS_LOG_ODDS)
        points = round(base - factor * (offset + bounded))
        risk = -points if cuts.by_points else probability
        bad = risk >= cuts.cut_off
        reasons = tuple(texts[at](values[at], parts[at]) for at in reason_positions(parts, references, most)) if bad else ()
        return probability, bad, points, bisect_right(cuts.bounds, risk), reasons

    return score


def contributions(card: Scorecard) -> Callable[[Values], list[float]]:
    """Return the function from one account's features to each term's log-odds, bounded."""
    terms = [_contribution(term.shape) for term in card.terms]
    return lambda values: [term(value) for term, value in zip(terms, values, strict=True)]


def sigmoid(log_odds: float) -> float:
    """Return the probability for log-odds; numpy's exponential function, because the platform's may differ in the last bit."""
    return 1.0 / (1.0 + (float(np.exp(-log_odds)) if -log_odds < _MAX_EXPONENT else math.inf))


def reason_positions(parts: Sequence[float], references: Sequence[float], most: int) -> list[int]:
    """Return the positions of the terms that contribute most above their references, the strongest first; ties in the card's order."""
    excess = [(limit - part, position) for position, (part, limit) in enumerate(zip(parts, references, strict=True)) if part - limit > 0]
    excess.sort()
    return [position for _, position in excess[:most]]


def _line(shape: Line) -> Callable[[Any], float]:
    slope, center, missing = shape.slope, shape.center, bounded(shape.missing)

    def line(value: float | None) -> float:
        if value is None:
            return missing
        part = slope * (value - center)
        return part if -MAX_LOG_ODDS < part < MAX_LOG_ODDS else bounded(part)

    return line


def _contribution(shape: Shape) -> Callable[[Any], float]:
    """Return the function from a value to its log-odds."""
    if isinstance(shape, Line):
        return _line(shape)
    *table, missing = shape.table
    if isinstance(shape, Levels):
        *weights, unseen = table
        known: dict[Any, float] = {level: weights[position] for level, position in shape.positions.items()}
        return lambda value: missing if value is None else known.get(value, unseen)
    edges = shape.edges
    return lambda value: missing if value is None else table[bisect_left(edges, value)]
