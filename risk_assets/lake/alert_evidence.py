"""Collects the causes of alerts as of a date, and evaluates them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from risk_assets.clock import Calendar, shift
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import Binding, overridden
from risk_assets.domain.monitoring.alert_causes import drift_causes, flagged_cause, online_causes, performance_causes
from risk_assets.domain.monitoring.alerts import AlertReport, Cause, Gap, evaluate
from risk_assets.domain.monitoring.flagged_range import USUAL_DATES, flagged_figure
from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.domain.monitoring.report import DriftReport
from risk_assets.domain.wording import counted
from risk_assets.errors import LakeError
from risk_assets.lake import alert_files, alert_runs, binding_log, drift_files
from risk_assets.lake.alert_scope import AlertReads, AlertScope, Findings
from risk_assets.lake.hashing import sha256
from risk_assets.lake.store import Store

LOOKED_UP = 28  # performance reports, and scored dates whose outcomes are due
MOST_APART = 7  # due dates among which one has outcomes, unless they have stopped: outcomes can land for one date a week only
ONLINE = ("online:", "parity:")


@dataclass(frozen=True)
class Evidence:
    """What the alerts of a date are made from: causes, what could not be evaluated, and the report of the newest earlier date."""

    date: str
    causes: tuple[Cause, ...]
    gaps: tuple[Gap, ...]
    earlier: AlertReport | None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return sha256(msgspec.json.encode((self.date, self.causes, self.gaps, self.earlier)))

    def evaluate(self, before: AlertReport | None) -> AlertReport:
        """Return the alerts of the date; `before` is the report that they replace."""
        return evaluate(self.date, self.earlier, self.causes, self.gaps, before)


def collect(store: Store, date: str, contract: Contract, policy: Policy, calendar: Calendar) -> Evidence:
    """Return what is known of a date. Nothing of it must exist: what is missing could not be evaluated."""
    return _collect(AlertReads(store), date, contract, policy, calendar)


def outdated_alerts(store: Store, contract: Contract, policy: Policy, calendar: Calendar, most: int) -> Iterator[Evidence]:
    """Yield the evidence of those of the newest `most` dates with evidence whose report is not made from it, oldest first."""
    reads = AlertReads(store)
    for date in reads.dates[-most:]:
        evidence = _collect(reads, date, contract, policy, calendar)
        if not alert_files.is_current(store, date, evidence.digest):
            yield evidence


def dates_with_evidence(store: Store) -> tuple[str, ...]:
    """Return the dates that were scored or have a run in the run log, also one that failed or is late; oldest first."""
    return AlertReads(store).dates


def newest_with_evidence(store: Store) -> str:
    """Return the newest date with evidence; raises `LakeError` if there is none."""
    dates = dates_with_evidence(store)
    if not dates:
        raise LakeError(f"no date was scored or has a run in the run log of the lake at {store.url}. Run a date first: risk run DATE.")
    return dates[-1]


def _collect(reads: AlertReads, date: str, contract: Contract, policy: Policy, calendar: Calendar) -> Evidence:
    earlier = alert_files.earlier(reads.store, date)
    carried = frozenset(alert.cause for alert in earlier.open) if earlier else frozenset[str]()
    scope = AlertScope(reads, date, contract, policy, _binding(reads, date, calendar), carried)
    found = [each(scope) for each in COLLECTORS]
    causes = {cause.name: cause for each in found for cause in each.causes}
    return Evidence(date, tuple(causes[name] for name in sorted(causes)), tuple(gap for each in found for gap in each.gaps), earlier)


def _binding(reads: AlertReads, date: str, calendar: Calendar) -> Binding | None:
    """Return the binding in force until the next date was due; on the newest date the newest one."""
    is_newest = all(later <= date for later in reads.dates)
    return binding_log.live(reads.store, None if is_newest else calendar.due(shift(date, 1)))


def _drift(scope: AlertScope) -> Findings:
    report = _drift_report(scope)
    if report is None:
        return Findings(gaps=(Gap(("drift:",), f"there is no drift report of {scope.date}"),))
    return Findings(tuple(drift_causes(report)))


def _online(scope: AlertScope) -> Findings:
    report = _drift_report(scope)
    if report and report.online:
        return Findings(tuple(online_causes(report)))
    if not any(cause.startswith(ONLINE) for cause in scope.carried):
        return Findings()  # the service may not be in use
    return Findings(gaps=(Gap(ONLINE, f"there is no drift report of {scope.date} with requests"),))


def _flagged(scope: AlertScope) -> Findings:
    counts = {date: scope.reads.flagged(date) for date in _until(scope.reads.scored, scope.date)[-USUAL_DATES - 1 :]}
    now = counts.pop(scope.date, None)
    before = [count for count in counts.values() if count is not None][-USUAL_DATES:]
    figure = None if now is None else flagged_figure(now, before, scope.policy.monitoring)
    if figure is None:
        why = f"{scope.date} was not scored" if now is None else "too few earlier dates were scored"
        return Findings(gaps=(Gap(("flagged:",), why),))
    if not figure.beyond:
        return Findings()
    report = _drift_report(scope)
    return Findings((flagged_cause(scope.date, figure, report.flagged if report else None),))


def _performance(scope: AlertScope) -> Findings:
    report = _matured_report(scope)
    if report is None:
        return Findings(gaps=(Gap(("performance:",), f"no report has matured outcomes with limits by {scope.date}"),))
    without_limits = [model for model in report.models if model.overall is None or model.overall.lowest is None]
    gaps = tuple(
        Gap((f"performance:{model.role}:",), f"{model.version} has no limits on the outcomes of {report.date}") for model in without_limits
    )
    return Findings(tuple(performance_causes(report, scope.date, scope.binding.champion if scope.binding else None)), gaps)


def _late_outcomes(scope: AlertScope) -> Findings:
    allowed = scope.policy.monitoring.outcomes_overdue_days
    due = _until(scope.reads.scored, shift(scope.matured, -allowed - 1))[-LOOKED_UP:]
    missing = _missing_outcomes(due, scope.reads.with_outcomes)
    if not missing:
        return Findings()
    first, last = missing[0], missing[-1]
    ended = shift(first, scope.contract.target.performance_days)
    evidence = (
        f"{counted(len(missing), 'scored date has', 'scored dates have')} no outcomes more than {allowed} days after the end of the "
        f"performance window: {first if first == last else f'{first} to {last}'}; the first window ended on {ended}"
    )
    derived = scope.contract.target.derived is not None
    step = f"Derive them: risk outcomes {ended}." if derived else f"Land and store them: risk land FILE --outcomes --date {first}, then "
    return Findings((Cause("late", "outcomes", evidence, step if derived else f"{step}risk outcomes {first}."),))


def _missing_outcomes(due: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the dates whose outcomes are missing: those between others that have them, and the newest ones if no more arrive."""
    missing = [date for date in due if date not in known]
    newest = [date for date in due if all(date > other for other in due if other in known)]
    if 2 * len(missing) > len(due):  # outcomes are not expected for every date
        return newest if len(newest) >= min(MOST_APART, len(due)) else []
    return missing


