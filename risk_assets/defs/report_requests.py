"""Requests runs that make the reports of dates: while a report is not current, and a limited number of times in a row."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg
import msgspec

from risk_assets.defs.failures import PARTITION_TAG
from risk_assets.defs.outcomes import LAKE_TAG, is_of_lake
from risk_assets.defs.resources import Lakehouse

MAX_ATTEMPTS = 3  # runs in a row for the same evidence, or the same files, that did not finish their work


@dataclass(frozen=True)
class Reports:
    """A kind of report: the job and the command that make it, the most dates with a run under way, and what is said if all are current."""

    job: str
    command: str
    at_once: int
    current: str


class Attempts(msgspec.Struct, frozen=True):
    """How often a report was requested from the same evidence since it was current or its evidence was another."""

    evidence: str
    requested: int = 0


def request_reports(
    context: dg.SensorEvaluationContext, lakehouse: Lakehouse, reports: Reports, outdated: Mapping[str, str]
) -> dg.SensorResult:
    """Return the runs that make the reports of dates.

    A date is requested again while its report is not current, so also after evidence that has changed and changed back, and after a
    report was deleted. It is left alone while a run of the job for it is under way, and after `MAX_ATTEMPTS` requests from the same
    evidence: the skip reason then names it, and the dates after it are requested. The cursor has the attempts of each date; a date
    whose report is current is not in it.

    Parameters
    ----------
    outdated
        The dates without a current report, oldest first, with a digest of the evidence from which it would be made.
    """
    before = msgspec.json.decode(context.cursor, type=dict[str, Attempts]) if context.cursor else {}
    attempts = {date: _attempts(before.get(date), evidence) for date, evidence in outdated.items()}
    runs = {date: _runs(context.instance, lakehouse, reports.job, date) for date in outdated}
    under_way = [date for date in outdated if not all(run.is_finished for run in runs[date])]
    idle = [date for date in outdated if date not in under_way]
    stuck = [date for date in idle if attempts[date].requested >= MAX_ATTEMPTS]
    due = [date for date in idle if date not in stuck][: max(reports.at_once - len(under_way), 0)]
    requests = [_request(lakehouse, reports.job, date, outdated[date], runs[date]) for date in due]
    cursor = attempts | {date: Attempts(outdated[date], attempts[date].requested + 1) for date in due}
    said = "; ".join(_notes(reports, under_way, stuck)) or reports.current
    return dg.SensorResult(run_requests=requests, cursor=msgspec.json.encode(cursor).decode(), skip_reason=None if requests else said)


def _attempts(before: Attempts | None, evidence: str) -> Attempts:
    return before if before and before.evidence == evidence else Attempts(evidence)


def _runs(instance: dg.DagsterInstance, lakehouse: Lakehouse, job: str, date: str) -> list[dg.DagsterRun]:
    """Return the runs of a job for a date that were started or wait in the queue, newest first, whoever started them.

    One that was created and not submitted, as when the daemon ends in between, is left out: Dagster starts it when its key is
    requested again.
    """
    runs = instance.get_runs(dg.RunsFilter(job_name=job, tags={PARTITION_TAG: date}))
    return [run for run in runs if run.status != dg.DagsterRunStatus.NOT_STARTED and is_of_lake(run, lakehouse)]


def _request(lakehouse: Lakehouse, job: str, date: str, evidence: str, runs: list[dg.DagsterRun]) -> dg.RunRequest:
    """Return a request whose key changes with each run of the date: Dagster never starts a second run for a key."""
    key = f"{job}_{date}_{evidence}_after_{runs[0].run_id[:8] if runs else 'none'}"
    return dg.RunRequest(run_key=key, partition_key=date, job_name=job, tags={LAKE_TAG: lakehouse.settings.lake})


def _notes(reports: Reports, under_way: list[str], stuck: list[str]) -> list[str]:
    notes = [f"under way: {', '.join(under_way)}"] if under_way else []
    if stuck:
        notes.append(
            f"the job {reports.job} was requested {MAX_ATTEMPTS} times from the same evidence, and left no current report of "
            f"{', '.join(stuck)}. Read the errors of its runs, fix the cause, then: {reports.command} {stuck[0]}."
        )
    return notes
