"""Commands that show whether a model is still right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import finish, out, print_warning
from risk_assets.clock import parse_date, utc_now

if TYPE_CHECKING:
    from risk_assets.alerts.receivers import Receiver
    from risk_assets.domain.monitoring.alerts import AlertReport
    from risk_assets.lake.store import Store
    from risk_assets.runner import Result
    from risk_assets.settings import Settings


DELIVERY_SECONDS = 300


def monitor(
    date: Annotated[str | None, typer.Argument(metavar="[DATE]", help="Scored date, YYYY-MM-DD. Defaults to the newest one.")] = None,
) -> None:
    """Show how far a scored date is from the training rows of the version that scored it, and how well models predicted outcomes.

    Drift: PSI, missing values, unseen levels and numbers out of range of each feature; the points by which it shifted the mean score; and
    why the number of accounts that are predicted bad changed.

    Requests to the service on the date (UTC), if there are any: the same figures next to the batch, and whether the batch gives the same
    answers.

    Performance, when outcomes have matured: AUC, Gini, KS, Brier score, and expected and observed bads, by band and category, of the
    champion and of a challenger or a shadow, next to the holdouts at training. Before, the models' own estimates.

    Figures beyond their limits are warnings: the exit code is 0. Reports that are stored and current are shown as they are. Otherwise the
    jobs `monitoring` and `performance` make them.
    """
    from risk_assets.cli.report import monitoring as report
    from risk_assets.lake import drift_files, performance_files
    from risk_assets.lake.dates import newest_date

    settings = context.settings()
    lake = settings.open_lake()
    day = parse_date(date) if date else newest_date(lake, drift_files.PREDICTIONS)
    drift_files.require_scored(lake, day)
    policy, today = context.documents(settings, lake).policy.digest, settings.calendar.day(utc_now())
    current = {
        "monitoring": drift_files.is_current(lake, day, policy),
        "performance": performance_files.is_current(lake, day, policy, today),
    }
    failed = _make(settings, day, [job for job, is_current in current.items() if not is_current])
    if "monitoring" not in failed:
        report.drift(out(), drift_files.read(lake, day).report)
    if "performance" not in failed:
        report.performance(out(), performance_files.read(lake, day), performance_files.read_revisions(lake, day))
    if failed:
        finish([*failed.values()])


def alerts(
    date: Annotated[str | None, typer.Argument(metavar="[DATE]", help="Date, YYYY-MM-DD. Defaults to the newest one.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send the messages that are pending now, also to receivers that wait.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Only send a test message to each receiver.")] = False,
) -> None:
    """Show the alerts as of a date: what exceeded which limit, failed or is late, by how much, since when, and what to do.

    Alerts that are stored and made from the present evidence are shown as they are. Otherwise the job `alerts` evaluates the date.

    Messages go to the receivers that RISK_ALERT_WEBHOOK, RISK_ALERT_SMTP and RISK_ALERT_FILE name. The job queues those about the newest
    date, and the sensor `deliver_alerts` or `--send` sends them. Open alerts are not failures: the exit code is 0.
    """
    from risk_assets.cli.report import monitoring as report
    from risk_assets.lake import alert_evidence, alert_files

    settings = context.settings()
    lake = settings.open_lake()
    if test:
        _send_test(settings, lake)
        return
    day = parse_date(date) if date else alert_evidence.newest_with_evidence(lake)
    documents = context.documents(settings, lake)
    evidence = alert_evidence.collect(lake, day, documents.contract, documents.policy, settings.calendar)
    if not alert_files.is_current(lake, day, evidence.digest):
        failed = _make(settings, day, ["alerts"])
        if failed:
            finish([*failed.values()])
    found = alert_files.read(lake, day).report
    report.alerts(out(), found)
    if send:
        _send(settings, lake, found)


def _send(settings: "Settings", lake: "Store", found: "AlertReport") -> None:
    """Queue what was not announced yet, as when there was no receiver, and send all messages that are pending."""
    from risk_assets.alerts.delivery import deliver_all
    from risk_assets.alerts.outbox import announce, not_announced
    from risk_assets.cli.report import monitoring as report

    to = _receivers(settings)
    if not to:
        return
    today = settings.calendar.day(utc_now())
    if why := not_announced(lake, found, today):
        print_warning("alerts", f"{why}. To try the receivers: risk alerts --test.")
    announce(lake, found, today)
    report.deliveries(out(), deliver_all(lake, to, DELIVERY_SECONDS))


def _send_test(settings: "Settings", lake: "Store") -> None:
    """Send a test message to each receiver, and print what each did."""
    from risk_assets.alerts.delivery import deliver_test
    from risk_assets.cli.report import monitoring as report

    report.deliveries(out(), deliver_test(lake.url, settings.calendar.day(utc_now()), _receivers(settings)))


def _receivers(settings: "Settings") -> "tuple[Receiver, ...]":
    """Return the receivers of the settings; prints which settings name one if there is none."""
    from risk_assets.alerts.receivers import NO_RECEIVER, receivers

    found = receivers(settings)
    if not found:
        print_warning("alerts", f"{NO_RECEIVER}.")
    return found


def _make(settings: "Settings", date: str, jobs: Sequence[str]) -> dict[str, "Result"]:
    """Make the reports of a date by jobs, and return the runs that failed."""
    if not jobs:
        return {}
    with context.runner(settings) as runner:
        found = {job: runner.run(job, date) for job in jobs}
    return {job: made for job, made in found.items() if made.error}
