"""What can be recorded about an account."""

from datetime import time
from zoneinfo import ZoneInfo

import msgspec
import pytest

from risk_assets.clock import Calendar
from risk_assets.domain.morning.dispositions import KINDS, Disposition, by_account, in_zone, problems, same_content, written

TODAY = "2026-01-29"
ENTRY = Disposition("f1", "2026-01-29T10:00:00+00:00", "2026-01-28", "A1", "called", None, "", "ann")


@pytest.mark.parametrize(
    ("kind", "promised_on", "note"),
    [
        ("seen", None, ""),
        ("called", None, "said \N{HEBREW LETTER ALEF} \N{FAMILY}"),
        ("promise to pay", TODAY, ""),
        ("promise to pay", "2027-01-29", "in a year"),
        ("note", None, "x" * 500),
    ],
)
def test_a_complete_form_has_no_problems(kind: str, promised_on: str | None, note: str) -> None:
    assert problems(kind, promised_on, note, TODAY) == {}


@pytest.mark.parametrize(
    ("kind", "promised_on", "note", "field"),
    [
        ("paid", None, "", "kind"),
        ("", None, "", "kind"),
        ("promise to pay", None, "", "promised_on"),
        ("promise to pay", "2026-01-28", "", "promised_on"),
        ("promise to pay", "2027-01-30", "", "promised_on"),
        ("promise to pay", "soon", "", "promised_on"),
        ("promise to pay", "20260203", "", "promised_on"),
        ("promise to pay", "9" * 10_000, "", "promised_on"),
        ("called", TODAY, "", "promised_on"),
        ("note", None, " ", "note"),
        ("note", None, "\u200b\u2060 \ufeff", "note"),
        ("seen", None, "x" * 501, "note"),
        ("seen", None, "two\nlines", "note"),
        ("seen", None, "\x1b[31m", "note"),
        ("seen", None, "\ud800", "note"),
        ("seen", None, "\N{RIGHT-TO-LEFT OVERRIDE}yap", "note"),
        ("seen", None, "\N{LINE SEPARATOR}", "note"),
    ],
)
def test_the_field_to_change_is_named(kind: str, promised_on: str | None, note: str, field: str) -> None:
    assert list(problems(kind, promised_on, note, TODAY)) == [field]


@pytest.mark.parametrize("note", ["", "  ", "\u200b", "\u200d\ufeff\u00ad", "\u3164", "\u2800 ", "\ufe0f", "\u034f", "\u00a0\u3000"])
def test_a_note_that_shows_nothing_is_empty(note: str) -> None:
    assert written(note) == ""


@pytest.mark.parametrize("note", ["x", "\u2764\ufe0f", "e\u0301", "\u200bא", "."])
def test_a_note_that_shows_something_is_kept(note: str) -> None:
    assert written(f" {note} ") == note


def test_all_problems_are_named_at_once() -> None:
    assert set(problems("paid", "soon", "\x00", TODAY)) == {"kind", "promised_on", "note"}


def test_the_kinds_are_those_of_the_form() -> None:
    assert KINDS == ("seen", "called", "promise to pay", "note")


def test_dispositions_are_grouped_in_their_order() -> None:
    other, later = msgspec.structs.replace(ENTRY, account="A2"), msgspec.structs.replace(ENTRY, id="f2")
    assert by_account([ENTRY, other, later]) == {"A1": (ENTRY, later), "A2": (other,)}


def test_the_time_and_the_form_are_no_content() -> None:
    assert same_content(ENTRY, msgspec.structs.replace(ENTRY, id="f2", recorded_at="2026-01-29T11:00:00+00:00"))
    assert not same_content(ENTRY, msgspec.structs.replace(ENTRY, note="x"))


def test_instants_are_shown_in_the_time_zone_of_the_team() -> None:
    calendar = Calendar(ZoneInfo("Europe/Vienna"), time(2), time(6), frozenset(range(7)))
    assert in_zone([ENTRY], calendar) == (msgspec.structs.replace(ENTRY, recorded_at="2026-01-29T11:00+01:00"),)
