"""Surrounding whitespace and normal form of ids and levels."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_assets.domain.contract.text import WHITESPACE, normalize_level, strip_cell


def test_whitespace_is_what_str_strip_removes() -> None:
    assert sorted(WHITESPACE) == [chr(code) for code in range(sys.maxunicode + 1) if not chr(code).strip()]


@pytest.mark.parametrize("space", WHITESPACE)
def test_surrounding_whitespace_is_removed(space: str) -> None:
    assert strip_cell(f"{space}a{space}b{space} ") == f"a{space}b"
    assert normalize_level(f" {space}\xe9{space}") == "\xe9"
    assert strip_cell(space) == normalize_level(space) == ""


@pytest.mark.parametrize("mark", ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\x00", "\u180e"])
def test_characters_without_width_are_kept(mark: str) -> None:
    assert strip_cell(f"{mark}a") == normalize_level(f"{mark}a") == f"{mark}a"


def test_ids_keep_their_normal_form_and_levels_do_not() -> None:
    assert strip_cell(" e\u0301 ") == "e\u0301"
    assert normalize_level(" e\u0301 ") == "\xe9"
    assert normalize_level("\u212b") == "\xc5"  # the ångström sign is the letter
    assert normalize_level("\uff21") == "\uff21"  # a full-width letter is another letter


@given(st.text())
def test_the_rule_is_idempotent(text: str) -> None:
    level = normalize_level(text)
    assert normalize_level(level) == level == unicodedata.normalize("NFC", text.strip())
    assert strip_cell(strip_cell(text)) == strip_cell(text) == text.strip()
