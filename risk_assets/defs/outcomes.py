"""The row of a run in the run log, added when the outcome of the run is known: by the command that ran it, or by a sensor."""

from typing import Any

import dagster as dg
import msgspec

from risk_assets.clock import instant_of, utc_now
from risk_assets.defs.failures import PARTITION_TAG, ending, failed_checks, job_name, passed_checks
from risk_assets.defs.histogram import histogram
from risk_assets.defs.jobs import DAILY_SCORING, OUTCOMES, TRAINING
from risk_assets.defs.releases import releases_text
from risk_assets.defs.resources import Lakehouse
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import layout, run_log
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.manifests import Manifest, find_manifest
from risk_assets.lake.run_log import FAILED, SUCCESS, WARNING, RunRecord
from risk_assets.lake.spool import Spool, open_spool
from risk_assets.lake.store import Store

PREDICTIONS = dg.AssetKey(["curated", "predictions"])
RUN_LOG = dg.AssetKey(["logs", "batch_runs"])
NO_DATE = "none"
LAKE_TAG = "risk/lake"


def record_outcome(lakehouse: Lakehouse, instance: dg.DagsterInstance, run_id: str) -> tuple[str, ...]:
    """Add the row of a run that has ended, unless it has one; return warnings.

    These runs have a row: those that scored, failed or were canceled; outcomes and trainings whose checks warned; and the first success of
    another job after its run for the same date failed or warned. While the lake cannot be reached, the row is stored on local disk, and the
    next command or sensor adds it.
    """
    found = instance.get_run_record_by_id(run_id)
    record = outcome(lakehouse, instance, found) if found and is_of_lake(found.dagster_run, lakehouse) else None
    return () if record is None else _add_or_spool(lakehouse, instance, record)


def record_error(
    lakehouse: Lakehouse, instance: dg.DagsterInstance, run_id: str, date: str | None, job: str, error: str
) -> tuple[str, ...]:
    """Add the row of a run that failed, and whose end the run history does not have; return warnings."""
    now = utc_now("milliseconds")
    record = RunRecord(timestamp=now, date=date or NO_DATE, job=job_name(job), status=FAILED, run_id=run_id, error=error)
    return _add_or_spool(lakehouse, instance, record)


def upload_spooled(lakehouse: Lakehouse, instance: dg.DagsterInstance) -> tuple[str, ...]:
    """Add the rows that are on local disk; return what happened, for people. Without any, sends no request."""
    spool = _spool(lakehouse)
    if not spool.paths():
        return ()
    try:
        return spool.upload(lambda record: add_row(lakehouse.store, instance, record))
    except RiskError as error:
        return (f"rows of the run log wait in {spool.folder}: {error}",)


def is_of_lake(run: dg.DagsterRun, lakehouse: Lakehouse) -> bool:
    """Return whether a run wrote this lake: several lakes can share a run history. A run before its first step is not marked."""
    return run.tags.get(LAKE_TAG, lakehouse.settings.lake) == lakehouse.settings.lake


def missing_rows(lakehouse: Lakehouse, instance: dg.DagsterInstance, date: str) -> tuple[RunRecord, ...]:
    """Return the records of a date's runs that have ended and have no row, oldest first."""
    store = lakehouse.store
    runs = [
        run
        for run in instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: date}), ascending=True)
        if is_of_lake(run.dagster_run, lakehouse)
    ]
    found = (outcome(lakehouse, instance, run) for run in runs if not store.size(layout.run_record(date, run.dagster_run.run_id)))
    return tuple(_with_figures(store, record) for record in found if record is not None)


def outcome(lakehouse: Lakehouse, instance: dg.DagsterInstance, found: dg.RunRecord) -> RunRecord | None:
    """Return the record of a run from its events, without figures; None if it has not ended, or succeeded without scoring.

    Outcomes and trainings whose checks warned have a record too, and a run of a job that failed or warned for the date before.
    """
    run = found.dagster_run
    warnings = [str(check) for check in failed_checks(instance, run.run_id) if check.warns or run.is_success]
    warned = run.job_name in (OUTCOMES.name, TRAINING.name) and warnings
    if not run.is_finished:
        return None
    if run.is_success and not warned and not _has_scored(instance, run.run_id) and not _follows_problem(lakehouse, run):
        return None
    how = None if run.is_success else ending(instance, run)
    ended = found.end_time or found.update_timestamp.timestamp()
    return RunRecord(
        timestamp=instant_of(ended, "milliseconds"),
        date=run.tags.get(PARTITION_TAG, NO_DATE),
        job=job_name(run.job_name),
        status=how.status if how else WARNING if warnings else SUCCESS,
        run_id=run.run_id,
        seconds=round(max(ended - found.start_time, 0), 3) if found.start_time else None,
        error=how.error if how else None,
        warnings="; ".join(warnings) or None,
        released=releases_text(run.tags, passed_checks(instance, run.run_id)),
    )


