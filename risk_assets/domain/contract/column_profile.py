"""Classify a text column by its values: numbers or levels, which values mean "missing", and whether to exclude it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from risk_assets.domain.contract.schema import DEFAULT_MISSING

Decimal = Literal[".", ","]

MAX_LEVELS = 100
FEW_NUMBERS = 10  # up to this many distinct whole numbers may be codes of categories
MIN_SUPPORT = 20  # rows that a rule about shares or ranges needs
MAX_UNREADABLE_SHARE = 0.01
ID_DISTINCT_SHARE = 0.9
ID_MIN_ROWS = 1000  # rows from which unique whole numbers are noted as a possible id
ID_MAX_GAP = 10  # average gap up to which unique sorted whole numbers count as row numbers

TEXT_TOKENS = ("?", "n/a", "na", "#n/a", "<na>", "null")
NUMBER_TOKENS = (*TEXT_TOKENS, "none", "nil", "unknown", "missing", "not available", ".", "-", "--")
LOW_CODES = frozenset({-1, -7, -8, -9, -77, -88, -98, -99, *(1 - 10**digits for digits in range(3, 11))})
HIGH_CODES = frozenset({96, 97, 98, 99, 996, 997, 998, 9996, 9997, 9998, *(10**digits - 1 for digits in range(3, 11))})
CODE_MIN_ROWS = 2
HIGH_CODE_FACTOR = 4
LOW_CODE_SPANS = 3

_LEADING_ZERO = r"^[+-]?0\d+$"
_GROUPED = {".": r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$", ",": r"^[+-]?[1-9]\d{0,2}(,\d{3})+$"}
_GROUPED_OR_PLAIN = r"^[+-]?(\d{1,3}([.,' \x{a0}]\d{3})+|\d+)([.,]\d+)?$"
_ID_NAME = re.compile(r"(^|[\W_])(id|index|key|row|rownum|rowid|unnamed_\d+)$|[a-z]I[dD]$", re.IGNORECASE)


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
    """

    values: pl.Series
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

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
        The values, stripped of blanks. The series' name helps to recognize ids.
    decimal : {".", ","}
        The decimal mark of the file.
    """
    known = _known(text, TEXT_TOKENS).drop_nulls()
    if known.is_empty():
        return ExcludedColumn("all values are missing.")
    if known.n_unique() == 1:
        return ExcludedColumn("all known values are equal.")
    if known.str.contains(_LEADING_ZERO).any():
        return _category_profile(text, ("some values have leading zeros, so the column is text.",))
    if _has_thousands_separators(known, decimal):
        return ExcludedColumn("its numbers have thousands separators. Remove them at the source.")
    values, unreadable = _parse(text, decimal)
    return _number_profile(text, values, unreadable) if _is_numeric(values, unreadable) else _category_profile(text, ())


def decimal_mark(texts: Iterable[pl.Series]) -> Decimal:
    """Return "," if any column has numbers that can only be parsed with a decimal comma, else "."."""
    return "," if any(_has_decimal_comma(text) for text in texts) else "."


def bounds(values: pl.Series) -> tuple[float, float]:
    """Return the minimum and the maximum, ignoring nulls; at least one value must not be null."""
    numbers = values.drop_nulls().to_numpy()
    return float(numbers.min()), float(numbers.max())


def univariate_auc(values: pl.Series, bad: pl.Series) -> float:
    """Return the AUC, from 0.5 to 1, with which one column alone separates bad from good.

    It is the highest AUC of three scores: the number itself; the bad rate of each distinct value, if there are at most
    `MAX_LEVELS`; and whether the value is missing. With fewer than `MIN_SUPPORT` bad or good rows it is 0.5. A value
    with fewer than `MIN_SUPPORT` rows counts with the average bad rate.
    """
    rows = pl.DataFrame({"value": values, "bad": bad}).drop_nulls("bad")
    scores = [rows["value"].is_not_null().cast(pl.Float64)]
    if values.dtype == pl.Float64:
        scores.append(rows["value"])
    if values.n_unique() <= MAX_LEVELS:
        rate = pl.when(pl.len().over("value") >= MIN_SUPPORT).then(pl.col("bad").mean().over("value"))
        scores.append(rows.select(rate.fill_null(pl.col("bad").mean())).to_series())
    return max(_auc(score, rows["bad"]) for score in scores)


def _auc(score: pl.Series, bad: pl.Series) -> float:
    """Return the AUC by the Mann-Whitney statistic, mirrored so that it is at least 0.5."""
    rows = pl.DataFrame({"score": score, "bad": bad}).drop_nulls()
    bads = int(rows["bad"].sum())
    goods = len(rows) - bads
    if min(bads, goods) < MIN_SUPPORT:
        return 0.5
    ranks = float(rows["score"].rank("average").filter(rows["bad"]).sum())
    area = (ranks - bads * (bads + 1) / 2) / (bads * goods)
    return max(area, 1 - area)


def _known(text: pl.Series, tokens: tuple[str, ...]) -> pl.Series:
    """Replace missing tokens by null."""
    missing = text.is_in(DEFAULT_MISSING) | text.str.to_lowercase().is_in(tokens)
    return text.set(missing, None)


def _own_tokens(text: pl.Series, tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Return the missing tokens that occur in the column and are not in `DEFAULT_MISSING`."""
    own = text.str.to_lowercase().is_in(tokens) & ~text.is_in(DEFAULT_MISSING)
    return tuple(text.filter(own).unique().sort().to_list())