def _override(scope: AlertScope) -> Findings:
    if scope.binding is None:
        return Findings()
    history = [binding for binding in binding_log.read(scope.reads.store) if binding.seq <= scope.binding.seq]
    return Findings(tuple(_overridden(version, made, scope.binding) for version, made in overridden(history).items()))


def _overridden(version: str, made: Binding, live: Binding) -> Cause:
    is_live = version == live.champion
    evidence = (
        f"{version} {'is live' if is_live else 'is a challenger'} although these gates were set aside: {', '.join(made.overrides)} "
        f"(binding {made.seq})"
    )
    step = "Promote a version that passes the gates, or roll back: risk rollback" if is_live else "End the challenge: risk challenge --end"
    return Cause("override", version, evidence, f"{step} --reason WHY. Figures: risk models show {version}.")


# Each returns the causes of one kind. A further kind of evidence is a further function here.
COLLECTORS: tuple[Callable[[AlertScope], Findings], ...] = (
    _drift,
    _online,
    _performance,
    _flagged,
    alert_runs.failed_runs,
    alert_runs.warned_scoring,
    alert_runs.warned_outcomes,
    alert_runs.warned_training,
    alert_runs.late_accounts,
    _late_outcomes,
    _override,
)


def _drift_report(scope: AlertScope) -> DriftReport | None:
    try:
        return drift_files.read(scope.reads.store, scope.date).report
    except LakeError:
        return None


def _matured_report(scope: AlertScope) -> PerformanceReport | None:
    """Return the performance report of the newest matured date whose champion has limits."""
    for date in reversed(_until(scope.reads.measured, scope.matured)[-LOOKED_UP:]):
        report = scope.reads.performance(date)
        overall = report.models[0].overall if report else None
        if report and report.matures_on <= scope.date and overall is not None and overall.lowest is not None:
            return report
    return None


def _until(dates: tuple[str, ...], last: str) -> tuple[str, ...]:
    return tuple(date for date in dates if date <= last)
