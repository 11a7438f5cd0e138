"""Classify a text column by its values: numbers or levels, which values mean "missing", and whether to exclude it."""

import re
from dataclasses import dataclass, field

import polars as pl

from risk_assets.domain.contract.missing_values import (
    FEW_NUMBERS,
    NUMBER_TOKENS,
    TEXT_TOKENS,
    known_values,
    missing_codes,
    own_tokens,
)
from risk_assets.domain.contract.notation import MONEY, PERCENT, Decimal, Notation
from risk_assets.domain.contract.number_text import (
    MAX_UNREADABLE_SHARE,
    MIN_SUPPORT,
    Choice,
    Reading,
    currencies,
    read_numbers,
)
from risk_assets.domain.contract.schema import DEFAULT_MISSING
from risk_assets.domain.contract.text_kinds import (
    Kind,
    find_accounting,
    find_codes,
    find_dates,
    find_serial_dates,
    find_text_kind,
    fixed_width_note,
)
from risk_assets.domain.wording import counted

MAX_LEVELS = 100
MIN_MIXED_SHARE = 0.5  # of numbers in a column that is named after them although other values are text
ID_DISTINCT_SHARE = 0.9
ID_MIN_ROWS = 1000  # rows from which unique whole numbers are noted as a possible id
ID_MAX_GAP = 10  # average gap up to which unique sorted whole numbers count as row numbers

_ID_NAME = re.compile(r"(^|[\W_])(id|index|key|row|rownum|rowid|unnamed_\d+)$|[a-z]I[dD]$", re.IGNORECASE)
_NUMBER_KINDS = {None: "numbers", PERCENT: "percentages", MONEY: "amounts of money"}
_NOTATION_NOTES = {
    PERCENT: ("Percentages, in percentage points: 12.5% is read as 12.5.",),
    MONEY: ("Amounts of money: currency signs, thousands marks and negatives such as (5) or 5- are read.",),
    None: (),
}


@dataclass(frozen=True)
class ColumnProfile:
    """A column that can be a feature.

    Attributes
    ----------
    values : Series of Float64 or String
        The parsed values, null where missing.
    missing : tuple of str
        The column's own missing tokens, in addition to `DEFAULT_MISSING`.
    notes : tuple of str
        Comments for the person who reviews the contract.
    choice : Choice
        How the numbers are written.
    """

    values: pl.Series
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    choice: Choice = field(default_factory=lambda: Choice(None, None, None))

    @property
    def has_few_numbers(self) -> bool:
        """Whether the column has a few distinct whole numbers, which may be codes of categories."""
        return self.is_number and _are_few(self.values)

    @property
    def is_number(self) -> bool:
        """Whether the column is numeric; otherwise it is a category."""
        return self.values.dtype == pl.Float64


@dataclass(frozen=True)
class ExcludedColumn:
    """A column that should not be a feature, with the reason as a sentence."""

    reason: str


def profile_column(text: pl.Series, decimal: Decimal) -> ColumnProfile | ExcludedColumn:
    """Classify a column as number or category, or exclude it.

    Parameters
    ----------
    text : Series of String
        The values, stripped of blanks. The series' name helps to recognize ids, codes and dates.
    decimal : {".", ","}
        The decimal mark of most columns of the file.
    """
    known = known_values(text, TEXT_TOKENS).drop_nulls()
    if reason := _constant(known) or find_accounting(known) or _dates(known_values(text, NUMBER_TOKENS).drop_nulls()):
        return ExcludedColumn(reason)
    if codes := find_codes(known):
        return category_profile(text, codes)
    reading = read_numbers(text, decimal)
    if reading.is_numeric:
        return _number_profile(text, reading, decimal)
    return category_profile(text, find_text_kind(known) or _mixed_kind(reading))


def category_profile(text: pl.Series, kind: Kind | None) -> ColumnProfile | ExcludedColumn:
    """Return a column as a category, or exclude it if it has too many levels; `kind` is what its levels are, if known."""
    values = known_values(text, TEXT_TOKENS)
    known = values.drop_nulls()
    levels = known.n_unique()
    if reason := _too_many_levels(known, levels, kind):
        return ExcludedColumn(reason)
    defaults = text.filter(text.is_in(DEFAULT_MISSING) & (text != "")).unique().sort().to_list()
    taken = (f"Read as missing, as in every column: {' and '.join(defaults)}.",) if defaults else ()
    named = (f"{kind.name[0].upper()}{kind.name[1:]}. {kind.note}".rstrip(),) if kind else ()
    return ColumnProfile(values, own_tokens(text, TEXT_TOKENS), (f"{counted(levels, 'level')} seen.", *named, *taken))


def bounds(values: pl.Series) -> tuple[float, float]:
    """Return the minimum and the maximum, ignoring nulls; at least one value must not be null."""
    numbers = values.drop_nulls().to_numpy()
    return float(numbers.min()), float(numbers.max())


def _constant(known: pl.Series) -> str | None:
    if known.is_empty():
        return "all values are missing."
    return "all known values are equal." if known.n_unique() == 1 else None


def _dates(known: pl.Series) -> str | None:
    dates = find_dates(known)
    return dates.reason if dates else find_serial_dates(known)


