"""Instants and dates as the lake writes them: ISO 8601, UTC."""

from datetime import UTC, datetime, time, timedelta
from datetime import date as Date

from risk_assets.errors import RiskError

NIGHTLY_HOUR_UTC = 2


class DateError(RiskError):
    """A date or an instant that cannot be used."""


def utc_now(timespec: str = "seconds") -> str:
    """Return the current time in UTC, to the second unless `timespec` (as of `datetime.isoformat`) says otherwise."""
    return datetime.now(UTC).isoformat(timespec=timespec)


def due(date: str) -> str:
    """Return the instant at which the nightly schedule scores a date: 02:00 UTC on the following day."""
    return datetime.combine(Date.fromisoformat(date) + timedelta(days=1), time(NIGHTLY_HOUR_UTC), UTC).isoformat()


def last_ended_date() -> str:
    """Return the last day that has ended in UTC: the newest date that can be run."""
    return (datetime.now(UTC).date() - timedelta(days=1)).isoformat()


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
