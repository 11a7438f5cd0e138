"""Compares stored predictions with recomputed ones, row by row."""

import polars as pl

from risk_assets.domain.batch.predictions import prediction_schema
from risk_assets.domain.contract.policy import Policy

TOLERANCE = 1e-12  # largest difference of two probabilities that count as equal
ROW = "\x1frow"
RECOMPUTED = "\x1frecomputed"


def count_differences(stored: pl.LazyFrame, recomputed: pl.LazyFrame, policy: Policy) -> tuple[dict[str, int], int | None]:
    """Return how many rows differ in each column that differs, and the first row that differs, counted from 1.

    Probabilities may differ by 1e-12; all other columns must be equal. Both tables have the same accounts in the same order.
    """
    schema = prediction_schema(policy)
    differs = {name: _differs(name, kind).alias(name) for name, kind in schema.items()}
    renamed = recomputed.select(pl.col(name).alias(f"{name}{RECOMPUTED}") for name in schema)
    compared = pl.concat([stored.select(*schema), renamed], how="horizontal").select(*differs.values()).with_row_index(ROW, offset=1)
    first = pl.when(pl.any_horizontal(*schema)).then(pl.col(ROW)).min().alias(ROW)
    counts = compared.select(first, *[pl.col(name).sum() for name in schema]).collect(engine="streaming").row(0, named=True)
    row = counts.pop(ROW)
    return {name: rows for name, rows in counts.items() if rows}, row


def _differs(name: str, kind: type[pl.DataType]) -> pl.Expr:
    stored, recomputed = pl.col(name), pl.col(f"{name}{RECOMPUTED}")
    if kind == pl.Float64:
        return (stored.is_null() != recomputed.is_null()) | ((stored - recomputed).abs() > TOLERANCE).fill_null(False)
    return stored.fill_null("") != recomputed.fill_null("") if kind == pl.String else stored.ne_missing(recomputed)
