"""Compares stored predictions with recomputed ones, row by row."""

from collections.abc import Iterator

import polars as pl

from risk_assets.domain.batch.predictions import prediction_schema
from risk_assets.domain.contract.policy import Policy

TOLERANCE = 1e-12  # largest difference of two probabilities that count as equal
ROW = "\x1frow"
RECOMPUTED = "\x1frecomputed"


def differing_rows(stored: pl.DataFrame, recomputed: pl.DataFrame, policy: Policy) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the positions of the rows that differ, counted from 0, with the columns that differ, as in `count_differences`."""
    compared = _compared(stored.lazy(), recomputed.lazy(), policy).with_row_index(ROW)
    names = tuple(prediction_schema(policy))
    for position, *differs in compared.filter(pl.any_horizontal(*names)).collect().iter_rows():
        yield position, tuple(name for name, differ in zip(names, differs, strict=True) if differ)


def count_differences(stored: pl.LazyFrame, recomputed: pl.LazyFrame, policy: Policy) -> tuple[dict[str, int], int | None]:
    """Return how many rows differ in each column that differs, and the first row that differs, counted from 1.

    Probabilities may differ by 1e-12; all other columns must be equal. Both tables have the same accounts in the same order.
    """
    schema = prediction_schema(policy)
    compared = _compared(stored, recomputed, policy).with_row_index(ROW, offset=1)
    first = pl.when(pl.any_horizontal(*schema)).then(pl.col(ROW)).min().alias(ROW)
    counts = compared.select(first, *[pl.col(name).sum() for name in schema]).collect(engine="streaming").row(0, named=True)
    row = counts.pop(ROW)
    return {name: rows for name, rows in counts.items() if rows}, row


def _compared(stored: pl.LazyFrame, recomputed: pl.LazyFrame, policy: Policy) -> pl.LazyFrame:
    """Return whether each value differs."""
    schema = prediction_schema(policy)
    renamed = recomputed.select(pl.col(name).alias(f"{name}{RECOMPUTED}") for name in schema)
    together = pl.concat([stored.select(*schema), renamed], how="horizontal")
    return together.select(_differs(name, kind).alias(name) for name, kind in schema.items())


def _differs(name: str, kind: type[pl.DataType]) -> pl.Expr:
    stored, recomputed = pl.col(name), pl.col(f"{name}{RECOMPUTED}")
    if kind == pl.Float64:
        return (stored.is_null() != recomputed.is_null()) | ((stored - recomputed).abs() > TOLERANCE).fill_null(False)
    return stored.fill_null("") != recomputed.fill_null("") if kind == pl.String else stored.ne_missing(recomputed)