def _parse(text: pl.Series, decimal: Decimal) -> tuple[pl.Series, int]:
    """Return the finite numbers, else null, and the count of values that are neither numbers nor missing tokens."""
    plain = text.str.replace(",", ".", literal=True) if decimal == "," else text
    values = plain.cast(pl.Float64, strict=False)
    values = values.set(~values.is_finite().fill_null(False), None)
    unreadable = int((_known(text, NUMBER_TOKENS).is_not_null() & values.is_null()).sum())
    return values, unreadable


def _is_numeric(values: pl.Series, unreadable: int) -> bool:
    readable = len(values) - values.null_count()
    return unreadable <= MAX_UNREADABLE_SHARE * (readable + unreadable) and readable > 0


def _has_decimal_comma(text: pl.Series) -> bool:
    if not text.str.contains(r"^[+-]?\d*,\d").any():
        return False
    values, unreadable = _parse(text, ",")
    commas = text.filter(text.str.contains(",", literal=True) & values.is_not_null())
    better = unreadable < _parse(text, ".")[1] and _is_numeric(values, unreadable)
    return better and not commas.str.contains(_GROUPED[","]).all()


def _has_thousands_separators(known: pl.Series, decimal: Decimal) -> bool:
    """Return whether numbers have thousands separators.

    With a decimal comma, 1.234 means 1234. It would parse as 1.234, so one such column is enough evidence.
    """
    numeric = int(known.str.contains(_GROUPED_OR_PLAIN).sum())
    if numeric < (1 - MAX_UNREADABLE_SHARE) * len(known):
        return False
    other: Decimal = "." if decimal == "," else ","
    marked = known.filter(known.str.contains(other, literal=True))
    all_grouped = len(marked) > 0 and bool(marked.str.contains(_GROUPED[other]).all())
    return all_grouped or _parse(known, decimal)[1] > MAX_UNREADABLE_SHARE * len(known)


def _number_profile(text: pl.Series, values: pl.Series, unreadable: int) -> ColumnProfile | ExcludedColumn:
    if _is_row_number(values):
        return ExcludedColumn("it looks like a row number or an id.")
    codes = _missing_codes(values)
    known = values.set(values.is_in([float(code) for code in codes]), None)
    if known.drop_nulls().n_unique() <= 1:
        return ExcludedColumn("all known values are equal.")
    return ColumnProfile(known, (*_own_tokens(text, NUMBER_TOKENS), *codes), _number_notes(known, codes, unreadable))


