"""Alerts of a date: what is beyond a limit or has failed, opened once, repeated while it lasts, and resolved when it is gone.

Each thing that a person would fix is one cause. An alert is open from the first date of its cause on. It is resolved on the first date
that was evaluated without the cause; on a date that could not be evaluated it stays open.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from risk_assets.domain.wording import counted

OPENED: Final = "opened"
REPEATED: Final = "repeated"
RESOLVED: Final = "resolved"
Status: TypeAlias = Literal["opened", "repeated", "resolved"]
Kind: TypeAlias = Literal["drift", "performance", "flagged", "run", "check", "late", "override", "online", "parity"]
DESCRIBED = 3  # alerts or figures in a sentence
HEADER = ("alert", "status", "since", "evidence", "next step")


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A figure with its limits; None where it has none."""

    name: str
    value: float
    lowest: float | None = None
    highest: float | None = None

    @property
    def beyond(self) -> float:
        """By how much the figure is beyond a limit; 0 if it is within them."""
        above = self.value - self.highest if self.highest is not None else 0.0
        below = self.lowest - self.value if self.lowest is not None else 0.0
        return max(above, below, 0.0)

    def __str__(self) -> str:
        """The figure, the limit that it exceeds, and by how much."""
        if not self.beyond:
            return f"{self.name} {self.value:.3g}"
        is_above = self.highest is not None and self.value > self.highest
        limit = self.highest if is_above else self.lowest
        return f"{self.name} {self.value:.3g}, {self.beyond:.3g} {'above' if is_above else 'below'} the limit of {limit:.3g}"


class Cause(msgspec.Struct, frozen=True):
    """A thing that a person would fix, as found on a date.

    Attributes
    ----------
    kind, subject
        Together the stable name, `kind:subject`.
    evidence
        What was found, in words. It never has a customer's value or an account id.
    next_step
        What to do, with the command.
    figures
        The figures beyond their limits.
    """

    kind: Kind
    subject: str
    evidence: str
    next_step: str
    figures: tuple[Figure, ...] = ()

    @property
    def name(self) -> str:
        """The stable name."""
        return f"{self.kind}:{self.subject}"


class Gap(msgspec.Struct, frozen=True):
    """Causes that could not be evaluated on a date: those whose names start with one of `names`; and why."""

    names: tuple[str, ...]
    why: str


class Alert(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a cause on a date.

    Attributes
    ----------
    since
        The first date of the cause.
    reopened
        How often the cause was gone and came back on that date.
    evidence, figures
        As found on the date; on a date that was not evaluated, and when it is resolved, as found last.
    not_evaluated
        Why the cause could not be evaluated on the date; None if it was.
    """

    cause: str
    kind: Kind
    subject: str
    status: Status
    since: str
    evidence: str
    next_step: str
    figures: tuple[Figure, ...] = ()
    not_evaluated: str | None = None
    reopened: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the alert is not resolved."""
        return self.status != RESOLVED


class AlertReport(msgspec.Struct, frozen=True):
    """The alerts as of a date: the open ones, and those that were resolved on it; and what could not be evaluated."""

    date: str
    alerts: tuple[Alert, ...]
    gaps: tuple[Gap, ...] = ()

    @property
    def open(self) -> tuple[Alert, ...]:
        """The alerts that are not resolved."""
        return tuple(alert for alert in self.alerts if alert.is_open)

    def count(self, status: Status) -> int:
        """Return the number of alerts with a status."""
        return sum(alert.status == status for alert in self.alerts)


def evaluate(
    date: str, earlier: AlertReport | None, found: Iterable[Cause], gaps: Sequence[Gap] = (), before: AlertReport | None = None
) -> AlertReport:
    """Return the alerts of a date. The same arguments give the same report.

    Parameters
    ----------
    earlier
        The report of the newest earlier date; None if there is none.
    found
        The causes on the date.
    gaps
        What could not be evaluated.
    before
        The report that this one replaces; None if the date has none. An alert that it opened and that is gone now was announced, so it is
        resolved instead of left out. One that it resolved and that is back is opened again.
    """
    causes = {cause.name: cause for cause in found}
    last = _by_cause(before)
    carried = {name: alert for name, alert in _by_cause(earlier).items() if alert.is_open}
    known = carried | {name: alert for name, alert in last.items() if name not in carried or alert.since == date}
    alerts = [
        *(_found(date, cause, known.get(name), last.get(name)) for name, cause in causes.items()),
        *(_gone(date, alert, last.get(name), gaps) for name, alert in known.items() if name not in causes),
    ]
    return AlertReport(date, tuple(sorted(alerts, key=_order)), tuple(gaps))


def summary(report: AlertReport) -> str:
    """Return the alerts of a date in one sentence."""
    opened, resolved = report.count(OPENED), report.count(RESOLVED)
    texts = [f"{alert.cause}: {alert.evidence} (since {alert.since})" for alert in report.open]
    more = [f"and {len(texts) - DESCRIBED} more"] if len(texts) > DESCRIBED else []
    counts = f"{counted(len(texts), 'alert')} open, {opened} of them new, {resolved} resolved"
    return "; ".join([counts, *texts[:DESCRIBED], *more])


def rows(report: AlertReport) -> list[tuple[str, ...]]:
    """Return the cells of each alert under `HEADER`."""
    return [
        (alert.cause, alert.status + (", not evaluated" if alert.not_evaluated else ""), alert.since, evidence_text(alert), alert.next_step)
        for alert in report.alerts
    ]


def evidence_text(alert: Alert) -> str:
    """Return what was found; and why, if the cause could not be evaluated on the date."""
    return f"{alert.evidence} (found last; {alert.not_evaluated})" if alert.not_evaluated else alert.evidence


def figures_text(figures: Sequence[Figure]) -> str:
    """Return the first figures in words, and the number of the others."""
    more = [f"and {len(figures) - DESCRIBED} more"] if len(figures) > DESCRIBED else []
    return "; ".join([*map(str, figures[:DESCRIBED]), *more])


def _by_cause(report: AlertReport | None) -> dict[str, Alert]:
    return {alert.cause: alert for alert in report.alerts} if report else {}


def _found(date: str, cause: Cause, known: Alert | None, last: Alert | None) -> Alert:
    """Return the alert of a cause that was found: repeated if it was open before the date, and the date has not resolved it since."""
    is_back = last is not None and not last.is_open
    is_new = known is None or known.since == date or is_back
    return Alert(
        cause=cause.name,
        kind=cause.kind,
        subject=cause.subject,
        status=OPENED if is_new else REPEATED,
        since=date if known is None or is_new else known.since,
        evidence=cause.evidence,
        next_step=cause.next_step,
        figures=cause.figures,
        reopened=0 if known is None or (is_new and known.since != date) else known.reopened + is_back,
    )


def _gone(date: str, alert: Alert, last: Alert | None, gaps: Sequence[Gap]) -> Alert:
    """Return an alert whose cause was not found: resolved, unless it could not be evaluated."""
    gap = next((gap for gap in gaps if alert.cause.startswith(gap.names)), None)
    if gap is None or not alert.is_open or (last is not None and not last.is_open):
        return msgspec.structs.replace(alert, status=RESOLVED, not_evaluated=None, next_step="")
    return msgspec.structs.replace(alert, status=OPENED if alert.since == date else REPEATED, not_evaluated=gap.why)


def _order(alert: Alert) -> tuple[bool, str, str]:
    return not alert.is_open, alert.since, alert.cause
