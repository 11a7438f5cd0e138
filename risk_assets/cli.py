"""The `risk` command: the same assets, on the same history, as the UI."""

import os
import sys
from collections.abc import Callable, Iterable
from datetime import date as Date
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from risk_assets.domain.contract import Contract
from risk_assets.domain.errors import RiskError
from risk_assets.lake import landing as landed
from risk_assets.lake import layout, registry
from risk_assets.lake.store import Store
from risk_assets.lake.table import partitions
from risk_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from risk_assets.history import History, Result

FAILED, USAGE = 1, 2

app = typer.Typer(
    help="A credit-risk lakehouse: land snapshots, train, score, and see what happened. Settings come from RISK_* variables or .env.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
contract_app = typer.Typer(help="What an account is: the contract.", no_args_is_help=True)
app.add_typer(contract_app, name="contract")
PIPE_WIDTH = 160
out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, width=None if sys.stderr.isatty() else PIPE_WIDTH)

Day = Annotated[str, typer.Argument(metavar="DATE", help="A snapshot's date, YYYY-MM-DD.")]
Until = Annotated[str | None, typer.Option("--until", metavar="DATE", help="Run all dates up to this one; go on after a failure.")]


def main() -> None:
    """Run the command; a failure that has a message shows it and exits with 1, wrong use exits with 2."""
    try:
        app()
    except RiskError as error:
        err.print(f"[bold red]error:[/] {_escape(str(error))}")
        sys.exit(USAGE if type(error).__name__ == "DateError" else FAILED)


@app.command()
def demo() -> None:
    """Run the main job on all that has landed: train, go live, score the dates that have no outcomes yet, show what came out."""
    from risk_assets import report
    from risk_assets.history import open_history

    settings = load_settings()
    landing = settings.open_landing()
    dates, labelled = landed.dates(landing, "accounts"), landed.dates(landing, "outcomes")
    if not dates or not labelled:
        raise RiskError(f"nothing to show: {landing.url} needs accounts_DATE.csv and outcomes_DATE.csv. Run in the project's folder.")
    with open_history(settings) as history:
        _finish([*_bring_in(history, labelled[0], labelled[-1]), history.run("training", labelled[-1])])
        newest = [date for date in dates if date > labelled[-1]] or [dates[-1]]
        _finish(_each(newest, "scoring", lambda date: history.run("daily_scoring", date)))
    lake = settings.open_lake()
    report.days(out, lake, newest)
    report.models(out, registry.versions(lake), _live_name(lake))
    report.riskiest(out, lake, newest[-1])
    _next_steps(settings, newest[-1])


@contract_app.command("infer")
def contract_infer(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV of accounts with their outcomes.", exists=True, dir_okay=False)],
    id: Annotated[str, typer.Option("--id", help="The column that names the account; '' is an unnamed first column.")],
    target: Annotated[str, typer.Option("--target", help="The column that says what became of the account.")],
    bad: Annotated[str | None, typer.Option("--bad", help="The target's value that means bad; found by itself where it is clear.")] = None,
    output: Annotated[Path | None, typer.Option("--out", help="Where to write the contract; the screen by default.")] = None,
) -> None:
    """Write a first contract for any CSV; comments in it say what was found and left out."""
    from risk_assets.domain.inference import infer

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


@app.command()
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
    start = _iso(date or first or "")
    source = landed.Source.read(file, contract.columns)
    wanted = landed.days(start, days if first else 1)
    written = landed.land(landing, source, contract, wanted, outcomes_only=outcomes, replace=replace)
    for kind, where in written.items():
        out.print(
            f"{kind}: {len(where)} landed in {landing.url}, {where[0]} to {where[-1]}"
            if len(where) > 1
            else f"{kind}: {where[0]} landed in {landing.url}"
        )
    out.print(f"Next: risk train {wanted[-1]} when outcomes have landed, or risk run {wanted[0]} --until {wanted[-1]}", highlight=False)


@app.command()
def run(date: Day, until: Until = None) -> None:
    """Score a date's accounts with the live model: land, check, score, log."""
    _run_job("daily_scoring", date, until)


@app.command()
def outcomes(date: Day, until: Until = None) -> None:
    """Bring a date's outcomes into the lake."""
    _run_job("outcomes", date, until)


@app.command()
def train(date: Day) -> None:
    """Train a version on the labelled dates up to DATE and let it go live when it passes the policy's gates.

    First brings into the lake what has landed in the training window: accounts, features, outcomes.
    """
    from risk_assets import report
    from risk_assets.history import open_history, require_partitions

    settings = load_settings()
    require_partitions(date)
    window = settings.read_policy().training.window_days
    start = (Date.fromisoformat(date) - timedelta(days=window - 1)).isoformat()
    with open_history(settings) as history:
        brought = _bring_in(history, start, date)
        _finish([*brought, history.run("training", date)])
    lake = settings.open_lake()
    report.models(out, registry.versions(lake), _live_name(lake))


