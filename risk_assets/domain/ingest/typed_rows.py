"""Validate rows whose numbers the CSV reader has parsed, in a fraction of the time that text takes.

Most rows are clean: nothing about them can be an issue. The others are validated from their text by `validate`, which alone has the
rules of issues.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from risk_assets.domain.contract.field_rules import id_tokens, missing_codes, missing_tokens
from risk_assets.domain.contract.notation import Notation
from risk_assets.domain.contract.parsing import parse_number
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, GROUP, ISSUES, Contract, Feature
from risk_assets.domain.ingest.csv_grammar import Positions
from risk_assets.domain.ingest.population import excluded, group
from risk_assets.domain.ingest.text import is_plain, normalize_series, strip_series
from risk_assets.domain.ingest.validation import require_date, validate

Mask: TypeAlias = NDArray[np.bool_]

MAX_DOUBTFUL_SHARE = 0.25  # of the rows; beyond, the text of all rows is validated


class Cells(Protocol):
    """The cells of consecutive rows of a raw file."""

    @property
    def numbers(self) -> pl.Series:
        """The numbers of the rows in the file, from 1."""

    @property
    def can_be_typed(self) -> bool:
        """Whether the reader can parse numbers: quotes are of one kind."""

    @property
    def marked(self) -> Iterable[Positions]:
        """The rows whose line has an issue, by issue, numbered from 0."""

    def read(self, types: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
        """Return columns; a number that cannot be parsed and a text that is not UTF-8 are null."""

    def read_clean(self, types: Mapping[str, type[pl.DataType]]) -> pl.DataFrame | None:
        """Return columns if only empty numbers are null; None if the reader cannot parse a cell, or is not expected to."""

    def text(self, rows: Positions | None = None) -> pl.LazyFrame:
        """Return all rows, or some in ascending order, as text: the columns of the file and `RAGGED`."""


def validate_cells(cells: Cells, contract: Contract, repeated: pl.Series, date: str | None) -> pl.DataFrame:
    """Return what `validate` returns for these rows, and raise what it raises."""
    require_date(contract, date)
    found = _read(cells, contract, date) if cells.can_be_typed else None
    if found is None:
        return _validate_text(cells, contract, repeated, date)
    doubtful = _doubtful_lines(found, cells) | _doubtful_ids(found, contract, repeated) | _doubtful_values(found, contract)
    rows = np.flatnonzero(doubtful)
    if len(rows) > MAX_DOUBTFUL_SHARE * len(doubtful):
        return _validate_text(cells, contract, repeated, date)
    features = _features(found, contract)
    return _with_rows(features, rows, _validate_text(cells, contract, repeated, date, rows)) if len(rows) else features


@dataclass
class _Columns:
    """The columns of some rows.

    Attributes
    ----------
    ids, groups
        Stripped texts. `groups` are the ids if the contract has no group.
    values
        The features: numbers, null if missing or unreadable, and levels, null if missing.
    unreadable
        Of numbers with nulls, whether a null is not a token for missing.
    """

    ids: pl.Series
    groups: pl.Series
    values: dict[str, pl.Series]
    unreadable: dict[str, pl.Series]


def _validate_text(cells: Cells, contract: Contract, repeated: pl.Series, date: str | None, rows: Positions | None = None) -> pl.DataFrame:
    numbers = cells.numbers if rows is None else cells.numbers.gather(rows)
    return validate(cells.text(rows), contract, repeated, date=date, numbers=numbers).collect()


def _with_rows(frame: pl.DataFrame, positions: Positions, rows: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with the rows at some positions replaced."""
    order = np.arange(frame.height)
    order[positions] = frame.height + np.arange(rows.height)
    return pl.concat([frame, rows])[order]


