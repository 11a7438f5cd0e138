"""An additive model as data: `p = sigmoid(intercept + sum_j f_j(x_j))`, each f_j exact, portable and readable.

A scorecard is scored with numpy, the same way in batch and online; `frames` has it over polars' tables.
"""

from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

MAX_LOG_ODDS = 1e6


class Line(msgspec.Struct, frozen=True, tag="line"):
    """A number's contribution: `slope * (x - center)`, and `missing` where x is not known (log-odds)."""

    slope: float
    center: float
    missing: float

    def contribution(self, x: Floats) -> Floats:
        """Return the log-odds that each x adds; NaN means missing."""
        return np.where(np.isnan(x), self.missing, self.slope * (x - self.center))

    def scaled(self, factor: float) -> "Line":
        """Return the line with all its contributions multiplied."""
        return Line(self.slope * factor, self.center, self.missing * factor)


class Steps(msgspec.Struct, frozen=True, tag="steps"):
    """A number's contribution in steps: `weights[i]` up to and with `edges[i]`, the last one above the last edge (log-odds)."""

    edges: tuple[float, ...]
    weights: tuple[float, ...]
    missing: float

    def contribution(self, x: Floats) -> Floats:
        """Return the log-odds that each x adds; NaN means missing and is sorted past infinity, to the last place."""
        weights = np.array([*self.weights, self.missing])
        return weights[np.searchsorted(np.array([*self.edges, np.inf]), x)]

    def scaled(self, factor: float) -> "Steps":
        """Return the steps with all their contributions multiplied."""
        return Steps(self.edges, tuple(weight * factor for weight in self.weights), self.missing * factor)


class Levels(msgspec.Struct, frozen=True, tag="levels"):
    """A category's contribution: a weight for each level, one for missing and one for a level never seen (log-odds)."""

    levels: tuple[str, ...]
    weights: tuple[float, ...]
    missing: float
    unseen: float

    def contribution(self, x: Floats) -> Floats:
        """Return the log-odds that each level's position adds; NaN means missing, past the last one unseen."""
        weights = np.array([*self.weights, self.unseen, self.missing])
        return weights[np.where(np.isnan(x), len(self.weights) + 1, x).astype(np.intp)]

    def scaled(self, factor: float) -> "Levels":
        """Return the levels with all their contributions multiplied."""
        weights = tuple(weight * factor for weight in self.weights)
        return Levels(self.levels, weights, self.missing * factor, self.unseen * factor)


class Term(msgspec.Struct, frozen=True):
    """One feature's part of the model.

    `mean` and `best` are the mean and the lowest contribution in training, against which reasons are told; `reason` is the
    text.
    """

    feature: str
    shape: Line | Steps | Levels
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
        """Each feature and the contract's type it was trained as."""
        return {term.feature: "category" if isinstance(term.shape, Levels) else "number" for term in self.terms}

    def to_json(self) -> bytes:
        """Return the scorecard as JSON; floats round-trip exactly."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


def contributions(card: Scorecard, x: Floats) -> Floats:
    """Return each term's log-odds, shape (features, rows), for inputs of shape (rows, features).

    They are bounded, so that an absurd number in one feature can't meet its opposite in another and leave no number at all.
    """
    parts = np.empty((len(card.terms), len(x)))
    with np.errstate(over="ignore"):
        for position, term in enumerate(card.terms):
            parts[position] = term.shape.contribution(x[:, position])
    return np.clip(parts, -MAX_LOG_ODDS, MAX_LOG_ODDS, out=parts)


def probability(card: Scorecard, parts: Floats) -> Floats:
    """Return the probability of default, shape (rows,), from contributions of shape (features, rows)."""
    return sigmoid(log_odds(card, parts))


def sigmoid(odds: Floats) -> Floats:
    """Return the probabilities of log-odds."""
    with np.errstate(over="ignore"):
        result: Floats = 1.0 / (1.0 + np.exp(-odds))
    return result


def log_odds(card: Scorecard, parts: Floats) -> Floats:
    """Return the log-odds of default, shape (rows,): terms are added in order, so the shape never changes a result."""
    total = np.full(parts.shape[1], card.intercept)
    for part in parts:
        total += part
    return total


def scaled(card: Scorecard, slope: float, shift: float) -> Scorecard:
    """Return the card whose log-odds are `slope * log_odds + shift`: still additive, still exact."""
    terms = (msgspec.structs.replace(term, shape=term.shape.scaled(slope)) for term in card.terms)
    return Scorecard(card.estimator, card.intercept * slope + shift, tuple(terms))


def with_reference_points(card: Scorecard, x: Floats) -> Scorecard:
    """Return the card with each term's mean and lowest contribution over inputs of shape (rows, features)."""
    parts = contributions(card, x)
    terms = (
        msgspec.structs.replace(term, mean=float(part.mean()), best=float(part.min())) for term, part in zip(card.terms, parts, strict=True)
    )
    return Scorecard(card.estimator, card.intercept, tuple(terms))
