"""An additive model as data: `p = sigmoid(intercept + sum_j f_j(x_j))`.

A term `f_j` is a line or a lookup: `Steps` and `Levels` map an input to a position, and `table` has the log-odds of each position.
`arrays` evaluates terms over numpy arrays, `single_row` for one account, `expressions` over polars frames. This module imports none
of them, so that a registry can be read without numpy.
"""

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from risk_assets.domain.contract.text import normalize_level

MAX_LOG_ODDS = 1e6  # bounds each term, so that an extreme number in one feature and its opposite in another still add up to a number


class Line(msgspec.Struct, frozen=True, tag="line"):
    """A number's contribution: `slope * (x - center)`, or `missing` if x is not known (log-odds)."""

    slope: float
    center: float
    missing: float

    def scaled(self, factor: float) -> "Line":
        """Return the line with all contributions multiplied by a factor."""
        return Line(self.slope * factor, self.center, self.missing * factor)


class Steps(msgspec.Struct, frozen=True, tag="steps"):
    """A number's contribution in steps: `weights[i]` up to and including `edges[i]`, the last one above the last edge (log-odds)."""

    edges: tuple[float, ...]
    weights: tuple[float, ...]
    missing: float

    @property
    def table(self) -> tuple[float, ...]:
        """The log-odds of each position, bounded: the steps in order, then missing."""
        return tuple(map(bounded, (*self.weights, self.missing)))

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
    def positions(self) -> dict[str, int]:
        """The position of each level, as it was trained and in normal form C; the first position if two levels are then equal."""
        trained = {level: position for position, level in enumerate(self.levels)}
        return {normalize_level(level): position for level, position in reversed(trained.items())} | trained

    @property
    def table(self) -> tuple[float, ...]:
        """The log-odds of each position, bounded: the levels in order, then unseen, then missing."""
        return tuple(map(bounded, (*self.weights, self.unseen, self.missing)))

    def scaled(self, factor: float) -> "Levels":
        """Return the levels with all contributions multiplied by a factor."""
        weights = tuple(weight * factor for weight in self.weights)
        return Levels(self.levels, weights, self.missing * factor, self.unseen * factor)


Shape: TypeAlias = Line | Steps | Levels


class Term(msgspec.Struct, frozen=True, omit_defaults=True):
    """One feature of the model.

    `mean` and `best` are the mean and the lowest contribution in training, the reference points of reasons. `reason` is the text of
    the feature as a reason. `texts` has the text at each position instead: of a line's known and missing values, or of each entry of
    the shape's `table`. The text of a line's known values applies to those that contribute more than `typical`, which average ones
    do; to the others, `reason` does. An account without a value of a `required` feature is not scored.
    """

    feature: str
    shape: Shape
    mean: float
    best: float
    reason: str
    required: bool = False
    texts: tuple[str, ...] = ()
    typical: float | None = None


class Scorecard(msgspec.Struct, frozen=True):
    """An intercept and one term for each feature, in the contract's order."""

    estimator: str
    intercept: float
    terms: tuple[Term, ...]

    @property
    def features(self) -> dict[str, str]:
        """Each feature and the contract type it was trained as."""
        return {term.feature: "category" if isinstance(term.shape, Levels) else "number" for term in self.terms}

    @property
    def required(self) -> tuple[str, ...]:
        """The features without which an account is not scored."""
        return tuple(term.feature for term in self.terms if term.required)

    def to_json(self) -> bytes:
        """Return the scorecard as JSON; floats round-trip exactly."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


class Step(msgspec.Struct, frozen=True):
    """A row of a model's table: a step, level or range of a feature, its log-odds, and the training rows and bad rows in it."""

    feature: str
    step: str
    log_odds: float
    rows: int
    bad: int


class Example(msgspec.Struct, frozen=True):
    """A synthetic record, None for unknown values, and the fitted pipeline's probability of default for it."""

    record: dict[str, float | str | None]
    probability: float


@dataclass(frozen=True)
class VersionedScorecard:
    """A scorecard and the name of its version: all that scoring needs."""

    version: str
    scorecard: Scorecard


def scaled(card: Scorecard, slope: float, shift: float) -> Scorecard:
    """Return the card whose log-odds are `slope * log_odds + shift`; it stays additive."""
    terms = (msgspec.structs.replace(term, shape=term.shape.scaled(slope)) for term in card.terms)
    return Scorecard(card.estimator, card.intercept * slope + shift, tuple(terms))


def bounded(log_odds: float) -> float:
    """Return log-odds within `MAX_LOG_ODDS`."""
    return min(max(log_odds, -MAX_LOG_ODDS), MAX_LOG_ODDS)