def _read(cells: Cells, contract: Contract, date: str | None) -> _Columns | None:
    """Return the columns that the contract reads, or None if a text is not UTF-8."""
    numbers = [name for name, feature in contract.features.items() if feature.type == "number"]
    typed = [name for name in numbers if _is_parsed_by_reader(contract.notation(name))]
    texts = [name for name in contract.columns if name not in typed]
    types = dict.fromkeys(texts, pl.String) | dict.fromkeys(typed, pl.Float64)
    clean = cells.read_clean(types)
    frame = cells.read(types) if clean is None else clean
    if any(frame[name].null_count() for name in texts):
        return None
    with_nulls = [name for name in typed if clean is None and frame[name].null_count() and not contract.features[name].required]
    again = cells.read(dict.fromkeys(with_nulls, pl.String)) if with_nulls else frame  # as text: a null is missing, or unreadable
    number_texts = {name: strip_series(again[name]) for name in with_nulls}
    number_texts |= {name: strip_series(frame[name]) for name in numbers if name not in typed}
    values: dict[str, pl.Series] = {}
    unreadable: dict[str, pl.Series] = {}
    for name, feature in contract.features.items():
        if feature.type == "category":
            values[name] = _levels(frame[name], feature, contract)
            continue
        values[name] = frame[name] if name in typed else _parsed(number_texts[name], contract.notation(name), date)
        if name in number_texts and values[name].null_count():
            tokens = _distinct(missing_tokens(feature, contract))
            unreadable[name] = values[name].is_null() & ~number_texts[name].is_in(tokens)
    ids = cells.numbers.cast(pl.String) if contract.has_row_ids else strip_series(frame[contract.id])
    groups = ids if contract.group is None else _groups(ids, strip_series(frame[contract.group]), contract)
    return _Columns(ids, groups, values, unreadable)


def _is_parsed_by_reader(notation: Notation) -> bool:
    """Return whether each text that the CSV reader parses is a number of the notation, with the same value."""
    return notation.format is None and notation.decimal == "."


def _parsed(text: pl.Series, notation: Notation, date: str | None) -> pl.Series:
    return text.to_frame("text").select(parse_number(pl.col("text"), notation, date)).to_series()


def _levels(text: pl.Series, feature: Feature, contract: Contract) -> pl.Series:
    levels = normalize_series(text)
    missing = levels.is_in(_distinct(missing_tokens(feature, contract)))
    return levels.set(missing, None) if missing.any() else levels


def _groups(ids: pl.Series, customers: pl.Series, contract: Contract) -> pl.Series:
    assert contract.group is not None
    frame = pl.DataFrame([ids.alias(contract.id), customers.alias(contract.group)])
    return frame.select(group(contract)).to_series()


def _doubtful_lines(found: _Columns, cells: Cells) -> Mask:
    doubtful = np.zeros(len(found.ids), np.bool_)
    for rows in cells.marked:
        doubtful[rows] = True
    return doubtful


def _doubtful_ids(found: _Columns, contract: Contract, repeated: pl.Series) -> Mask:
    """Return the rows whose id is missing, repeated or has a line end, or may be missing or have one."""
    tokens = _distinct(id_tokens(contract))
    if is_plain(found.ids):
        doubtful = found.ids.is_in(tokens)
    else:
        doubtful = normalize_series(found.ids).is_in(tokens) | found.ids.str.contains(r"[\r\n]")
    if len(repeated):
        doubtful |= found.ids.is_in(repeated.implode())
    return doubtful.to_numpy()


def _doubtful_values(found: _Columns, contract: Contract) -> Mask:
    """Return the rows with a value that is unreadable, out of its bounds, or missing and required; codes for missing become null."""
    doubtful = np.zeros(len(found.ids), np.bool_)
    for name, feature in contract.features.items():
        masks = [found.unreadable[name]] if name in found.unreadable else []
        if feature.type == "number":
            found.values[name] = _without_codes(found.values[name], feature, contract)
            masks += _out_of_bounds(found.values[name], feature)
        if feature.required and found.values[name].null_count():
            masks.append(found.values[name].is_null())
        for mask in masks:
            doubtful |= mask.to_numpy()
    return doubtful


def _without_codes(values: pl.Series, feature: Feature, contract: Contract) -> pl.Series:
    codes = missing_codes(feature, contract)
    if not codes:
        return values
    coded = values.is_in(codes).fill_null(value=False)
    return values.set(coded, None) if coded.any() else values


def _out_of_bounds(values: pl.Series, feature: Feature) -> Iterator[pl.Series]:
    """Yield masks of the rows with a value that is not finite, below the minimum or above the maximum."""
    if not math.isfinite(values.sum()):  # also if finite values add up to more than a float can be
        yield ~values.is_finite().fill_null(value=True)
    if feature.min is not None:
        yield (values < feature.min).fill_null(value=False)
    if feature.max is not None:
        yield (values > feature.max).fill_null(value=False)


def _features(found: _Columns, contract: Contract) -> pl.DataFrame:
    named = [column.alias(name) for name, column in found.values.items()]
    features = pl.DataFrame([found.ids.alias(ACCOUNT_ID), *named, found.groups.alias(GROUP)])
    none = pl.lit(None, dtype=pl.String)
    return features.with_columns((excluded(contract) if contract.exclude else none).alias(EXCLUDED), none.alias(ISSUES))


def _distinct(tokens: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(tokens))
