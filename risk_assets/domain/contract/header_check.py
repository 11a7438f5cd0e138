"""Recognise a file whose first line is a row of data, so that its values are not used, or shown, as column names."""

import re
from collections.abc import Sequence

import polars as pl

from risk_assets.domain.contract.notation import MONEY, PERCENT, Notation
from risk_assets.domain.contract.number_text import Marks
from risk_assets.domain.contract.parsing import parse_date, parse_number
from risk_assets.domain.contract.text_kinds import DATE_FORMATS

MIN_SHAPE_SHARE = 0.5  # of a column's distinct values that look like its name, for example A1 and A2
_MARKS: tuple[Marks, ...] = ((".", ","), (",", "."))
_UNNAMED = re.compile(r"unnamed_\d+")
_REPEAT = re.compile(r"#\d+$")


def names_like_values(rows: pl.DataFrame) -> tuple[str, ...]:
    """Return the column names that look like values: numbers, dates, or values of their column.

    Parameters
    ----------
    rows : DataFrame of String
        The rows after the first line, stripped of blanks.
    """
    if _is_count(rows.columns):
        return ()
    names = {name: _REPEAT.sub("", name) for name in rows.columns if not _UNNAMED.fullmatch(name)}
    typed = _numbers_and_dates(pl.Series("name", list(names.values()), pl.String))
    return tuple(name for name, text in names.items() if text in typed or _is_value(text, rows[name]))


def is_without_header(columns: Sequence[str], like_values: Sequence[str]) -> bool:
    """Return whether every column name looks like a value. Unnamed columns do not count."""
    return bool(like_values) and len(like_values) == len([name for name in columns if not _UNNAMED.fullmatch(name)])


def _is_count(columns: list[str]) -> bool:
    """Return whether the names count the columns, from 0 or 1, as tools write them for a table without names."""
    names = [name for name in columns if not _UNNAMED.fullmatch(name)]
    return any(names == [str(number) for number in range(first, first + len(names))] for first in (0, 1))


def _is_value(name: str, column: pl.Series) -> bool:
    return bool((column == name).any()) or _has_shape_of(name, column)


def _numbers_and_dates(names: pl.Series) -> frozenset[str]:
    """Return the names that are numbers, percentages, amounts of money or dates."""
    candidates = names.filter(names.str.contains("[0-9]"))
    if candidates.is_empty():
        return frozenset()
    text = pl.col(names.name)
    numbers = [parse_number(text, Notation(form, *marks)).is_finite() for form in (None, PERCENT, MONEY) for marks in _MARKS]
    dates = [parse_date(text, form).is_not_null() for form in DATE_FORMATS]
    found = pl.any_horizontal(*(condition.fill_null(False) for condition in (*numbers, *dates)))
    return frozenset(candidates.to_frame().filter(found).to_series().to_list())


def _has_shape_of(name: str, column: pl.Series) -> bool:
    """Return whether a name with digits has the shape of most values: A0017 among A0018 and A1.

    Letters and digits are compared as kinds, in runs.
    """
    if not re.search(r"[0-9]", name):
        return False
    values = pl.concat([pl.Series("value", [name]), column.unique().alias("value")])
    shapes = values.str.replace_all(r"[0-9]+", "9").str.replace_all(r"\p{L}+", "a")
    return float((shapes[1:] == shapes[0]).mean() or 0) >= MIN_SHAPE_SHARE