def add_row(store: Store, instance: dg.DagsterInstance, record: RunRecord) -> None:
    """Add a row to the run log; of a run that scored, report the materialization of `logs/batch_runs`."""
    complete = _with_figures(store, record)
    if run_log.add(store, complete) and complete.status in (SUCCESS, WARNING):
        partition = None if complete.date == NO_DATE else complete.date
        metadata = row_metadata(store, complete)
        instance.report_runless_asset_event(dg.AssetMaterialization(RUN_LOG, partition=partition, metadata=metadata))


def row_metadata(store: Store, record: RunRecord) -> dict[str, Any]:
    """Return the metadata of a row: status, figures, and the plot of the scores."""
    manifest = _own_predictions(store, record)
    path = {"path": store.uri(layout.RUN_LOG), "status": record.status, "warnings": record.warnings or "none"}
    figures: dict[str, Any] = {"seconds": record.seconds or 0.0, **path}
    if manifest is not None:
        plot = histogram(list(manifest.facts_as(PredictionFacts).histogram.values()))
        figures = {**manifest.numbers, **figures, "scores": dg.MetadataValue.md(plot)}
    return figures


def _add_or_spool(lakehouse: Lakehouse, instance: dg.DagsterInstance, record: RunRecord) -> tuple[str, ...]:
    try:
        add_row(lakehouse.store, instance, record)
    except (RiskError, OSError) as error:
        return (_to_spool(_spool(lakehouse), record, error),)
    return ()


def _to_spool(spool: Spool, record: RunRecord, error: Exception) -> str:
    """Store a row on local disk, and return a warning that says so."""
    reason = error.problem.rstrip(".") if isinstance(error, RiskError) else type(error).__name__
    try:
        path = spool.put(record)
    except OSError as problem:
        return (
            f"the row of the run {record.run_id} is neither in the run log ({reason}) nor in {spool.folder} ({problem.strerror}). "
            "Materialize logs/batch_runs for its date to add it."
        )
    return f"the row of the run {record.run_id} is in {path} until the next command can add it to the run log: {reason}."


def _spool(lakehouse: Lakehouse) -> Spool:
    return open_spool(lakehouse.settings.dagster_home, lakehouse.settings.lake)


def _has_scored(instance: dg.DagsterInstance, run_id: str) -> bool:
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    return any(event.dagster_event is not None and event.dagster_event.asset_key == PREDICTIONS for event in events)


def _follows_problem(lakehouse: Lakehouse, run: dg.DagsterRun) -> bool:
    """Return whether the last run of the job and the date in the run log failed or warned; true if the lake cannot be reached now.

    Never for the job that scores: a run of it that did not score, such as one of the features alone, did not do what failed or warned.
    """
    if PARTITION_TAG not in run.tags or run.job_name == DAILY_SCORING.name:
        return False
    try:
        records = run_log.records(lakehouse.store, run.tags[PARTITION_TAG])
    except LakeError:
        return True
    before = [record for record in records if record.job == job_name(run.job_name) and record.run_id != run.run_id]
    return bool(before) and before[-1].status != SUCCESS


def _with_figures(store: Store, record: RunRecord) -> RunRecord:
    """Return the record of a run that scored with the figures of its predictions."""
    manifest = _own_predictions(store, record)
    if manifest is None:
        return record
    made_from, facts = manifest.made_from, manifest.facts_as(PredictionFacts)
    return msgspec.structs.replace(
        record,
        model_version=made_from.model_version,
        rows_in=manifest.rows,  # predictions have one row for each raw row
        scored=facts.scored,
        with_issues=facts.with_issues,
        not_eligible=facts.not_eligible,
        min_score=facts.min_score,
        mean_score=facts.mean_score,
        max_score=facts.max_score,
        predicted_bad=facts.predicted_bad,
        challenger=made_from.challenger,
        challenger_scored=facts.challenger_scored,
        challenger_mean_score=facts.challenger_mean_score,
        input=store.uri(layout.accounts(record.date)),
        output=store.uri(manifest.path),
    )


def _own_predictions(store: Store, record: RunRecord) -> Manifest | None:
    """Return the manifest of the predictions that a run made; None if it did not score, or another run has replaced them."""
    path = layout.predictions(record.date)
    if record.status not in (SUCCESS, WARNING) or store.size(layout.manifest(path)) is None:
        return None
    try:
        manifest = find_manifest(store, path)
    except LakeError:  # damaged since
        return None
    return manifest if manifest is not None and manifest.made_from.run_id == record.run_id else None
