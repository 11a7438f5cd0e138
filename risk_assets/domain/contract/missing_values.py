"""Find the texts and the numeric codes that mean "missing" in a column."""

import polars as pl

from risk_assets.domain.contract.schema import DEFAULT_MISSING

FEW_NUMBERS = 10  # up to this many distinct whole numbers may be codes of categories
TEXT_TOKENS = ("?", "n/a", "na", "#n/a", "<na>", "null")
NUMBER_TOKENS = (*TEXT_TOKENS, "none", "nil", "unknown", "missing", "not available", ".", "-", "--")

LOW_CODES = frozenset({-1, -7, -8, -9, -77, -88, -98, -99, *(1 - 10**digits for digits in range(3, 11))})
HIGH_CODES = frozenset({96, 97, 98, 99, 996, 997, 998, 9996, 9997, 9998, *(10**digits - 1 for digits in range(3, 11))})
CODE_MIN_ROWS = 2
HIGH_CODE_FACTOR = 4
LOW_CODE_SPANS = 3


def known_values(text: pl.Series, tokens: tuple[str, ...]) -> pl.Series:
    """Return the texts, null where missing."""
    missing = text.is_in(DEFAULT_MISSING) | text.str.to_lowercase().is_in(tokens)
    return text.set(missing, None)


def own_tokens(text: pl.Series, tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Return the missing tokens that occur in the column and are not in `DEFAULT_MISSING`."""
    own = text.str.to_lowercase().is_in(tokens) & ~text.is_in(DEFAULT_MISSING)
    return tuple(text.filter(own).unique().sort().to_list())


def missing_codes(values: pl.Series) -> tuple[str, ...]:
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
