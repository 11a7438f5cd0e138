"""The verdict of a night: its states and one sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime, timedelta

from risk_assets.clock import shift
from risk_assets.domain.morning.facts import Figure, FigureName, Figures, Incident, Severity, State, Verdict
from risk_assets.domain.morning.figure_text import figure_texts
from risk_assets.domain.wording import counted

LATE_DAYS = 7  # a date that is scored later than this after its deadline is a backfill
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ORDER: tuple[State, ...] = (
    "failed",
    "blocked",
    "damaged",
    "no file",
    "waiting",
    "stale",
    "late",
    "warning",
    "unusual",
    "drift",
    "open alerts",
    "model changed",
    "policy changed",
    "not expected",
    "backfilled",
    "on time",
)
_BAD: tuple[State, ...] = ("failed", "blocked", "damaged", "no file")
_GOOD: tuple[State, ...] = ("on time", "backfilled", "not expected")
SHOWN = 3  # unusual figures, and features that drifted, in the sentence
_NOUNS: dict[FigureName, tuple[str, bool]] = {  # and whether it is a plural
    "received": ("received accounts", True),
    "scored": ("scored accounts", True),
    "flagged": ("flagged accounts", True),
    "flagged exposure": ("flagged exposure", False),
    "mean probability": ("mean probability", False),
    "expected bads": ("expected bads", True),
}


@dataclass(frozen=True)
class Scored:
    """How a date was scored. Instants are in the team's time zone.

    Attributes
    ----------
    figures
        The key figures of the date.
    first_at, at
        When the date was scored first, and when the present predictions were made.
    version, live_days
        The version that scored it, and the days since it went live; None if another version is live now.
    warnings
        Checks that warned or were released, and a later run that failed.
    stale
        Whether other accounts have landed since it was scored.
    new_version, new_policy
        Whether another version, or another policy, scored the previous scored date.
    """

    figures: Figures
    first_at: str
    at: str
    version: str
    live_days: int | None = None
    warnings: int = 0
    stale: bool = False
    new_version: bool = False
    new_policy: bool = False

    @property
    def unusual(self) -> tuple[Figure, ...]:
        """The figures outside their usual ranges."""
        return tuple(figure for figure in self.figures.shown if figure.unusual)


@dataclass(frozen=True)
class Monitored:
    """What monitoring found.

    Attributes
    ----------
    drifted
        The labels of the features beyond a drift limit on the date, and of the score; None if the date has no drift report.
    alerts, alerts_on
        The number of open alerts, and the date of their report.
    """

    drifted: tuple[str, ...] | None = ()
    alerts: int = 0
    alerts_on: str | None = None


@dataclass(frozen=True)
class Night:
    """What is known of the night in which a date was due. Instants are in the team's time zone.

    Attributes
    ----------
    now, deadline
        When the report is made, and the instant by which the date's file must have arrived.
    expected
        Whether there is a snapshot for the date.
    arrived
        Whether a file has arrived or is in the lake.
    scored
        How the date was scored; None if it has no usable scores.
    incident
        How its last run ended, if it did not score.
    is_damaged
        Whether its predictions cannot be read.
    error
        Why it was not scored.
    shown
        The date whose list is shown.
    details
        The messages of the runs and of their checks, as the run log has them.
    monitored
        What monitoring found.
    """

    date: str
    now: str
    deadline: str
    expected: bool
    arrived: bool
    scored: Scored | None = None
    incident: Incident | None = None
    is_damaged: bool = False
    error: str | None = None
    shown: str | None = None
    details: tuple[str, ...] = ()
    monitored: Monitored = Monitored()


def verdict(night: Night) -> Verdict:
    """Return the verdict of a night."""
    found = {*_scored_states(night, night.scored)} if night.scored else {_unscored_state(night)}
    if night.monitored.alerts:
        found.add("open alerts")
    states = tuple(state for state in _ORDER if state in found)
    sentence = _scored_sentence(night, night.scored) if night.scored else _unscored_sentence(night)
    return Verdict(states[0], states, _severity(states), f"{short_date(night.date)}: {sentence}", night.details)


def short_date(date: str) -> str:
    """Return a date for people, such as 28 Jan 2026."""
    found = Date.fromisoformat(date)
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}"


def is_late(scored_at: str, deadline: str) -> bool:
    """Return whether a date was scored after its deadline, and not long after it: that is a backfill."""
    return _is_before(deadline, scored_at) and not _is_backfill(scored_at, deadline)


def _is_before(one: str, other: str) -> bool:
    """Compare instants and not their texts: when the clocks go back, an hour occurs twice."""
    return datetime.fromisoformat(one) < datetime.fromisoformat(other)


def clock_time(instant: str) -> str:
    """Return the time of day of an instant, such as 02:01."""
    return instant[11:16]


def _is_backfill(scored_at: str, deadline: str) -> bool:
    return datetime.fromisoformat(scored_at) > datetime.fromisoformat(deadline) + timedelta(days=LATE_DAYS)


def _scored_states(night: Night, scored: Scored) -> Iterator[State]:
    if _is_backfill(scored.first_at, night.deadline):
        yield "backfilled"
    else:
        yield "late" if is_late(scored.first_at, night.deadline) else "on time"
    if scored.stale:
        yield "stale"
    if scored.warnings:
        yield "warning"
    if scored.new_version:
        yield "model changed"
    if scored.new_policy:
        yield "policy changed"
    if scored.unusual:
        yield "unusual"
    if night.monitored.drifted:
        yield "drift"


def _unscored_state(night: Night) -> State:
    if night.is_damaged:
        return "damaged"
    if night.incident in ("failed", "blocked"):
        return night.incident
    if not night.arrived and not night.expected:
        return "not expected"
    if _is_before(night.now, night.deadline):
        return "waiting"
    return "failed" if night.arrived else "no file"


def _severity(states: tuple[State, ...]) -> Severity:
    if states[0] in _BAD:
        return "bad"
    return "good" if all(state in _GOOD for state in states) else "attention"


def _scored_sentence(night: Night, scored: Scored) -> str:
    return " ".join([_who_scored(night, scored), _flagged(night, scored.figures), *_remarks(night, scored)])


def _who_scored(night: Night, scored: Scored) -> str:
    accounts = f"{_whole(scored.figures.named('scored').value)} of {_whole(scored.figures.named('received').value)} accounts"
    live = "" if scored.live_days is None or _is_backfill(scored.first_at, night.deadline) else f" ({_live(scored.live_days)})"
    late = ", after the deadline" if is_late(scored.first_at, night.deadline) else ""
    return f"{accounts} scored {_when(scored.at, night.date)} by {scored.version}{live}{late}."


def _live(days: int) -> str:
    return f"live for {counted(days, 'day')}" if days else "live for less than a day"


def _when(at: str, date: str) -> str:
    """Return when a date was scored: a time of the following day, or the day too."""
    day = "" if at[:10] == shift(date, 1) else f"on {short_date(at[:10])} "
    return f"{day}at {clock_time(at)}"


def _flagged(night: Night, figures: Figures) -> str:
    flagged, changes = figures.named("flagged"), []
    if flagged.change is not None and figures.previous:
        day = "yesterday" if figures.previous == shift(night.date, -1) else short_date(figures.previous)
        changes.append(f"{_signed(flagged.change)} on {day}")
    if flagged.week_change is not None:
        changes.append(f"{_signed(flagged.week_change)} on last week")
    compared = f" ({', '.join(changes)})" if changes else ""
    return f"{_whole(flagged.value)} flagged{compared}."


def _remarks(night: Night, scored: Scored) -> Iterator[str]:
    if scored.stale:
        yield "Other accounts have landed since: run the date again."
    if scored.new_version:
        yield f"{scored.version} did not score the date before."
    if scored.new_policy:
        yield "The policy is another one than on the date before."
    if scored.warnings:
        yield f"{counted(scored.warnings, 'warning')}."
    if night.monitored.drifted:
        yield _drifted(night.monitored.drifted)
    if night.monitored.alerts:
        yield _alerts(night)
    yield from _figures(night, scored)


def _drifted(names: tuple[str, ...]) -> str:
    more = len(names) - SHOWN
    others = f" and {more} more" if more > 0 else ""
    return f"Beyond {'their drift limits' if len(names) > 1 else 'its drift limit'}: {', '.join(names[:SHOWN])}{others}."


def _alerts(night: Night) -> str:
    found = night.monitored
    day = f" as of {short_date(found.alerts_on)}" if found.alerts_on and found.alerts_on != night.date else ""
    return f"{counted(found.alerts, 'open alert')}{day}."


def _figures(night: Night, scored: Scored) -> Iterator[str]:
    """Yield the figures outside their usual ranges, or that there is none; nothing is unusual only if nothing else is to be looked at."""
    if scored.unusual:
        more = len(scored.unusual) - SHOWN
        others = f"; and {counted(more, 'more figure')}" if more > 0 else ""
        yield f"Unusual: {'; '.join(map(_unusual, scored.unusual[:SHOWN]))}{others}."
    elif any(figure.normal for figure in scored.figures.shown):
        is_quiet = not night.monitored.alerts and set(_scored_states(night, scored)) <= {*_GOOD}
        if night.monitored.drifted is None:
            yield "No key figure is outside its usual range; drift was not measured."
        else:
            yield "Nothing unusual." if is_quiet else "No key figure is outside its usual range."


def _unusual(figure: Figure) -> str:
    (noun, is_plural), (value, usual) = _NOUNS[figure.name], figure_texts(figure)
    subject = f"{value} {noun} are {figure.position} their" if is_plural else f"{noun} {value} is {figure.position} its"
    return f"{subject} usual range, {usual}"


def _unscored_sentence(night: Night) -> str:
    state = _unscored_state(night)
    reasons: dict[State, str] = {
        "waiting": f"no file has arrived; it is due by {clock_time(night.deadline)}",
        "not expected": "no snapshot is expected on this day",
        "no file": f"no file arrived by {clock_time(night.deadline)}",
        "damaged": night.error or "the predictions cannot be read",
        "blocked": f"a check stopped the run: {night.error}" if night.error else "a check stopped the run",
        "failed": f"the run failed: {night.error}" if night.error else "the file arrived, and no run has scored it",
    }
    if state == "waiting" and night.arrived:
        reasons["waiting"] = f"the file has arrived and is not scored yet; it is due by {clock_time(night.deadline)}"
    lead = {"waiting": "not scored yet", "not expected": "not scored"}.get(state, "NOT SCORED")
    shown = f"Showing {_list_of(night.shown, night.date)}." if night.shown else "No earlier date was scored."
    alerts = f" {_alerts(night)}" if night.monitored.alerts else ""
    return f"{lead}: {reasons[state].rstrip('.')}. {shown}{alerts}"


def _list_of(shown: str, date: str) -> str:
    return "yesterday's list" if shown == shift(date, -1) else f"the list of {short_date(shown)}"


def _whole(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _signed(value: float) -> str:
    return f"{value:+,.0f}".replace("-", "\N{MINUS SIGN}") if value else "\N{PLUS-MINUS SIGN}0"
