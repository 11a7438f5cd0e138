"""The sensors: files that land start runs, late files are reported, and runs get their rows in the run log."""

from collections.abc import Mapping

import dagster as dg
import msgspec

from risk_assets.alerts.delivery import deliver_due
from risk_assets.alerts.receivers import NO_RECEIVER, receivers
from risk_assets.clock import Calendar, shift, utc_now
from risk_assets.defs.failures import STEP_FAILURE
from risk_assets.defs.jobs import (
    ACCOUNT_STATES,
    ALERTS,
    DAILY_SCORING,
    MONITORING,
    MORNING_REPORT,
    OUTCOMES,
    PERFORMANCE,
    REASON_TAG,
    TRAINING,
    training_config,
)
from risk_assets.defs.liveness import sweep_killed
from risk_assets.defs.outcomes import record_outcome, upload_spooled
from risk_assets.defs.partitions import Partitions
from risk_assets.defs.report_requests import MAX_ATTEMPTS, Reports, request_reports
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.wording import counted
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import layout, retraining, run_log
from risk_assets.lake.alert_evidence import outdated_alerts
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.drift_files import dates_to_monitor, logged_files
from risk_assets.lake.hashing import sha256
from risk_assets.lake.landing_watch import Arrival, Watch, arrivals, remember, stable
from risk_assets.lake.manifests import digest
from risk_assets.lake.morning_files import made_of, outdated_dates
from risk_assets.lake.outcome_tables import OUTCOMES as CURATED_OUTCOMES
from risk_assets.lake.outcome_tables import dates_to_carry, matured_outcomes, outdated_outcomes
from risk_assets.lake.performance_files import dates_to_measure, due_on, outcomes_identity
from risk_assets.lake.posted_outcomes import posted_shards
from risk_assets.lake.run_log import LATE, RunRecord
from risk_assets.lake.staleness import is_stored
from risk_assets.lake.store import Store

INTERVAL_SECONDS = 60
SWEEP_SECONDS, LOG_SECONDS = 30, 10
RUNNING = dg.DefaultSensorStatus.RUNNING
DELIVERY_SECONDS = 40  # in which a tick begins to send messages; Dagster ends it after 60
LATE_DAYS = 7  # how far back dates without a file are reported
MONITORED_DATES = 7  # newest scored dates, of which those without a current report are monitored
MEASURED_DATES = 28  # newest scored dates, and newest dates with outcomes, whose performance is measured
ALERTED_DATES = 3  # newest dates with evidence, whose alerts are evaluated
REPORTED_DATES = 3  # newest dates with a morning report, which is made again if it is not current
MAX_OUTCOMES = 10  # snapshots whose outcomes one tick requests
ARRIVAL_TAG = "risk/arrival"
DRIFT_REPORTS = Reports(MONITORING.name, "risk monitor", MONITORED_DATES, "all newest scored dates are monitored")
PERFORMANCE_REPORTS = Reports(PERFORMANCE.name, "risk monitor", 2 * MEASURED_DATES, "the performance of all newest dates is measured")
ALERT_REPORTS = Reports(ALERTS.name, "risk alerts", 1, "the alerts of all newest dates are evaluated")  # each continues the one before
JOBS = {"accounts": DAILY_SCORING.name, "outcomes": OUTCOMES.name}


