"""Commands that bring data in: a contract for a file, and the file itself."""

from pathlib import Path
from typing import Annotated

import typer

from risk_assets.cli.console import err, escape, out
from risk_assets.clock import date_range, parse_date, shift
from risk_assets.domain.contract.schema import ROW_ID, Contract
from risk_assets.errors import RiskError
from risk_assets.lake import landing as landed
from risk_assets.settings import load_settings


def infer_contract(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV of accounts with their outcomes.", exists=True, dir_okay=False)],
    target: Annotated[str, typer.Option("--target", help="The column with the outcome.")],
    id: Annotated[str | None, typer.Option("--id", help="The column with the account id; '' is an unnamed first column.")] = None,
    row_id: Annotated[bool, typer.Option("--row-id", help="Name accounts by their row number, if no column has an id.")] = False,
    bad: Annotated[str | None, typer.Option("--bad", help="The value of the target that means bad, if it is not clear.")] = None,
    output: Annotated[Path | None, typer.Option("--out", help="The file to write; the screen by default.")] = None,
) -> None:
    """Write a draft contract for a CSV; comments explain each guess and each column that is left out."""
    from risk_assets.domain.contract.infer import infer

    if row_id and id is not None:
        raise typer.BadParameter("give either --id or --row-id")
    source = landed.Source.read(file, (id, target) if id else (target,))
    draft = infer(source.scan(), source.dialect.columns, ROW_ID if row_id else id, target, bad, str(file))
    contract = Contract.parse(draft.text, "the inferred contract")
    for warning in draft.warnings:
        err.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False)
    if output is None:
        typer.echo(draft.text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as writer:
            writer.write(draft.text)
    except FileExistsError:
        raise RiskError(f"{output} exists already and may have your edits. Remove it, or pass another name with --out.") from None
    out.print(f"{output}: {len(contract.features)} features. Read its comments, edit the reasons, and set RISK_CONTRACT={output}.")


def land(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV to land.", exists=True, dir_okay=False)],
    date: Annotated[str | None, typer.Option("--date", metavar="DATE", help="The date of the snapshot.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="With --days: cut the file into snapshots from this date on.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="Into how many snapshots the file is cut.")] = 1,
    outcomes: Annotated[bool, typer.Option("--outcomes", help="The file holds outcomes alone.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Land in the place of files that have landed for the date.")] = False,
) -> None:
    """Put a file into the landing folder, kept as it is. When it bears the target column, its labels land as outcomes too."""
    settings = load_settings()
    if (date is None) == (first is None):
        raise typer.BadParameter("give either --date, or --from with --days")
    contract, landing = settings.read_contract(), settings.open_landing()
    start = parse_date(date or first or "")
    source = landed.Source.read(file, contract.columns)
    wanted = date_range(start, shift(start, days - 1 if first else 0))
    written = landed.land(landing, source, contract, wanted, outcomes_only=outcomes, replace=replace)
    for kind, where in written.items():
        out.print(
            f"{kind}: {len(where)} landed in {landing.url}, {where[0]} to {where[-1]}"
            if len(where) > 1
            else f"{kind}: {where[0]} landed in {landing.url}"
        )
    out.print(f"Next: risk train {wanted[-1]} when outcomes have landed, or risk run {wanted[0]} --until {wanted[-1]}", highlight=False)
