"""Instants and dates as the lake writes them: ISO 8601, UTC."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from datetime import date as Date
from zoneinfo import ZoneInfo

from risk_assets.errors import RiskError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass
class _Simulation:
    """How far the time of this process is ahead of the system's."""

    ahead: timedelta = timedelta(0)


_simulation = _Simulation()


class DateError(RiskError):
    """A date or an instant that cannot be used."""


@dataclass(frozen=True)
class Calendar:
    """When a snapshot is expected and scored, in the team's time zone.

    Attributes
    ----------
    zone
        The time zone, with its daylight saving time.
    scoring
        The time on the following day at which a date is scored.
    deadline
        The time on the following day by which a date's file must have landed.
    business_days
        The days of the week for which there is a snapshot, 0 for Monday.
    """

    zone: ZoneInfo
    scoring: time
    deadline: time
    business_days: frozenset[int]

    def due(self, date: str) -> str:
        """Return the instant (ISO 8601, UTC) at which a date is scored."""
        return self._next_day(date, self.scoring)

    def late_from(self, date: str) -> str:
        """Return the instant (ISO 8601, UTC) from which a date without a file is late."""
        return self._next_day(date, self.deadline)

    def expects(self, date: str) -> bool:
        """Return whether there is a snapshot for a date."""
        return Date.fromisoformat(date).weekday() in self.business_days

    def day(self, instant: str) -> str:
        """Return the date of an instant in the team's time zone."""
        return datetime.fromisoformat(instant).astimezone(self.zone).date().isoformat()

    def local(self, instant: str) -> str:
        """Return an instant in the team's time zone, to the minute, with the zone's name."""
        return f"{datetime.fromisoformat(instant).astimezone(self.zone):%Y-%m-%d %H:%M} {self.zone.key}"

    def in_zone(self, instant: str) -> str:
        """Return an instant in the team's time zone, ISO 8601 to the minute, such as `2026-01-29T02:01+01:00`."""
        return datetime.fromisoformat(instant).astimezone(self.zone).isoformat(timespec="minutes")

    def _next_day(self, date: str, at: time) -> str:
        local = datetime.combine(Date.fromisoformat(shift(date, 1)), at, self.zone)
        return local.astimezone(UTC).isoformat(timespec="seconds")


def weekdays(text: str) -> frozenset[int]:
    """Return days of the week, 0 for Monday, from a text such as `mon-fri` or `mon,wed,sat-sun`; raises `ValueError`."""
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        start, end = DAYS.index(first), DAYS.index(last or first)
        days |= {day % len(DAYS) for day in range(start, end + (len(DAYS) if end < start else 0) + 1)}
    return frozenset(days)


def utc_now(timespec: str = "seconds") -> str:
    """Return the current time in UTC, to the second unless `timespec` (as of `datetime.isoformat`) says otherwise."""
    return (datetime.now(UTC) + _simulation.ahead).isoformat(timespec=timespec)


def instant_of(timestamp: float, timespec: str = "seconds") -> str:
    """Return a recent Unix time, such as the end of a run, in UTC; in simulated time if `simulated_from` is under way."""
    return (datetime.fromtimestamp(timestamp, UTC) + _simulation.ahead).isoformat(timespec=timespec)


@contextmanager
def simulated_from(instant: str) -> Iterator[None]:
    """Let the time of this process continue from another instant within the block, for simulations.

    `utc_now` decides what is due, mature, late and known, and when bindings, leases and tables were made. Timeouts, the ages of temporary
    files, signatures of requests and Dagster's own run history use the system's clocks, so nothing waits longer.
    """
    before = _simulation.ahead
    _simulation.ahead = datetime.fromisoformat(instant) - datetime.now(UTC)
    try:
        yield
    finally:
        _simulation.ahead = before


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds from one instant to another; negative if the other is before it."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def parse_instant(text: str) -> str:
    """Return an instant in UTC; one without an offset is taken as UTC.

    Raises
    ------
    DateError
        If the text is not ISO 8601.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise DateError(f"{text} is not a time: write it like 2026-01-31T12:00:00.") from None
    zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat(timespec="seconds")


def parse_date(text: str) -> str:
    """Return a date as `YYYY-MM-DD`; raises `DateError` if the text is not a date."""
    try:
        return Date.fromisoformat(text).isoformat()
    except ValueError:
        raise DateError(f"{text!r} is not a date: write it YYYY-MM-DD.") from None


def is_date(text: str) -> bool:
    """Return whether a text is a date written `YYYY-MM-DD`."""
    try:
        return parse_date(text) == text
    except DateError:
        return False


def shift(date: str, days: int) -> str:
    """Return the date some days later, or earlier if `days` is negative."""
    return (Date.fromisoformat(date) + timedelta(days=days)).isoformat()


def date_range(first: str, last: str) -> tuple[str, ...]:
    """Return all dates from the first to the last, both included; none if the last is before the first."""
    number = (Date.fromisoformat(last) - Date.fromisoformat(first)).days + 1
    return tuple(shift(first, days) for days in range(number))