def sensors(partitions: Partitions, calendar: Calendar) -> list[dg.SensorDefinition]:
    """Return the sensors: those that start runs are off until somebody switches them on, the others are on."""

    @dg.sensor(name="landing", jobs=[DAILY_SCORING, OUTCOMES], minimum_interval_seconds=INTERVAL_SECONDS)
    def landing_sensor(context: dg.SensorEvaluationContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SensorResult:
        """Scores a date when its accounts land, and stores its outcomes when they land; again when other files land."""
        return watch_landing(context, lakehouse, partitions)

    @dg.sensor(name="late_files", job=DAILY_SCORING, minimum_interval_seconds=INTERVAL_SECONDS, default_status=RUNNING)
    def late_files(lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SkipReason:
        """Adds a row of status `late` to the run log for each date whose accounts did not arrive before the deadline."""
        late = report_late(lakehouse, partitions, calendar)
        return dg.SkipReason(f"late: {', '.join(late)}" if late else "no file is late")

    @dg.sensor(name="derived_outcomes", jobs=[ACCOUNT_STATES, OUTCOMES], minimum_interval_seconds=INTERVAL_SECONDS)
    def derived_sensor(lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SensorResult:
        """Carries the states of accounts to each date that was run, in order, and writes the outcomes of snapshots that matured."""
        return watch_states(lakehouse)

    @dg.sensor(name="posted_outcomes", job=OUTCOMES, minimum_interval_seconds=INTERVAL_SECONDS)
    def posted_sensor(context: dg.SensorEvaluationContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SensorResult:
        """Adds the outcomes that the service has received to those of their dates."""
        return watch_posted(context, lakehouse, partitions)

    @dg.sensor(name="monitor_scored", job=MONITORING, minimum_interval_seconds=INTERVAL_SECONDS)
    def monitor_sensor(context: dg.SensorEvaluationContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SensorResult:
        """Monitors the newest scored dates, each after it was scored, and again when it was scored again or the policy changed."""
        return watch_scored(context, lakehouse, partitions)

    @dg.sensor(name="monitor_outcomes", job=PERFORMANCE, minimum_interval_seconds=INTERVAL_SECONDS)
    def performance_sensor(context: dg.SensorEvaluationContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SensorResult:
        """Measures the performance of scored dates: estimates first, figures when outcomes have matured, again when they are restated."""
        return watch_outcomes(context, lakehouse, partitions)

    @dg.sensor(name="alerts", job=ALERTS, minimum_interval_seconds=INTERVAL_SECONDS)
    def alerts_sensor(context: dg.SensorEvaluationContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SensorResult:
        """Evaluates the alerts of the newest dates until they are of the present evidence: also of dates that failed or are late."""
        return watch_alerts(context, lakehouse, partitions)

    @dg.sensor(name="deliver_alerts", job=ALERTS, minimum_interval_seconds=SWEEP_SECONDS, default_status=RUNNING)
    def deliver_sensor(lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SkipReason:
        """Sends messages about alerts to the receivers that the settings name, and tries those that are not available again later."""
        return dg.SkipReason(send_alerts(lakehouse))

    @dg.sensor(name="retrain", job=TRAINING, minimum_interval_seconds=INTERVAL_SECONDS)
    def retrain_sensor(lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SensorResult:
        """Trains a version for the newest date if drift or performance exceeded a limit on several of the newest dates."""
        return watch_health(lakehouse, partitions)

    @dg.sensor(name="report_again", job=MORNING_REPORT, minimum_interval_seconds=INTERVAL_SECONDS)
    def report_sensor(lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SensorResult:
        """Makes the newest morning reports again: of dates that were scored, monitored or evaluated for alerts since."""
        return watch_reports(lakehouse, partitions)

    started = (landing_sensor, posted_sensor, derived_sensor, monitor_sensor, performance_sensor, retrain_sensor, alerts_sensor)
    return [*started, report_sensor, late_files, deliver_sensor, killed_runs, *LOG_SENSORS]


@dg.sensor(name="killed_runs", job=DAILY_SCORING, minimum_interval_seconds=SWEEP_SECONDS, default_status=RUNNING)
def killed_runs(context: dg.SensorEvaluationContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.SkipReason:
    """Reports runs whose process is gone as failed, and adds rows of the run log that waited on this disk for the lake."""
    notes = (*sweep_killed(lakehouse, context.instance), *upload_spooled(lakehouse, context.instance))
    return dg.SkipReason(" ".join(notes) or "no run was killed, and no row waits")


def _log_sensor(name: str, status: dg.DagsterRunStatus, description: str) -> dg.SensorDefinition:
    """Return a sensor that adds the rows of runs that have ended with a status."""

    @dg.run_status_sensor(
        run_status=status, name=name, minimum_interval_seconds=LOG_SECONDS, default_status=RUNNING, description=description
    )
    def log_runs(context: dg.RunStatusSensorContext, lakehouse: dg.ResourceParam[Lakehouse]) -> None:
        for warning in record_outcome(lakehouse, context.instance, context.dagster_run.run_id):
            context.log.warning(warning)

    return log_runs


LOG_SENSORS = (
    _log_sensor("log_scored_runs", dg.DagsterRunStatus.SUCCESS, "Adds runs that scored, and outcomes and trainings with warnings."),
    _log_sensor("log_failed_runs", dg.DagsterRunStatus.FAILURE, "Adds each failed run to the run log, including runs that were killed."),
    _log_sensor("log_canceled_runs", dg.DagsterRunStatus.CANCELED, "Adds each canceled run to the run log."),
)


def watch_landing(context: dg.SensorEvaluationContext, lakehouse: Lakehouse, partitions: Partitions) -> dg.SensorResult:
    """Return the runs of files that have arrived, are complete, and differ from those in the lake."""
    watch = msgspec.json.decode(context.cursor, type=Watch) if context.cursor else Watch()
    found = [arrival for arrival in arrivals(lakehouse.landing) if partitions.daily.has_partition_key(arrival.date)]
    ready, waiting = stable(found, watch)
    requests, settled = [], []
    if not context.cursor:  # switched on: what the lake holds already has been dealt with
        settled = [arrival for arrival in found if _is_stored(lakehouse, arrival)]
        ready, waiting = [], [arrival for arrival in found if arrival not in settled]
    for arrival in ready:
        attempts = _attempts(context.instance, arrival)
        if not attempts and _is_stored(lakehouse, arrival) and (arrival.kind != "accounts" or _was_run(lakehouse, arrival.date)):
            settled.append(arrival)
        elif all(attempts) and len(attempts) < MAX_ATTEMPTS:
            requests.append(_request(arrival, len(attempts) + 1))
        elif all(attempt is not None for attempt in attempts):
            settled.append(arrival)
    cursor = msgspec.json.encode(remember(found, settled, watch)).decode()
    said = f"{len(found)} landed, {len(waiting)} may still change, {len(found) - len(waiting) - len(requests)} need no run"
    return dg.SensorResult(run_requests=requests, cursor=cursor, skip_reason=None if requests else said)


def watch_posted(context: dg.SensorEvaluationContext, lakehouse: Lakehouse, partitions: Partitions) -> dg.SensorResult:
    """Return the runs of dates with posted outcomes that are not in their table of outcomes, at most `MAX_OUTCOMES`.

    A date is requested once for the same shards: if its run fails, again when others have been received.
    """
    if lakehouse.contract.target.derived is not None:
        return dg.SensorResult(skip_reason="the contract derives outcomes, so posted ones are not used")
    handled: dict[str, str] = msgspec.json.decode(context.cursor, type=dict[str, str]) if context.cursor else {}
    versions = {
        date: sha256("\n".join(paths).encode())[:16]
        for date, paths in posted_shards(lakehouse.store).items()
        if partitions.daily.has_partition_key(date)
    }
    changed = [date for date, version in versions.items() if handled.get(date) != version]
    outdated = outdated_outcomes(lakehouse.store, lakehouse.contract, changed)
    waiting = set(outdated[MAX_OUTCOMES:])
    requests = [
        dg.RunRequest(run_key=f"posted_{date}_{versions[date]}", partition_key=date, job_name=OUTCOMES.name)
        for date in outdated[:MAX_OUTCOMES]
    ]
    cursor = msgspec.json.encode({date: version for date, version in versions.items() if date not in waiting}).decode()
    said = f"{counted(len(versions), 'date')} with posted outcomes, all in their tables"
    return dg.SensorResult(run_requests=requests, cursor=cursor, skip_reason=None if requests else said)


def watch_states(lakehouse: Lakehouse) -> dg.SensorResult:
    """Return the run that carries the states of accounts to the next date, and the runs of outcomes that have matured.

    Dates are carried one after the other, because each continues the one before. A run that failed is requested again when its
    features or the contract have changed.
    """
    contract, store, last = lakehouse.contract, lakehouse.store, lakehouse.settings.last_date
    if contract.target.derived is None:
        return dg.SensorResult(skip_reason="the contract does not derive outcomes")
    waiting = dates_to_carry(store, contract, last)
    carried_until = shift(waiting[0], -1) if waiting else last
    requests = [_derived_request(lakehouse, date, ACCOUNT_STATES.name, layout.features(date)) for date in waiting[:1]]
    for date, state_date in matured_outcomes(store, contract, lakehouse.settings.calendar, carried_until)[:MAX_OUTCOMES]:
        requests.append(_derived_request(lakehouse, date, OUTCOMES.name, layout.account_states(state_date)))
    said = f"{counted(len(waiting), 'date')} to carry; no outcomes to write"
    return dg.SensorResult(run_requests=requests, skip_reason=None if requests else said)


def watch_scored(context: dg.SensorEvaluationContext, lakehouse: Lakehouse, partitions: Partitions) -> dg.SensorResult:
    """Return the runs of scored dates without a current report; see `request_reports`."""
    store, policy = lakehouse.store, lakehouse.policy.digest
    found = [date for date in dates_to_monitor(store, policy, MONITORED_DATES) if partitions.daily.has_partition_key(date)]
    outdated = {date: f"{_compared(store, date)}_{policy[:12]}" for date in found}
    return request_reports(context, lakehouse, DRIFT_REPORTS, outdated)


def watch_outcomes(context: dg.SensorEvaluationContext, lakehouse: Lakehouse, partitions: Partitions) -> dg.SensorResult:
    """Return the runs of dates without a current performance report; see `request_reports`."""
    store, policy, today = lakehouse.store, lakehouse.policy.digest, lakehouse.settings.calendar.day(utc_now())
    found = [date for date in dates_to_measure(store, policy, today, MEASURED_DATES) if partitions.daily.has_partition_key(date)]
    outdated = {date: f"{_made_of(store, date)}_{policy[:12]}" for date in found}
    return request_reports(context, lakehouse, PERFORMANCE_REPORTS, outdated)


def _compared(store: Store, date: str) -> str:
    """Return what a drift report is made of: predictions, and the number of files of the prediction log once the date is over."""
    return f"{digest(store, layout.predictions(date))[:12]}_{logged_files(store, date) or 0}"


def watch_alerts(context: dg.SensorEvaluationContext, lakehouse: Lakehouse, partitions: Partitions) -> dg.SensorResult:
    """Return the run of the oldest of the newest dates whose alerts are not made from its present evidence; see `request_reports`."""
    documents, calendar = lakehouse.documents, lakehouse.settings.calendar
    found = outdated_alerts(lakehouse.store, documents.contract, documents.policy, calendar, ALERTED_DATES)
    outdated = {evidence.date: evidence.digest[:24] for evidence in found if partitions.daily.has_partition_key(evidence.date)}
    return request_reports(context, lakehouse, ALERT_REPORTS, outdated)


def send_alerts(lakehouse: Lakehouse) -> str:
    """Send the messages that are due, and return what happened, for people. Without receivers, sends no request."""
    found = receivers(lakehouse.settings)
    if not found:
        return NO_RECEIVER
    try:
        delivered = deliver_due(lakehouse.store, found, DELIVERY_SECONDS)
    except LakeError as error:
        return str(error)
    return "; ".join(map(str, delivered)) or "no message is pending"


def watch_health(lakehouse: Lakehouse, partitions: Partitions) -> dg.SensorResult:
    """Return the run that trains for the newest date if the live version is due for retraining; of several sensors, only the first does.

    Otherwise the skip reason has why not, also if the live version or another file that decides it is missing or damaged.
    """
    date = partitions.daily.get_last_partition_key()
    if date is None:
        return dg.SensorResult(skip_reason="there is no date to train for yet")
    try:
        return _retraining(lakehouse, date)
    except RiskError as error:
        return dg.SensorResult(skip_reason=str(error))


def _retraining(lakehouse: Lakehouse, date: str) -> dg.SensorResult:
    store, policy = lakehouse.store, lakehouse.policy
    reason = retraining.retraining_due(store, policy, date)
    if reason is None:
        return dg.SensorResult(skip_reason="no retraining is due")
    until = retraining.cooling_down_until(store, policy, date)
    if until is not None:
        days = f"monitoring.retraining.cool_down_days: {policy.monitoring.retraining.cool_down_days}"
        return dg.SensorResult(skip_reason=f"cooling down until {until} ({days}), although a retraining is due: {reason.text}")
    if not retraining.request(store, date, reason.text):
        return dg.SensorResult(skip_reason=f"another sensor has requested the retraining for {date}")
    run = dg.RunRequest(
        run_key=f"retrain_{date}", partition_key=date, run_config=training_config(reason.text), tags={REASON_TAG: reason.text}
    )
    return dg.SensorResult(run_requests=[run])


def watch_reports(lakehouse: Lakehouse, partitions: Partitions) -> dg.SensorResult:
    """Return the runs of the newest morning reports that are not of what the lake has of their dates.

    A run that failed is requested again when that has changed.
    """
    store = lakehouse.store
    found = [date for date in outdated_dates(store, REPORTED_DATES) if partitions.daily.has_partition_key(date)]
    requests = [dg.RunRequest(run_key=f"{date}_{_version_of(made_of(store, date))}", partition_key=date) for date in found]
    return dg.SensorResult(run_requests=requests, skip_reason=None if requests else "the newest morning reports are current")


def _version_of(inputs: Mapping[str, str]) -> str:
    return sha256(msgspec.json.encode(inputs, order="sorted"))[:16]


def _made_of(store: Store, date: str) -> str:
    """Return what a performance report is made of: predictions, outcomes, and the day on which the present one is due to be revised."""
    outcomes = outcomes_identity(store, date) or "none"
    return f"{digest(store, layout.predictions(date))[:12]}_{outcomes[:12]}_{due_on(store, date) or 'never'}"


def _derived_request(lakehouse: Lakehouse, date: str, job: str, source: str) -> dg.RunRequest:
    """Return the run of a date; its key changes with the source and with the contract."""
    version = f"{digest(lakehouse.store, source)[:12]}_{lakehouse.values_of(CURATED_OUTCOMES)[:12]}"
    selection = [dg.AssetKey.from_user_string(CURATED_OUTCOMES)] if job == OUTCOMES.name else None
    return dg.RunRequest(run_key=f"{job}_{date}_{version}", partition_key=date, job_name=job, asset_selection=selection)


def report_late(lakehouse: Lakehouse, partitions: Partitions, calendar: Calendar) -> list[str]:
    """Add a row to the run log for each recent date without accounts whose deadline has passed; return these dates."""
    now = utc_now()
    recent = [shift(now[:10], -days) for days in range(LATE_DAYS, 0, -1)]
    overdue = [
        date for date in recent if partitions.daily.has_partition_key(date) and calendar.expects(date) and calendar.late_from(date) < now
    ]
    arrived = {arrival.date for arrival in arrivals(lakehouse.landing) if arrival.kind == "accounts"} if overdue else set()
    arrived |= set(committed_dates(lakehouse.store, "raw/accounts")) if overdue else set()
    late = [date for date in overdue if date not in arrived]
    for date in late:
        if lakehouse.store.size(layout.run_record(date, f"late-{date}")) is None:
            deadline = calendar.local(calendar.late_from(date))
            error = f"no accounts landed in {lakehouse.landing.url} by {deadline}. Land them: risk land FILE --date {date}."
            record = RunRecord(timestamp=now, date=date, job="landing", status=LATE, run_id=f"late-{date}", error=error)
            run_log.add(lakehouse.store, record)
    return late


def _is_stored(lakehouse: Lakehouse, arrival: Arrival) -> bool:
    return is_stored(lakehouse.store, lakehouse.landing, arrival.parts, layout.PATHS[f"raw/{arrival.kind}"](arrival.date))


def _was_run(lakehouse: Lakehouse, date: str) -> bool:
    """Return whether a scoring run of a date is in the run log; other jobs store or read its accounts without scoring them."""
    return DAILY_SCORING.name in run_log.jobs(lakehouse.store, date)


def _attempts(instance: dg.DagsterInstance, arrival: Arrival) -> list[bool | None]:
    """Return, for each run of an arrival, whether it was killed; None while it is under way."""
    runs = instance.get_run_records(dg.RunsFilter(tags={ARRIVAL_TAG: _tag(arrival)}))
    return [_was_killed(instance, run.dagster_run) if run.dagster_run.is_finished else None for run in runs]


def _was_killed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    return not run.is_success and not instance.all_logs(run.run_id, of_type=STEP_FAILURE)


def _request(arrival: Arrival, attempt: int) -> dg.RunRequest:
    tag = _tag(arrival)
    return dg.RunRequest(run_key=f"{tag}_{attempt}", partition_key=arrival.date, job_name=JOBS[arrival.kind], tags={ARRIVAL_TAG: tag})


def _tag(arrival: Arrival) -> str:
    return f"{arrival.key}_{arrival.version}"
