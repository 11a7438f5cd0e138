"""The pages of dates: the newest one, the list of all, and the morning report of one."""

from dataclasses import replace

from risk_assets.domain.morning.facts import MorningReport
from risk_assets.lake import layout, morning_files
from risk_assets.pages import addresses
from risk_assets.pages.messages import render_message
from risk_assets.pages.morning import IndexEntry, Links, render, render_index
from risk_assets.pages.served import Served
from risk_serving.desk.answers.dates_around import served_around
from risk_serving.desk.desk import Desk
from risk_serving.desk.questions import AllDates, Answer, DatePage, NewestDate

NO_REPORT = ("There is no morning report yet.", "One is made at the deadline of each date. To make one now: risk report DATE.")


def newest_date(desk: Desk, _: NewestDate) -> Answer:
    """Return the address of the newest date with a report, or a page with status 404."""
    dates = desk.dates()
    if not dates:
        return Answer(404, render_message("No report", NO_REPORT).encode())
    return Answer(303, location=addresses.date_page(dates[-1]))


def all_dates(desk: Desk, question: AllDates) -> Answer:
    """Return the list of all dates, with what happened as far as it is known."""
    dates = desk.dates()
    versions = (dates, desk.store.entry(layout.MORNING_VERDICTS))
    return desk.answers.get(question, versions, lambda: _all_dates(desk, dates))


def date_page(desk: Desk, question: DatePage) -> Answer:
    """Return the morning report of a date; raises `NoReportError`, or another `LakeError` if it cannot be read."""
    dates = desk.dates()
    served = served_around(dates, question.date)
    versions = (desk.version(question.date), served)
    return desk.answers.get(question, versions, lambda: _date_page(desk, desk.report(question.date), served))


def _all_dates(desk: Desk, dates: tuple[str, ...]) -> Answer:
    verdicts = morning_files.stored_verdicts(desk.store)
    entries = [IndexEntry(date, addresses.date_page(date), verdicts.get(date)) for date in dates]
    return Answer(200, render_index(entries, Served(dates=dates)).encode())


def _date_page(desk: Desk, report: MorningReport, served: Served) -> Answer:
    near = (addresses.date_page(date) if date else None for date in (served.previous, served.following))
    shown = replace(served, run_url=_run_url(desk.settings.dagster_url, report.run_id))
    return Answer(200, render(report, Links(addresses.ALL_DATES, *near), shown).encode())


def _run_url(dagster_url: str | None, run_id: str | None) -> str | None:
    return f"{dagster_url.rstrip('/')}/runs/{run_id}" if dagster_url and run_id else None
