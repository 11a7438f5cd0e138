"""Writes the page and the text of a morning report, and the page that lists all reports, from the stored facts."""

from risk_assets.domain.morning.facts import MorningReport
from risk_assets.lake import layout, morning_files
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.store import Store
from risk_assets.pages.morning import IndexEntry, Links, render, render_index
from risk_assets.pages.morning_text import render_text


def write_pages(store: Store, report: MorningReport) -> None:
    """Write the page and the text of a stored report, and the list of all reports.

    The page of the date before is written again, so that it links to this one.
    """
    dates = committed_dates(store, layout.MORNING)
    before = max((date for date in dates if date < report.date), default=None)
    earlier = morning_files.find(store, before) if before else None
    for found in filter(None, (earlier, report)):
        store.put(layout.morning_page(found.date), render(found, _links(found.date, dates)).encode())
    store.put(layout.morning_text(report.date), render_text(report).encode())
    verdicts = morning_files.update_verdicts(store, report, dates)
    entries = [IndexEntry(date, _name(layout.morning_page(date)), verdicts.get(date)) for date in dates]
    store.put(layout.MORNING_INDEX, render_index(entries).encode())


def _links(date: str, dates: tuple[str, ...]) -> Links:
    """Return the addresses of the pages next to a date's page, which are in the same folder."""
    previous = max((other for other in dates if other < date), default=None)
    following = min((other for other in dates if other > date), default=None)
    return Links(_name(layout.MORNING_INDEX), *(_name(layout.morning_page(other)) if other else None for other in (previous, following)))


def _name(path: str) -> str:
    return path.rpartition("/")[2]
