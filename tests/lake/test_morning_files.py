"""The verdicts of all dates: known without reading all reports, and read again when they are lost."""

import msgspec
import pytest

from risk_assets.clock import date_range
from risk_assets.domain.morning.facts import DataFacts, Decisions, ModelFacts, MorningReport, Verdict
from risk_assets.lake import layout, morning_files
from risk_assets.lake.store import Store

DATES = tuple(date_range("2026-01-01", "2026-02-19"))  # 50
MOST = 2 * morning_files.VERDICTS_READ


def report(date: str, sentence: str = "scored") -> MorningReport:
    return MorningReport(
        date=date,
        made_at=f"{date}T06:00+00:00",
        time_zone="UTC",
        verdict=Verdict("on time", ("on time",), "good", f"{date}: {sentence}.", ("a message of a run",)),
        data=DataFacts(deadline=f"{date}T06:00+00:00"),
        model=ModelFacts(),
        decisions=Decisions(),
        series=(),
    )


def write(store: Store, date: str, sentence: str = "scored") -> dict[str, Verdict]:
    found = report(date, sentence)
    morning_files.write(store, found, {}, "run-1")
    return morning_files.update_verdicts(store, found, [each for each in DATES if each <= date])


@pytest.fixture
def written(disk_store: Store) -> Store:
    """A lake with the reports of 50 dates."""
    for date in DATES:
        write(disk_store, date)
    return disk_store


def test_all_dates_have_their_verdicts(written: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read, find = [], morning_files.find
    monkeypatch.setattr(morning_files, "find", lambda store, date: read.append(date) or find(store, date))
    found = morning_files.update_verdicts(written, report(DATES[-1]), DATES)
    assert found == {date: msgspec.structs.replace(report(date).verdict, details=()) for date in DATES}
    assert len(read) == morning_files.VERDICTS_READ


def test_a_report_that_is_made_again_changes_its_verdict(written: Store) -> None:
    found = report(DATES[3], "scored again")
    morning_files.write(written, found, {}, "run-2")
    assert morning_files.update_verdicts(written, found, DATES)[DATES[3]].sentence == f"{DATES[3]}: scored again."
    assert morning_files.update_verdicts(written, report(DATES[-1]), DATES)[DATES[3]].sentence == f"{DATES[3]}: scored again."


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"verdicts":{},"seal":"x"}'])
def test_lost_verdicts_are_read_again_over_several_reports(written: Store, content: bytes) -> None:
    written.put(layout.MORNING_VERDICTS, content)
    known = [len(morning_files.update_verdicts(written, report(DATES[-1]), DATES)) for _ in range(4)]
    assert known == [14, 28, 42, 50]


def test_a_date_whose_report_cannot_be_read_has_no_verdict(written: Store) -> None:
    written.put(layout.morning(DATES[-2]), b"{")
    assert DATES[-2] not in morning_files.update_verdicts(written, report(DATES[-1]), DATES)
