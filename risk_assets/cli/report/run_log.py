"""Report of the run log."""

from collections.abc import Iterable, Mapping

from risk_assets.cli.console import LiteralConsole
from risk_assets.cli.report.tables import new_table

COLUMNS = {
    "timestamp": "time (UTC)",
    "date": "date",
    "job": "job",
    "status": "status",
    "model_version": "version",
    "rows_in": "rows",
    "scored": "scored",
    "with_issues": "issues",
    "not_eligible": "not eligible",
    "predicted_bad": "bad",
    "mean_score": "mean",
    "seconds": "seconds",
    "error": "error",
    "warnings": "warnings",
}


STYLES = {"success": None, "warning": "yellow"}


def newest(console: LiteralConsole, rows: Iterable[Mapping[str, str]]) -> None:
    """Print rows of the run log; warnings are yellow, blocked, failed and late dates red."""
    table = new_table("Run log", *COLUMNS.values())
    for row in rows:
        shown = {**row, "mean_score": f"{float(row['mean_score']):.4f}" if row["mean_score"] else ""}
        table.add_row(*[shown[name] for name in COLUMNS], style=STYLES.get(row["status"], "red"))
    console.print(table)
