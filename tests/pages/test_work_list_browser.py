"""The served work list in a browser: on a screen, a phone and paper, with a keyboard, and for a screen reader."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.npm import NpmPackages, existing
from tests.pages.work_lists import FIRST, PAGES

HERE = Path(__file__).resolve().parent
Show = Callable[[str], Page]


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, which finds what makes a page hard to use with a screen reader or without colours."""
    return existing(NpmPackages(HERE).installed() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def show(browser_page: Page, tmp_path: Path) -> Show:
    """Open a page by its name."""

    def open_page(name: str) -> Page:
        path = tmp_path / "page.html"
        path.write_text(PAGES[name](), encoding="utf-8")
        browser_page.emulate_media(media="screen", color_scheme="light")
        browser_page.set_viewport_size({"width": 1200, "height": 900})
        browser_page.goto(path.as_uri())
        return browser_page

    return open_page


def open_all(page: Page) -> None:
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("new and worse", "light"),
        ("page of many", "dark"),
        ("nothing found", "light"),
        ("not scored", "dark"),
        ("hostile", "light"),
        ("conflict", "dark"),
        ("to change", "light"),
    ],
)
def test_no_accessibility_findings(show: Show, axe: str, name: str, scheme: Any) -> None:
    page = show(name)
    page.emulate_media(color_scheme=scheme)
    open_all(page)
    page.evaluate(axe)
    found = page.evaluate("axe.run().then(found => found.violations.map(each => [each.id, each.impact, each.nodes[0].html.slice(0, 200)]))")
    assert found == []


@pytest.mark.parametrize("width", [320, 390, 1200])
@pytest.mark.parametrize("name", ["all", "page of many", "hostile", "hostile selection", "hostile conflict", "to change"])
def test_the_page_does_not_scroll_sideways(show: Show, name: str, width: int) -> None:
    page = show(name)
    page.set_viewport_size({"width": width, "height": 844})
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", ["all", "hostile", "hostile conflict"])
def test_no_message_and_no_request(show: Show, browser_page: Page, name: str) -> None:
    messages: list[str] = []
    requests: list[str] = []
    browser_page.on("console", lambda message: messages.append(message.text))
    browser_page.on("pageerror", lambda error: messages.append(str(error)))
    browser_page.on("request", lambda request: requests.append(request.url))
    show(name)
    assert messages == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def test_an_account_is_recorded_with_the_keyboard(show: Show) -> None:
    page = show("new and worse")
    focused = "document.activeElement.getAttribute('name') ?? document.activeElement.textContent"
    page.locator("table a", has_text=FIRST).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    reached = []
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
    assert list(dict.fromkeys(reached))[:4] == ["kind", "promised_on", "note", "Record"]


def test_a_sent_form_has_all_fields(show: Show) -> None:
    page = show("new and worse")
    form = page.locator("form.disposition").first
    form.evaluate("form => form.closest('details').open = true")
    form.locator("[name=kind]").select_option("promise to pay")
    form.locator("[name=promised_on]").fill("2026-02-03")
    form.locator("[name=note]").fill("said yes")
    sent = form.evaluate("form => Object.fromEntries(new FormData(form))")
    assert sent["kind"] == "promise to pay" and sent["promised_on"] == "2026-02-03" and sent["note"] == "said yes"
    assert set(sent) == {"form_token", "form_id", "date", "key", "known", "back", "kind", "promised_on", "note"}


def test_the_filter_is_sent_as_a_query(show: Show) -> None:
    page = show("new and worse")
    form = page.locator("form.filter")
    assert form.get_attribute("method") == "get"
    form.locator("[name=category]").select_option("worse")
    sent = form.evaluate("form => Object.fromEntries(new FormData(form))")
    assert sent == {
        "shown": "new and worse",
        "category": "worse",
        "reason": "",
        "band": "",
        "search": "",
        "sort": "rank",
        "order": "asc",
    }


def test_on_a_phone_a_row_is_a_card(show: Show) -> None:
    page = show("all")
    page.set_viewport_size({"width": 320, "height": 844})
    assert "Exposure" in page.locator(".work td.n").first.evaluate("cell => getComputedStyle(cell, '::before').content")
    assert not page.locator("thead").first.is_visible()
    assert page.locator(".work tbody tr").first.evaluate("row => row.getBoundingClientRect().right") <= 320


def test_a_print_has_no_forms(show: Show) -> None:
    page = show("all")
    page.emulate_media(media="print")
    assert not any(form.is_visible() for form in page.locator("form").all())
    assert page.locator(".done").first.is_visible()
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(prefer_css_page_size=True))) <= 3


def test_the_row_that_one_comes_back_to_is_marked(show: Show) -> None:
    page = show("all")
    name = page.locator("tbody tr").nth(20).get_attribute("id")
    page.evaluate("name => { location.hash = name }", name)
    assert page.locator("tr:target").count() == 1
    assert page.locator("tr:target").evaluate("row => row.getBoundingClientRect().top") < 900
