"""The rule of `contract.text` for polars columns."""

import polars as pl

from risk_assets.domain.contract.text import WHITESPACE, normalize_level

_ASCII_WHITESPACE = tuple(filter(str.isascii, WHITESPACE))


def strip_cells(texts: pl.Expr) -> pl.Expr:
    """Return texts without surrounding whitespace; null stays null."""
    return texts.map_batches(strip_series, return_dtype=pl.String, is_elementwise=True)


def normalize_levels(texts: pl.Expr) -> pl.Expr:
    """Return texts without surrounding whitespace, in normal form C; null stays null."""
    return texts.map_batches(normalize_series, return_dtype=pl.String, is_elementwise=True)


def strip_series(texts: pl.Series) -> pl.Series:
    """Return texts without surrounding whitespace."""
    return texts if is_plain(texts) else texts.str.strip_chars(WHITESPACE)


def normalize_series(texts: pl.Series) -> pl.Series:
    """Return texts without surrounding whitespace, in normal form C.

    Python normalises each distinct text once: polars may know another version of Unicode than the service does.
    """
    if is_plain(texts):
        return texts
    stripped = texts.str.strip_chars(WHITESPACE)
    distinct = stripped.filter(stripped.str.len_bytes() != stripped.str.len_chars()).unique()
    return stripped.replace(distinct, pl.Series(map(normalize_level, distinct), dtype=pl.String))


def is_plain(texts: pl.Series) -> bool:
    """Return whether a batch is ASCII without any whitespace, so that the rule changes no text: a third of the cost of stripping."""
    joined: str = texts.str.join("").item()
    return joined.isascii() and not any(space in joined for space in _ASCII_WHITESPACE)
