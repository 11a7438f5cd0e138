"""The page of a morning report in a browser: on a screen, a phone and paper, with a keyboard, and for a screen reader."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from risk_assets.domain.morning.facts import MorningReport
from tests.pages import samples

Make = Callable[[], MorningReport]
Open = Callable[[MorningReport], Page]


@pytest.mark.parametrize("make", [samples.ordinary, samples.not_scored, samples.hostile])
def test_no_message_and_no_request(opened: Open, browser_page: Page, make: Make) -> None:
    messages: list[str] = []
    requests: list[str] = []
    browser_page.on("console", lambda message: messages.append(message.text))
    browser_page.on("pageerror", lambda error: messages.append(str(error)))
    browser_page.on("request", lambda request: requests.append(request.url))
    page = opened(make())
    assert page.title().startswith("Morning report, 28 Jan 2026")
    assert messages == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in requests if url.startswith("file:")]) == 1


@pytest.mark.parametrize("width", [390, 320, 1200])
@pytest.mark.parametrize("make", [samples.unusual, samples.first_date, samples.hostile])
def test_the_page_does_not_scroll_sideways(opened: Open, make: Make, width: int) -> None:
    page = opened(make())
    page.set_viewport_size({"width": width, "height": 844})
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_mode_has_a_dark_page_and_light_text(opened: Open) -> None:
    page = opened(samples.ordinary())
    page.emulate_media(color_scheme="dark")
    ground, ink = (_brightness(page, name) for name in ("background-color", "color"))
    assert ground < 60
    assert ink > 200


@pytest.mark.parametrize("make", [samples.ordinary, samples.unusual, samples.not_scored])
def test_prints_on_two_pages(opened: Open, make: Make) -> None:
    page = opened(make())
    page.emulate_media(media="print")
    printed = page.pdf(prefer_css_page_size=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) <= 2


@pytest.mark.parametrize(
    ("make", "scheme"),
    [
        (samples.ordinary, "light"),
        (samples.unusual, "dark"),
        (samples.policy_changed, "light"),
        (samples.not_scored, "dark"),
        (samples.never_scored, "light"),
        (samples.hostile, "light"),
    ],
)
def test_no_accessibility_findings(opened: Open, axe: str, make: Make, scheme: Any) -> None:
    page = opened(make())
    page.emulate_media(color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")
    page.evaluate(axe)
    found = page.evaluate("axe.run().then(found => found.violations.map(each => [each.id, each.impact, each.nodes[0].html.slice(0, 200)]))")
    assert found == []


def test_lists_open_with_the_keyboard(opened: Open) -> None:
    page = opened(samples.ordinary())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "5 new on the list"
    page.keyboard.press("Enter")
    assert page.locator("details[open] summary").inner_text() == "5 new on the list"


def test_a_long_id_can_be_opened(opened: Open) -> None:
    page = opened(samples.hostile())
    row = page.locator(".work tr", has_text="AAAA").first
    row.locator("th summary").click()
    assert row.locator("th details > bdi").inner_text() == "A" * 10_000
    assert page.title() == "Morning report, 28 Jan 2026: On time"


def test_on_a_phone_a_row_of_the_work_list_names_its_figures(opened: Open) -> None:
    page = opened(samples.ordinary())
    page.set_viewport_size({"width": 390, "height": 844})
    label = page.locator(".work td.n").first.evaluate("cell => getComputedStyle(cell, '::before').content")
    assert "Exposure" in label
    assert page.locator(".work tbody tr").first.evaluate("row => row.getBoundingClientRect().right") <= 390


def _brightness(page: Page, name: str) -> float:
    color = page.evaluate("name => getComputedStyle(document.body).getPropertyValue(name)", name)
    return sum(map(float, re.findall(r"[\d.]+", color)[:3])) / 3
