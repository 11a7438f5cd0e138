"""The command that shows and exports what people did about accounts."""

from pathlib import Path
from typing import Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import out, print_warning
from risk_assets.clock import parse_date


def dispositions(
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only what was recorded on a date (UTC) or later.")] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write a CSV file for a spreadsheet instead; formulas are escaped.")
    ] = None,
) -> None:
    """Show what people did about accounts of the work lists: seen, called, promises to pay, notes. No model uses it."""
    from risk_assets.cli.report import dispositions as report
    from risk_assets.lake.dispositions import read_all

    found = read_all(context.lake(), parse_date(since) if since else "")
    for message in found.damaged:
        print_warning("damaged", message)
    if csv is None:
        report.recorded(out(), found.entries)
        return
    try:
        csv.write_bytes(report.as_csv(found.entries))
    except OSError as error:
        raise typer.BadParameter(f"{csv} cannot be written ({error.strerror})", param_hint="--csv") from None
    report.exported(out(), found.entries, csv)
