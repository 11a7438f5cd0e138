"""Texts of users, callers and files are printed as they are, and control characters as escapes."""

import io
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.text import Text

from risk_assets.cli.console import LiteralConsole, each, literal, print_error, print_warning, printed_progress, styled, track
from risk_assets.cli.report import run_log
from risk_assets.cli.report.tables import new_table
from risk_assets.errors import RiskError
from risk_assets.runner import InterruptedRunError, Result

SOURCES = Path(run_log.__file__).parents[1]
ODD = "[/x] :bug: [bold]y[/bold] [link=http://e]z \x1b[31m\u202e\x07\r\x9b\udcff"
SHOWN = r"[/x] :bug: [bold]y[/bold] [link=http://e]z \x1b[31m\u202e\x07\x0d\x9b\udcff"


def printed(*objects: object, terminal: bool = False) -> str:
    """Return what a console prints."""
    file = io.StringIO()
    file.isatty = lambda: terminal  # type: ignore[method-assign]
    LiteralConsole(file=file, width=300).print(*objects)
    return file.getvalue()


@pytest.mark.parametrize("printable", [ODD, styled(ODD), styled((ODD, "bold red"))])
def test_a_text_is_printed_as_it_is(printable: str | Text) -> None:
    assert printed(printable).strip() == SHOWN


def test_every_part_of_a_table_is_printed_as_it_is() -> None:
    table = new_table(f"title {ODD}", f"header {ODD}", "next")
    table.add_row(ODD, "a")
    table.add_row("x" * len(SHOWN), "b", style="red")
    title, *lines = [line.strip() for line in printed(table).splitlines()]
    assert title == f"title {SHOWN}"
    assert [line for line in lines if line.startswith("header")] == [f"header {SHOWN}   next"]
    assert {line.rstrip("ab") for line in lines if line.endswith(("a", "b"))} == {
        f"{text:<{len(SHOWN) + 10}}" for text in (SHOWN, "x" * len(SHOWN))
    }


def test_a_text_of_rich_has_no_control_characters() -> None:
    assert printed(Text("a\x1b[31m\u2066b")).strip() == r"a\x1b[31m\u2066b"


def test_a_terminal_gets_the_styles_of_the_command_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = printed(styled(("label:", "bold red"), f" {ODD}"), terminal=True)
    assert "\x1b[1;31mlabel:\x1b[0m" in shown and "\x1b[31m" not in shown
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown).strip() == f"label: {SHOWN}"


def test_messages_on_standard_error_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("error", ODD)
    print_warning(ODD, "warning")
    assert capsys.readouterr().err == f"error: {SHOWN}\n{SHOWN}: warning\n"


def test_progress_is_described_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(["2026-01-01"], "[/x] :bug:")) == ["2026-01-01"]
    assert "[/x] :bug:" in capsys.readouterr().err


def test_line_breaks_and_tabs_stay() -> None:
    assert literal("a\nb\tc") == "a\nb\tc"


def test_the_run_log_shows_errors_as_they_are() -> None:
    file = io.StringIO()
    row = dict.fromkeys(run_log.COLUMNS, "") | {"status": "failed", "error": "[/x]", "warnings": ":bug: \x1b"}
    run_log.newest(LiteralConsole(file=file, width=300), [row])
    assert "[/x]" in file.getvalue() and r":bug: \x1b" in file.getvalue()


def test_only_one_module_makes_consoles_and_styled_texts() -> None:
    forbidden = re.compile(r"rich\.(markup|console|prompt|pretty)|from rich import print|\bText[(.]")
    found = {path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py") if forbidden.search(path.read_text(encoding="utf-8"))}
    assert found == {"console.py"}


DATES = ["2026-01-04", "2026-01-05", "2026-01-06"]


def interrupted_at(date: str, result: Result | None) -> Callable[[str], Result]:
    """Return a run that is interrupted at a date, with the result that it has nevertheless."""

    def run(day: str) -> Result:
        if day == date:
            raise InterruptedRunError(day, result)
        return Result(day, "no such file" if day == DATES[0] else None, "failed")

    return run


@pytest.mark.parametrize(
    ("result", "ran", "rest"), [(None, 1, DATES[1]), (Result(DATES[1]), 2, DATES[2])], ids=["in the run", "after the run"]
)
def test_an_interrupt_ends_a_range(capsys: pytest.CaptureFixture[str], result: Result | None, ran: int, rest: str) -> None:
    with pytest.raises(RiskError, match=rf": {ran} of 3 dates have run\. To go on, do the rest from {rest}\.$"):
        each(DATES, "dates", interrupted_at(DATES[1], result), lambda first: f"do the rest from {first}")
    assert f"{DATES[0]} failed: no such file" in capsys.readouterr().err


def test_an_interrupt_of_a_single_date_is_its_error() -> None:
    with pytest.raises(RiskError, match=f"^{DATES[1]}: the run was interrupted"):
        each([DATES[1]], "dates", interrupted_at(DATES[1], None))


def test_an_interrupt_after_the_last_date_ends_the_command() -> None:
    with pytest.raises(RiskError, match=f"^{DATES[1]}: the command was interrupted after this run"):
        each(DATES[:2], "dates", interrupted_at(DATES[1], Result(DATES[1])))


def test_what_the_engine_waits_for_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with printed_progress():
        logging.getLogger("risk_assets.engine.session").info("starting Spark at %s", "spark://host:1\x1b")
    logging.getLogger("risk_assets.engine.session").info("not printed")
    assert capsys.readouterr().err == "starting Spark at spark://host:1\\x1b\n"
