"""How a column writes its numbers: the format, the decimal mark and the thousands mark. Without polars: serving imports it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Decimal = Literal[".", ","]
Thousands = Literal[",", ".", " ", "'"]

PERCENT, MONEY = "percent", "money"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_ENDS = ("uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember")

_DATE = re.compile(r"date\((.+)\)")
_DIRECTIVE = re.compile(r"%(.)|([^%]+|%)", re.DOTALL)
_NUMERIC = {"Y": "[0-9]{4}", "y": "[0-9]{2}", "m": "[0-9]{1,2}", "d": "[0-9]{1,2}", "H": "[0-9]{1,2}", "M": "[0-9]{2}"}
_PATTERNS = {
    **_NUMERIC,
    "S": r"[0-9]{2}(?:\.[0-9]+)?",
    "b": f"(?:{'|'.join(MONTHS)})",
    "B": f"(?:{'|'.join(month + end for month, end in zip(MONTHS, _MONTH_ENDS, strict=True))})",
}
_PARTS = {"Y": "year", "y": "year", "m": "month", "b": "month", "B": "month", "d": "day"}
_READABLE = {"Y": "yyyy", "y": "yy", "m": "mm", "d": "dd", "b": "Mon", "B": "Month", "H": "hh", "M": "mm", "S": "ss"}


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written.

    Attributes
    ----------
    format : str or None
        "percent", "money" or "date(FORMAT)"; None means plain numbers.
    decimal : {".", ","}
        The decimal mark.
    thousands : {",", ".", " ", "'"} or None
        The thousands mark; None means that numbers have none. " " is any space, also a no-break one.
    """

    format: str | None = None
    decimal: Decimal = "."
    thousands: Thousands | None = None

    @property
    def date_format(self) -> str | None:
        """The FORMAT of `date(FORMAT)`; None for other formats."""
        return date_format(self.format)


def check_format(text: str) -> str:
    """Return a feature's `format` unchanged.

    Raises
    ------
    ValueError
        When the format is unknown or its dates have no year or no month.
    """
    if text in (PERCENT, MONEY):
        return text
    dates = date_format(text)
    if dates is None:
        raise ValueError("use percent, money or date(FORMAT), for example date(%d.%m.%Y)")
    date_pattern(dates)
    return text


def date_format(text: str | None) -> str | None:
    """Return the FORMAT of `date(FORMAT)`; None if the text is not of this form."""
    found = _DATE.fullmatch(text or "")
    return found[1] if found else None


def date_pattern(dates: str) -> str:
    """Return a regular expression with the groups `year`, `month` and, if the format has a day, `day`.

    A day or month may have a single digit if it is not next to another number.

    Raises
    ------
    ValueError
        When a directive is unknown or repeated, or the year or the month is missing.
    """
    tokens = [(found[1], found[2]) for found in _DIRECTIVE.finditer(dates)]
    letters = [letter for letter, _ in tokens]
    parts = sorted(_PARTS[letter] for letter in letters if letter in _PARTS)
    if any(letter and letter not in _PATTERNS for letter in letters) or "%" in [literal for _, literal in tokens]:
        raise ValueError(f"date({dates}): use %Y or %y, %m, %b or %B, %d, and %H, %M, %S, which are ignored")
    if parts not in (["month", "year"], ["day", "month", "year"]):
        raise ValueError(f"date({dates}): a date needs one year (%Y or %y), one month (%m, %b or %B) and at most one day (%d)")
    return f"(?i)^{''.join(_expressions(tokens))}$"


def readable_date(dates: str) -> str:
    """Return a date format in words, for example dd.mm.yyyy from %d.%m.%Y."""
    return _DIRECTIVE.sub(lambda found: _READABLE.get(found[1], "") if found[1] else found[2], dates)


def _expressions(tokens: list[tuple[str, str]]) -> Iterator[str]:
    for position, (letter, literal) in enumerate(tokens):
        neighbours = (*tokens[max(position - 1, 0) : position], *tokens[position + 1 : position + 2])
        is_adjacent = any(other in _NUMERIC for other, _ in neighbours)
        pattern = _PATTERNS.get(letter, "").replace("{1,2}", "{2}" if is_adjacent else "{1,2}")
        yield f"(?P<{_PARTS[letter]}>{pattern})" if letter in _PARTS else pattern or re.escape(literal)
