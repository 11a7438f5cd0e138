"""Numbers, dates and texts as the pages show them."""

import tomllib

import pytest

from risk_assets.domain.morning.facts import Figure, Range
from risk_assets.domain.morning.figure_text import amount
from risk_assets.pages import formats, words
from tests.conftest import ROOT

M = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(1234567, 0, "1,234,567"), (-1234.5, 1, f"{M}1,234.5"), (-0.4, 0, "0"), (0.0, 2, "0.00"), (-0.001, 2, "0.00")],
)
def test_number(value: float, digits: int, shown: str) -> None:
    assert formats.number(value, digits) == shown


@pytest.mark.parametrize(("value", "shown"), [(9, "+9"), (-9, f"{M}9"), (0, "±0"), (-0.2, "±0"), (1500, "+1,500")])
def test_signed(value: float, shown: str) -> None:
    assert formats.signed(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (214_900, "214,900"),
        (9_999_999, "9,999,999"),
        (12_340_000, "12.3M"),
        (-12_340_000, f"{M}12.3M"),
        (45_000_000_000, "45.0bn"),
        (0.2, "0"),
    ],
)
def test_amount(value: float, shown: str) -> None:
    assert amount(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(12_340_000, "+12.3M"), (-9, f"{M}9"), (0.3, "±0")])
def test_signed_amount(value: float, shown: str) -> None:
    assert formats.signed_amount(value) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("mean probability", 0.131, "13.1%"),
        ("mean probability", 0.0131, "1.31%"),
        ("expected bads", 3.14, "3.1"),
        ("expected bads", 39.4, "39"),
    ],
)
def test_small_figures_have_more_digits(name: str, value: float, shown: str) -> None:
    assert words.value(name, value) == shown  # type: ignore[arg-type]


def test_usual_ranges() -> None:
    assert words.usual(Figure("flagged", 3)) == "usual range not known yet"
    assert words.usual(Figure("flagged", 3, normal=Range(40, 40.2, 9))) == "usually 40"
    assert words.usual_rows(Range(3196, 3204, 9)) == "usually 3,196 to 3,204"


def test_a_figure_outside_its_range_has_the_digits_that_show_it() -> None:
    figure = Figure("mean probability", 0.0638, normal=Range(0.0603, 0.06376, 9))
    assert (words.figure_value(figure), words.usual(figure)) == ("6.380%", "usually 6.030% to 6.376%")
    within = Figure("mean probability", 0.0637, normal=Range(0.0603, 0.06374, 9))
    assert (words.figure_value(within), words.usual(within)) == ("6.37%", "usually 6.03% to 6.37%")
    exposure = Figure("flagged exposure", 12_340_000, normal=Range(11e6, 12_330_000, 9))
    assert (words.figure_value(exposure), words.usual(exposure)) == ("12.34M", "usually 11.00M to 12.33M")


def test_dates_and_instants() -> None:
    assert formats.long_date("2026-01-28") == "Wednesday 28 January 2026"
    assert words.moment("2026-01-29T02:01+01:00", "2026-01-28") == "02:01 on 29 Jan"
    assert words.moment("2026-11-29T02:01+01:00", "2025-01-28") == "02:01 on 29 Nov 2026"
    assert words.since("2025-12-31", "2026-01-01") == "31 Dec 2025"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "missing"), ("<b>", "<b>"), (1.0, "1"), (0.8123, "0.812"), (-2.345, f"{M}2.35"), (0.0, "0"), (2e16, "2e+16")],
)
def test_values_of_features(value: float | str | None, shown: str) -> None:
    assert words.feature_value(value) == shown


def test_short_texts_are_whole() -> None:
    assert formats.shortened("A" * 40) == "A" * 40
    assert formats.shortened("A" * 30 + "B" * 30) == "A" * 29 + "…" + "B" * 10


def test_texts_on_one_line() -> None:
    assert formats.one_line("a\r\nb\x00 \N{RIGHT-TO-LEFT OVERRIDE}c") == "a b\N{REPLACEMENT CHARACTER} c"


def test_templates_are_part_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["risk_assets"]
    package = ROOT / "risk_assets"
    included = {found for pattern in patterns for found in package.glob(f"{pattern}/*" if pattern.endswith("**") else pattern)}
    assert {file for file in (package / "pages/templates").rglob("*") if file.is_file()} <= included
