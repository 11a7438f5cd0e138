"""Flagged accounts that are kept off the review list at random, so that the effect of what people do about the others can be measured."""

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.governance.arms import bucket, bucket_end
from risk_assets.domain.ingest.text import strip_cells

_PREFIX = b"review.hold_out:"  # draws independently of challengers and of holdouts


def held_out(share: float) -> pl.Expr:
    """Return whether a row of predictions is flagged and kept off the review list.

    The id of the account alone decides, so the same accounts are kept off every day, and a larger share includes those of a smaller one.

    Parameters
    ----------
    share
        The share of the flagged accounts, in [0, 1).
    """
    if not share:
        return pl.lit(False)
    flagged = pl.when(pl.col("prediction") == 1).then(strip_cells(pl.col(ACCOUNT_ID)))
    end = bucket_end(share)

    def drawn(accounts: pl.Series) -> pl.Series:
        return pl.Series([account is not None and bucket(_PREFIX, account) < end for account in accounts], dtype=pl.Boolean)

    return flagged.map_batches(drawn, return_dtype=pl.Boolean, is_elementwise=True)
