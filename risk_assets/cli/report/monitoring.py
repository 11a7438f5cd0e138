"""Reports of monitoring."""

from collections.abc import Sequence

from risk_assets.cli.console import LiteralConsole, styled
from risk_assets.cli.report.tables import new_table
from risk_assets.domain.monitoring import performance_evidence as evidence
from risk_assets.domain.monitoring.evidence import HEADER, flagged_text, rows, statistic_text, summary
from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.domain.monitoring.report import DriftReport
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
