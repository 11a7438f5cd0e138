"""The command that shows and exports what people did about accounts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import out, print_warning
from risk_assets.clock import parse_date

if TYPE_CHECKING:
    from risk_assets.lake.store import Store


def dispositions(
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only what was recorded on a date (UTC) or later.")] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write a CSV file for a spreadsheet instead; formulas are escaped.")
    ] = None,
) -> None:
    """Show what people did about accounts of the work lists: seen, called, promises to pay, notes. No model uses it."""
    from risk_assets.cli.report import dispositions as report
    from risk_assets.lake.dispositions import read_all

    first, lake = parse_date(since) if since else "", context.lake()
    if csv is not None:
        _require_target(lake, csv)
    _require_lake(lake)
    found = read_all(lake, first)
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


def _require_lake(lake: "Store") -> None:
    """Raise `LakeError` if there is no lake, whose answer would be that nothing was recorded."""
    from risk_assets.errors import LakeError
    from risk_assets.lake.format import require_format

    if require_format(lake) is None:
        raise LakeError(f"There is no lake at {lake.url}. Set RISK_LAKE to the lake of the desk.")


def _require_target(lake: "Store", file: Path) -> None:
    """Reject a file in a folder that does not exist, or in the lake: the export would replace what the lake has there."""
    if not file.parent.is_dir():
        raise typer.BadParameter(f"{file} cannot be written: {file.parent} is not a folder", param_hint="--csv")
    if lake.folder is not None and file.resolve().is_relative_to(lake.folder.resolve()):
        raise typer.BadParameter(f"{file} is in the lake. Choose a file outside it", param_hint="--csv")
