"""Numbers, dates and texts as the pages show them."""

import re
from datetime import date as Date
from datetime import datetime

from risk_assets.domain.morning.figure_text import MINUS, amount

LONGEST, LONGEST_SENTENCE = 40, 300  # characters of a name and of a sentence; a longer one can be opened
LONGEST_VERDICT = 900  # several sentences, where they cannot be opened
MOST_ENTRIES, RECENT_ENTRIES = 20, 3  # dispositions that the page of an account shows, and earlier ones in each row of a work list

_NOT_IN_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def number(value: float, digits: int = 0) -> str:
    """Return a number with separators of thousands, such as "1,234"; a negative one has a minus sign, not a hyphen."""
    shown = f"{value:,.{digits}f}"
    return shown.lstrip("-") if not re.search("[1-9]", shown) else shown.replace("-", MINUS)


def signed(value: float, digits: int = 0) -> str:
    """Return a number with its sign, such as "+9"; zero is "±0"."""
    shown = number(abs(value), digits)
    if not re.search("[1-9]", shown):
        return f"±{shown}"
    return f"{'+' if value > 0 else MINUS}{shown}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share in percent: "13.1%"."""
    return f"{number(share * 100, digits)}%"


def signed_percentage_points(share: float, digits: int = 1) -> str:
    """Return a difference of shares in percentage points: "+0.4 pp"."""
    return f"{signed(share * 100, digits)} pp"


def signed_amount(value: float) -> str:
    """Return an amount of money with its sign."""
    shown = amount(abs(value))
    return f"±{shown}" if shown == "0" else f"{'+' if value > 0 else MINUS}{shown}"


def short_date(date: str) -> str:
    """Return "28 Jan" for "2026-01-28"."""
    day = Date.fromisoformat(date)
    return f"{day.day} {day:%b}"


def long_date(date: str) -> str:
    """Return "Wednesday 28 January 2026" for "2026-01-28"."""
    day = Date.fromisoformat(date)
    return f"{day:%A} {day.day} {day:%B %Y}"


def date_text(date: str) -> str:
    """Return "28 Jan 2026" for "2026-01-28"."""
    day = Date.fromisoformat(date)
    return f"{day.day} {day:%b %Y}"


def clock(instant: str) -> str:
    """Return the time of day of an instant: "02:01"."""
    return f"{datetime.fromisoformat(instant):%H:%M}"


def clean(text: str) -> str:
    """Return a text without the characters that HTML does not allow: each is replaced by U+FFFD."""
    return _NOT_IN_HTML.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """Return a text on one line, without the characters that change the direction of the text after it."""
    return _DIRECTIONS.sub("", " ".join(clean(text).split()))


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return the beginning and the end of a text that is longer than `longest` characters, with an ellipsis between them."""
    if len(text) <= longest:
        return text
    tail = longest // 4
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"
