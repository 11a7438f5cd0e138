"""Commands that bring data in: a contract for a file, and the file itself."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from risk_assets.cli.console import err, escape, out
from risk_assets.clock import date_range, last_ended_date, parse_date, shift
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import RiskError
from risk_assets.lake import landing as landed
from risk_assets.settings import load_settings


def infer_contract(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV of accounts with their outcomes.", exists=True, dir_okay=False)],
    id: Annotated[str, typer.Option("--id", help="The column that names the account; '' is an unnamed first column.")],
    target: Annotated[str, typer.Option("--target", help="The column that says what became of the account.")],
    bad: Annotated[str | None, typer.Option("--bad", help="The target's value that means bad; found by itself where it is clear.")] = None,
    output: Annotated[Path | None, typer.Option("--out", help="Where to write the contract; the screen by default.")] = None,
) -> None:
    """Write a first contract for any CSV; comments in it say what was found and left out."""
    from risk_assets.domain.contract.infer import infer

    source = landed.Source.read(file, (id, target))
    text = infer(source.scan(), source.dialect.columns, id, target, bad, str(file))
    contract = Contract.parse(text, "the inferred contract")
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as writer:
            writer.write(text)
    except FileExistsError:
        raise RiskError(f"{output} is there already and may hold your edits: take it away, or give another name with --out.") from None
    out.print(f"{output}: {len(contract.features)} features. Read its comments, edit the reasons, and set RISK_CONTRACT={output}.")


def land(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV to land.", exists=True, dir_okay=False)],
    date: Annotated[str | None, typer.Option("--date", metavar="DATE", help="The date of the snapshot.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="With --days: the date of the first snapshot.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="The number of daily snapshots to split the file into.")] = 1,
    outcomes: Annotated[bool, typer.Option("--outcomes", help="Land the file as outcomes only.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace files that have already landed for the date.")] = False,
) -> None:
    """Put a file into the landing folder, unchanged. If it has the target column, the same bytes land as outcomes too."""
    settings = load_settings()
    if (date is None) == (first is None):
        raise typer.BadParameter("give either --date, or --from with --days")
    start = parse_date(date or first or "")
    wanted = date_range(start, shift(start, days - 1 if first else 0))
    _require_from(settings.start_date.isoformat(), wanted)
    contract, landing = settings.read_contract(), settings.open_landing()
    source = landed.Source.read(file, contract.columns)
    written = (landed.land_outcomes if outcomes else landed.land)(landing, source, contract, wanted, replace=replace)
    for kind, where in written.items():
        out.print(
            f"{kind}: {len(where)} landed in {landing.url}, {where[0]} to {where[-1]}"
            if len(where) > 1
            else f"{kind}: {where[0]} landed in {landing.url}"
        )
    for warning in _warnings(source, wanted):
        err.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False)
    out.print(f"Next: risk train {wanted[-1]} when outcomes have landed, or risk run {wanted[0]} --until {wanted[-1]}", highlight=False)


def _require_from(first: str, wanted: Sequence[str]) -> None:
    """Verify that no date is before the first partition."""
    if wanted[0] < first:
        raise RiskError(
            f"{wanted[0]} cannot be run: the first date is {first} (RISK_START_DATE). Land the file for a later date, "
            "or set RISK_START_DATE to an earlier one."
        )


def _warnings(source: landed.Source, wanted: Sequence[str]) -> Iterator[str]:
    """Yield what has landed but cannot be used as it is, or not yet."""
    newest = last_ended_date()
    if wanted[-1] > newest:
        yield f"{wanted[-1]} cannot be run yet: the last day that has ended (UTC) is {newest}. Run it when it has ended."
    for issue, lines in source.line_issues.items():
        yield f"{lines} of {source.counts.rows} lines have the issue '{issue}'. They are neither scored nor used in training: fix them."
