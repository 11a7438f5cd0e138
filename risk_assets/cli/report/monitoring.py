"""Reports of monitoring."""

from collections.abc import Sequence

from risk_assets.alerts.delivery import Delivery
from risk_assets.cli.console import LiteralConsole, styled
from risk_assets.cli.report.tables import new_table
from risk_assets.domain.monitoring import performance_evidence as evidence
from risk_assets.domain.monitoring.alerts import HEADER as ALERT_HEADER
from risk_assets.domain.monitoring.alerts import OPENED, RESOLVED, AlertReport
from risk_assets.domain.monitoring.alerts import rows as alert_rows
from risk_assets.domain.monitoring.evidence import (
    HEADER,
    ONLINE_HEADER,
    flagged_text,
    online_drifts,
    online_rows,
    online_summary,
    parity_text,
    rows,
    statistic_text,
    summary,
)
from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.domain.monitoring.report import DriftReport, OnlineShift
from risk_assets.domain.wording import counted
from risk_assets.lake.performance_files import StoredPerformance


def drift(console: LiteralConsole, report: DriftReport) -> None:
    """Print the drift of a date: the score, then each feature, the largest shift first; figures beyond their limits are red."""
    table = new_table(f"Drift of {report.date}", *HEADER)
    for each, cells in zip((report.score, *report.features), rows(report), strict=True):
        table.add_row(*cells, style="red" if each.exceeded else None)
    console.print(table)
    console.print(f"{summary(report)}.", soft_wrap=True)
    if report.flagged:
        console.print(f"{flagged_text(report.flagged)}.", soft_wrap=True)
    for exceeded in report.exceeded:
        console.print(styled(("beyond its limit:", "bold red"), f" {statistic_text(*exceeded)}"), soft_wrap=True)
    for note in report.notes:
        console.print(styled(("note:", "yellow"), f" {note}"), soft_wrap=True)
    if report.online:
        _online(console, report, report.online)


def _online(console: LiteralConsole, report: DriftReport, online: OnlineShift) -> None:
    """Print the requests of the date next to the batch, and whether the batch gives the same answers."""
    table = new_table(f"Requests of {report.date} (UTC) next to the batch", *ONLINE_HEADER)
    for each, cells in zip(online_drifts(report), online_rows(report), strict=True):
        table.add_row(*cells, style="red" if each.exceeded else None)
    if online.score:
        console.print(table)
    console.print(f"{online_summary(report)}.", soft_wrap=True)
    for exceeded in online.exceeded:
        console.print(styled(("requests beyond its limit:", "bold red"), f" {statistic_text(*exceeded)}"), soft_wrap=True)
    color = "green" if online.parity.agrees else "red"
    console.print(styled(("parity:", f"bold {color}"), f" {parity_text(online.parity)}."), soft_wrap=True)


def health(console: LiteralConsole, shifts: DriftReport, results: PerformanceReport) -> None:
    """Print the drift and the performance of a date, in one sentence each."""
    found = (
        ("Drift", shifts.date, summary(shifts), shifts.exceeded),
        ("Performance", results.date, evidence.summary(results), results.exceeded),
    )
    for name, date, text, exceeded in found:
        console.print(styled((f"{name} of {date}:", f"bold {'yellow' if exceeded else 'green'}"), f" {text}."), soft_wrap=True)


def performance(console: LiteralConsole, stored: StoredPerformance, earlier: Sequence[StoredPerformance]) -> None:
    """Print the performance of a date: models next to training, bands and categories, migration, and what was known before."""
    report = stored.report
    state = f"outcomes known by {report.as_of}" if report.matured else "estimates"
    _print_table(console, f"Performance of {report.date}, {state}", evidence.HEADER, evidence.rows(report))
    _print_parts(console, report)
    console.print(f"{evidence.description(report)}.", soft_wrap=True)
    for exceeded in report.exceeded:
        console.print(styled(("beyond its limit:", "bold red"), f" {evidence.exceeded_text(*exceeded)}"), soft_wrap=True)
    for note in report.notes:
        console.print(styled(("note:", "yellow"), f" {note}"), soft_wrap=True)
    for before in earlier:
        text = f"revision {before.revision}, known by {before.report.as_of}: {evidence.summary(before.report)}"
        console.print(styled((text, "dim")), soft_wrap=True)


def alerts(console: LiteralConsole, report: AlertReport) -> None:
    """Print the alerts of a date: a table of them, those that are open in red, and what could not be evaluated."""
    table = new_table(f"Alerts as of {report.date}", *ALERT_HEADER)
    for alert, cells in zip(report.alerts, alert_rows(report), strict=True):
        table.add_row(*cells, style="red" if alert.is_open else "green")
    if report.alerts:
        console.print(table)
    opened, resolved = report.count(OPENED), report.count(RESOLVED)
    counts = f"{counted(len(report.open), 'alert')} open as of {report.date}, {opened} of them new, {resolved} resolved."
    console.print(styled((counts, "bold yellow" if report.open else "bold green")), soft_wrap=True)
    for gap in report.gaps:
        names = ", ".join(name.rstrip(":.") for name in gap.names)
        console.print(styled(("not evaluated:", "yellow"), f" {names}: {gap.why}"), soft_wrap=True)


def deliveries(console: LiteralConsole, found: Sequence[Delivery]) -> None:
    """Print what each receiver did with the messages that were pending."""
    if not found:
        console.print("no message is pending")
    for delivery in found:
        console.print(styled((str(delivery), "yellow" if delivery.reason else "green")), soft_wrap=True)
        for status, messages in (("accepted", delivery.accepted), ("refused", delivery.refused), ("waiting", delivery.waiting)):
            for message in messages:
                console.print(styled(f"  {status}: {message.cause} {message.status}, since {message.since}"), soft_wrap=True)


def _print_parts(console: LiteralConsole, report: PerformanceReport) -> None:
    _print_table(
        console, "Bands and categories", evidence.PARTS_HEADER, [row for model in report.models for row in evidence.part_rows(model)]
    )
    moved, curve = report.migration, report.vintage
    if moved:
        _print_table(console, "Accounts by band", evidence.migration_header(moved), evidence.migration_rows(moved))
    if curve:
        _print_table(console, "Bad before the window ends", evidence.vintage_header(curve), evidence.vintage_rows(curve))


def _print_table(console: LiteralConsole, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = new_table(title, *header)
    for cells in rows:
        table.add_row(*cells)
    if rows:
        console.print(table)
