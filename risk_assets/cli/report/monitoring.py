"""Reports of monitoring."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from risk_assets.cli.report.tables import new_table
from risk_assets.domain.monitoring import performance_evidence as evidence
from risk_assets.domain.monitoring.evidence import HEADER, flagged_text, rows, statistic_text, summary
from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.domain.monitoring.report import DriftReport
from risk_assets.lake.performance_files import StoredPerformance


def drift(console: Console, report: DriftReport) -> None:
    """Print the drift of a date: the score, then each feature, the largest shift first; figures beyond their limits are red."""
    table = new_table(f"Drift of {report.date}", *HEADER)
    for each, cells in zip((report.score, *report.features), rows(report), strict=True):
        table.add_row(*map(escape, cells), style="red" if each.exceeded else None)
    console.print(table)
    console.print(f"{summary(report)}.", soft_wrap=True, highlight=False, markup=False)
    if report.flagged:
        console.print(f"{flagged_text(report.flagged)}.", soft_wrap=True, highlight=False, markup=False)
    for exceeded in report.exceeded:
        console.print(f"[bold red]beyond its limit:[/] {escape(statistic_text(*exceeded))}", soft_wrap=True, highlight=False)
    for note in report.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True, highlight=False)


def health(console: Console, shifts: DriftReport, results: PerformanceReport) -> None:
    """Print the drift and the performance of a date, in one sentence each."""
    found = (
        ("Drift", shifts.date, summary(shifts), shifts.exceeded),
        ("Performance", results.date, evidence.summary(results), results.exceeded),
    )
    for name, date, text, exceeded in found:
        console.print(f"[bold {'yellow' if exceeded else 'green'}]{name} of {date}:[/] {escape(text)}.", soft_wrap=True, highlight=False)


def performance(console: Console, stored: StoredPerformance, earlier: Sequence[StoredPerformance]) -> None:
    """Print the performance of a date: models next to training, bands and categories, migration, and what was known before."""
    report = stored.report
    state = f"outcomes known by {report.as_of}" if report.matured else "estimates"
    _print_table(console, f"Performance of {report.date}, {state}", evidence.HEADER, evidence.rows(report))
    _print_parts(console, report)
    console.print(f"{evidence.summary(report)}.", soft_wrap=True, highlight=False, markup=False)
    for exceeded in report.exceeded:
        console.print(f"[bold red]beyond its limit:[/] {escape(evidence.exceeded_text(*exceeded))}", soft_wrap=True, highlight=False)
    for note in report.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True, highlight=False)
    for before in earlier:
        text = f"revision {before.revision}, known by {before.report.as_of}: {evidence.summary(before.report)}"
        console.print(f"[dim]{escape(text)}[/]", soft_wrap=True, highlight=False)


def _print_parts(console: Console, report: PerformanceReport) -> None:
    _print_table(
        console, "Bands and categories", evidence.PARTS_HEADER, [row for model in report.models for row in evidence.part_rows(model)]
    )
    moved, curve = report.migration, report.vintage
    if moved:
        _print_table(console, "Accounts by band", evidence.migration_header(moved), evidence.migration_rows(moved))
    if curve:
        _print_table(console, "Bad before the window ends", evidence.vintage_header(curve), evidence.vintage_rows(curve))


def _print_table(console: Console, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = new_table(title, *map(escape, header))
    for cells in rows:
        table.add_row(*map(escape, cells))
    if rows:
        console.print(table)
