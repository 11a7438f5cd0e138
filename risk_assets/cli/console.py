"""What the commands share: the console, dates, progress, and how a failure is told."""

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from risk_assets.clock import date_range, parse_date

if TYPE_CHECKING:
    from risk_assets.runner import Result

FAILED, USAGE = 1, 2
PIPE_WIDTH = 160

out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, width=None if sys.stderr.isatty() else PIPE_WIDTH)

Day = Annotated[str, typer.Argument(metavar="DATE", help="A snapshot's date, YYYY-MM-DD.")]
Until = Annotated[str | None, typer.Option("--until", metavar="DATE", help="All dates up to this one; goes on after a failure.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="A registered version, such as model_v002.")]


def each(dates: Iterable[str], what: str, do: "Callable[[str], Result]") -> "list[Result]":
    """Do one date after the other under one progress bar."""
    results = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as progress:
        for date in progress.track(list(dates), description=what):
            results.append(do(date))
    return results


def finish(results: "list[Result]") -> None:
    """List the failures and exit with 1 when there are any."""
    failed = [result for result in results if result.error]
    for result in failed:
        err.print(f"[bold red]{result.date} failed:[/] {escape(result.error or '')}")
    if failed:
        raise typer.Exit(FAILED)


def dates_until(date: str, until: str | None) -> list[str]:
    """Return the dates from one to another, both included, or the one."""
    if until is None:
        return [date]
    first, last = parse_date(date), parse_date(until)
    if last < first:
        raise typer.BadParameter(f"--until {last} is before {first}")
    return list(date_range(first, last))


def escape(text: str) -> str:
    """Return text in which rich finds no markup."""
    return text.replace("[", r"\[")
