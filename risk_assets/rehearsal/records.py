"""What happened on the days of a rehearsal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from risk_assets.domain.monitoring.alerts import RESOLVED

ActionKind: TypeAlias = Literal["retrain", "gates", "impact", "promote", "reject", "decide", "take back"]


@dataclass(frozen=True)
class Action:
    """What people or a sensor did, in words."""

    kind: ActionKind
    text: str


@dataclass(frozen=True)
class Day:
    """What happened on the morning after a day.

    Attributes
    ----------
    day, date
        The day, counted from 0, and its date.
    alerts
        The status of each alert by its cause.
    actions
        What was done.
    flagged
        The accounts that were predicted bad; None if the day was not scored that morning.
    ratio
        Observed divided by expected bads of the newest snapshot that matured; None if there is none.
    version
        The version that is live at the end of the morning.
    """

    day: int
    date: str
    alerts: Mapping[str, str]
    actions: tuple[Action, ...] = ()
    flagged: frozenset[str] | None = None
    ratio: float | None = None
    version: str = ""

    @property
    def open(self) -> tuple[str, ...]:
        """The causes of the open alerts."""
        return tuple(cause for cause, status in self.alerts.items() if status != RESOLVED)

    def with_status(self, status: str) -> tuple[str, ...]:
        """Return the causes with a status."""
        return tuple(cause for cause, found in self.alerts.items() if found == status)

    def did(self, kind: ActionKind) -> tuple[Action, ...]:
        """Return the actions of a kind."""
        return tuple(action for action in self.actions if action.kind == kind)