def _number_notes(known: pl.Series, codes: tuple[str, ...], unreadable: int) -> tuple[str, ...]:
    notes = []
    if codes:
        notes.append(f"Read as missing, as customary codes far from all other values: {' and '.join(codes)}.")
    if _may_have_code(known):
        notes.append('-1 is the only negative value. If it means missing, add missing: ["-1"].')
    if _may_be_category(known):
        notes.append("Few distinct whole numbers. If they are codes of categories, set type: category and remove min.")
    if _may_be_id(known):
        notes.append("No two rows have the same number. Remove the column if it is an id.")
    if unreadable:
        notes.append(f"Unreadable numbers in {unreadable} of {len(known)} rows, which would get an issue.")
    return tuple(notes)


def _may_have_code(known: pl.Series) -> bool:
    negative = known.filter(known < 0).unique()
    return negative.to_list() == [-1.0] and known.drop_nulls().n_unique() > MIN_SUPPORT


def _may_be_category(known: pl.Series) -> bool:
    distinct = known.drop_nulls().unique()
    return len(distinct) <= FEW_NUMBERS and _is_whole(distinct) and set(distinct.to_list()) != {0.0, 1.0}


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


def _category_profile(text: pl.Series, notes: tuple[str, ...]) -> ColumnProfile | ExcludedColumn:
    values = _known(text, TEXT_TOKENS)
    known = values.drop_nulls()
    levels = known.n_unique()
    if len(known) >= MIN_SUPPORT and levels > ID_DISTINCT_SHARE * len(known):
        return ExcludedColumn("it looks like an id: nearly every row has a different value.")
    if levels > MAX_LEVELS:
        return ExcludedColumn(f"it has {levels} levels, more than {MAX_LEVELS}.")
    defaults = text.filter(text.is_in(DEFAULT_MISSING) & (text != "")).unique().sort().to_list()
    taken = (f"Read as missing, as in every column: {' and '.join(defaults)}.",) if defaults else ()
    return ColumnProfile(values, _own_tokens(text, TEXT_TOKENS), (f"{levels} levels seen.", *notes, *taken))


def _missing_codes(values: pl.Series) -> tuple[str, ...]:
    """Return the numbers that look like codes for "missing", lowest first.

    A code is a customary one (-9, 99, 9999 and the like), occurs at least `CODE_MIN_ROWS` times, is at the end of the
    range, and is far from the other values:

    - -7 and below, if all other values are 0 or more;
    - -1, if all other values are 1 or more;
    - -77 and below, if the gap is at least `LOW_CODE_SPANS` times the span of the other values;
    - a high code, if it is at least `HIGH_CODE_FACTOR` times the largest other magnitude.

    A contiguous scale such as -2 to 8 has no codes.
    """
    counts = values.drop_nulls().value_counts().sort(values.name)
    rows = dict(zip(counts[values.name].to_list(), counts["count"].to_list(), strict=True))
    low = _leading(list(rows), LOW_CODES)
    high = _leading(list(reversed(rows)), HIGH_CODES)
    rest = [value for value in rows if value not in low and value not in high]
    if len(rest) <= 1:
        return ()
    codes = [code for code in low if _is_low_code(code, rest)] + [code for code in high if _is_high_code(code, rest)]
    return tuple(f"{code:.0f}" for code in sorted(codes) if rows[code] >= CODE_MIN_ROWS)


def _leading(values: list[float], codes: frozenset[int]) -> list[float]:
    """Return the values before the first one that is not a code."""
    end = next((position for position, value in enumerate(values) if value not in codes), len(values))
    return values[:end]


def _is_low_code(code: float, rest: list[float]) -> bool:
    lowest, span = min(rest), max(rest) - min(rest)
    if lowest < 0:
        return code <= -77 and lowest - code >= LOW_CODE_SPANS * span
    return code <= -7 or (lowest >= 1 and len(rest) > FEW_NUMBERS)


def _is_high_code(code: float, rest: list[float]) -> bool:
    return code >= HIGH_CODE_FACTOR * max(abs(value) for value in rest)
