"""What a column of text holds, as far as its values show: numbers or levels, and which of them mean "not known"."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from risk_assets.domain.contract.schema import DEFAULT_MISSING

Decimal = Literal[".", ","]

MAX_LEVELS = 100
FEW_NUMBERS = 10
# Rules on shares and distances say nothing about a handful of rows.
MIN_SUPPORT = 20
UNREAD_SHARE = 0.01
DISTINCT_SHARE = 0.9

TEXT_TOKENS = ("?", "n/a", "na", "#n/a", "<na>", "null")
NUMBER_TOKENS = (*TEXT_TOKENS, "none", "nil", "unknown", "missing", "not available", ".", "-", "--")
LOW_CODES = frozenset({-1, -7, -8, -9, -77, -88, -98, -99, *(1 - 10**digits for digits in range(3, 11))})
HIGH_CODES = frozenset({96, 97, 98, 99, 996, 997, 998, 9996, 9997, 9998, *(10**digits - 1 for digits in range(3, 11))})
CODE_ROWS = 2
HIGH_CODE_TIMES = 4
LOW_CODE_SPANS = 3
SORTED_ID_GAP = 10
MANY_ROWS = 1000

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
        Null where the column is not known.
    missing : tuple of str
        The column's own tokens for "not known", beside those of every contract.
    notes : tuple of str
        What a person should know or decide.
    """

    values: pl.Series
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether the column holds numbers; otherwise it holds levels."""
        return self.values.dtype == pl.Float64


@dataclass(frozen=True)
class LeftOut:
    """A column that should not be a feature, and why."""

    why: str


def profile_column(text: pl.Series, decimal: Decimal) -> ColumnProfile | LeftOut:
    """Say what a column holds.

    Parameters
    ----------
    text : Series of String
        The column, without spaces around the values; its name helps to tell ids.
    decimal : {".", ","}
        The decimal mark of the file's numbers.
    """
    known = _known(text, TEXT_TOKENS).drop_nulls()
    if known.is_empty():
        return LeftOut("it is empty.")
    if known.n_unique() == 1:
        return LeftOut("it is the same in every row that has it.")
    if known.str.contains(_LEADING_ZERO).any():
        return _levels(text, ("values have leading zeros, so it is text and no number.",))
    if _has_thousands_marks(known, decimal):
        return LeftOut("its numbers have marks between the thousands. Write them without at the source.")
    values, unread = _read(text, decimal)
    return _numbers(text, values, unread) if _is_mostly_read(values, unread) else _levels(text, ())


def decimal_mark(texts: Iterable[pl.Series]) -> Decimal:
    """Return "," when a column has numbers that read only with a decimal comma, else "."."""
    return "," if any(_has_decimal_comma(text) for text in texts) else "."


def missing_codes(values: pl.Series) -> tuple[str, ...]:
    """Return the numbers that look like codes for "not known", lowest first.

    Only customary codes are taken (-9, 99, 9999 and the like), only when they repeat, stand at the very end of what is
    seen and keep their distance: -7 and below when all else is 0 or more, -1 when all else is 1 or more, lower ones
    also when they are `LOW_CODE_SPANS` spans below the rest, and high ones from `HIGH_CODE_TIMES` times the rest on.
    A contiguous scale such as -2 to 8 has no code.
    """
    counts = values.drop_nulls().value_counts().sort(values.name)
    rows = dict(zip(counts[values.name].to_list(), counts["count"].to_list(), strict=True))
    low = _leading(list(rows), LOW_CODES)
    high = _leading(list(reversed(rows)), HIGH_CODES)
    rest = [value for value in rows if value not in low and value not in high]
    if len(rest) <= 1:
        return ()
    codes = [code for code in low if _is_low_code(code, rest)] + [code for code in high if _is_high_code(code, rest)]
    return tuple(f"{code:.0f}" for code in sorted(codes) if rows[code] >= CODE_ROWS)


def bounds(values: pl.Series) -> tuple[float, float]:
    """Return the lowest and the highest of the numbers that are known; there must be one."""
    numbers = values.drop_nulls().to_numpy()
    return float(numbers.min()), float(numbers.max())


def separation(values: pl.Series, bad: pl.Series) -> float:
    """Return how well one column alone tells bad from good: the best of some areas under the ROC curve, 0.5 to 1.

    They are those of a number's order, of the bad rate of each level or number when there are at most `MAX_LEVELS`,
    and of whether the column is known at all. Fewer than `MIN_SUPPORT` bad or good rows give 0.5, and a level of
    fewer rows counts as the average.
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
    """The Mann-Whitney statistic, turned so that it is at least 0.5."""
    rows = pl.DataFrame({"score": score, "bad": bad}).drop_nulls()
    bads = int(rows["bad"].sum())
    goods = len(rows) - bads
    if min(bads, goods) < MIN_SUPPORT:
        return 0.5
    ranks = float(rows["score"].rank("average").filter(rows["bad"]).sum())
    area = (ranks - bads * (bads + 1) / 2) / (bads * goods)
    return max(area, 1 - area)


def _known(text: pl.Series, tokens: tuple[str, ...]) -> pl.Series:
    missing = text.is_in(DEFAULT_MISSING) | text.str.to_lowercase().is_in(tokens)
    return text.set(missing, None)


def _tokens(text: pl.Series, tokens: tuple[str, ...]) -> tuple[str, ...]:
    own = text.str.to_lowercase().is_in(tokens) & ~text.is_in(DEFAULT_MISSING)
    return tuple(text.filter(own).unique().sort().to_list())


