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
STABLE_DAYS = 10
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
    alerts = alerted(scenario, days)
    firsts = {planned: first_alert(planned, days, on) for planned, on in alerts.items()}
    ends = {planned: recovered(firsts[planned], on, days) for planned, on in alerts.items()}
    return tuple(event for day in days for event in _of_day(day, firsts, ends))


def outcomes(scenario: Scenario, days: Sequence[Day], errors: Mapping[int, Errors]) -> tuple[Outcome, ...]:
    """Return each incident with its detection, promotions, recovery and cost."""
    on = alerted(scenario, days)
    return tuple(
        _outcome(scenario, planned, days, errors, on[planned]) for planned in scenario.planned if days and planned.start <= days[-1].day
    )


def alerted(scenario: Scenario, days: Sequence[Day]) -> dict[Planned, tuple[int, ...]]:
    """Return the days on which an alert of each incident was open: of several that explain it, it belongs to the one that began last."""
    found: dict[Planned, list[int]] = {planned: [] for planned in scenario.planned}
    owners: dict[str, Planned | None] = {}
    for day in days:
        owners = {cause: owners[cause] if cause in owners else _owner(scenario, day.day, cause) for cause in day.open}
        for owner in {*owners.values()} - {None}:
            assert owner is not None
            found[owner].append(day.day)
    return {planned: tuple(on) for planned, on in found.items()}


def _owner(scenario: Scenario, day: int, cause: str) -> Planned | None:
    return max((each for each in scenario.planned if each.concerns(day, cause)), key=lambda each: each.start, default=None)


def first_alert(planned: Planned, days: Sequence[Day], alerts: Sequence[int]) -> int | None:
    """Return the first day on which an alert of an incident, or one that it must raise, was open."""
    if alerts:
        return alerts[0]
    found = [day.day for expected in planned.incident.raises if (day := detected(planned, expected, days))]
    return min(found, default=None)


def recovered(first: int | None, alerts: Sequence[int], days: Sequence[Day]) -> int | None:
    """Return the first day after the first alert from which none of the incident is open for `STABLE_DAYS` days; None without one."""
    if first is None:
        return None
    return next((day.day for day in days if day.day > first and not {*alerts} & {*range(day.day, day.day + STABLE_DAYS)}), None)


def _outcome(scenario: Scenario, planned: Planned, days: Sequence[Day], errors: Mapping[int, Errors], on: Sequence[int]) -> Outcome:
    first, last = first_alert(planned, days, on), days[-1].day
    end = recovered(first, on, days)
    until = planned.last if not planned.incident.raises else last if end is None else max(planned.last, end)
    return Outcome(
        name=planned.incident.name,
        start=planned.start,
        last=min(planned.last, last),
        detected=first,
        promoted=tuple(day.day for day in days if day.did("promote") and _is_for(scenario, planned, day.day)),
        recovered=end,
        cost=excess(scenario, errors, planned.start, min(until, last)),
    )


def _is_for(scenario: Scenario, planned: Planned, day: int) -> bool:
    """Return whether a promotion is for an incident: the newest one under way that must be followed by a retraining."""
    found = [each for each in scenario.planned if each.incident.retrains and each.start <= day < each.settled]
    return bool(found) and max(found, key=lambda each: each.start) == planned


def _of_day(day: Day, firsts: Mapping[Planned, int | None], ends: Mapping[Planned, int | None]) -> Iterator[Event]:
    for planned in firsts:
        if planned.start == day.day:
            length = counted(planned.incident.days, "day")
            yield Event(day.day, day.date, INCIDENT, f"{planned.incident.name}, {length}: {planned.incident.story}")
    yield from _decisions(day, before_alerts=True)
    if opened := day.with_status(OPENED):
        yield Event(day.day, day.date, ALERT, f"{_listed(opened)}{_delay(day, firsts)}")
    if resolved := day.with_status(RESOLVED):
        yield Event(day.day, day.date, OVER, _listed(resolved))
    yield from _decisions(day, before_alerts=False)
    for planned, end in ends.items():
        if end == day.day:
            yield Event(day.day, day.date, RECOVERY, f"{planned.incident.name}, {counted(day.day - planned.start, 'day')} after its start")


def _decisions(day: Day, *, before_alerts: bool) -> Iterator[Event]:
    for action in day.actions:
        if (action.kind in ("decide", "take back")) == before_alerts:
            yield Event(day.day, day.date, ACTIONS[action.kind], action.text)


def _listed(causes: Sequence[str]) -> str:
    more = f" and {len(causes) - NAMED} more" if len(causes) > NAMED else ""
    return f"{', '.join(causes[:NAMED])}{more}"


def _delay(day: Day, firsts: Mapping[Planned, int | None]) -> str:
    """Return how long after its start an incident is detected, if it is on this day."""
    found = [planned for planned, first in firsts.items() if first == day.day]
    return "".join(f" ({planned.incident.name} detected after {counted(day.day - planned.start, 'day')})" for planned in found)
