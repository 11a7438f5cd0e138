"""What the checks of predictions compare: their ids with those of the raw file, and the review list with the highest probabilities."""

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from risk_assets.domain.batch.hold_out import held_out
from risk_assets.domain.batch.review_list import may_be_listed
from risk_assets.domain.contract.policy import Review
from risk_assets.domain.contract.schema import ACCOUNT_ID, Contract
from risk_assets.domain.ingest.row_ids import with_ids
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.lake import layout, raw
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table


@dataclass(frozen=True)
class Riskiest:
    """The probabilities of the accounts that belong on the review list, riskiest first, and the number of accounts that are held out."""

    probabilities: tuple[float, ...]
    held_out: int


class PredictionChecks(Protocol):
    """Compares all rows of the predictions of a date; raises `LakeError` if a table is missing or was changed."""

    def out_of_place(self) -> int:
        """Return the number of rows of which raw file and predictions have different ids."""

    def riskiest(self) -> Riskiest:
        """Return what the review list must have."""


@dataclass(frozen=True)
class OwnPredictionChecks:
    """Predictions that this process compares."""

    store: Store
    contract: Contract
    review: Review
    date: str

    def out_of_place(self) -> int:
        """Return the number of rows of which raw file and predictions have different ids."""
        rows = with_ids(raw.scan(self.store, layout.accounts(self.date)), self.contract)
        return rows_out_of_place(rows, self._predictions, self.contract)

    def riskiest(self) -> Riskiest:
        """Return what the review list must have."""
        highest = pl.col("probability").filter(may_be_listed(self.review)).top_k(self.review.size)
        found = self._predictions.select(highest).collect(engine="streaming").to_series().sort(descending=True)
        return Riskiest(tuple(found.to_list()), count_held_out(self._predictions, self.review))

    @property
    def _predictions(self) -> pl.LazyFrame:
        return read_table(self.store, layout.predictions(self.date))


def rows_out_of_place(raw_rows: pl.LazyFrame, predictions: pl.LazyFrame, contract: Contract) -> int:
    """Return the number of rows with different ids, given the text of raw rows and the predictions of the same rows."""
    before = raw_rows.select(strip_cells(pl.col(contract.id)).alias("raw"))
    after = predictions.select(pl.col(ACCOUNT_ID).fill_null("").alias("predicted"))
    both = pl.concat([before, after], how="horizontal")
    moved: int = both.select(pl.col("raw").ne_missing(pl.col("predicted")).sum()).collect(engine="streaming").item()
    return moved


def count_held_out(predictions: pl.LazyFrame, review: Review) -> int:
    """Return the number of flagged accounts that the policy holds out."""
    if not review.hold_out:
        return 0
    held: int = predictions.select(held_out(review.hold_out).sum()).collect(engine="streaming").item()
    return held
