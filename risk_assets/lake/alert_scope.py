"""What the causes of alerts are looked up in: the lake as of a date, each listing and file read once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from risk_assets.clock import shift
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.monitoring.alerts import Cause, Gap
from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.errors import LakeError
from risk_assets.lake import layout, performance_files, run_log
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.drift_files import PREDICTIONS
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.manifests import find_readable
from risk_assets.lake.outcome_tables import OUTCOMES
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.store import Store

TRAINED = "training/model"
T = TypeVar("T")


@dataclass(frozen=True)
class Findings:
    """The causes that were found, and those that could not be evaluated."""

    causes: tuple[Cause, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class AlertReads:
    """What several dates look up in a lake."""

    store: Store
    _read: dict[tuple[Callable[..., Any], str], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def run_dates(self) -> tuple[str, ...]:
        """The dates with runs in the run log."""
        return run_log.dates(self.store)

    @cached_property
    def scored(self) -> tuple[str, ...]:
        """The scored dates."""
        return committed_dates(self.store, PREDICTIONS)

    @cached_property
    def with_outcomes(self) -> tuple[str, ...]:
        """The dates with outcomes."""
        return committed_dates(self.store, OUTCOMES)

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """The dates with a performance report."""
        return committed_dates(self.store, layout.PERFORMANCE)

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """The dates for which a model was trained."""
        return committed_dates(self.store, TRAINED)

    @property
    def dates(self) -> tuple[str, ...]:
        """The dates with evidence: scored, or with a run in the run log, also one that failed or is late; oldest first."""
        return tuple(sorted({*self.scored, *self.run_dates}))

    def records(self, date: str) -> tuple[RunRecord, ...]:
        """Return the records of a date's runs, in the order in which they ended."""
        return self._once(run_log.records, date)

    def flagged(self, date: str) -> int | None:
        """Return the number of accounts that are predicted bad on a date; None if it was not scored."""
        return self._once(_flagged, date)

    def performance(self, date: str) -> PerformanceReport | None:
        """Return the performance report of a date; None if there is none or it cannot be read."""
        return self._once(_performance, date)

    def _once(self, read: Callable[[Store, str], T], date: str) -> T:
        if (read, date) not in self._read:
            self._read[read, date] = read(self.store, date)
        found: T = self._read[read, date]
        return found


@dataclass(frozen=True)
class AlertScope:
    """A date of a lake.

    Attributes
    ----------
    reads
        The lake.
    contract, policy
        The contract and the policy in force.
    binding
        The binding in force on the date; None before the first one.
    carried
        The names of the causes of alerts that are open on the newest earlier date.
    """

    reads: AlertReads
    date: str
    contract: Contract
    policy: Policy
    binding: Binding | None
    carried: frozenset[str] = frozenset()

    @property
    def matured(self) -> str:
        """The newest date whose performance window has ended."""
        return shift(self.date, -self.contract.target.performance_days)


def _flagged(store: Store, date: str) -> int | None:
    manifest = find_readable(store, layout.predictions(date))
    return manifest.facts_as(PredictionFacts).predicted_bad if manifest else None


def _performance(store: Store, date: str) -> PerformanceReport | None:
    try:
        return performance_files.read(store, date).report
    except LakeError:
        return None
