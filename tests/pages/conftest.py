"""Fixtures of the tests of pages: one browser for a module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from risk_assets.domain.morning.facts import MorningReport
from risk_assets.pages.morning import Links, render
from risk_assets.pages.served import Served
from tests.browser import open_page
from tests.npm import NpmPackages, existing
from tests.pages import samples

REPORTS: dict[str, Callable[[], MorningReport]] = {
    "ordinary": samples.ordinary,
    "first date": samples.first_date,
    "never scored": samples.never_scored,
    "no file": samples.not_scored,
    "failed": lambda: samples.not_scored("failed"),
    "blocked": lambda: samples.not_scored("blocked"),
    "late": samples.late,
    "unusual": samples.unusual,
    "policy changed": samples.policy_changed,
    "empty list": samples.empty_list,
    "trained on": samples.trained_on,
    "without drift": samples.without_drift,
    "hostile": samples.hostile,
}
SERVED = Served("2026-01-27", "2026-01-29", ("2026-01-01", "2026-01-29"), "http://127.0.0.1:3000/runs/5d2c8a52")
LINKS = Links("index.html", "morning_2026-01-27.html", "morning_2026-01-29.html")


@pytest.fixture(params=REPORTS)
def report(request: pytest.FixtureRequest) -> MorningReport:
    """Each of the sample reports."""
    return REPORTS[request.param]()


@pytest.fixture(scope="module")
def browser_page(chromium: str) -> Iterator[Page]:
    """A page in a browser that all tests of a module use."""
    with open_page(chromium) as opened:
        yield opened


@pytest.fixture
def opened(browser_page: Page, tmp_path: Path) -> Callable[[MorningReport], Page]:
    """Open a report's page from a file, as it is opened from a folder."""

    def open_report(report: MorningReport) -> Page:
        path = tmp_path / "morning.html"
        path.write_text(render(report, LINKS), encoding="utf-8")
        browser_page.emulate_media(media="screen", color_scheme="light")
        browser_page.set_viewport_size({"width": 1200, "height": 900})
        browser_page.goto(path.as_uri())
        return browser_page

    return open_report


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, which finds what makes a page hard to use with a screen reader or without colours."""
    return existing(NpmPackages(Path(__file__).resolve().parent).installed() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
