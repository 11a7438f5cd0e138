"""A scorecard over numpy arrays: contributions, log-odds and probabilities of many accounts."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from risk_assets.domain.scorecard.scorecard import MAX_LOG_ODDS, Levels, Line, Scorecard, Shape

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

MAX_COMPARED_EDGES = 64


def contributions(card: Scorecard, x: Floats) -> Floats:
    """Return each term's log-odds, shape (features, rows), for inputs of shape (rows, features): NaN means missing."""
    parts = np.empty((len(card.terms), len(x)))
    with np.errstate(over="ignore"):
        for position, term in enumerate(card.terms):
            parts[position] = contribution(term.shape, x[:, position])
    return parts


def contribution(shape: Shape, x: Floats) -> Floats:
    """Return the log-odds for each input, bounded.

    NaN means missing: it sorts after infinity, to the last position of steps. A level's input is its position, and the
    position after the last level means unseen.
    """
    match shape:
        case Line():
            return line_log_odds(shape, x)
        case Levels():
            return np.array(shape.table)[np.where(np.isnan(x), len(shape.weights) + 1, x).astype(np.intp)]
        case _:
            return np.array(shape.table)[step_positions(shape.edges, x)]


def line_log_odds(line: Line, x: Floats) -> Floats:
    """Return the log-odds of a line for each input, bounded."""
    found = x - line.center
    found *= line.slope
    missing = np.isnan(x)
    if missing.any():
        found[missing] = line.missing
    return np.clip(found, -MAX_LOG_ODDS, MAX_LOG_ODDS, out=found)


def step_positions(edges: Sequence[float], x: Floats) -> Integers:
    """Return the number of edges below each input; NaN, which means missing, has the position after infinity.

    Comparing all inputs with each edge takes a fraction of the time of a binary search for each input, unless there are many edges.
    """
    bounds = (*edges, math.inf)
    if len(bounds) > MAX_COMPARED_EDGES:
        return np.searchsorted(np.array(bounds), x)
    found = np.full(len(x), len(bounds), dtype=np.uint8)
    is_at_most = np.empty(len(x), dtype=np.bool_)
    for bound in bounds:
        np.less_equal(x, bound, out=is_at_most)
        found -= is_at_most.view(np.uint8)
    return found.astype(np.int64)


def log_odds(card: Scorecard, parts: Floats) -> Floats:
    """Return the log-odds of default, shape (rows,), from contributions of shape (features, rows).

    Terms are added in order, so that the number of rows never changes a result.
    """
    total = np.full(parts.shape[1], card.intercept)
    for part in parts:
        total += part
    return total


def probability(card: Scorecard, parts: Floats) -> Floats:
    """Return the probability of default, shape (rows,), from contributions of shape (features, rows)."""
    return sigmoid(log_odds(card, parts))


def sigmoid(log_odds: Floats) -> Floats:
    """Return probabilities for log-odds."""
    with np.errstate(over="ignore"):
        result: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    return result


def with_reference_points(card: Scorecard, x: Floats) -> Scorecard:
    """Return the card with the mean and the lowest contribution of each term over inputs of shape (rows, features)."""
    parts = contributions(card, x)
    terms = (
        msgspec.structs.replace(term, mean=float(part.mean()), best=float(part.min())) for term, part in zip(card.terms, parts, strict=True)
    )
    return Scorecard(card.estimator, card.intercept, tuple(terms))


def never_missing(x: Floats) -> list[bool]:
    """Return for each feature whether inputs of shape (rows, features) have a value in every row."""
    return [not column.any() for column in np.isnan(x).T]


def with_worst_missing(card: Scorecard, x: Floats) -> Scorecard:
    """Return the card in which a missing value never improves the score of a feature without missing values in its inputs.

    It contributes the highest log-odds of the feature over inputs of shape (rows, features).
    """
    parts = contributions(card, x)
    terms = (
        msgspec.structs.replace(term, shape=msgspec.structs.replace(term.shape, missing=float(part.max()))) if known else term
        for term, part, known in zip(card.terms, parts, never_missing(x), strict=True)
    )
    return Scorecard(card.estimator, card.intercept, tuple(terms))
