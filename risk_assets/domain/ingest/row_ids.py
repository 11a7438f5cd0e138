"""Row numbers as account ids, for contracts whose files have no id column."""

import polars as pl

from risk_assets.domain.contract.schema import ROW_ID, Contract


def with_ids(frame: pl.LazyFrame, contract: Contract, numbers: pl.Series | None = None) -> pl.LazyFrame:
    """Return the frame with the contract's id column: unchanged, or with the row numbers as text: "1", "2", … if none are given."""
    if not contract.has_row_ids:
        return frame
    if numbers is not None:
        return frame.with_columns(numbers.cast(pl.String).alias(ROW_ID))
    return frame.with_row_index(ROW_ID, offset=1).with_columns(pl.col(ROW_ID).cast(pl.String))
