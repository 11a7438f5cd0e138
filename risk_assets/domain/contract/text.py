"""The rule for the text of a cell: surrounding whitespace is ignored, and levels are compared in Unicode normal form C.

The rule applies to snapshots, outcomes, requests, and the tokens of the contract. `ingest.text` has the same rule for polars
columns. An id is stripped and otherwise compared as exact text. A level is stripped and normalised, so that `é` as one character
and as `e` with an accent are the same level.

Characters without width are text: the zero-width space (U+200B), the zero-width joiners and the byte order mark (U+FEFF) are not
whitespace in Unicode. A level or id with one differs from the same text without it.
"""

import unicodedata

_CONTROLS = frozenset({"Cc", "Zl", "Zp"})  # Unicode categories: control characters, line and paragraph separators

# The characters that str.strip() removes: Unicode's White_Space, which polars strips, and the separators U+001C to U+001F.
WHITESPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


def strip_cell(text: str) -> str:
    """Return the text without surrounding whitespace."""
    return text.strip(WHITESPACE)


def normalize_level(text: str) -> str:
    """Return the text without surrounding whitespace, in normal form C."""
    stripped = text.strip(WHITESPACE)
    return stripped if stripped.isascii() else unicodedata.normalize("NFC", stripped)


def without_controls(text: str) -> str:
    """Return the text with a space for each control character and each line or paragraph separator."""
    return "".join(" " if unicodedata.category(letter) in _CONTROLS else letter for letter in text)
