"""The desk in a browser: signing in, choosing a date and signing out with the keyboard, without a script or a message."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

import tests.pages
from tests.browser import open_page
from tests.npm import NpmPackages, existing
from tests.serving.conftest import Service
from tests.serving.desk.conftest import DATES, TOKEN

PAGES = Path(next(iter(tests.pages.__path__)))
MODES = [("light", 1200), ("dark", 390), ("light", 320)]


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    return existing(NpmPackages(PAGES).installed() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator[Page]:
    """A page in a browser that all tests of the module use."""
    with open_page(chromium) as opened:
        yield opened


def test_the_desk_works_with_the_keyboard(guarded: Service, page: Page, axe: str) -> None:
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"{guarded.url}/desk/{DATES[1]}")
    _without_findings(page, axe)
    page.get_by_label("Token with the role review").press_sequentially(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/desk/{DATES[1]}")
    for scheme, width in MODES:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 844})
        _without_findings(page, axe)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Report of").fill(DATES[0])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/desk/{DATES[0]}")
    page.get_by_role("link", name="next date").press("Enter")
    page.wait_for_url(f"**/desk/{DATES[1]}")
    page.get_by_role("link", name="All dates", exact=True).press("Enter")
    page.wait_for_url("**/desk/dates")
    _without_findings(page, axe)
    page.get_by_role("button", name="Sign out").press("Enter")
    page.wait_for_url("**/desk/sign-in")
    assert messages == []
    assert [url for url in requests if not url.startswith((guarded.url, "data:"))] == []


def _without_findings(page: Page, axe: str) -> None:
    page.evaluate(axe)
    found = page.evaluate("axe.run().then(found => found.violations.map(each => [each.id, each.impact, each.nodes[0].html.slice(0, 200)]))")
    assert found == []
