"""Whether two sets of predictions agree, row for row."""

import polars as pl

from risk_assets.domain.batch.predictions import prediction_schema
from risk_assets.domain.contract.policy import Policy

TOLERANCE = 1e-12
ROW = "\x1frow"
AGAIN = "\x1fagain"


def count_differences(stored: pl.LazyFrame, again: pl.LazyFrame, policy: Policy) -> tuple[dict[str, int], int | None]:
    """Return how many rows differ in each column, and the first row that differs at all, counted from 1.

    Probabilities may differ by 1e-12; all else is the same or not. Both have a row for each account in the same order.
    """
    schema = prediction_schema(policy)
    renamed = again.select(pl.col(name).alias(f"{name}{AGAIN}") for name in schema)
    differs = {name: _differs(name, kind) for name, kind in schema.items()}
    both = pl.concat([stored.select(*schema), renamed], how="horizontal").select(expr.alias(name) for name, expr in differs.items())
    numbered = both.with_row_index(ROW, offset=1)
    first = pl.when(pl.any_horizontal(*differs)).then(pl.col(ROW)).min().alias(ROW)
    found = numbered.select(first, *[pl.col(name).sum() for name in differs]).collect(engine="streaming").row(0, named=True)
    row = found.pop(ROW)
    return {name: rows for name, rows in found.items() if rows}, row


def _differs(name: str, kind: type[pl.DataType]) -> pl.Expr:
    stored, again = pl.col(name), pl.col(f"{name}{AGAIN}")
    if kind == pl.Float64:
        return (stored.is_null() != again.is_null()) | ((stored - again).abs() > TOLERANCE).fill_null(False)
    return stored.fill_null("") != again.fill_null("") if kind == pl.String else stored.ne_missing(again)
