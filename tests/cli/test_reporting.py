"""`risk report`: the text without ids, the addresses of the files, and dates without scores."""

from pathlib import Path

from risk_assets.lake import layout
from tests.cli.conftest import Risk, run_here


def test_the_report_of_a_date_is_printed_with_its_files(on_scored: Risk, scored: Path) -> None:
    shown = on_scored("report", "2026-01-05")
    assert shown.stdout.startswith("MORNING REPORT, Monday 5 January 2026")
    assert "300 of 300 accounts scored" in shown.text
    assert "AC0" not in shown.stdout
    for path in (layout.morning_page("2026-01-05"), layout.morning("2026-01-05"), layout.MORNING_INDEX):
        file = scored / "lakehouse" / path
        assert file.is_file() and str(file) in shown.stdout


def test_without_a_date_it_is_the_last_one(folder: Path) -> None:
    shown = run_here(folder, "report", RISK_END_DATE="2026-01-03")
    assert "NOT SCORED: no file arrived by 06:00. No earlier date was scored." in shown.text


def test_a_date_that_cannot_be_run_is_an_error(folder: Path) -> None:
    assert "RISK_START_DATE" in run_here(folder, "report", "2025-12-31", code=2).text
