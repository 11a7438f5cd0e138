"""The morning report: the job, its schedule, and what it says of nights that went wrong."""

import msgspec

from risk_assets.domain.morning.facts import MorningReport
from risk_assets.lake import morning_files
from tests.defs.conftest import NEXT, Book


def made(book: Book, date: str = NEXT) -> MorningReport:
    """Make the report of a date and return it as it is stored."""
    assert book.runner.run("morning_report", date).error is None
    return morning_files.read(book.lake, date).report


def test_a_scored_date(scored_book: Book) -> None:
    report = made(scored_book)
    import shutil; shutil.copytree(scored_book.lake.folder, "/tmp/w/lake_m", dirs_exist_ok=True)
    print(msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(report, work_list=report.work_list.__class__(report.work_list.items[:2], 5)))).decode())
    assert 0
