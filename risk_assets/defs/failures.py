"""What is left of a run that failed: its row in the run log."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from risk_assets.clock import utc_now
from risk_assets.defs.resources import Lakehouse
from risk_assets.errors import RiskError
from risk_assets.lake import run_log
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.store import Store

PARTITION_TAG = "dagster/partition"
AD_HOC_JOB = "__ASSET_JOB"
KILLED = "the run stopped without a word: it was killed, ran out of memory, or its machine stopped. Run the date again."


@dg.failure_hook(required_resource_keys={"lakehouse"})
def log_failure(context: dg.HookContext) -> None:
    """Add the failed run to the run log, in the very process that failed, whatever started it."""
    error = context.op_exception
    record_failure(context.resources.lakehouse, context.instance, context.run_id, explain(error) if error else "the run failed")


def record_failure(lakehouse: Lakehouse, instance: dg.DagsterInstance, run_id: str, error: str) -> None:
    """Add a failed run to the run log; where it has a row already, that one stands."""
    found = instance.get_run_record_by_id(run_id)
    if found is None:
        return
    run, started, now = found.dagster_run, found.start_time, found.update_timestamp.timestamp()
    job = "materialize" if run.job_name.startswith(AD_HOC_JOB) else run.job_name
    seconds = round(max(now - started, 0), 3) if started else None
    add_failure(lakehouse.store, run.tags.get(PARTITION_TAG, "none"), job, run_id, error, seconds)


def add_failure(store: Store, date: str, job: str, run_id: str, error: str, seconds: float | None = None) -> None:
    """Add a failure to the run log of a lake."""
    record = RunRecord(timestamp=utc_now("milliseconds"), date=date, job=job, status="failure", run_id=run_id, error=error, seconds=seconds)
    run_log.add(store, record)


def explain(error: BaseException) -> str:
    """Return the message of the product's own error below what Dagster wrapped around it.

    Of any other error only the type is told: its text might hold a customer's values.
    """
    for cause in _causes(error):
        if isinstance(cause, RiskError):
            return " ".join(str(cause).split())
        if isinstance(cause, dg.DagsterError) and type(cause).__name__ == "DagsterAssetCheckFailedError":
            return " ".join(str(cause).split())
    root = list(_causes(error))[-1]
    return f"unexpected {type(root).__name__}: open the run in the UI for its trace"


def explain_recorded(error: Any) -> str:
    """Return the product's own message in an error that Dagster has recorded; of any other only the type."""
    ours = _names(RiskError) | {"DagsterAssetCheckFailedError"}
    kind = "error"
    while error is not None:
        kind = error.cls_name
        if kind in ours:
            return " ".join(error.message.split(": ", 1)[-1].split())
        error = error.cause
    return f"unexpected {kind}: open the run in the UI for its trace"


def _names(kind: type[RiskError]) -> set[str]:
    return {kind.__name__}.union(*map(_names, kind.__subclasses__()))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or getattr(error, "user_exception", None)
