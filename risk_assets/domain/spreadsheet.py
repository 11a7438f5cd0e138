"""CSV files that people open in a spreadsheet: RFC 4180, with texts that a spreadsheet would run as formulas shown as texts."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TypeAlias

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - some spreadsheets also read full-width characters

Cell: TypeAlias = str | int | float | None

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOT_SHOWN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})  # Unicode categories: controls, format characters, separators and spaces
_SIGNS = tuple(start for start in FORMULA_STARTS if not start.isspace())
_AFTER_SEPARATOR = re.compile(rf"([;\t\r\n])(?=\s*[{re.escape(''.join(_SIGNS))}])")


def as_text(text: str) -> str:
    """Return a text with an apostrophe before each place at which a spreadsheet would see the start of a formula.

    Such a place is the beginning, also after spaces and characters without width, and what follows a separator that a spreadsheet may
    use in place of the comma. Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection.
    """
    escaped = _AFTER_SEPARATOR.sub(r"\1'", text)
    first = next((letter for letter in text if unicodedata.category(letter) not in _NOT_SHOWN), "")
    return f"'{escaped}" if text.startswith(FORMULA_STARTS) or first in _SIGNS else escaped


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return a CSV file.

    It starts with a byte order mark: without one, spreadsheets read UTF-8 as the code page of the machine. Texts are always quoted and
    numbers never, so that a program that can tell them apart keeps an id of digits as text.
    """
    lines = (",".join(map(_field, row)) for row in (columns, *rows))
    return _BYTE_ORDER_MARK + "".join(f"{line}\r\n" for line in lines).encode(errors="replace")


def _field(cell: Cell) -> str:
    if cell is None:
        return ""
    return '"' + as_text(cell).replace('"', '""') + '"' if isinstance(cell, str) else repr(cell)
