"""The rows that train a model: features joined with outcomes, one snapshot of a group in each period, sampled and checked."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

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


NO_PAIRS = pl.DataFrame(schema={ACCOUNT_ID: pl.String, GROUP: pl.String})


class TrainingRows(Protocol):
    """The rows of a window that can train, and what `sample` asks of them: of this process, or of executors."""

    @property
    def engine(self) -> str:
        """Who reads them, as it is shown."""

    def regrouped(self) -> pl.DataFrame:
        """Return the distinct pairs of `account_id` and `group` of the accounts that have several groups; none without customers."""

    def picks(self, names: Mapping[str, str]) -> pl.DataFrame:
        """Return the picks of `spaced`: all of them, or `leading` ones. `names` are those of `merged`."""

    def rows(self, names: Mapping[str, str], picked: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of those groups and days, by date, in the order of the features."""


@dataclass(frozen=True)
class Sample:
    """The rows that train, and the number of accounts that have several groups, as their customer changes or is missing on some date."""

    frame: pd.DataFrame
    regrouped: int


@dataclass(frozen=True)
class OwnRows:
    """The rows of a window, which this process reads.

    Attributes
    ----------
    features, outcomes : mapping of date to LazyFrame
        Validated features, and outcomes (`account_id`, `bad`), of the dates that are in the lake.
    """

    features: Mapping[str, pl.LazyFrame]
    outcomes: Mapping[str, pl.LazyFrame]
    contract: Contract
    policy: Training
    engine = "local"

    def regrouped(self) -> pl.DataFrame:
        """Return the pairs of the accounts that have several groups."""
        return accounts_of_several(distinct_pairs(self._joined().values())) if self.contract.group else NO_PAIRS

    def picks(self, names: Mapping[str, str]) -> pl.DataFrame:
        """Return all picks."""
        tables = self._renamed(names)
        dates = [*tables]
        found = ((ordinal(date), available(table)) for date, table in tables.items())
        return spaced(found, ordinal(dates[0]), ordinal(dates[-1]), self.policy.spacing_days)

    def rows(self, names: Mapping[str, str], picked: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of those groups and days."""
        tables = (of_groups(table, picked_on(picked, date)) for date, table in self._renamed(names).items())
        return pl.concat(tables).collect(engine="streaming")

    def _joined(self) -> dict[str, pl.LazyFrame]:
        dates = labelled_dates(self.features.keys(), self.outcomes.keys(), self.policy)
        return {date: joined(self.features[date], self.outcomes[date], date, self.contract) for date in dates}

    def _renamed(self, names: Mapping[str, str]) -> dict[str, pl.LazyFrame]:
        return {date: one_group_per_account(table, names) for date, table in self._joined().items()}


def labelled(
    features: Mapping[str, pl.LazyFrame], outcomes: Mapping[str, pl.LazyFrame], contract: Contract, policy: Training
) -> pd.DataFrame:
    """Return the rows of `sample` from the tables of a window; parameters as of `OwnRows`."""
    return sample(OwnRows(features, outcomes, contract, policy), policy).frame


def sample(window: TrainingRows, policy: Training) -> Sample:
    """Return the rows that can train: eligible, valid, with an outcome.

    They have the features, `bad` (0 or 1), the snapshot's date, the `group`: the column `group` of the features, or the account
    if there is none, and the sensitive features, which figures use and models do not. Groups that share an account count as one, so
    that no account is in two of them, see `merged`. A group has one snapshot in any period of the policy's `spacing_days`. The choice
    reads only groups, outcomes and dates.

    Raises
    ------
    ModelError
        If no date has both features and outcomes, or there are too few groups, too few bad ones, or only one class.
    """
    several = window.regrouped()
    names = merged(several)
    frame = window.rows(names, _fitting(window.picks(names), policy)).to_pandas()
    require_enough(frame, policy, "with labelled rows", "Land more outcomes, widen training.window_days")
    return Sample(frame, several[ACCOUNT_ID].n_unique())


def labelled_dates(features: Collection[str], outcomes: Collection[str], policy: Training) -> list[str]:
    """Return the dates that have features and outcomes, in order; raises `ModelError` if there are none."""
    dates = sorted({*features} & {*outcomes})
    if not dates:
        raise ModelError(
            f"no date in the training window of {counted(policy.window_days, 'day')} has both features and outcomes "
            f"({len(features)} have features, {len(outcomes)} outcomes). Land outcomes for a date that was run: "
            "risk land FILE --outcomes --date DATE; or widen training.window_days in the policy."
        )
    return dates


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


def joined(features: pl.LazyFrame, outcomes: pl.LazyFrame, date: str, contract: Contract) -> pl.LazyFrame:
    """Return the rows of a date that can train, in the order of the features, with their account and their group."""
    usable = features.filter(can_be_scored()).select(
        strip_cells(pl.col(ACCOUNT_ID)), _group(features), *contract.inputs, *contract.sensitive
    )
    known = outcomes.filter(pl.col(OUTCOME).is_not_null()).select(ACCOUNT_ID, pl.col(OUTCOME).cast(pl.Int64))
    found = usable.join(known, on=ACCOUNT_ID, how="inner", maintain_order="left")
    return found.select(*contract.inputs, OUTCOME, pl.lit(date).alias(SNAPSHOT), GROUP, ACCOUNT_ID, *contract.sensitive)


def distinct_pairs(tables: Iterable[pl.LazyFrame]) -> pl.DataFrame:
    """Return the distinct accounts and groups of several tables of `joined`."""
    return pl.concat(table.select(ACCOUNT_ID, GROUP).unique() for table in tables).unique().collect(engine="streaming")


def one_group_per_account(table: pl.LazyFrame, names: Mapping[str, str]) -> pl.LazyFrame:
    """Return a table of `joined` with the name under which each group counts, and without the account."""
    renamed = pl.col(GROUP).replace(list(names), list(names.values())) if names else pl.col(GROUP)
    return table.with_columns(renamed).drop(ACCOUNT_ID)


def available(table: pl.LazyFrame) -> pl.DataFrame:
    """Return the groups of a table and their numbers of rows."""
    return table.group_by(GROUP).agg(pl.len().cast(pl.Int64).alias(ROWS)).collect(engine="streaming")


def leading(picked: pl.DataFrame, policy: Training) -> pl.DataFrame:
    """Return the picks of the groups with the smallest hashes, up to the first one with which they have more than `max_rows` rows.

    `sample` keeps the same picks of these as of all.
    """
    return _first(picked, policy, pl.col(ROWS).cum_sum() - pl.col(ROWS))


def sample_hashes(groups: Iterable[str], policy: Training) -> npt.NDArray[np.uint64]:
    """Return the hash of each group, shape (n,): a sample keeps the groups with the smallest ones."""
    return hashes(groups, SAMPLE + str(policy.random_state).encode())


def picked_on(picked: pl.DataFrame, date: str) -> pl.Series:
    """Return the groups that are picked on a date."""
    return picked.filter(pl.col(DAY) == ordinal(date))[GROUP]


def of_groups(table: pl.LazyFrame, groups: pl.Series) -> pl.LazyFrame:
    """Return the rows of a table whose group is one of those."""
    return table.filter(pl.col(GROUP).is_in(groups.implode()))


def _group(features: pl.LazyFrame) -> pl.Expr:
    """Return the group of each row: the column `group`, or the account's id where there is none."""
    account = strip_cells(pl.col(ACCOUNT_ID))
    return (pl.coalesce(GROUP, account) if GROUP in features.collect_schema() else account).alias(GROUP)


def _fitting(picked: pl.DataFrame, policy: Training) -> pl.DataFrame:
    """Return all picks, or those of the groups with the smallest hashes whose rows are at most `max_rows`."""
    return _first(picked, policy, pl.col(ROWS).cum_sum())


def _first(picked: pl.DataFrame, policy: Training, rows: pl.Expr) -> pl.DataFrame:
    """Return the picks of the groups, smallest hash first, for which `rows` is at most `max_rows`."""
    if picked[ROWS].sum() <= policy.max_rows:
        return picked
    groups = picked.group_by(GROUP).agg(pl.col(ROWS).sum())
    order = pl.Series("hash", sample_hashes(groups[GROUP], policy))
    kept = groups.with_columns(order).sort("hash", GROUP).filter(rows <= policy.max_rows)
    return picked.join(kept, on=GROUP, how="semi")
