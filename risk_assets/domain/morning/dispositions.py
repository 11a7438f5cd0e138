"""Dispositions: what people did about accounts of a work list. They are read by people only, never by a model."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, get_args

import msgspec

from risk_assets.clock import Calendar, is_date, shift

Kind: TypeAlias = Literal["seen", "called", "promise to pay", "note"]
Problems: TypeAlias = dict[str, str]  # a sentence for each field of a form that has to be changed

KINDS: tuple[Kind, ...] = get_args(Kind)
PROMISE: Kind = "promise to pay"
NOTE: Kind = "note"
LONGEST_NOTE = 500  # characters
PROMISE_DAYS = 365  # from today, within which a promise can be

_NOT_IN_NOTES = frozenset({"Cc", "Cs", "Zl", "Zp"})  # Unicode categories: controls, surrogates, line and paragraph separators
_SPACES = frozenset({"Cf", "Mn", "Zs"})  # what shows nothing by itself: formats such as a zero-width space, marks, spaces
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and a symbol that show nothing
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Disposition(msgspec.Struct, frozen=True):
    """What somebody did about an account.

    Attributes
    ----------
    id
        The id of the form: a form that is sent twice is recorded once.
    recorded_at
        ISO 8601, UTC as it is stored.
    date
        The date of the work list.
    promised_on
        The date by which the customer promised to pay; only of the kind `PROMISE`.
    by
        The name of who recorded it.
    """

    id: str
    recorded_at: str
    date: str
    account: str
    kind: Kind
    promised_on: str | None
    note: str
    by: str


Dispositions: TypeAlias = Mapping[str, tuple[Disposition, ...]]  # by account, the newest one last


def problems(kind: str, promised_on: str | None, note: str, today: str) -> Problems:
    """Return what has to be changed in a form, by field; empty if it can be recorded."""
    found = {
        "kind": _problem_of_kind(kind),
        "promised_on": _problem_of_promise(kind, promised_on, today),
        "note": _problem_of_note(kind, note),
    }
    return {field: problem for field, problem in found.items() if problem}


def written(note: str) -> str:
    """Return a note without spaces around it; empty if none of its characters shows anything."""
    return note.strip() if any(unicodedata.category(each) not in _SPACES and each not in _FILLERS for each in note) else ""


def same_content(one: Disposition, other: Disposition) -> bool:
    """Return whether two dispositions differ in their ids and the time of recording only."""
    return msgspec.structs.replace(one, id=other.id, recorded_at=other.recorded_at) == other


def by_account(found: Iterable[Disposition]) -> dict[str, tuple[Disposition, ...]]:
    """Return dispositions by account, in the given order."""
    grouped: dict[str, list[Disposition]] = {}
    for each in found:
        grouped.setdefault(each.account, []).append(each)
    return {account: tuple(entries) for account, entries in grouped.items()}


def in_zone(entries: Iterable[Disposition], calendar: Calendar) -> tuple[Disposition, ...]:
    """Return dispositions with their instants in the team's time zone, as pages show them."""
    return tuple(msgspec.structs.replace(each, recorded_at=calendar.in_zone(each.recorded_at)) for each in entries)


def _problem_of_kind(kind: str) -> str | None:
    return None if kind in KINDS else f"Choose one of {', '.join(KINDS)}."


def _problem_of_promise(kind: str, promised_on: str | None, today: str) -> str | None:
    if kind != PROMISE:
        return None if promised_on is None else f"Only a {PROMISE} has a promised date: remove the date, or choose {PROMISE}."
    if promised_on is None:
        return "Enter the date by which the customer promised to pay."
    if not is_date(promised_on):
        return "Enter a date, written YYYY-MM-DD."
    if today <= promised_on <= shift(today, PROMISE_DAYS):
        return None
    return "Enter a date from today on, and within a year."


def _problem_of_note(kind: str, note: str) -> str | None:
    if len(note) > LONGEST_NOTE:
        return f"Shorten the note to {LONGEST_NOTE} characters; it has {len(note)}."
    if any(letter in _DIRECTIONS or unicodedata.category(letter) in _NOT_IN_NOTES for letter in note):
        return "Remove line breaks and other control characters from the note."
    return "Write the note." if kind == NOTE and not written(note) else None
