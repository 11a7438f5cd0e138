"""What the causes of alerts are looked up in: the lake as of a date, each listing and record read once."""

from dataclasses import dataclass, field
from functools import cached_property

from risk_assets.clock import shift
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.monitoring.alerts import Cause, Gap
from risk_assets.lake import run_log
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.drift_files import PREDICTIONS
from risk_assets.lake.outcome_tables import OUTCOMES
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.store import Store

TRAINED = "training/model"


@dataclass(frozen=True)
class Findings:
    """The causes that were found, and those that could not be evaluated."""

    causes: tuple[Cause, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class AlertScope:
    """A date of a lake.

    Attributes
    ----------
    contract, policy
        The contract and the policy in force.
    binding
        The binding in force on the date; None before the first one.
    carried
        The names of the causes of alerts that are open on the newest earlier date.
    """

    store: Store
    date: str
    contract: Contract
    policy: Policy
    binding: Binding | None
    carried: frozenset[str] = frozenset()
    _records: dict[str, tuple[RunRecord, ...]] = field(default_factory=dict, repr=False)

    @property
    def matured(self) -> str:
        """The newest date whose performance window has ended."""
        return shift(self.date, -self.contract.target.performance_days)

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
    def trained(self) -> tuple[str, ...]:
        """The dates for which a model was trained."""
        return committed_dates(self.store, TRAINED)

    def records(self, date: str) -> tuple[RunRecord, ...]:
        """Return the records of a date's runs, in the order in which they ended."""
        if date not in self._records:
            self._records[date] = run_log.records(self.store, date)
        return self._records[date]
