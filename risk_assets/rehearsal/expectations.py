"""Compares the alerts of a rehearsal with those that its incidents must and may raise."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from risk_assets.domain.monitoring.alerts import OPENED
from risk_assets.rehearsal.records import Day
from risk_assets.simulation.incidents import Expected
from risk_assets.simulation.scenarios import Planned, Scenario


def differences(scenario: Scenario, days: Sequence[Day]) -> tuple[str, ...]:
    """Return what differs from the scenario: alerts that are missing or late, those that nothing explains, and retrainings."""
    found = [difference for planned in scenario.planned for difference in _missing(planned, days)]
    return (*found, *_unexplained(scenario, days), *_retrainings(scenario, days))


def detected(planned: Planned, expected: Expected, days: Sequence[Day]) -> Day | None:
    """Return the day on which an expected alert of an incident was opened, or found open; None if it never was."""
    return next(
        (day for day in days if planned.start <= day.day < planned.settled and any(fnmatchcase(c, expected.cause) for c in day.open)), None
    )


def false_alert_days(scenario: Scenario, days: Sequence[Day]) -> tuple[Day, ...]:
    """Return the days on which an alert was opened that no incident explains."""
    return tuple(day for day in days if any(not _is_explained(scenario, day.day, cause) for cause in day.with_status(OPENED)))


def _missing(planned: Planned, days: Sequence[Day]) -> Iterator[str]:
    name, last = planned.incident.name, days[-1].day if days else -1
    for expected in planned.incident.raises:
        if planned.start + expected.within_days > last:
            continue
        day = detected(planned, expected, days)
        if day is None:
            yield f"{name}: no alert {expected.cause}, which was due by day {planned.start + expected.within_days}"
        elif day.day - planned.start > expected.within_days:
            yield f"{name}: {expected.cause} after {day.day - planned.start} days, which was due after {expected.within_days}"


def _unexplained(scenario: Scenario, days: Sequence[Day]) -> Iterator[str]:
    """Yield each alert once that no incident explains on a day on which it is open."""
    seen: set[str] = set()
    for day in days:
        for cause in day.open:
            if cause not in seen and not _is_explained(scenario, day.day, cause):
                seen.add(cause)
                yield f"{cause} on day {day.day} ({day.date}), which no incident explains then"


def _retrainings(scenario: Scenario, days: Sequence[Day]) -> Iterator[str]:
    trained = [day.day for day in days if day.did("retrain")]
    for planned in scenario.planned:
        during = [day for day in trained if planned.start <= day < planned.settled]
        if planned.incident.retrains and not during and planned.settled <= (days[-1].day + 1 if days else 0):
            yield f"{planned.incident.name}: no retraining"
    explained = [planned for planned in scenario.planned if planned.incident.retrains is not False]
    for day in trained:
        if not any(planned.start <= day < planned.settled for planned in explained):
            yield f"a retraining on day {day}, which no incident explains"


def _is_explained(scenario: Scenario, day: int, cause: str) -> bool:
    return any(planned.explains(day, cause) for planned in scenario.planned)
