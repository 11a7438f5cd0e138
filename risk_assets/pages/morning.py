"""The morning report as a page, and the page that lists all reports."""

from collections.abc import Sequence
from dataclasses import dataclass

from risk_assets.domain.morning.facts import MorningReport, Verdict
from risk_assets.pages.environment import environment
from risk_assets.pages.morning_plots import morning_plots
from risk_assets.pages.served import Served


@dataclass(frozen=True)
class Links:
    """Addresses of other pages, relative to the page; None for pages that do not exist."""

    index: str | None = None
    previous: str | None = None
    following: str | None = None


@dataclass(frozen=True)
class IndexEntry:
    """A report in the list of all reports: its date, its address relative to the list, and what happened if that is known."""

    date: str
    address: str
    verdict: Verdict | None = None


def render(report: MorningReport, links: Links | None = None, served: Served | None = None) -> str:
    """Return the page of a report: HTML without scripts and, unless it is served, without requests."""
    facts = {"report": report, "plots": morning_plots(report), "links": links or Links(), "served": served}
    return environment().get_template("morning.html").render(facts)


def render_index(entries: Sequence[IndexEntry], served: Served | None = None) -> str:
    """Return the page that lists reports, the newest date first."""
    newest_first = sorted(entries, key=lambda entry: entry.date, reverse=True)
    return environment().get_template("index.html").render(entries=newest_first, served=served)
