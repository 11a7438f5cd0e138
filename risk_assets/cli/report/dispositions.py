"""Report of dispositions, and their export."""

from collections.abc import Sequence
from pathlib import Path

from risk_assets.cli.console import LiteralConsole
from risk_assets.cli.report.tables import new_table, text
from risk_assets.domain.morning.dispositions import Disposition
from risk_assets.domain.spreadsheet import csv_file
from risk_assets.domain.wording import counted

COLUMNS = {
    "recorded_at": "recorded (UTC)",
    "by": "by",
    "date": "work list",
    "account": "account",
    "kind": "done",
    "promised_on": "promised",
    "note": "note",
}


def recorded(console: LiteralConsole, entries: Sequence[Disposition]) -> None:
    """Print dispositions, the newest one last."""
    if not entries:
        console.print("Nothing is recorded.")
        return
    table = new_table("What was done about accounts", *COLUMNS.values())
    for entry in entries:
        table.add_row(*(text(getattr(entry, name)) for name in COLUMNS))
    console.print(table)


def as_csv(entries: Sequence[Disposition]) -> bytes:
    """Return dispositions as a CSV file for a spreadsheet."""
    names = (*COLUMNS, "id")
    return csv_file(names, ([getattr(entry, name) for name in names] for entry in entries))


def exported(console: LiteralConsole, entries: Sequence[Disposition], file: Path) -> None:
    """Print how many dispositions a file has."""
    console.print(f"{counted(len(entries), 'disposition')} in {file}")
