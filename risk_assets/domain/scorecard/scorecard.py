"""An additive model as data: `p = sigmoid(intercept + sum_j f_j(x_j))`.

A term `f_j` is a line or a lookup: `Steps` and `Levels` map an input to a position, and `table` holds the log-odds of each
position. This module evaluates terms over numpy arrays; `single_row` and `expressions` evaluate the same tables for one account
and for polars frames.
"""

from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

MAX_LOG_ODDS = 1e6  # bounds each term, so that an extreme number in one feature and its opposite in another still add up to a number


class Line(msgspec.Struct, frozen=True, tag="line"):
    """A number's contribution: `slope * (x - center)`, or `missing` if x is not known (log-odds)."""

    slope: float
    center: float
    missing: float

    def contribution(self, x: Floats) -> Floats:
        """Return the log-odds for each x, bounded; NaN means missing."""
        return _bounded(np.where(np.isnan(x), self.missing, self.slope * (x - self.center)))

    def scaled(self, factor: float) -> "Line":
        """Return the line with all contributions multiplied by a factor."""
        return Line(self.slope * factor, self.center, self.missing * factor)


class Steps(msgspec.Struct, frozen=True, tag="steps"):
    """A number's contribution in steps: `weights[i]` up to and including `edges[i]`, the last one above the last edge (log-odds)."""

    edges: tuple[float, ...]
    weights: tuple[float, ...]
    missing: float

    @property
    def table(self) -> Floats:
        """The log-odds of each position, bounded: the steps in order, then missing."""
        return _bounded(np.array([*self.weights, self.missing]))

    def contribution(self, x: Floats) -> Floats:
        """Return the log-odds for each x; NaN means missing and sorts after infinity, to the last position."""
        return self.table[np.searchsorted(np.array([*self.edges, np.inf]), x)]

    def scaled(self, factor: float) -> "Steps":
        """Return the steps with all contributions multiplied by a factor."""
        return Steps(self.edges, tuple(weight * factor for weight in self.weights), self.missing * factor)


class Levels(msgspec.Struct, frozen=True, tag="levels"):
    """A category's contribution: a weight for each level, one for missing and one for a level that training did not see (log-odds)."""

    levels: tuple[str, ...]
    weights: tuple[float, ...]
    missing: float
    unseen: float

    @property
    def table(self) -> Floats:
        """The log-odds of each position, bounded: the levels in order, then unseen, then missing."""
        return _bounded(np.array([*self.weights, self.unseen, self.missing]))

    def contribution(self, x: Floats) -> Floats:
        """Return the log-odds for each level's position; NaN means missing, and the position after the last level means unseen."""
        return self.table[np.where(np.isnan(x), len(self.weights) + 1, x).astype(np.intp)]

    def scaled(self, factor: float) -> "Levels":
        """Return the levels with all contributions multiplied by a factor."""
        weights = tuple(weight * factor for weight in self.weights)
        return Levels(self.levels, weights, self.missing * factor, self.unseen * factor)


Shape: TypeAlias = Line | Steps | Levels


class Term(msgspec.Struct, frozen=True):
    """One feature of the model.

    `mean` and `best` are the mean and the lowest contribution in training, the reference points of reasons. `reason` is the text.
    """

    feature: str
    shape: Shape
    mean: float
    best: float
    reason: str


class Scorecard(msgspec.Struct, frozen=True):
    """An intercept and one term for each feature, in the contract's order."""

    estimator: str
    intercept: float
    terms: tuple[Term, ...]

    @property
    def features(self) -> dict[str, str]:
        """Each feature and the contract type it was trained as."""
        return {term.feature: "category" if isinstance(term.shape, Levels) else "number" for term in self.terms}

    def to_json(self) -> bytes:
        """Return the scorecard as JSON; floats round-trip exactly."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


@dataclass(frozen=True)
class VersionedScorecard:
    """A scorecard and the name of its version: all that scoring needs."""

    version: str
    scorecard: Scorecard


def contributions(card: Scorecard, x: Floats) -> Floats:
    """Return each term's log-odds, shape (features, rows), for inputs of shape (rows, features)."""
    parts = np.empty((len(card.terms), len(x)))
    with np.errstate(over="ignore"):
        for position, term in enumerate(card.terms):
            parts[position] = term.shape.contribution(x[:, position])
    return parts


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


def scaled(card: Scorecard, slope: float, shift: float) -> Scorecard:
    """Return the card whose log-odds are `slope * log_odds + shift`; it stays additive."""
    terms = (msgspec.structs.replace(term, shape=term.shape.scaled(slope)) for term in card.terms)
    return Scorecard(card.estimator, card.intercept * slope + shift, tuple(terms))


def with_reference_points(card: Scorecard, x: Floats) -> Scorecard:
    """Return the card with the mean and the lowest contribution of each term over inputs of shape (rows, features)."""
    parts = contributions(card, x)
    terms = (
        msgspec.structs.replace(term, mean=float(part.mean()), best=float(part.min())) for term, part in zip(card.terms, parts, strict=True)
    )
    return Scorecard(card.estimator, card.intercept, tuple(terms))


def _bounded(log_odds: Floats) -> Floats:
    return np.clip(log_odds, -MAX_LOG_ODDS, MAX_LOG_ODDS)
