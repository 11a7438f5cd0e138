"""How a failed run is reported: in the UI, and as a row of the run log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from risk_assets.clock import utc_now
from risk_assets.errors import RiskError
from risk_assets.lake import run_log
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.store import Store

PARTITION_TAG = "dagster/partition"
AD_HOC_JOB = "__ASSET_JOB"
KILLED = "the run ended without an error: killed, out of memory, or its host stopped. Run the date again."
STEP_FAILURE, CHECK = dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION


@contextmanager
def reported_failures() -> Iterator[None]:
    """Raise a `RiskError` as `dagster.Failure`, which the UI shows message first and never retries."""
    try:
        yield
    except RiskError as error:
        raise dg.Failure(description=" ".join(str(error).split()), allow_retries=False) from None


def record_failure(store: Store, instance: dg.DagsterInstance, run_id: str) -> None:
    """Add a failed run to the run log; a row that the run already has is kept."""
    found = instance.get_run_record_by_id(run_id)
    if found is None:
        return
    run, started, ended = found.dagster_run, found.start_time, found.update_timestamp.timestamp()
    seconds = round(max(ended - started, 0), 3) if started else None
    add_failure(store, run.tags.get(PARTITION_TAG, "none"), job_name(run.job_name), run_id, explain(instance, run_id), seconds)


def add_failure(store: Store, date: str, job: str, run_id: str, error: str, seconds: float | None = None) -> None:
    """Add a failure to a lake's run log."""
    record = RunRecord(timestamp=utc_now("milliseconds"), date=date, job=job, status="failure", run_id=run_id, error=error, seconds=seconds)
    run_log.add(store, record)


def job_name(name: str) -> str:
    """Return a job's name for people: Dagster names a run of selected assets `__ASSET_JOB`."""
    return "materialize" if name.startswith(AD_HOC_JOB) else name


def explain(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return why a run failed.

    This is the message of the product's own error, or the blocking check that failed. Of any other error only the type is
    given, because its text might contain a customer's values.
    """
    failures = instance.all_logs(run_id, of_type=STEP_FAILURE)
    if not failures:
        return KILLED
    (failure, *_) = (event.dagster_event.step_failure_data for event in failures if event.dagster_event)
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    failed = [name for name in _failed_checks(instance, run_id) if name]
    return "; ".join(failed) if failed else f"unexpected {_root_type(failure.error)}: open the run in the UI for its trace"


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[str]:
    """Yield each failed check of severity ERROR."""
    for record in instance.all_logs(run_id, of_type=CHECK):
        found: Any = record.dagster_event and record.dagster_event.event_specific_data
        if found and not found.passed and found.severity == dg.AssetCheckSeverity.ERROR:
            yield f"the check {found.check_name} of {found.asset_key.to_user_string()} failed: see its evidence in the asset's Checks tab"


def _root_type(error: Any) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    return error.cls_name if error is not None else "error"
