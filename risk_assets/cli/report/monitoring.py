"""Reports of monitoring."""

from rich.console import Console
from rich.markup import escape

from risk_assets.cli.report.tables import new_table
from risk_assets.domain.monitoring.evidence import HEADER, flagged_text, rows, statistic_text, summary
from risk_assets.domain.monitoring.report import DriftReport


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


def health(console: Console, report: DriftReport) -> None:
    """Print the drift of a date in one sentence."""
    style = "yellow" if report.exceeded else "green"
    console.print(f"[bold {style}]Drift of {report.date}:[/] {escape(summary(report))}.", soft_wrap=True, highlight=False)
