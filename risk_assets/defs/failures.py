"""How runs that fail, warn or are blocked are reported: in the UI, and in their row of the run log."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from risk_assets.errors import RiskError
from risk_assets.lake.run_log import BLOCKED, FAILED

PARTITION_TAG = "dagster/partition"
AD_HOC_JOB = "__ASSET_JOB"
KILLED = "the run ended without an error: killed, out of memory, or its host stopped. Run it again."
CANCELED = "the run was canceled by a person. Run the date again."
INTERRUPTED = "the run was interrupted (Ctrl-C, or SIGTERM of the system). Run the date again."
INTERRUPTED_TAG = "risk/interrupted"  # on a run that a signal ended, even before its first step
STEP_FAILURE, CHECK = dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION


@contextmanager
def reported_failures() -> Iterator[None]:
    """Raise a `RiskError` as `dagster.Failure`: the UI shows the message first and the next step as metadata, and never retries."""
    try:
        yield
    except RiskError as error:
        metadata = {"next_step": error.next_step} if error.next_step else {}
        raise dg.Failure(description=" ".join(str(error).split()), metadata=metadata, allow_retries=False) from None


@dataclass(frozen=True)
class FailedCheck:
    """A check that failed in a run: the asset, the check, its figures, and whether it only warns."""

    asset: str
    check: str
    description: str
    warns: bool

    def __str__(self) -> str:
        """The check with its figures."""
        return f"{self.check} of {self.asset}: {self.description}"


@dataclass(frozen=True)
class Ending:
    """How a run ended: `blocked` or `failed` and why, or `warning`."""

    status: str
    error: str | None


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> tuple[FailedCheck, ...]:
    """Return the checks that failed in a run, in order."""
    found: list[FailedCheck] = []
    for result in _evaluations(instance, run_id):
        if not result.passed:
            warns = result.severity == dg.AssetCheckSeverity.WARN
            found.append(FailedCheck(result.asset_key.to_user_string(), result.check_name, result.description or "failed", warns))
    return tuple(found)


def passed_checks(instance: dg.DagsterInstance, run_id: str) -> frozenset[str]:
    """Return the names of the checks that passed in a run so far."""
    return frozenset(result.check_name for result in _evaluations(instance, run_id) if result.passed)


def ending(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Ending:
    """Return how a run failed.

    The error is the message of the product's own error, or the blocking check that failed. Of any other error only the type
    is given, because its text might contain a customer's values.
    """
    failures = instance.all_logs(run.run_id, of_type=STEP_FAILURE)
    if run.status == dg.DagsterRunStatus.CANCELED:
        return Ending(FAILED, CANCELED)
    if not failures:
        return Ending(FAILED, INTERRUPTED if INTERRUPTED_TAG in run.tags else KILLED)
    (failure, *_) = (event.dagster_event.step_failure_data for event in failures if event.dagster_event)
    if failure.user_failure_data and failure.user_failure_data.description:
        return Ending(FAILED, failure.user_failure_data.description)
    blocking = [str(check) for check in failed_checks(instance, run.run_id) if not check.warns]
    if blocking:
        return Ending(BLOCKED, "; ".join(blocking))
    error = _root_type(failure.error)
    if error == dg.DagsterExecutionInterruptedError.__name__:
        return Ending(FAILED, INTERRUPTED)
    return Ending(FAILED, f"unexpected {error}: open the run in the UI for its trace")


def job_name(name: str) -> str:
    """Return a job's name for people: Dagster names a run of selected assets `__ASSET_JOB`."""
    return "materialize" if name.startswith(AD_HOC_JOB) else name


def _evaluations(instance: dg.DagsterInstance, run_id: str) -> list[Any]:
    """Return the evaluations of checks in a run, in order."""
    events = (record.dagster_event for record in instance.all_logs(run_id, of_type=CHECK))
    return [event.event_specific_data for event in events if event and event.event_specific_data]


def _root_type(error: Any) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    return error.cls_name if error is not None else "error"
