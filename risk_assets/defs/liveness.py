"""Runs whose process was killed: Dagster leaves them as started, and their dates could not run again."""

import time
from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg
import msgspec
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG

from risk_assets.defs.code_location import LOCATION
from risk_assets.defs.failures import KILLED, PARTITION_TAG, STEP_FAILURE, job_name
from risk_assets.defs.jobs import GOVERNANCE, TRAINING
from risk_assets.defs.outcomes import LAKE_TAG, is_of_lake, record_outcome
from risk_assets.defs.resources import Lakehouse
from risk_assets.processes import Process, is_gone, this_process

PROCESS_TAG = "risk/process"
UNREPORTED_TAG = "risk/unreported"  # the id of the run until its command has printed the result; a copy on another run does not count
UNMARKED_SECONDS = 600  # from when a run that no process has marked counts as dead
Status = dg.DagsterRunStatus
UNFINISHED = [Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING]


class RunProcess(msgspec.Struct, frozen=True):
    """The process of a run. A run that is executed again has the tags of the first one, with another run id."""

    run_id: str
    process: Process


def process_tags(run_id: str, lake: str) -> dict[str, str]:
    """Return the tags that mark a run as executed by this process, on the lake at an address."""
    return {PROCESS_TAG: msgspec.json.encode(RunProcess(run_id, this_process())).decode(), LAKE_TAG: lake}


def mark_alive(context: dg.AssetExecutionContext, lake: str) -> None:
    """Mark the run of a step as executed by this process, unless it is marked. Every step calls it first."""
    run, tags = context.run, process_tags(context.run.run_id, lake)
    if tags.items() <= run.tags.items():
        return
    stored = context.instance.get_run_by_id(run.run_id)
    if stored is not None and not tags.items() <= stored.tags.items():
        context.instance.add_run_tags(run.run_id, tags)


def is_dead(record: dg.RunRecord) -> bool | None:
    """Return whether the process of a run has ended; None if that is not known, as on another host."""
    run = record.dagster_run
    marked = _process_of(run)
    if marked is not None:
        return is_gone(marked)
    origin = run.remote_job_origin
    if run.status == Status.NOT_STARTED or origin is None or origin.location_name != LOCATION:
        return None
    since = record.start_time or record.update_timestamp.timestamp()
    return True if time.time() - since > UNMARKED_SECONDS else None


def sweep_killed(lakehouse: Lakehouse, instance: dg.DagsterInstance) -> tuple[str, ...]:
    """Report runs whose process is gone as failed, and add their rows to the run log; return what happened, for people."""
    notes: list[str] = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        if not is_of_lake(record.dagster_run, lakehouse) or not is_dead(record):
            continue
        run = instance.get_run_by_id(record.dagster_run.run_id)  # it may have ended between the query and its process's end
        if run is None or run.is_finished:
            continue
        instance.report_run_failed(run, message=KILLED)
        what = run.tags.get(PARTITION_TAG) or job_name(run.job_name)
        notes.append(f"the run {run.run_id} of {what} is now reported as failed: {KILLED}")
        notes.extend(record_outcome(lakehouse, instance, run.run_id))
    return tuple(notes)


def unreported_tags(run_id: str, job: str) -> dict[str, str]:
    """Return the tags of a command's run that must not be repeated as a new one, until `report` has removed the mark."""
    return {UNREPORTED_TAG: run_id} if job in (TRAINING.name, GOVERNANCE.name) else {}


def is_unreported(run: dg.DagsterRun) -> bool:
    """Return whether a run is of a command that has not printed its result; a run that the UI executes again is not."""
    return run.tags.get(UNREPORTED_TAG) == run.run_id


def report(instance: dg.DagsterInstance, run_id: str) -> None:
    """Mark the result of a run as printed by its command."""
    instance.add_run_tags(run_id, {UNREPORTED_TAG: ""})


def lineage_tags(
    instance: dg.DagsterInstance, lake: str, job: str, date: str | None, ops: Mapping[str, Any], only: Collection[dg.AssetKey] = ()
) -> dict[str, str]:
    """Return the tags that make a new run a retry of the last run of a job and date, on a lake, if that was killed; none otherwise.

    A retry follows the leases of the killed run at once, completes the version that it had begun, and does not repeat a change
    of what is live that it had made. Only a run with the same configuration is a retry. A run that succeeded counts as killed if
    its command was killed before it had printed the result; then its retry must also have the same assets.
    """
    filters = dg.RunsFilter(job_name=job, tags={LAKE_TAG: lake, **({PARTITION_TAG: date} if date else {})})
    for record in instance.get_run_records(filters, limit=1):
        last = record.dagster_run
        same = last.run_config.get("ops", {}) == ops
        if same and (_was_killed(instance, last) or (_is_lost(record) and frozenset(last.asset_selection or ()) == frozenset(only))):
            return {PARENT_RUN_ID_TAG: last.run_id, ROOT_RUN_ID_TAG: root_run_id(last)}
    return {}


def _was_killed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    return run.status == Status.FAILURE and not instance.all_logs(run.run_id, of_type=STEP_FAILURE)


def _is_lost(record: dg.RunRecord) -> bool:
    """Return whether a run has succeeded, and its command has ended without printing the result."""
    run = record.dagster_run
    return run.is_success and is_unreported(run) and bool(is_dead(record))


def root_run_id(run: dg.DagsterRun) -> str:
    """Return the first run of a run and its retries."""
    return run.tags.get(ROOT_RUN_ID_TAG, run.run_id)


def _process_of(run: dg.DagsterRun) -> Process | None:
    try:
        marked = msgspec.json.decode(run.tags.get(PROCESS_TAG, ""), type=RunProcess)
    except msgspec.MsgspecError:
        return None
    return marked.process if marked.run_id == run.run_id else None
