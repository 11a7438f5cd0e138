"""Pages of accounts and of compared dates in a browser, for a screen reader, and as valid HTML."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from risk_assets.pages.served import CALLER_PLACE
from tests.npm import NpmPackages, existing, node_binary
from tests.pages.desk_pages import DESK_PAGES

HERE = Path(__file__).resolve().parent
Open = Callable[[str], Page]
LONG_NAME = "maximilianevonundzuwolkensteinhohenberg@thecreditunionofthevalley"


@pytest.fixture
def shown(browser_page: Page, tmp_path: Path) -> Open:
    """Open a page by its name, for a caller with a long name, with all lists open."""

    def show(name: str) -> Page:
        path = tmp_path / "page.html"
        path.write_text(DESK_PAGES[name]().replace(CALLER_PLACE, LONG_NAME), encoding="utf-8")
        browser_page.emulate_media(media="screen", color_scheme="light")
        browser_page.set_viewport_size({"width": 1200, "height": 900})
        browser_page.goto(path.as_uri())
        browser_page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")
        return browser_page

    return show


def test_pages_are_valid_html(tmp_path: Path) -> None:
    files = [tmp_path / f"{name.replace(' ', '_')}.html" for name in DESK_PAGES]
    for file, make in zip(files, DESK_PAGES.values(), strict=True):
        file.write_text(make(), encoding="utf-8")
    validator = existing(NpmPackages(HERE).installed() / "html-validate" / "bin" / "html-validate.mjs")
    command = [node_binary(), validator, "--config", HERE / "htmlvalidate.json", "--formatter", "text", *files]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@pytest.mark.parametrize("name", DESK_PAGES)
def test_no_accessibility_findings(shown: Open, axe: str, name: str) -> None:
    page = shown(name)
    page.emulate_media(color_scheme="dark" if len(name) % 2 else "light")
    page.evaluate(axe)
    found = page.evaluate("axe.run().then(found => found.violations.map(each => [each.id, each.impact, each.nodes[0].html.slice(0, 200)]))")
    assert found == []


@pytest.mark.parametrize(("name", "scheme"), [("scored account", "dark"), ("two dates", "light")])
def test_no_accessibility_findings_in_the_other_scheme(shown: Open, axe: str, name: str, scheme: Any) -> None:
    page = shown(name)
    page.emulate_media(color_scheme=scheme)
    page.evaluate(axe)
    assert page.evaluate("axe.run().then(found => found.violations.map(each => each.id))") == []


@pytest.mark.parametrize("name", ["scored account", "account with issues", "hostile account", "two dates", "hostile dates", "no account"])
def test_pages_do_not_scroll_sideways(shown: Open, name: str) -> None:
    page = shown(name)
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_message_and_no_request(shown: Open, browser_page: Page) -> None:
    messages: list[str] = []
    requests: list[str] = []
    browser_page.on("console", lambda message: messages.append(message.text))
    browser_page.on("pageerror", lambda error: messages.append(str(error)))
    browser_page.on("request", lambda request: requests.append(request.url))
    for name in ("scored account", "hostile account", "hostile dates"):
        shown(name)
    assert messages == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert browser_page.title() == "28 Jan 2026 and 28 Jan 2026 compared"


def test_an_account_prints_on_one_page(shown: Open) -> None:
    page = shown("scored account")
    page.emulate_media(media="print")
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(prefer_css_page_size=True))) == 1
    assert not any(form.is_visible() for form in page.locator("form").all())


def test_an_account_by_keyboard(shown: Open) -> None:
    page = shown("scored account")
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = false })")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skips to the content
    focused = []
    for _ in range(8):
        page.keyboard.press("Tab")
        focused.append(
            page.evaluate("document.activeElement.matches('summary') ? 'summary' : document.activeElement.tagName.toLowerCase()")
        )
    assert focused[:2] == ["summary", "summary"]
    assert {"input", "button"} & set(focused)
