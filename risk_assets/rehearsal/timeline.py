"""The timeline of a rehearsal: incidents, alerts, actions, recovery and cost, in the order of the days."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from risk_assets.domain.monitoring.alerts import OPENED, RESOLVED
from risk_assets.domain.wording import counted
from risk_assets.rehearsal.costs import Errors, excess
from risk_assets.rehearsal.expectations import detected
from risk_assets.rehearsal.records import ActionKind, Day
from risk_assets.simulation.scenarios import Planned, Scenario

INCIDENT, ALERT, OVER, RECOVERY = "incident", "alert", "resolved", "recovery"
ACTIONS: Mapping[ActionKind, str] = {
    "retrain": "retraining",
    "gates": "gates",
    "impact": "impact",
    "promote": "promotion",
    "reject": "no promotion",
    "decide": "decision",
    "take back": "decision",
}
STABLE_DAYS = 3
NAMED = 4  # alerts in one event


@dataclass(frozen=True)
class Event:
    """Something that happened on a day."""

    day: int
    date: str
    kind: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """An incident in one row.

    Attributes
    ----------
    name, start, last
        The incident, and its first and last day.
    detected
        The day of its first alert; None without one.
    promoted
        The days on which a version was promoted for it.
    recovered
        The first day from which none of its alerts is open for some days; None before.
    cost
        The errors of the days from its start to its recovery, beyond those of as many quiet days; None if that is not known.
    """

    name: str
    start: int
    last: int
    detected: int | None
    promoted: tuple[int, ...]
    recovered: int | None
    cost: Errors | None


def events(scenario: Scenario, days: Sequence[Day]) -> tuple[Event, ...]:
    """Return what happened, in the order of the days."""
    found = [event for day in days for event in _of_day(scenario, day, days)]
    return tuple(found)


def outcomes(scenario: Scenario, days: Sequence[Day], errors: Mapping[int, Errors]) -> tuple[Outcome, ...]:
    """Return each incident with its detection, promotions, recovery and cost."""
    return tuple(_outcome(scenario, planned, days, errors) for planned in scenario.planned if days and planned.start <= days[-1].day)


def first_alert(planned: Planned, days: Sequence[Day]) -> int | None:
    """Return the day of the first alert that an incident must raise."""
    found = [day.day for expected in planned.incident.raises if (day := detected(planned, expected, days))]
    return min(found, default=None)


def recovered(planned: Planned, days: Sequence[Day]) -> int | None:
    """Return the first day after the first alert of an incident from which none of its alerts is open for `STABLE_DAYS` days.

    None if there is no such day, and if it raises no alert.
    """
    first = first_alert(planned, days)
    if first is None:
        return None
    alerted = {day.day for day in days if any(planned.concerns(day.day, cause) for cause in day.open)}
    return next((day.day for day in days if day.day > first and alerted.isdisjoint(range(day.day, day.day + STABLE_DAYS))), None)


def _outcome(scenario: Scenario, planned: Planned, days: Sequence[Day], errors: Mapping[int, Errors]) -> Outcome:
    end = recovered(planned, days)
    last = days[-1].day
    until = max(planned.last, end if end is not None else last)
    return Outcome(
        name=planned.incident.name,
        start=planned.start,
        last=min(planned.last, last),
        detected=first_alert(planned, days),
        promoted=tuple(day.day for day in days if day.did("promote") and planned.start <= day.day < planned.settled),
        recovered=end,
        cost=excess(scenario, errors, planned.start, min(until, last)),
    )


def _of_day(scenario: Scenario, day: Day, days: Sequence[Day]) -> Iterator[Event]:
    for planned in scenario.planned:
        if planned.start == day.day:
            length = counted(planned.incident.days, "day")
            yield Event(day.day, day.date, INCIDENT, f"{planned.incident.name}, {length}: {planned.incident.story}")
    yield from _decisions(day, before_alerts=True)
    if opened := day.with_status(OPENED):
        yield Event(day.day, day.date, ALERT, f"{_listed(opened)}{_delay(scenario, day, days)}")
    if resolved := day.with_status(RESOLVED):
        yield Event(day.day, day.date, OVER, _listed(resolved))
    yield from _decisions(day, before_alerts=False)
    for planned in scenario.planned:
        if recovered(planned, days) == day.day:
            yield Event(day.day, day.date, RECOVERY, f"{planned.incident.name}, {counted(day.day - planned.start, 'day')} after its start")


def _decisions(day: Day, *, before_alerts: bool) -> Iterator[Event]:
    for action in day.actions:
        if (action.kind in ("decide", "take back")) == before_alerts:
            yield Event(day.day, day.date, ACTIONS[action.kind], action.text)


def _listed(causes: Sequence[str]) -> str:
    more = f" and {len(causes) - NAMED} more" if len(causes) > NAMED else ""
    return f"{', '.join(causes[:NAMED])}{more}"


def _delay(scenario: Scenario, day: Day, days: Sequence[Day]) -> str:
    """Return how long after its start an incident is detected, if it is on this day."""
    found = [planned for planned in scenario.planned if first_alert(planned, days) == day.day]
    return "".join(f" ({planned.incident.name} detected after {counted(day.day - planned.start, 'day')})" for planned in found)
