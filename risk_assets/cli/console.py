"""Consoles that print text literally, exit codes, and the arguments and progress bars that commands share."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from risk_assets.clock import date_range, parse_date
from risk_assets.errors import RiskError

if TYPE_CHECKING:
    from risk_assets.runner import Result

FAILED, USAGE = 1, 2
INTERRUPTED = "the command was interrupted (Ctrl-C, or SIGTERM of the system)"
PIPE_WIDTH = 160
ENGINE = "risk_assets.engine"

Day = Annotated[str, typer.Argument(metavar="DATE", help="Snapshot date, YYYY-MM-DD.")]
Until = Annotated[str | None, typer.Option("--until", metavar="DATE", help="Last date (inclusive). Continues past failures.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Registered version, such as model_v002.")]


CONTROLS = (
    *(code for code in range(0x20) if chr(code) not in "\n\t"),
    *range(0x7F, 0xA0),  # DEL and C1
    *(0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # Unicode property Bidi_Control
    *(0x2028, 0x2029),  # line and paragraph separator
    *range(0xD800, 0xE000),  # surrogates: bytes of an argument that are not UTF-8, which cannot be encoded
)
ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in CONTROLS}


def literal(text: str) -> str:
    """Return a text with its control characters as escapes, such as \\x1b; line breaks and tabs stay."""
    return text.translate(ESCAPES)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return a text of literal parts; a tuple is a part with its style."""
    return Text.assemble(*(literal(part) if isinstance(part, str) else (literal(part[0]), part[1]) for part in parts))


class LiteralConsole(Console):
    """A console that prints every text and every table cell as it is, with control characters as escapes.

    A text is wrapped to the width of a terminal, and nowhere else: there a line is a message. Texts come from users, callers, files and
    storage: markup, emoji codes and control characters have no effect. Styles are set by `styled`, and by the styles of tables and rows.
    """

    def __init__(self, *, file: IO[str] | None = None, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(file=file, stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        """Print objects, as rich does."""
        is_text = all(isinstance(each, str | Text) for each in objects)
        super().print(*objects, soft_wrap=is_text and not self.is_terminal if soft_wrap is None else soft_wrap, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as `Text`; strings are measured and printed through it."""
        return super().render_str(literal(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of anything that rich prints, which includes a `Text` that was made without `styled`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(literal(segment.text), segment.style)


def out() -> LiteralConsole:
    """Return a console on standard output, as wide as the terminal; a pipe gets `PIPE_WIDTH` columns."""
    return LiteralConsole(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def err() -> LiteralConsole:
    """Return a console on standard error, as wide as the terminal; a pipe gets `PIPE_WIDTH` columns."""
    return LiteralConsole(stderr=True, width=None if sys.stderr.isatty() else PIPE_WIDTH)


def print_error(label: str, message: str) -> None:
    """Print a message after a red label on standard error: one line, unless that is a terminal."""
    _print_message(label, "bold red", message)


def print_warning(label: str, message: str) -> None:
    """Print a message after a yellow label on standard error: one line, unless that is a terminal."""
    _print_message(label, "yellow", message)


def _print_message(label: str, style: str, message: str) -> None:
    console = err()
    shown = message if console.is_terminal else " ".join(line.strip() for line in message.split("\n"))
    console.print(styled((f"{label}:", style), f" {shown}"))


def each(
    dates: Sequence[str], description: str, do: "Callable[[str], Result]", go_on: Callable[[str], str] = lambda _: "run it again"
) -> "list[Result]":
    """Call `do` with one date after the other, show the progress, and return the results.

    `go_on` says how to go on, given the first date that has not run.

    Raises
    ------
    RiskError
        After Ctrl-C or SIGTERM: the other dates are not started.
    """
    from risk_assets.runner import InterruptedRunError

    results: list[Result] = []
    try:
        for date in track(dates, description):
            results.append(do(date))
    except (InterruptedRunError, KeyboardInterrupt) as interrupt:
        ended = interrupt.result if isinstance(interrupt, InterruptedRunError) else None
        results += [ended] if ended else []
        show(results)
        if len(results) == len(dates) or len(dates) == 1:
            raise
        raise RiskError(f"{INTERRUPTED}: {len(results)} of {len(dates)} dates have run. To go on, {go_on(dates[len(results)])}.") from None
    return results


def track(dates: Iterable[str], description: str) -> Iterator[str]:
    """Yield one date after the other and show the progress."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err()) as progress:
        yield from progress.track(dates, description=description)


def finish(results: "Sequence[Result]", next_step: str | None = None) -> None:
    """Show the results; exit with 1 if a date is blocked or failed. `next_step` replaces the next step of dates that are blocked."""
    from risk_assets.lake.run_log import BLOCKED

    show(results)
    failed = [result for result in results if result.error]
    blocked = [result for result in failed if result.status == BLOCKED]
    if step := next_step or (_fix_or_release(blocked) if blocked else None):
        err().print(f"Next: {step}")
    if failed:
        raise typer.Exit(FAILED)


def show(results: "Sequence[Result]") -> None:
    """Print the warnings and notes, then the dates that are blocked or failed."""
    for result in results:
        for warning in result.warnings:
            print_warning(f"{result.date} warning", warning)
        for note in result.notes:
            print_warning(f"{result.date} note", note)
    for result in results:
        if result.error:
            print_error(f"{result.date} {result.status}", result.error)


def _fix_or_release(blocked: "Sequence[Result]") -> str:
    """Return the next step of blocked dates: of the first one that can be released, with the command."""
    fix = "fix the file and land the whole date with --replace"
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


class _Lines(logging.Handler):
    """Prints records on standard error, above the bar of a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{literal(record.getMessage())}\n")


@contextmanager
def printed_progress() -> Iterator[None]:
    """Print what the engine logs while the block runs: that Spark starts, and that it waits."""
    engine, handler = logging.getLogger(ENGINE), _Lines()
    before = engine.level
    engine.setLevel(logging.INFO)
    engine.addHandler(handler)
    try:
        yield
    finally:
        engine.removeHandler(handler)
        engine.setLevel(before)


def dates_until(date: str, until: str | None) -> list[str]:
    """Return all dates from `date` to `until`, both included, or only `date`."""
    if until is None:
        return [parse_date(date)]
    first, last = parse_date(date), parse_date(until)
    if last < first:
        raise typer.BadParameter(f"--until {last} is before {first}")
    return list(date_range(first, last))
