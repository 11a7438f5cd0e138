"""CSV files for spreadsheets: nothing in them runs as a formula, numbers stay numbers."""

import csv
import io

import pytest

from risk_assets.domain.spreadsheet import FORMULA_STARTS, as_text, csv_file


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_a_text_that_starts_like_a_formula_is_shown_as_text(start: str) -> None:
    assert as_text(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("start", [start for start in FORMULA_STARTS if not start.isspace()])
@pytest.mark.parametrize("before", [" ", "\u00a0", "\u200b", "\ufeff", "\x00", " \u202e"])
def test_a_formula_after_what_is_not_shown_is_shown_as_text(before: str, start: str) -> None:
    assert as_text(f"{before}{start}1+1").startswith("'")


@pytest.mark.parametrize("text", ["", "AC001", "1=1", "a-b", "'=1", "00012", "\N{MINUS SIGN}21 points", "a, -b", "A" * 10_000, "א", "  x"])
def test_other_texts_are_unchanged(text: str) -> None:
    assert as_text(text) == text


@pytest.mark.parametrize(("text", "escaped"), [("a;=1", "a;'=1"), ("a; =1;@b", "a;' =1;'@b"), ("a\n=1", "a\n'=1"), ("a\t＝1", "a\t'＝1")])  # noqa: RUF001
def test_a_formula_after_another_separator_is_shown_as_text(text: str, escaped: str) -> None:
    assert as_text(text) == escaped


def test_texts_are_quoted_and_numbers_are_not() -> None:
    content = csv_file(("id", "change", "share", "none"), [("00012", -21, 0.1, None), ('say "hi", all', 3, 1e-7, "=1")])
    assert content == (
        b'\xef\xbb\xbf"id","change","share","none"\r\n'
        b'"00012",-21,0.1,\r\n'
        b'"say ""hi"", all",3,1e-07,"\'=1"\r\n'
    )  # fmt: skip


@pytest.mark.parametrize("text", ["a\r\nb", "a\rb", "\n", '"', '""', ",", "\u2028", "nul\x00", "x" * 10_000])
def test_any_text_is_one_field(text: str) -> None:
    content = csv_file(("a", "b"), [(f"x{text}", "end")]).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(content, newline=""), strict=True))
    assert rows == [["a", "b"], [f"x{text}", "end"]]


def test_a_text_that_is_not_unicode_is_written_with_a_mark() -> None:
    assert csv_file(("a",), [("\ud800",)]).endswith(b'"?"\r\n')
