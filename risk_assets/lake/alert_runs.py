"""The causes of alerts in the run log: runs that failed, checks that warned, and accounts that are late."""

from collections.abc import Iterator

from risk_assets.clock import shift
from risk_assets.domain.monitoring.alerts import Cause, Gap
from risk_assets.lake import layout, run_log
from risk_assets.lake.alert_scope import AlertScope, Findings
from risk_assets.lake.run_log import BLOCKED, FAILED, LATE, SUCCESS, WARNING, RunRecord

RECENT_DAYS = 7  # dates whose runs are looked up, up to the date of the alerts and to the newest one that has matured
SCORING, OUTCOMES, TRAINING, ALERTS, MATERIALIZE = "daily_scoring", "outcomes", "training", "alerts", "materialize"
SCORING_CHECKS = ("check:raw/accounts.", "check:curated/features.", "check:curated/predictions.", "check:curated/review_list.")
OUTCOMES_CHECKS = ("check:raw/outcomes.", "check:curated/outcomes.")
TRAINING_CHECKS = ("check:training/model.",)
_COMMANDS = {
    SCORING: "run",
    OUTCOMES: "outcomes",
    "account_states": "outcomes",
    TRAINING: "train",
    "monitoring": "monitor",
    "performance": "monitor",
}


def failed_runs(scope: AlertScope) -> Findings:
    """Return the dates and jobs whose newest run failed or was blocked.

    Dates without accounts, which are late, are left out, and trainings after which a later date was trained.
    """
    return Findings(tuple(cause for date in _dates(scope) for cause in _failed_jobs(scope, date)))


def late_accounts(scope: AlertScope) -> Findings:
    """Return the dates that were reported as late and whose accounts have not arrived."""
    return Findings(tuple(_late(date) for date in _dates(scope) if _is_late(scope, date)))


def warned_scoring(scope: AlertScope) -> Findings:
    """Return the checks that warned when the date was scored last."""
    found = [
        record for record in scope.reads.records(scope.date) if _succeeded(record) and (record.job == SCORING or record.scored is not None)
    ]
    if not found:
        return Findings(gaps=(Gap(SCORING_CHECKS, f"{scope.date} was not scored"),))
    return Findings(tuple(_warned(found[-1], SCORING_CHECKS)))


def warned_outcomes(scope: AlertScope) -> Findings:
    """Return the checks that warned when the outcomes of the newest date that has some were stored."""
    return _newest_warned(scope, [date for date in scope.reads.with_outcomes if date <= scope.matured], OUTCOMES, OUTCOMES_CHECKS)


def warned_training(scope: AlertScope) -> Findings:
    """Return the checks that warned in the newest training."""
    return _newest_warned(scope, [date for date in scope.reads.trained if date <= scope.date], TRAINING, TRAINING_CHECKS)


def _newest_warned(scope: AlertScope, dates: list[str], job: str, checks: tuple[str, ...]) -> Findings:
    """Return the checks that warned in the newest run of a job; a success without a warning has no record."""
    if not dates:
        return Findings(gaps=(Gap(checks, f"there is no run of {job}"),))
    records = [record for record in scope.reads.records(dates[-1]) if record.job == job and _succeeded(record)]
    return Findings(tuple(_warned(records[-1], checks)) if records else ())


def _dates(scope: AlertScope) -> list[str]:
    """Return the dates whose runs are looked up: recent ones, and those of alerts that are open."""
    recent = {shift(last, -back) for last in (scope.date, scope.matured) for back in range(RECENT_DAYS)}
    carried = {name.rpartition(":")[2] for name in scope.carried if name.startswith(("run:", "late:accounts:"))}
    return sorted((recent | carried) & {*scope.reads.run_dates})


def _failed_jobs(scope: AlertScope, date: str) -> Iterator[Cause]:
    newest = {record.job: record for record in scope.reads.records(date) if record.status != LATE}
    succeeded = [record.timestamp for record in newest.values() if _succeeded(record)]
    for job, record in newest.items():
        if _succeeded(record) or job == ALERTS:
            continue
        replaced = job == MATERIALIZE and max(succeeded, default="") > record.timestamp
        replaced |= job == TRAINING and any(date < later <= scope.date for later in scope.reads.trained)
        if not replaced and not (job == SCORING and _is_late(scope, date)):
            yield _failed(record)


def _is_late(scope: AlertScope, date: str) -> bool:
    return (
        any(record.status == LATE for record in scope.reads.records(date))
        and scope.reads.store.size(layout.manifest(layout.accounts(date))) is None
    )


def _succeeded(record: RunRecord) -> bool:
    return record.status in (SUCCESS, WARNING)


def _failed(record: RunRecord) -> Cause:
    how = {BLOCKED: "was blocked", FAILED: "failed"}[record.status]
    command = _COMMANDS.get(record.job)
    again = f"risk {command} {record.date}" if command else f"materialize the partition {record.date} again in the UI"
    evidence = f"the newest run of {record.job} for {record.date} {how}: {record.error or 'without an error'}"
    return Cause("run", f"{record.job}:{record.date}", evidence, f"Fix the cause, then: {again}.")


def _late(date: str) -> Cause:
    evidence = f"the accounts of {date} had not arrived by the deadline, and are not in the lake"
    return Cause("late", f"accounts:{date}", evidence, f"Land and run them: risk land FILE --date {date}, then risk run {date}.")


def _warned(record: RunRecord, checks: tuple[str, ...]) -> Iterator[Cause]:
    for name, text in run_log.warned_checks(record).items():
        if f"check:{name}".startswith(checks):
            asset, _, check = name.partition(".")
            step = f"Read what {check} means in risk_assets/README.md, and fix its cause. The check is resolved when it passes."
            subject = f"{name}:{record.date}" if record.job == TRAINING else name  # each training is another version
            yield Cause("check", subject, f"{check} of {asset} warned for {record.date}: {text}", step)
