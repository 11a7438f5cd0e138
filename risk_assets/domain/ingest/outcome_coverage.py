"""Which accounts of a snapshot have an outcome, and why the others have none."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, ISSUES, OUTCOME
from risk_assets.domain.ingest.labels import CONTRADICTORY
from risk_assets.domain.ingest.text import strip_cells

WITH_ISSUES, NOT_ELIGIBLE, NOT_LISTED, NO_LABEL, CONTRADICTORY_LABEL, GONE = (
    "with issues",
    "not eligible",
    "not in the outcomes",
    "with a missing or unknown label",
    "with contradictory labels",
    "gone before the end of the window",
)
LACKING = (NOT_LISTED, NO_LABEL, CONTRADICTORY_LABEL)  # accounts that should have an outcome
_REASON = "reason"


@dataclass(frozen=True)
class Coverage:
    """The rows of a snapshot: all, those with an outcome, and the others by reason."""

    accounts: int
    labelled: int
    reasons: Mapping[str, int]

    @property
    def share_without(self) -> float:
        """The share of accounts without an outcome, of those that should have one."""
        lacking = sum(self.reasons[reason] for reason in LACKING)
        return lacking / (self.labelled + lacking) if lacking else 0.0


def count_coverage(features: pl.LazyFrame, labels: pl.LazyFrame, file: pl.LazyFrame | None) -> Coverage:
    """Return how many rows of a snapshot have an outcome, and the others by reason.

    Parameters
    ----------
    features : LazyFrame
        The checked features.
    labels : LazyFrame
        `account_id` and `bad`, null without a label.
    file : LazyFrame or None
        The accounts of the file of outcomes, and whether their labels are contradictory (`account_id`, `CONTRADICTORY`). None for
        derived outcomes: then the accounts without a label are gone.
    """
    rows = features.select(strip_cells(pl.col(ACCOUNT_ID)), ISSUES, EXCLUDED)
    listed = file.select(ACCOUNT_ID, CONTRADICTORY) if file is not None else labels.select(ACCOUNT_ID, pl.lit(False).alias(CONTRADICTORY))
    joined = rows.join(labels, on=ACCOUNT_ID, how="left").join(listed, on=ACCOUNT_ID, how="left")
    reason = (
        pl.when(pl.col(ISSUES).is_not_null())
        .then(pl.lit(WITH_ISSUES))
        .when(pl.col(EXCLUDED).is_not_null())
        .then(pl.lit(NOT_ELIGIBLE))
        .when(pl.col(OUTCOME).is_not_null())
        .then(pl.lit(None, pl.String))
        .when(pl.col(CONTRADICTORY).is_null())
        .then(pl.lit(NOT_LISTED))
        .when(CONTRADICTORY)
        .then(pl.lit(CONTRADICTORY_LABEL))
        .otherwise(pl.lit(GONE if file is None else NO_LABEL))
    )
    counts = dict(joined.group_by(reason.alias(_REASON)).len().collect(engine="streaming").iter_rows())
    reasons = {name: counts.get(name, 0) for name in (WITH_ISSUES, NOT_ELIGIBLE, *LACKING, GONE)}
    return Coverage(sum(counts.values()), counts.get(None, 0), reasons)
