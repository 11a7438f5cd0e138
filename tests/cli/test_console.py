"""Texts of users, callers and files are printed as they are, and control characters as escapes."""

import io
import re
from pathlib import Path

import pytest
from rich.text import Text

from risk_assets.cli.console import LiteralConsole, literal, print_error, print_warning, styled, track
from risk_assets.cli.report import run_log
from risk_assets.cli.report.tables import new_table

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