def _number_profile(text: pl.Series, reading: Reading, decimal: Decimal) -> ColumnProfile | ExcludedColumn:
    values = reading.values
    if reason := _not_a_number(text, reading):
        return ExcludedColumn(reason)
    codes = missing_codes(values)
    known = values.set(values.is_in([float(code) for code in codes]), None)
    if known.drop_nulls().n_unique() <= 1:
        return ExcludedColumn("all known values are equal.")
    notes = (*_notation_notes(reading.choice, decimal), *_number_notes(text, known, codes, reading.unreadable))
    return ColumnProfile(known, (*own_tokens(text, NUMBER_TOKENS), *codes), notes, reading.choice)


def _not_a_number(text: pl.Series, reading: Reading) -> str | None:
    """Return the reason to leave out a column whose values are digits but not quantities; None for quantities."""
    if reading.choice.format == MONEY and len(found := currencies(text)) > 1:
        return f"it has amounts of money in several currencies ({', '.join(found)}). Convert them to one at the source."
    if reading.choice.format is None and _is_row_number(reading.values):
        return "it looks like a row number or an id."
    return None


def _notation_notes(choice: Choice, decimal: Decimal) -> tuple[str, ...]:
    notation = choice.notation(decimal)
    if choice.format == MONEY and choice.thousands in (",", "."):
        return _NOTATION_NOTES[MONEY]
    if choice.thousands is None:
        return (*_NOTATION_NOTES[choice.format], *_ambiguity_notes(choice, notation))
    mark = choice.thousands
    return (*_NOTATION_NOTES[choice.format], f"Thousands marks: 12{mark}345 is read as 12345.", *_ambiguity_notes(choice, notation))


def _ambiguity_notes(choice: Choice, notation: Notation) -> tuple[str, ...]:
    if not choice.is_ambiguous or (choice.decimal, choice.thousands) == (".", None):
        return ()
    if choice.thousands is None:
        return (f"12{notation.decimal}345 is read as a number below 13. If the mark separates thousands, set thousands and decimal.",)
    return (f'If the mark is a decimal mark, set decimal: "{choice.thousands}" and remove thousands.',)


def _number_notes(text: pl.Series, known: pl.Series, codes: tuple[str, ...], unreadable: int) -> tuple[str, ...]:
    notes = []
    if codes:
        notes.append(f"Read as missing, as customary codes far from all other values: {' and '.join(codes)}.")
    if _may_have_code(known):
        notes.append('-1 is the only negative value. If it means missing, add missing: ["-1"].')
    if _may_be_category(known):
        notes.append("Few distinct whole numbers. If they are codes of categories, set type: category and remove min.")
    if note := fixed_width_note(known_values(text, NUMBER_TOKENS)):
        notes.append(note)
    if _may_be_id(known):
        notes.append("No two rows have the same number. Remove the column if it is an id.")
    if unreadable:
        notes.append(f"Unreadable numbers in {unreadable} of {len(known)} rows, which would get an issue.")
    return tuple(notes)


def _may_have_code(known: pl.Series) -> bool:
    negative = known.filter(known < 0).unique()
    return negative.to_list() == [-1.0] and known.drop_nulls().n_unique() > MIN_SUPPORT


def _are_few(known: pl.Series) -> bool:
    distinct = known.drop_nulls().unique()
    return len(distinct) <= FEW_NUMBERS and _is_whole(distinct)


def _may_be_category(known: pl.Series) -> bool:
    return _are_few(known) and set(known.drop_nulls().unique().to_list()) != {0.0, 1.0}


def _may_be_id(known: pl.Series) -> bool:
    numbers = known.drop_nulls()
    return len(numbers) >= ID_MIN_ROWS and numbers.n_unique() == len(numbers) and _is_whole(numbers)


def _is_whole(numbers: pl.Series) -> bool:
    return bool((numbers == numbers.floor()).all())


def _is_row_number(values: pl.Series) -> bool:
    """Return whether nearly unique whole numbers count the rows, or belong to a column named like an id."""
    known = values.drop_nulls()
    if len(known) < MIN_SUPPORT or not _is_whole(known) or known.n_unique() < (1 - MAX_UNREADABLE_SHARE) * len(known):
        return False
    low, high = bounds(known)
    width = high - low + 1
    counted = known.n_unique() == width == len(known) or (known.is_sorted() and width < ID_MAX_GAP * len(known))
    return counted or _ID_NAME.search(values.name) is not None


def _mixed_kind(reading: Reading) -> Kind | None:
    """Return the kind of a column that has numbers beside other values; None if most values are not numbers."""
    share = reading.readable / max(reading.readable + reading.unreadable, 1)
    if share < MIN_MIXED_SHARE:
        return None
    name = f"{_NUMBER_KINDS[reading.choice.format]} in {share:.1%} of the known values, and other text"
    advice = "Fix the other values at the source, or list them under missing and set type: number"
    return Kind(name, f"{advice} to use the numbers.", f"{advice}{_format_hint(reading.choice)}.")


def _format_hint(choice: Choice) -> str:
    return f" and format: {choice.format}" if choice.format else ""


def _too_many_levels(known: pl.Series, levels: int, kind: Kind | None) -> str | None:
    is_unique = len(known) >= MIN_SUPPORT and levels > ID_DISTINCT_SHARE * len(known)
    if kind and (is_unique or levels > MAX_LEVELS):
        return f"it has {kind.name}: {levels} levels. {kind.advice}".rstrip()
    if is_unique:
        return "it looks like an id: nearly every row has a different value."
    return f"it has {levels} levels, more than {MAX_LEVELS}." if levels > MAX_LEVELS else None
