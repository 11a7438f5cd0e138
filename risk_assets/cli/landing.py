"""Commands that bring in data: infer a contract from a file, and land the file."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import INTERRUPTED, literal, out, print_warning
from risk_assets.clock import date_range, parse_date, shift
from risk_assets.domain.wording import counted, lost_rows
from risk_assets.errors import RiskError

if TYPE_CHECKING:
    from risk_assets.domain.contract.schema import Contract
    from risk_assets.lake.landing_sources import Source, SourceFolder
    from risk_assets.settings import Settings


def infer_contract(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV of accounts with their outcomes.", exists=True, dir_okay=False)],
    target: Annotated[str, typer.Option("--target", help="Column with the outcome.")],
    id: Annotated[str | None, typer.Option("--id", help="Column with the account id; '' for an unnamed first column.")] = None,
    row_id: Annotated[bool, typer.Option("--row-id", help="Name accounts by their row number, if no column has an id.")] = False,
    bad: Annotated[str | None, typer.Option("--bad", help="Target value that means bad. Inferred if it is unambiguous.")] = None,
    output: Annotated[Path | None, typer.Option("--out", help="File to write. Defaults to standard output.")] = None,
) -> None:
    """Infer a contract from a CSV; comments explain what was found and which columns were left out.

    With --out, a policy is written beside the contract: cut-off and bands from the bad rate, and versions go live only by
    `risk promote`.
    """
    from risk_assets.domain.contract.draft import MATURITY_WARNING
    from risk_assets.domain.contract.draft_policy import draft_policy
    from risk_assets.domain.contract.infer import infer
    from risk_assets.domain.contract.schema import ROW_ID, Contract
    from risk_assets.lake.landing_sources import Source

    if row_id and id is not None:
        raise typer.BadParameter("give either --id or --row-id")
    source = Source.read(file, (id, target) if id else (target,))
    draft = infer(source.scan(), source.dialect.columns, ROW_ID if row_id else id, target, bad, str(file))
    contract = Contract.parse(draft.text, "the inferred contract")
    for issue, lines in source.line_issues.items():
        print_warning(
            "warning",
            f"{_of(source, lines, 'has', 'have')} the issue '{issue}' and {'was' if lines == 1 else 'were'} left out. Fix the file.",
        )
    for warning in (f"target.matures_after_days: {MATURITY_WARNING}", *draft.warnings):
        print_warning("warning", warning)
    if output is None:
        typer.echo(literal(draft.text) if sys.stdout.isatty() else draft.text, nl=False)
        return
    policy = output.parent / f"{output.stem}-policy{output.suffix or '.yml'}"
    _write_new({output: draft.text, policy: draft_policy(str(file), draft.bad_rate)})
    out().print(
        f"{output}: {counted(len(contract.features), 'feature')}. {policy}: versions go live by risk promote. Review the comments of both "
        f"and edit the reasons. Then: export RISK_CONTRACT={output} RISK_POLICY={policy}",
        soft_wrap=True,
    )


def land(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV to land, or a folder of shards.", exists=True)],
    date: Annotated[str | None, typer.Option("--date", metavar="DATE", help="Snapshot date of the file.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First date, with --days.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="Number of daily snapshots to split the file into.")] = 1,
    outcomes: Annotated[bool, typer.Option("--outcomes", help="Land the file as outcomes only.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace files already landed for the date.")] = False,
) -> None:
    """Copy a file or a folder of shards unchanged into the landing folder.

    If it has the target column, the same bytes land as outcomes too. Messages count rows without the header.
    """
    from risk_assets.lake import landing as landed
    from risk_assets.lake.landing_sources import Source, SourceFolder

    settings = context.settings()
    if (date is None) == (first is None):
        raise typer.BadParameter("give either --date, or --from with --days")
    if file.is_dir() and date is None:
        raise typer.BadParameter("a folder of shards lands for one date: give --date")
    start = parse_date(date or first or "")
    dates = date_range(start, shift(start, days - 1 if first else 0))
    if dates[0] < settings.start_date.isoformat():
        raise RiskError(f"{settings.why_not_run(dates[0])} Or land the file for a later date.")
    contract, landing = context.documents(settings, settings.open_lake()).contract, settings.open_landing()
    source = (SourceFolder if file.is_dir() else Source).read(file, contract.columns)
    try:
        done = (landed.land_outcomes if outcomes else landed.land)(landing, source, contract, dates, replace=replace)
    except KeyboardInterrupt:
        raise RiskError(f"{INTERRUPTED}, and what it landed may be incomplete. Run the same command again.") from None
    for kind, names in done.written.items():
        out().print(f"{kind}: {_summary(names, 'landed')} in {landing.url}")
    if done.replaced:
        out().print(f"{_summary(done.replaced, 'replaced')} in {landing.url}")
    for warning in _warnings(source, contract, dates, settings):
        print_warning("warning", warning)
    if dates[-1] <= settings.last_date:
        until = f" --until {dates[-1]}" if len(dates) > 1 else ""
        command = f"risk outcomes {dates[0]}{until}" if outcomes else f"{_training(contract, dates, settings)}risk run {dates[0]}{until}"
        out().print(f"Next: {command}")


def _training(contract: "Contract", dates: Sequence[str], settings: "Settings") -> str:
    """Return the command that trains on dates, as an alternative to another one; empty if their outcomes have not matured yet."""
    matured = shift(dates[-1], contract.target.performance_days)
    return f"risk train {matured} if outcomes have landed, or " if matured <= settings.last_date else ""


def _warnings(source: "Source | SourceFolder", contract: "Contract", dates: Sequence[str], settings: "Settings") -> Iterator[str]:
    """Yield what has landed but cannot be used as it is, or not yet."""
    if refusal := settings.why_not_run(dates[-1]):
        yield refusal
    yield from _label_warnings(source, contract)
    for issue, lines in source.line_issues.items():
        where = f"{'in' if lines == 1 else 'first in'} {source.first_issues[issue]}"
        found = f"{_of(source, lines, 'has', 'have')} the issue '{issue}', {where}"
        yield f"{found}. Such lines are neither scored nor used in training: fix them."
    if source.enclosed_rows:
        yield (
            f"{lost_rows(source.enclosed_rows)}: two stray quotes enclose whole lines. Remove the quotes, or double them, and land "
            "the file with --replace."
        )


def _label_warnings(source: "Source | SourceFolder", contract: "Contract") -> Iterator[str]:
    from risk_assets.domain.ingest.labels import count_unknown_labels

    unknown = count_unknown_labels(source.scan_marked(), contract) if source.is_labelled(contract) else 0
    if unknown:
        yield (
            f"{_of(source, unknown, 'has', 'have')} a value of {contract.target.column} that is neither target.bad nor "
            "target.good of the contract. These accounts have no label: fix the file, or map these values at the source."
        )


def _of(source: "Source | SourceFolder", lines: int, one: str, many: str) -> str:
    """Return a part of the lines of a source with its verb: "1 of 300 lines has"."""
    return f"{lines} of {counted(source.rows, 'line')} {one if lines == 1 else many}"


def _write_new(texts: Mapping[Path, str]) -> None:
    """Write files that must not exist yet: all of them or, if one exists, none."""
    for path in texts:
        if path.exists():
            raise RiskError(f"{path} already exists and may contain your edits. Move it, or choose another file with --out.")
    for path, text in texts.items():
        try:
            with path.open("x", encoding="utf-8") as writer:
                writer.write(text)
        except FileNotFoundError:
            raise RiskError(f"{path.parent} does not exist. Create the folder, or choose another file with --out.") from None


def _summary(names: Sequence[str], what: str) -> str:
    return f"{names[0]} {what}" if len(names) == 1 else f"{len(names)} files {what}, {names[0]} to {names[-1]}"
