"""The content of a drift report: a date compared with the training rows of the version that scored it."""

from collections.abc import Iterable

import msgspec

from risk_assets.domain.monitoring.flagged import FlaggedChange

SCORE = "the score"
PSI, POINTS, MISSING, UNSEEN, OUT_OF_RANGE = "PSI", "points", "missing share", "share of unseen levels", "share out of range"


class Statistic(msgspec.Struct, frozen=True):
    """A figure of a date, the same figure in training, and its limit."""

    value: float
    training: float
    limit: float

    @property
    def exceeded(self) -> bool:
        """Whether the figure is beyond its limit."""
        return self.value > self.limit


class Drift(msgspec.Struct, frozen=True, omit_defaults=True):
    """The drift of a feature, or of the score.

    Attributes
    ----------
    name
        The feature; `SCORE` for the score.
    psi, missing
        The population stability index, and the share of rows without a value; None for the score, which always has one.
    unseen
        The share of rows with a level that training did not see; None for numbers.
    out_of_range
        The share of rows outside the usual range of training; None for categories, and if the profile has no range.
    points, max_points
        The points by which the mean score shifted, or by which the feature shifted it, and the limit in either direction: positive
        points are safer. None if the model does not use the feature; no limit if the profile has no spread.
    new_levels
        The most frequent levels that training did not see, with their rows; none that is too rare to be shown.
    """

    name: str
    psi: Statistic
    missing: Statistic | None = None
    unseen: Statistic | None = None
    out_of_range: Statistic | None = None
    points: float | None = None
    max_points: float | None = None
    new_levels: dict[str, int] = {}

    @property
    def statistics(self) -> dict[str, Statistic]:
        """All figures by name."""
        shift = None if self.points is None or self.max_points is None else Statistic(abs(self.points), 0.0, self.max_points)
        found = {PSI: self.psi, POINTS: shift, MISSING: self.missing, UNSEEN: self.unseen, OUT_OF_RANGE: self.out_of_range}
        return {name: figure for name, figure in found.items() if figure is not None}

    @property
    def exceeded(self) -> dict[str, Statistic]:
        """The figures beyond their limits."""
        return {name: figure for name, figure in self.statistics.items() if figure.exceeded}


Exceeded = tuple[tuple[str, str, Statistic], ...]  # the feature, the name and the figure of each statistic beyond its limit


class Parity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the batch gives the same answers as the service to a sample of its logged records.

    Attributes
    ----------
    records
        The records of the sample.
    differing
        Those whose answers differ.
    unchecked
        Those whose answers do not follow from the logged values, because a value of another type is not logged.
    problems
        Lines and files that are damaged or have no partner, and requests that cannot be scored again.
    messages
        The first differences and problems, without values of customers.
    """

    records: int
    differing: int = 0
    unchecked: int = 0
    problems: int = 0
    messages: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every answer agrees and every line could be read."""
        return not self.differing and not self.problems


class OnlineShift(msgspec.Struct, frozen=True, omit_defaults=True):
    """The requests of a date (UTC) to the service: a sample of their records, compared with the same training rows as the batch.

    Attributes
    ----------
    files
        The files that the prediction log had of the date when the report was made.
    parity
        Whether the batch gives the same answers.
    rows, independent
        The scored records of the sample whose requests the report's version decided, and how many independent rows they are worth.
    score
        The drift of the version's probabilities; None if it scored no record.
    features
        The drift of each feature, the largest shift of the score first.
    notes
        Which records were not compared, and why.
    """

    files: int
    parity: Parity
    rows: int = 0
    independent: float = 0.0
    score: Drift | None = None
    features: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exceeded(self) -> Exceeded:
        """Each statistic beyond its limit, those of the score first."""
        return _exceeded((self.score, *self.features)) if self.score else ()


class DriftReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """A date compared with the training rows of the version that scored it.

    Attributes
    ----------
    rows, independent
        The rows that were scored, and how many independent rows they are worth.
    training_rows, training_independent
        The same of the training rows.
    score
        The drift of the version's probabilities.
    features
        The drift of each feature, the largest shift of the score first.
    flagged
        Why the number of accounts that are predicted bad changed since the previous scored date; None if it cannot be split.
    notes
        What could not be measured, and why.
    online
        The requests of the same date (UTC) to the service; None if its log has none. Reports without it have the seal of releases that did
        not measure it.
    """

    date: str
    version: str
    rows: int
    independent: float
    training_rows: int
    training_independent: float
    score: Drift
    features: tuple[Drift, ...]
    flagged: FlaggedChange | None
    notes: tuple[str, ...]
    online: OnlineShift | None = None

    @property
    def exceeded(self) -> Exceeded:
        """Each statistic of the batch beyond its limit, those of the score first."""
        return _exceeded((self.score, *self.features))


def _exceeded(drifts: Iterable[Drift]) -> Exceeded:
    return tuple((each.name, name, figure) for each in drifts for name, figure in each.exceeded.items())
