"""Consoles, exit codes, and the arguments and progress bars that commands share."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from risk_assets.clock import date_range, parse_date

if TYPE_CHECKING:
    from risk_assets.runner import Result

FAILED, USAGE = 1, 2
PIPE_WIDTH = 160

Day = Annotated[str, typer.Argument(metavar="DATE", help="Snapshot date, YYYY-MM-DD.")]
Until = Annotated[str | None, typer.Option("--until", metavar="DATE", help="Last date (inclusive). Continues past failures.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Registered version, such as model_v002.")]


def out() -> Console:
    """Return a console on standard output, as wide as the terminal; a pipe gets `PIPE_WIDTH` columns."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def err() -> Console:
    """Return a console on standard error, as wide as the terminal; a pipe gets `PIPE_WIDTH` columns."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else PIPE_WIDTH)


def print_error(label: str, message: str) -> None:
    """Print a message after a red label on standard error."""
    err().print(Text.assemble((f"{label}:", "bold red"), f" {message}"))


def print_warning(label: str, message: str) -> None:
    """Print a message after a yellow label on standard error."""
    err().print(Text.assemble((f"{label}:", "yellow"), f" {message}"))


def each(dates: Iterable[str], description: str, do: "Callable[[str], Result]") -> "list[Result]":
    """Call `do` with one date after the other, show the progress, and return the results."""
    return [do(date) for date in track(dates, description)]


def track(dates: Iterable[str], description: str) -> Iterator[str]:
    """Yield one date after the other and show the progress."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err()) as progress:
        yield from progress.track(dates, description=description)


def finish(results: "Sequence[Result]", next_step: str | None = None) -> None:
    """Print the warnings and notes, then the dates that are blocked or failed; exit with 1 if there are any of the latter.

    `next_step` replaces the next step of dates that are blocked.
    """
    from risk_assets.lake.run_log import BLOCKED

    for result in results:
        for warning in result.warnings:
            print_warning(f"{result.date} warning", warning)
        for note in result.notes:
            print_warning(f"{result.date} note", note)
    failed = [result for result in results if result.error]
    for result in failed:
        print_error(f"{result.date} {result.status}", result.error or "")
    blocked = [result for result in failed if result.status == BLOCKED]
    if step := next_step or (_fix_or_release(blocked) if blocked else None):
        err().print(f"Next: {step}", highlight=False)
    if failed:
        raise typer.Exit(FAILED)


def _fix_or_release(blocked: "Sequence[Result]") -> str:
    """Return the next step of blocked dates: of the first one that can be released, with the command."""
    fix = "fix the file and land it with --replace"
    result = next((result for result in blocked if result.releasable), None)
    if result is None:
        return fix
    options = " ".join(f"--release {check}" for check in result.releasable)
    noun = "check" if len(result.releasable) == 1 else "checks"
    return f"{fix}, or release the {noun}: risk run {result.date} {options} --reason WHY --by WHO"


def user() -> str:
    """Return the name of the user."""
    from risk_assets.settings import current_user

    return current_user()


def dates_until(date: str, until: str | None) -> list[str]:
    """Return all dates from `date` to `until`, both included, or only `date`."""
    if until is None:
        return [parse_date(date)]
    first, last = parse_date(date), parse_date(until)
    if last < first:
        raise typer.BadParameter(f"--until {last} is before {first}")
    return list(date_range(first, last))
