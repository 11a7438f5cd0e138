"""The work list of a date as a page and as a file."""

from collections.abc import Iterable

import msgspec

from risk_assets.clock import Calendar
from risk_assets.domain.morning.dispositions import Dispositions, in_zone
from risk_assets.domain.morning.facts import MorningReport, WorkItem
from risk_assets.domain.morning.selection import Selection, select, selected_items
from risk_assets.domain.morning.work_list_csv import work_list_csv
from risk_assets.lake.dispositions import DispositionLog, ReadDispositions
from risk_assets.pages.served import Served
from risk_assets.pages.work_list import render_work_list
from risk_serving.desk.answers.dates_around import served_around
from risk_serving.desk.desk import Desk
from risk_serving.desk.questions import Answer, WorkListFile, WorkListPage

CSV = "text/csv; charset=utf-8"


def work_list_page(desk: Desk, question: WorkListPage, log: DispositionLog) -> Answer:
    """Return the page of a selection of a date's work list; raises `LakeError` if the report or the dispositions cannot be read."""
    served, recorded = served_around(desk.dates(), question.date), log.read()
    versions = (desk.version(question.date), log.version, served)
    return desk.answers.get(question, versions, lambda: _page(desk, question, served, recorded))


def work_list_file(desk: Desk, question: WorkListFile, log: DispositionLog) -> Answer:
    """Return all accounts of a selection as CSV; raises `LakeError` if the report or the dispositions cannot be read."""
    report, recorded = desk.report(question.date), log.read()
    items = selected_items(report.work_list.items, _possible(question.selection, report))
    content = work_list_csv(items, _of(items, recorded.by_account, desk.settings.calendar))
    return Answer(200, content, CSV, file_name=f"work_list_{report.shown_date or question.date}.csv")


def _page(desk: Desk, question: WorkListPage, served: Served, recorded: ReadDispositions) -> Answer:
    report = desk.report(question.date)
    selection = _possible(question.selection, report)
    selected = select(report.work_list.items, selection)
    dispositions = _of(selected.items, recorded.by_account, desk.settings.calendar)
    return Answer(200, render_work_list(report, selected, selection, dispositions, served, recorded.damaged).encode())


def _possible(selection: Selection, report: MorningReport) -> Selection:
    """Return the selection; of all accounts if there is no earlier date, so that nothing is new."""
    return selection if report.changes else msgspec.structs.replace(selection, shown="all")


def _of(items: Iterable[WorkItem], dispositions: Dispositions, calendar: Calendar) -> Dispositions:
    """Return the dispositions of some accounts, with their instants in the team's time zone."""
    return {item.account: in_zone(found, calendar) for item in items if (found := dispositions.get(item.account))}
