"""The rows that train a model: features joined with outcomes, sampled and checked."""

from collections.abc import Mapping

import pandas as pd
import polars as pl

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import ACCOUNT_ID, OUTCOME, SNAPSHOT, Contract
from risk_assets.domain.ingest.population import can_be_scored
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.domain.scorecard.arrays import Integers
from risk_assets.errors import ModelError

ROW = "\x1frow"
LARGEST = 1e100  # scaling sums squares, which overflow for larger numbers


def labelled(
    features: Mapping[str, pl.LazyFrame], outcomes: Mapping[str, pl.LazyFrame], contract: Contract, policy: Training
) -> pd.DataFrame:
    """Return the rows that can train: eligible, valid, with an outcome; the features, `bad` (0 or 1) and the snapshot's date.

    Parameters
    ----------
    features, outcomes : mapping of date to LazyFrame
        Validated features, and outcomes (`account_id`, `bad`), of the dates that are in the lake.

    Raises
    ------
    ModelError
        If no date has both, or there are too few rows, too few bad ones, or only one class.
    """
    dates = sorted(features.keys() & outcomes.keys())
    if not dates:
        raise ModelError(
            f"no date in the training window of {policy.window_days} days has both features and outcomes "
            f"({len(features)} have features, {len(outcomes)} outcomes). Land outcomes for a date that was run: "
            "risk land FILE --outcomes --date DATE; or widen training.window_days in the policy."
        )
    joined = {date: _joined(features[date], outcomes[date], date, contract) for date in dates}
    frame = _sampled(joined, policy).collect(engine="streaming").to_pandas()
    require_enough(frame[OUTCOME].to_numpy(), policy, "labelled rows", "Land more outcomes, widen training.window_days")
    return frame


def require_enough(bad: Integers, policy: Training, what: str, advice: str) -> None:
    """Verify that there are the policy's `min_rows` rows, and `min_bad` of each class; raises `ModelError`."""
    rows, bads = len(bad), int(bad.sum())
    if rows < policy.min_rows or min(bads, rows - bads) < policy.min_bad:
        raise ModelError(
            f"too few rows to train on: {rows} {what}, {bads} of them bad; the policy requires {policy.min_rows} rows "
            f"and {policy.min_bad} of each class. {advice}, or lower training.min_rows and training.min_bad in the policy."
        )


def require_scalable(frame: pd.DataFrame, contract: Contract) -> None:
    """Verify that numbers are small enough to be scaled; raises `ModelError` that names columns and dates."""
    numbers = list(contract.numbers)
    huge = frame[numbers].abs() > LARGEST
    columns = [name for name in numbers if huge[name].any()]
    if columns:
        dates = ", ".join(sorted(frame.loc[huge.any(axis=1), SNAPSHOT].unique()))
        raise ModelError(
            f"{', '.join(columns)} cannot be scaled: the rows of {dates} have numbers beyond {LARGEST:.0e}. Set min and max "
            "of each in the contract, so that such rows get an issue, and run these dates again."
        )


def _joined(features: pl.LazyFrame, outcomes: pl.LazyFrame, date: str, contract: Contract) -> pl.LazyFrame:
    usable = features.filter(can_be_scored()).select(strip_cells(pl.col(ACCOUNT_ID)), *contract.inputs)
    known = outcomes.filter(pl.col(OUTCOME).is_not_null()).select(ACCOUNT_ID, pl.col(OUTCOME).cast(pl.Int64))
    joined = usable.join(known, on=ACCOUNT_ID, how="inner", maintain_order="left")
    return joined.select(*contract.inputs, OUTCOME, pl.lit(date).alias(SNAPSHOT))


def _sampled(joined: Mapping[str, pl.LazyFrame], policy: Training) -> pl.LazyFrame:
    """Return all rows, or the same share of each date's rows if there are more than `max_rows`."""
    whole = pl.concat(joined.values())
    counts = dict(whole.group_by(SNAPSHOT).len().collect(engine="streaming").iter_rows())
    total = sum(counts.values())
    if total <= policy.max_rows:
        return whole
    quotas = {date: counts[date] * policy.max_rows // total for date in joined if date in counts}
    return pl.concat(_drawn(joined[date], quota, policy.random_state + at) for at, (date, quota) in enumerate(quotas.items()))


def _drawn(rows: pl.LazyFrame, quota: int, seed: int) -> pl.LazyFrame:
    """Draw rows by the smallest hashes of their positions, independent of any pattern in the file; order is kept."""
    return rows.with_row_index(ROW).bottom_k(quota, by=pl.col(ROW).hash(seed)).sort(ROW).drop(ROW)