@app.command()
def models() -> None:
    """List the model versions, their figures, and which one is live."""
    from risk_assets import report

    lake = load_settings().open_lake()
    report.models(out, registry.versions(lake), _live_name(lake))


@app.command()
def live(
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="An instant in UTC, such as 2026-01-31T12:00:00.")] = None,
) -> None:
    """Tell which version is live, or was at an instant: since when, by whom and why."""
    from risk_assets import report

    lake = load_settings().open_lake()
    found = registry.live(lake, at and landed.instant(at))
    if found is None:
        raise RiskError("no version was live at that time." if at else "no model is live yet: risk train DATE.")
    report.binding(out, found, registry.read_version(lake, found.champion))


@app.command()
def log(last: Annotated[int, typer.Option("--last", min=1, help="How many rows to show.")] = 20) -> None:
    """Show the newest rows of the run log."""
    from risk_assets import report

    report.log(out, load_settings().open_lake(), last)


@app.command()
def ui(port: Annotated[int, typer.Option("--port", help="The port on 127.0.0.1.")] = 3000) -> None:
    """Open the Dagster UI, its schedules and sensors on the same lake and history."""
    from risk_assets.history import prepare_home

    workspace = prepare_home(load_settings()) / "workspace.yaml"
    dagster = Path(sys.executable).with_name("dagster")
    os.execv(dagster, [str(dagster), "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)])  # noqa: S606


def _run_job(job: str, date: str, until: str | None) -> None:
    from risk_assets import report
    from risk_assets.history import open_history

    settings = load_settings()
    with open_history(settings) as history:
        dates = _range(date, until)
        results = _each(dates, job, lambda day: history.run(job, day))
    if job == "daily_scoring":
        report.days(out, settings.open_lake(), (result.date for result in results if result.error is None))
    else:
        out.print(f"{job}: {sum(result.error is None for result in results)} of {len(results)} dates are in the lake.")
    _finish(results)


def _bring_in(history: "History", start: str, end: str) -> "list[Result]":
    """Bring into the lake what has landed from `start` to `end` and is not there yet."""
    lake, landing = history.settings.open_lake(), history.settings.open_landing()

    def new(kind: str, path: Callable[[str], str]) -> list[str]:
        dates = [date for date in landed.dates(landing, kind) if start <= date <= end]
        there = partitions(lake, {date: path(date) for date in dates})
        return [date for date in dates if date not in there]

    features = _each(
        new("accounts", layout.features), "features", lambda date: history.run("daily_scoring", date, "raw/accounts", "curated/features")
    )
    outcomes = _each(new("outcomes", layout.outcomes), "outcomes", lambda date: history.run("outcomes", date))
    return [*features, *outcomes]


def _each(dates: Iterable[str], what: str, do: "Callable[[str], Result]") -> "list[Result]":
    """Do one date after the other under one progress bar."""
    results = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as progress:
        for date in progress.track(list(dates), description=what):
            results.append(do(date))
    return results


def _finish(results: "list[Result]") -> None:
    """List the failures and exit with 1 when there are any."""
    failed = [result for result in results if result.error]
    for result in failed:
        err.print(f"[bold red]{result.date} failed:[/] {_escape(result.error or '')}")
    if failed:
        raise typer.Exit(FAILED)


def _range(date: str, until: str | None) -> list[str]:
    if until is None:
        return [date]
    first, last = _iso(date), _iso(until)
    if last < first:
        raise typer.BadParameter(f"--until {last} is before {first}")
    return list(landed.days(first, (Date.fromisoformat(last) - Date.fromisoformat(first)).days + 1))


def _iso(text: str) -> str:
    try:
        return Date.fromisoformat(text).isoformat()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write it YYYY-MM-DD") from None


def _live_name(lake: Store) -> str | None:
    found = registry.live(lake)
    return found.champion if found else None


def _next_steps(settings: Settings, date: str) -> None:
    lake = settings.open_lake()
    steps = (
        ("make ui", "the graph, the checks and the plots, at http://127.0.0.1:3000"),
        (".venv/bin/risk log", f"the run log, {lake.uri(layout.RUN_LOG)}"),
        (f".venv/bin/risk run {date}", f"the date again, into {lake.uri(layout.predictions(date))}"),
        ("README.md", "your own data in five commands"),
    )
    out.print("[bold]What to do next[/]")
    for step, what in steps:
        out.print(f"  {step:<30} {what}", highlight=False, soft_wrap=True)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