def _read(text: pl.Series, decimal: Decimal) -> tuple[pl.Series, int]:
    """Return the numbers, null where there is none, and how many values should be numbers but are not."""
    plain = text.str.replace(",", ".", literal=True) if decimal == "," else text
    values = plain.cast(pl.Float64, strict=False)
    values = values.set(~values.is_finite().fill_null(False), None)
    unread = int((_known(text, NUMBER_TOKENS).is_not_null() & values.is_null()).sum())
    return values, unread


def _is_mostly_read(values: pl.Series, unread: int) -> bool:
    read = len(values) - values.null_count()
    return unread <= UNREAD_SHARE * (read + unread) and read > 0


def _has_decimal_comma(text: pl.Series) -> bool:
    if not text.str.contains(r"^[+-]?\d*,\d").any():
        return False
    values, unread = _read(text, ",")
    commas = text.filter(text.str.contains(",", literal=True) & values.is_not_null())
    better = unread < _read(text, ".")[1] and _is_mostly_read(values, unread)
    return better and not commas.str.contains(_GROUPED[","]).all()


def _has_thousands_marks(known: pl.Series, decimal: Decimal) -> bool:
    """Tell 1,234 or 1.234 for a thousand and more; where the decimal mark is a comma, 1.234 alone could deceive."""
    numeric = int(known.str.contains(_GROUPED_OR_PLAIN).sum())
    if numeric < (1 - UNREAD_SHARE) * len(known):
        return False
    other: Decimal = "." if decimal == "," else ","
    marked = known.filter(known.str.contains(other, literal=True))
    deceives = len(marked) > 0 and bool(marked.str.contains(_GROUPED[other]).all())
    return deceives or _read(known, decimal)[1] > UNREAD_SHARE * len(known)


def _numbers(text: pl.Series, values: pl.Series, unread: int) -> ColumnProfile | LeftOut:
    if _numbers_rows(values):
        return LeftOut("it numbers the rows, as an id does.")
    codes = missing_codes(values)
    known = values.set(values.is_in([float(code) for code in codes]), None)
    distinct = known.drop_nulls().n_unique()
    if distinct <= 1:
        return LeftOut("it is the same in every row that has it.")
    return ColumnProfile(known, (*_tokens(text, NUMBER_TOKENS), *codes), _number_notes(known, codes, unread))


def _number_notes(known: pl.Series, codes: tuple[str, ...], unread: int) -> tuple[str, ...]:
    notes = []
    if codes:
        notes.append(f"{' and '.join(codes)}: so far from all else that it is read as not known.")
    if _may_be_code(known):
        notes.append('-1 is all there is below 0: if it means not known, add missing: ["-1"].')
    if _may_be_levels(known):
        notes.append("few whole numbers: if they stand for kinds, write type: category, which has no min.")
    if _may_be_id(known):
        notes.append("no two rows share a number: take it out if it is an id.")
    if unread:
        notes.append(f"{unread} of {len(known)} rows hold no number here and would get an issue.")
    return tuple(notes)


def _may_be_code(known: pl.Series) -> bool:
    below = known.filter(known < 0).unique()
    return below.to_list() == [-1.0] and known.drop_nulls().n_unique() > MIN_SUPPORT


def _may_be_id(known: pl.Series) -> bool:
    numbers = known.drop_nulls()
    return len(numbers) >= MANY_ROWS and numbers.n_unique() == len(numbers) and _is_whole(numbers)


def _may_be_levels(known: pl.Series) -> bool:
    distinct = known.drop_nulls().unique()
    return len(distinct) <= FEW_NUMBERS and _is_whole(distinct) and set(distinct.to_list()) != {0.0, 1.0}


def _is_whole(numbers: pl.Series) -> bool:
    return bool((numbers == numbers.floor()).all())


def _numbers_rows(values: pl.Series) -> bool:
    known = values.drop_nulls()
    if len(known) < MIN_SUPPORT or not _is_whole(known) or known.n_unique() < (1 - UNREAD_SHARE) * len(known):
        return False
    low, high = bounds(known)
    width = high - low + 1
    counted = known.n_unique() == width == len(known) or (known.is_sorted() and width < SORTED_ID_GAP * len(known))
    return counted or _ID_NAME.search(values.name) is not None


def _levels(text: pl.Series, notes: tuple[str, ...]) -> ColumnProfile | LeftOut:
    values = _known(text, TEXT_TOKENS)
    known = values.drop_nulls()
    levels = known.n_unique()
    if len(known) >= MIN_SUPPORT and levels > DISTINCT_SHARE * len(known):
        return LeftOut("nearly every row has a value of its own, as an id does.")
    if levels > MAX_LEVELS:
        return LeftOut(f"it has {levels} levels, more than {MAX_LEVELS}.")
    defaults = text.filter(text.is_in(DEFAULT_MISSING) & (text != "")).unique().sort().to_list()
    taken = (f"{' and '.join(defaults)} is read as not known, as in every contract.",) if defaults else ()
    return ColumnProfile(values, _tokens(text, TEXT_TOKENS), (f"{levels} levels seen.", *notes, *taken))


def _leading(values: list[float], codes: frozenset[int]) -> list[float]:
    """Return the first values up to the first that is no code."""
    end = next((position for position, value in enumerate(values) if value not in codes), len(values))
    return values[:end]


def _is_low_code(code: float, rest: list[float]) -> bool:
    lowest, span = min(rest), max(rest) - min(rest)
    if lowest < 0:
        return code <= -77 and lowest - code >= LOW_CODE_SPANS * span
    return code <= -7 or (lowest >= 1 and len(rest) > FEW_NUMBERS)


def _is_high_code(code: float, rest: list[float]) -> bool:
    return code >= HIGH_CODE_TIMES * max(abs(value) for value in rest)
