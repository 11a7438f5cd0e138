"""Find how a text column writes its numbers: format, decimal mark and thousands mark."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import polars as pl

from risk_assets.domain.contract.missing_values import NUMBER_TOKENS, known_values
from risk_assets.domain.contract.notation import MONEY, PERCENT, Decimal, Notation, Thousands
from risk_assets.domain.contract.parsing import CURRENCY, parse_number

MAX_UNREADABLE_SHARE = 0.01
MIN_SUPPORT = 20  # rows that a rule about shares or ranges needs
SAMPLE_VALUES = 2000  # distinct values from which the notation is chosen
SAME_CURRENCY = {"$": "USD", "US$": "USD", "\u20ac": "EUR", "\u00a3": "GBP", "\u00a5": "JPY", "\u20b9": "INR", "Rs": "INR", "Rs.": "INR"}

Marks = tuple[Decimal, Thousands | None]


@dataclass(frozen=True)
class Choice:
    """The notation that reads most values of a column.

    Attributes
    ----------
    format : str or None
        "percent", "money", or None for plain numbers.
    decimal : {".", ","} or None
        The decimal mark; None if no value has one.
    thousands : str or None
        The thousands mark; None if no value has one.
    is_ambiguous : bool
        Whether a mark could also be the other kind of mark, as in 1,234.
    """

    format: str | None
    decimal: Decimal | None
    thousands: Thousands | None
    is_ambiguous: bool = False

    def notation(self, default: Decimal) -> Notation:
        """Return the notation, with the decimal mark of the contract if the column has none."""
        return Notation(self.format, self.decimal or default, self.thousands or _implied(self.format, self.decimal or default))


@dataclass(frozen=True)
class Reading:
    """The finite numbers of a column, null elsewhere, and the count of values that are neither numbers nor missing."""

    choice: Choice
    values: pl.Series
    unreadable: int

    @property
    def readable(self) -> int:
        """The number of rows with a number."""
        return len(self.values) - self.values.null_count()

    @property
    def is_numeric(self) -> bool:
        """Whether nearly all known values are numbers."""
        return self.unreadable <= MAX_UNREADABLE_SHARE * (self.readable + self.unreadable) and self.readable > 0


def read_numbers(text: pl.Series, default: Decimal) -> Reading:
    """Return the numbers of a column in the notation that reads most values.

    Parameters
    ----------
    text : Series of String
        The values, without blanks around them.
    default : {".", ","}
        The decimal mark of most columns of the file.
    """
    choice = choose_notation(text, default)
    values = _parsed(text, choice.notation(default))
    values = values.set(~values.is_finite().fill_null(False), None)
    unreadable = int((known_values(text, NUMBER_TOKENS).is_not_null() & values.is_null()).sum())
    return Reading(choice, values, unreadable)


def choose_notation(text: pl.Series, default: Decimal) -> Choice:
    """Return the notation that reads most distinct values; plain numbers first, then percentages, then money."""
    values = known_values(text, NUMBER_TOKENS).drop_nulls().unique(maintain_order=True)
    sample = values.gather_every(len(values) // SAMPLE_VALUES + 1)
    form, unread = None, _unread(sample, None)
    for other in (PERCENT, MONEY):
        if min(unread.values()) and min((found := _unread(sample, other)).values()) < min(unread.values()):
            form, unread = other, found
    best = {marks for marks, count in unread.items() if count == min(unread.values())}
    return _resolved(form, best, sample, default)


def decimal_mark(texts: Iterable[pl.Series]) -> Decimal:
    """Return the decimal mark of most numeric columns, "." if there are as many with a comma."""
    votes = Counter(_decimal_of(text) for text in texts)
    return "," if votes[","] > votes["."] else "."


def currencies(text: pl.Series) -> tuple[str, ...]:
    """Return the currencies that occur in more than `MAX_UNREADABLE_SHARE` of the values, most frequent first."""
    found = text.str.extract(f"({CURRENCY})").drop_nulls().replace(SAME_CURRENCY)
    counts = found.value_counts(sort=True)
    frequent = counts.filter(pl.col("count") > MAX_UNREADABLE_SHARE * len(text.drop_nulls()))
    return tuple(frequent[text.name].to_list())


def _decimal_of(text: pl.Series) -> Decimal | None:
    reading = read_numbers(text, ".")
    choice = reading.choice
    return choice.decimal if reading.is_numeric and not choice.is_ambiguous else None


def _implied(form: str | None, decimal: Decimal) -> Thousands | None:
    """Return the thousands mark that a format has without an own one, as in `Contract.notation`."""
    if form != MONEY:
        return None
    return "," if decimal == "." else "."


def _parsed(text: pl.Series, notation: Notation) -> pl.Series:
    return text.to_frame("text").select(parse_number(pl.col("text"), notation).alias(text.name)).to_series()


def _unread(sample: pl.Series, form: str | None) -> dict[Marks, int]:
    """Return how many values each pair of marks cannot read. Thousands marks that do not occur are not tried."""
    present = [mark for mark in get_args(Thousands) if _occurs(sample, mark)]
    pairs: list[Marks] = [(decimal, mark) for decimal in get_args(Decimal) for mark in (None, *present) if mark != decimal]
    frame = sample.to_frame("text")
    counts = [parse_number(pl.col("text"), Notation(form, *marks)).is_finite().fill_null(False).not_().sum() for marks in pairs]
    return dict(zip(pairs, frame.select(count.alias(str(at)) for at, count in enumerate(counts)).row(0), strict=True))


def _occurs(sample: pl.Series, mark: str) -> bool:
    pattern = {" ": r"[0-9]\s[0-9]", "'": "[0-9]['\u2019][0-9]"}.get(mark, f"[0-9][{mark}][0-9]")
    return bool(sample.str.contains(pattern).any())


def _resolved(form: str | None, best: set[Marks], sample: pl.Series, default: Decimal) -> Choice:
    """Return the choice between marks that read the same number of values."""
    if {(".", None), (",", None)} <= best:
        return Choice(form, None, None)
    if {(",", None), (".", ",")} <= best:
        is_decimal = default == "," and not _has_whole(sample)
        return Choice(form, ",", None, True) if is_decimal else Choice(form, ".", ",", True)
    if {(".", None), (",", ".")} <= best:
        is_thousands = default == "," or _has_small_whole(sample)
        return Choice(form, ",", ".", True) if is_thousands else Choice(form, ".", None, True)
    decimal, thousands = min(best, key=lambda marks: (marks[1] is not None, marks[0] != default))
    return Choice(form, None if len({mark for mark, _ in best}) > 1 else decimal, thousands)


def _has_whole(sample: pl.Series) -> bool:
    return bool(_whole(sample).any())


def _has_small_whole(sample: pl.Series) -> bool:
    """Return whether whole numbers without a point are below 1000, beside many numbers with one: 900 beside 1.200."""
    whole = sample.filter(_whole(sample))
    below_1000 = whole.str.count_matches("[0-9]") <= len("999")
    return len(whole) > 0 and bool(below_1000.all()) and len(sample) - len(whole) >= MIN_SUPPORT


def _whole(sample: pl.Series) -> pl.Series:
    return sample.str.contains("^[^0-9]*[1-9][0-9]*[^0-9]*$")
