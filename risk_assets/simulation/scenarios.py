"""Scenarios: incidents on days of a simulated bank, counted from 0, which is the first day that is scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from types import MappingProxyType

from risk_assets.simulation.incidents import INCIDENTS, WINDOW, Columns, Incident

QUIET_DAYS = 7  # before the only incident of a scenario
MATURED_DAYS = 30  # the same if it is seen in outcomes only: those of the first dates are known then
FORESEEN_DAYS = WINDOW // 2  # before a shock, from which on more than half of the performance window is in it


@dataclass(frozen=True)
class Planned:
    """An incident and its first day."""

    start: int
    incident: Incident

    @property
    def last(self) -> int:
        """Its last day."""
        return self.start + self.incident.days - 1

    @property
    def settled(self) -> int:
        """The first day on which none of its alerts may be open."""
        return self.start + self.incident.lasts

    def active(self, day: int) -> bool:
        """Return whether a day is one of its days."""
        return self.start <= day <= self.last

    def explains(self, day: int, cause: str) -> bool:
        """Return whether an alert of a day can come from it."""
        stays = any(fnmatchcase(cause, pattern) for pattern in self.incident.may_stay)
        return self.start <= day and (stays or self.concerns(day, cause))

    def concerns(self, day: int, cause: str) -> bool:
        """Return whether an alert of a day can come from it, and must be resolved for it to be over."""
        return self.start <= day < self.settled and self.incident.explains(cause)


@dataclass(frozen=True)
class Scenario:
    """Incidents, and the number of days that are simulated."""

    name: str
    planned: tuple[Planned, ...]
    days: int

    def active(self, day: int) -> tuple[Incident, ...]:
        """Return the incidents of a day."""
        return tuple(each.incident for each in self.planned if each.active(day))

    def is_quiet(self, day: int) -> bool:
        """Return whether no incident is under way on a day, and none that changes the economy begins soon after it.

        The outcomes of a day depend on the economy of the days after it.
        """
        shocks = [each for each in self.planned if each.incident.stress]
        return not self.active(day) and not any(each.start - FORESEEN_DAYS <= day < each.start for each in shocks)


@dataclass(frozen=True)
class ScriptedEconomy:
    """An average economy with the stress that the incidents of a scenario add."""

    scenario: Scenario
    first: date

    def stress(self, day: date) -> float:
        """Return the stress of a day."""
        elapsed = (day - self.first).days
        found = [(each.incident.stress, elapsed - each.start) for each in self.scenario.planned if each.active(elapsed)]
        return sum(stress(at) for stress, at in found if stress)


def change_accounts(columns: Columns, incidents: Sequence[Incident]) -> Columns:
    """Return the columns of a snapshot as the incidents of its day change them."""
    for incident in incidents:
        columns = incident.accounts(columns) if incident.accounts else columns
    return columns


def change_outcomes(columns: Columns, incidents: Sequence[Incident]) -> Columns:
    """Return the columns of outcomes as the incidents of the day on which they mature change them."""
    for incident in incidents:
        columns = incident.outcomes(columns) if incident.outcomes else columns
    return columns


def single(incident: Incident, days: int | None = None) -> Scenario:
    """Return the scenario of one incident with quiet days before and after it."""
    in_outcomes = incident.stress or incident.outcomes or incident.outcomes_late
    start = MATURED_DAYS if in_outcomes else QUIET_DAYS
    return Scenario(incident.name, (Planned(start, incident),), days or start + incident.lasts + QUIET_DAYS)


def _plan(*incidents: tuple[int, str]) -> tuple[Planned, ...]:
    return tuple(Planned(start, INCIDENTS[name]) for start, name in incidents)


# A recession among the faults and decisions of daily work, with quiet days between them.
EVERYTHING = Scenario(
    "everything",
    _plan(
        (2, "blank-column"),
        (5, "duplicates"),
        (8, "worse-model"),
        (17, "changed-cut-off"),
        (28, "wrong-outcomes"),
        (31, "macro-shock"),
        (34, "missing-column"),
        (37, "missing-code-flood"),
        (40, "renamed-level"),
        (61, "changed-unit"),
        (66, "half-file"),
        (69, "corrected-file"),
        (71, "late-file"),
        (75, "delayed-outcomes"),
    ),
    days=120,
)
SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {"quiet": Scenario("quiet", (), 60)} | {name: single(incident) for name, incident in INCIDENTS.items()} | {EVERYTHING.name: EVERYTHING}
)
