"""Row numbers as account ids, for contracts whose files have no id column."""

import polars as pl

from risk_assets.domain.contract.schema import ROW_ID, Contract


def with_ids(frame: pl.LazyFrame, contract: Contract, first_row: int = 0) -> pl.LazyFrame:
    """Return the frame with the contract's id column: unchanged, or with the row numbers "1", "2", … as text.

    `first_row` is the number of rows of the file before the frame.
    """
    if not contract.has_row_ids:
        return frame
    return frame.with_row_index(ROW_ID, offset=first_row + 1).with_columns(pl.col(ROW_ID).cast(pl.String))
