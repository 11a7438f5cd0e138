"""What a morning report says about the live model and about decisions: performance, bindings and versions that wait for a promotion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from risk_assets.clock import Calendar, seconds_between, shift
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import Binding, challenger_label
from risk_assets.domain.ingest.outcome_history import matures_on
from risk_assets.domain.monitoring.alerts import OPENED, AlertReport
from risk_assets.domain.monitoring.performance_report import ModelPerformance, Part, PerformanceReport, Verdict
from risk_assets.domain.morning.facts import (
    Calibration,
    ChallengerVerdict,
    Decision,
    Decisions,
    Expectation,
    Holdout,
    Measured,
    ModelFacts,
    OnlineParity,
    OpenAlert,
    PendingVersion,
)
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import alert_files, drift_files, impact_files, layout, performance_files, registry
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.documents import changed_keys
from risk_assets.lake.drift_files import PREDICTIONS
from risk_assets.lake.manifests import find_readable
from risk_assets.lake.registry import ModelVersion
from risk_assets.lake.store import Store

DAY_SECONDS = 24 * 60 * 60
DECISION_DAYS = 28  # how far back decisions are listed
MEASURED_LOOKED_UP = 14  # newest dates whose outcomes have matured, in which a performance report is looked up
MAX_PENDING = 5


@dataclass(frozen=True)
class Live:
    """What is live.

    Attributes
    ----------
    history
        All bindings, oldest first; none if no version is live, or they cannot be read.
    now
        The instant at which the report is made (ISO 8601, UTC).
    """

    history: Sequence[Binding]
    now: str
    calendar: Calendar

    @property
    def binding(self) -> Binding | None:
        """The newest binding."""
        return self.history[-1] if self.history else None

    @property
    def version(self) -> str | None:
        """The live version."""
        return self.binding.champion if self.binding else None

    @property
    def since(self) -> str | None:
        """The instant from which the version has been live without a break."""
        own = [*takewhile(lambda binding: binding.champion == self.version, reversed(self.history))]
        return own[-1].effective_from if own else None

    @property
    def days(self) -> int | None:
        """The days for which the version has been live."""
        return max(int(seconds_between(self.since, self.now) // DAY_SECONDS), 0) if self.since else None


def model_facts(store: Store, live: Live, shown: str | None, scored_by: str | None, contract: Contract) -> ModelFacts:
    """Return the live version, and how the models performed on the newest date whose outcomes have matured.

    Parameters
    ----------
    shown
        The shown date; None if no date was scored.
    scored_by
        The version that scored the shown date.
    contract
        The contract in force, which has the performance window.
    """
    found = newest_measured(store, contract, live.calendar.day(live.now))
    return ModelFacts(
        version=live.version,
        live_since=live.calendar.in_zone(live.since) if live.since else None,
        live_days=live.days,
        scored_by=scored_by,
        challenger=(challenger_label(live.binding) or None) if live.binding else None,
        measured=tuple(_measured(found, model, model.overall) for model in found.models if model.overall) if found else (),
        measured_notes=found.notes if found else (),
        outcomes_on=None if found else _first_outcomes_on(store, contract),
        verdict=_verdict(found.verdict) if found and found.verdict else None,
        parity=_parity(store, shown) if shown else None,
        holdouts=_holdouts(store, live.version) if live.version else (),
        expected=_expected(store, shown) if shown else None,
    )


def newest_measured(store: Store, contract: Contract, today: str) -> PerformanceReport | None:
    """Return the performance report of the newest date whose outcomes have matured, or None; a few dates are looked up."""
    last = shift(today, -contract.target.performance_days)
    dates = (date for date in reversed(committed_dates(store, layout.PERFORMANCE)) if date <= last)
    reports = (_report(store, date) for date in islice(dates, MEASURED_LOOKED_UP))
    return next((report for report in reports if report and report.matured and report.labelled), None)


def decisions(store: Store, live: Live, date: str, released: str | None) -> Decisions:
    """Return the bindings of the last days, at least the newest one, newest first; versions that wait for a promotion; and open alerts.

    Parameters
    ----------
    date
        The date of the report.
    released
        The blocking checks that somebody released for the date's run.
    """
    since = shift(live.calendar.day(live.now), -DECISION_DAYS)
    recent = sum(live.calendar.day(binding.recorded_at) >= since for binding in live.history)
    newest = range(len(live.history) - max(recent, 1), len(live.history)) if live.history else range(0)
    decided = tuple(_decision(store, live, at) for at in reversed(newest))
    found = alert_files.find(store, date) or alert_files.earlier(store, date)
    return Decisions(
        decided=decided,
        pending=tuple(islice(_pending(store, live.history), MAX_PENDING)),
        released=released,
        alerts=_alerts(found) if found else (),
        alerts_on=found.date if found else None,
    )


def _alerts(report: AlertReport) -> tuple[OpenAlert, ...]:
    """Return the open alerts, new ones first."""
    found = [OpenAlert(each.kind, each.subject, each.since, each.evidence, each.next_step, each.status == OPENED) for each in report.open]
    return tuple(sorted(found, key=lambda alert: not alert.is_new))


def _verdict(found: Verdict) -> ChallengerVerdict:
    return ChallengerVerdict(
        champion=found.champion.version,
        challenger=found.challenger.version,
        role=found.role,
        result=found.result,
        dates=found.dates,
        first=found.first,
        last=found.last,
        gain=found.gain,
        interval=found.interval,
        decision_on=found.decision_on,
    )


def _parity(store: Store, date: str) -> OnlineParity | None:
    try:
        online = drift_files.read(store, date).report.online
    except LakeError:  # the data section has the note
        return None
    return OnlineParity(date, online.parity.records, online.parity.differing, online.parity.problems) if online else None


def _holdouts(store: Store, version: str) -> tuple[Holdout, ...]:
    """Return the AUC of a version on its holdouts when it was trained."""
    found = _version(store, version)
    known = found.metrics.holdouts if found else {}
    return tuple(Holdout(name, each.roc_auc, each.roc_auc_interval) for name, each in known.items())


def _expected(store: Store, date: str) -> Expectation | None:
    """Return what the champion of a date expects of it, from the performance report of its present predictions."""
    try:
        stored = performance_files.read(store, date)
    except LakeError:  # not measured yet
        return None
    path = layout.predictions(date)
    predictions = find_readable(store, path)
    if predictions is None or stored.made_from.inputs.get(path) != predictions.identity or not stored.report.models:
        return None
    champion = stored.report.models[0]
    found = champion.estimate
    return Expectation(date, champion.version, found.rows, found.expected, found.interval, found.roc_auc)


def _report(store: Store, date: str) -> PerformanceReport | None:
    try:
        return performance_files.read(store, date).report
    except LakeError:
        return None


def _measured(report: PerformanceReport, model: ModelPerformance, overall: Part) -> Measured:
    ranking = model.ranking
    return Measured(
        date=report.date,
        as_of=report.as_of,
        version=model.version,
        role=model.role,
        overall=_calibration(overall),
        bands=tuple(_calibration(part) for part in model.bands.shown),
        holdouts=tuple(Holdout(found.holdout, found.roc_auc, found.roc_auc_interval) for found in model.training),
        auc=ranking.roc_auc if ranking else None,
        auc_interval=ranking.roc_auc_interval if ranking else None,
        auc_lowest=ranking.lowest if ranking else None,
        beyond=model.exceeded,
        used_in_training=model.used_in_training,
    )


def _calibration(part: Part) -> Calibration:
    return Calibration(part.name, part.rows, part.expected, part.observed, part.interval, part.lowest, part.highest, part.exceeded)


def _first_outcomes_on(store: Store, contract: Contract) -> str | None:
    """Return the date on which the outcomes of the first scored date mature; None if no date was scored."""
    first = next(iter(committed_dates(store, PREDICTIONS)), None)
    return matures_on(first, contract).isoformat() if first else None


def _decision(store: Store, live: Live, at: int) -> Decision:
    binding = live.history[at]
    return Decision(
        at=live.calendar.in_zone(binding.recorded_at),
        action=binding.action,
        version=binding.champion,
        actor=binding.actor,
        reason=binding.reason,
        challenger=challenger_label(binding) or None,
        approved_by=binding.approved_by,
        overrides=binding.overrides,
        changed=changed_keys(store, live.history[at - 1] if at else None, binding),
    )


def _pending(store: Store, history: Sequence[Binding]) -> Iterator[PendingVersion]:
    """Yield the versions that are newer than the live one, were never live and challenge nothing, newest first."""
    known = {binding.champion for binding in history} | ({history[-1].challenger} if history else set())
    live = layout.version_number(history[-1].champion) if history else None
    for name in reversed(registry.names(store)):
        number = layout.version_number(name)
        if live is not None and number is not None and number < live:
            return
        found = _version(store, name) if name not in known else None
        if found:
            yield _waiting(store, found)


def _version(store: Store, name: str) -> ModelVersion | None:
    try:
        return registry.read_version(store, name)
    except (LakeError, ModelError):  # a number that was only claimed, or a damaged version, which `risk models` names
        return None


def _waiting(store: Store, version: ModelVersion) -> PendingVersion:
    gates = version.metadata.gates
    waiting = PendingVersion(
        version=version.name,
        trained_for=version.metadata.origin.training_date,
        gates_passed=gates.passed,
        not_passed=tuple(f"{gate.name} {gate.status}" for gate in gates.found if not gate.passed),
    )
    try:
        impact = impact_files.read(store, version.name)
    except LakeError:  # not computed, or damaged, which `risk verify --all` names
        return waiting
    return PendingVersion(
        waiting.version,
        waiting.trained_for,
        waiting.gates_passed,
        waiting.not_passed,
        impact_dates=impact.dates,
        flagged=impact.flagged,
        live_flagged=impact.live_flagged,
        newly_flagged=impact.newly_flagged,
        no_longer_flagged=impact.no_longer_flagged,
    )
