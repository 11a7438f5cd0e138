"""The rows that train a model: features joined with outcomes, one snapshot of a group in each period, sampled and checked."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import ACCOUNT_ID, GROUP, OUTCOME, SNAPSHOT, Contract
from risk_assets.domain.ingest.population import can_be_scored
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.domain.scorecard.arrays import Integers
from risk_assets.domain.training.groups import SAMPLE, accounts_of_several, hashes, merged
from risk_assets.domain.training.spacing import DAY, ROWS, ordinal, spaced
from risk_assets.domain.wording import counted
from risk_assets.errors import ModelError

LARGEST = 1e100  # scaling sums squares, which overflow for larger numbers


def labelled(
    features: Mapping[str, pl.LazyFrame], outcomes: Mapping[str, pl.LazyFrame], contract: Contract, policy: Training
) -> pd.DataFrame:
    """Return the rows that can train: eligible, valid, with an outcome.

    They have the features, `bad` (0 or 1), the snapshot's date, the `group`: the column `group` of the features, or the account
    if there is none, and the sensitive features, which figures use and models do not. Groups that share an account count as one, so
    that no account is in two of them, see `merged`. A group has one snapshot in any period of the policy's `spacing_days`. The choice
    reads only groups, outcomes and dates.

    Parameters
    ----------
    features, outcomes : mapping of date to LazyFrame
        Validated features, and outcomes (`account_id`, `bad`), of the dates that are in the lake.

    Raises
    ------
    ModelError
        If no date has both, or there are too few groups, too few bad ones, or only one class.
    """
    dates = sorted(features.keys() & outcomes.keys())
    if not dates:
        raise ModelError(
            f"no date in the training window of {counted(policy.window_days, 'day')} has both features and outcomes "
            f"({len(features)} have features, {len(outcomes)} outcomes). Land outcomes for a date that was run: "
            "risk land FILE --outcomes --date DATE; or widen training.window_days in the policy."
        )
    joined = _one_group_per_account({date: _joined(features[date], outcomes[date], date, contract) for date in dates}, contract)
    picked = _sampled(spaced(_available(joined), ordinal(dates[0]), ordinal(dates[-1]), policy.spacing_days), policy)
    rows = pl.concat(_picked(table, picked.filter(pl.col(DAY) == ordinal(date))[GROUP]) for date, table in joined.items())
    frame = rows.collect(engine="streaming").to_pandas()
    require_enough(frame, policy, "with labelled rows", "Land more outcomes, widen training.window_days")
    return frame


def count_regrouped(features: Mapping[str, pl.LazyFrame], outcomes: Mapping[str, pl.LazyFrame], contract: Contract) -> int:
    """Return the accounts that have several groups in the rows that can train, as their customer changes or is missing on some date."""
    dates = features.keys() & outcomes.keys()
    if contract.group is None or not dates:
        return 0
    pairs = _pairs(_joined(features[date], outcomes[date], date, contract) for date in dates)
    return accounts_of_several(pairs)[ACCOUNT_ID].n_unique()


def require_enough(frame: pd.DataFrame, policy: Training, what: str, advice: str) -> None:
    """Verify that there are the policy's `min_rows` groups, and `min_bad` with a row of each class; raises `ModelError`."""
    groups, bads, goods = count_groups(frame[GROUP].to_numpy(), frame[OUTCOME].to_numpy())
    if groups < policy.min_rows or min(bads, goods) < policy.min_bad:
        rows = counted(len(frame), "row")
        raise ModelError(
            f"too few accounts or customers to train on: {groups} {what} ({rows}), {bads} of them bad and {goods} good; "
            f"the policy requires {policy.min_rows}, and {policy.min_bad} of each class, however many snapshots each has. "
            f"{advice}, or lower training.min_rows and training.min_bad in the policy."
        )


def count_groups(groups: npt.NDArray[np.object_], bad: Integers) -> tuple[int, int, int]:
    """Return the number of groups, of those with a bad row, and of those with a good row."""
    return len(np.unique(groups)), len(np.unique(groups[bad == 1])), len(np.unique(groups[bad == 0]))


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
    usable = features.filter(can_be_scored()).select(
        strip_cells(pl.col(ACCOUNT_ID)), _group(features), *contract.inputs, *contract.sensitive
    )
    known = outcomes.filter(pl.col(OUTCOME).is_not_null()).select(ACCOUNT_ID, pl.col(OUTCOME).cast(pl.Int64))
    joined = usable.join(known, on=ACCOUNT_ID, how="inner", maintain_order="left")
    return joined.select(*contract.inputs, OUTCOME, pl.lit(date).alias(SNAPSHOT), GROUP, ACCOUNT_ID, *contract.sensitive)


def _one_group_per_account(joined: Mapping[str, pl.LazyFrame], contract: Contract) -> dict[str, pl.LazyFrame]:
    """Return the tables of all dates with one group for each account, and without the account."""
    names = merged(_pairs(joined.values())) if contract.group else {}
    renamed = pl.col(GROUP).replace(list(names), list(names.values())) if names else pl.col(GROUP)
    return {date: table.with_columns(renamed).drop(ACCOUNT_ID) for date, table in joined.items()}


def _pairs(joined: Iterable[pl.LazyFrame]) -> pl.DataFrame:
    """Return the distinct accounts and groups of several dates."""
    tables = [table.select(ACCOUNT_ID, GROUP).unique() for table in joined]
    return pl.concat(tables).unique().collect(engine="streaming")


def _group(features: pl.LazyFrame) -> pl.Expr:
    """Return the group of each row: the column `group`, or the account's id where there is none."""
    account = strip_cells(pl.col(ACCOUNT_ID))
    return (pl.coalesce(GROUP, account) if GROUP in features.collect_schema() else account).alias(GROUP)


def _available(joined: Mapping[str, pl.LazyFrame]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Return each date's groups and their numbers of rows."""
    for date, table in joined.items():
        yield ordinal(date), table.group_by(GROUP).agg(pl.len().cast(pl.Int64).alias(ROWS)).collect(engine="streaming")


def _sampled(picked: pl.DataFrame, policy: Training) -> pl.DataFrame:
    """Return all picks, or those of the groups with the smallest hashes whose rows are at most `max_rows`."""
    if picked[ROWS].sum() <= policy.max_rows:
        return picked
    groups = picked.group_by(GROUP).agg(pl.col(ROWS).sum())
    order = pl.Series("hash", hashes(groups[GROUP], SAMPLE + str(policy.random_state).encode()))
    kept = groups.with_columns(order).sort("hash").filter(pl.col(ROWS).cum_sum() <= policy.max_rows)
    return picked.join(kept, on=GROUP, how="semi")


def _picked(table: pl.LazyFrame, groups: pl.Series) -> pl.LazyFrame:
    return table.filter(pl.col(GROUP).is_in(groups.implode()))
