"""The key figures of a date next to those of earlier dates."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from risk_assets.clock import shift
from risk_assets.domain.morning.facts import RANGE_DAYS, Day, Figure, FigureName, Figures, Range, Scores
from risk_assets.domain.morning.ranges import MIN_DATES, normal_counts, normal_range

T = TypeVar("T", int, float)
V = TypeVar("V")
WEEK = 7
_COUNTS: Mapping[FigureName, Callable[[Day], int | None]] = MappingProxyType(
    {"received": lambda day: day.received, "scored": lambda day: day.scored, "flagged": lambda day: day.flagged}
)
_AMOUNTS: Mapping[FigureName, Callable[[Day], float | None]] = MappingProxyType(
    {
        "flagged exposure": lambda day: day.exposure,
        "mean probability": lambda day: day.mean_probability,
        "expected bads": lambda day: day.expected_bads,
    }
)


def figures(shown: Day, earlier: Sequence[Day], exposure: str | None) -> Figures:
    """Return the key figures of a scored date.

    Parameters
    ----------
    earlier
        Days before it, oldest first; days that were not scored count for nothing.
    exposure
        The column of the exposure; None if the contract names none.
    """
    scored = [day for day in earlier if day.predictions is not None]
    usual = [day for day in scored if day.date >= shift(shown.date, -RANGE_DAYS)]
    previous = next(reversed(scored), None)
    week_before = next((day for day in scored if day.date == shift(shown.date, -WEEK)), None)

    def figure(name: FigureName, value: Callable[[Day], float | None], normal: Range | None) -> Figure:
        return Figure(name, value(shown), _at(previous, value), _at(week_before, value), normal)

    counts = [figure(name, value, normal_counts(_known(value, usual))) for name, value in _COUNTS.items()]
    amounts = [figure(name, value, normal_range(_known(value, usual))) for name, value in _AMOUNTS.items()]
    return Figures((*counts, *amounts), _at(previous, _date), _at(week_before, _date), exposure)


def score_distribution(counts: Sequence[int], earlier: Sequence[Sequence[int]]) -> Scores:
    """Return the distribution of a date's scores over the mean of earlier dates, in which each date counts the same."""
    shares = [[count / total for count in date] for date in earlier if (total := sum(date))]
    if len(shares) < MIN_DATES:
        return Scores(tuple(counts))
    return Scores(tuple(counts), tuple(sum(part) / len(shares) for part in zip(*shares, strict=True)), len(shares))


def _at(day: Day | None, value: Callable[[Day], V | None]) -> V | None:
    return None if day is None else value(day)


def _date(day: Day) -> str:
    return day.date


def _known(value: Callable[[Day], T | None], days: Sequence[Day]) -> list[T]:
    return [found for day in days if (found := value(day)) is not None]
