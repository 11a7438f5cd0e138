"""Checked features over dates: the newest ones, and the last that each account had."""

import polars as pl

from risk_assets.clock import shift
from risk_assets.domain.contract.schema import ACCOUNT_ID, ISSUES, SNAPSHOT
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_assets.lake.tables import partitions, read_table


def newest(store: Store, kinds: dict[str, str], count: int) -> dict[str, pl.LazyFrame]:
    """Return the features of the newest dates, oldest first, at most `count`: of those that have columns of these types.

    Parameters
    ----------
    kinds : dict
        Each feature and its type in the contract, `number` or `category`.
    """
    needed = pl.Schema({name: pl.Float64 if kind == "number" else pl.String for name, kind in kinds.items()})
    dates = [date for name in store.names(layout.CURATED) if (date := layout.features_date(name))]
    found: dict[str, pl.LazyFrame] = {}
    for date in reversed(dates):
        table = read_table(store, layout.features(date))
        if needed.items() <= table.collect_schema().items():
            found[date] = table
        if len(found) == count:
            break
    return dict(reversed(found.items()))


def of_accounts(features: pl.LazyFrame, accounts: pl.Series) -> pl.DataFrame:
    """Return the rows of some accounts that could be scored, without their issues."""
    wanted = pl.col(ACCOUNT_ID).is_in(accounts.implode()) & pl.col(ISSUES).is_null()
    return features.filter(wanted).drop(ISSUES).collect(engine="streaming")


def last_before(store: Store, date: str, schema: pl.Schema, accounts: pl.Series, days: int) -> pl.DataFrame:
    """Return each account's features in its last earlier snapshot in which it could be scored, and that snapshot's date.

    Parameters
    ----------
    schema : pl.Schema
        The features that are wanted; a date whose table has not all of them is passed over.
    days : int
        How many days before `date` are looked at.

    Returns
    -------
    pl.DataFrame
        `account_id`, `SNAPSHOT` and the features; an account that had none has no row.
    """
    found = [pl.DataFrame(schema={ACCOUNT_ID: pl.String, SNAPSHOT: pl.String, **schema})]
    left = accounts
    earlier = (shift(date, -back) for back in range(1, days + 1))
    for before, path in partitions(store, {before: layout.features(before) for before in earlier}).items():
        table = read_table(store, path)
        if left.is_empty() or not schema.items() <= table.collect_schema().items():
            continue
        rows = of_accounts(table, left).select(ACCOUNT_ID, pl.lit(before).alias(SNAPSHOT), *schema)
        found.append(rows)
        left = left.filter(~left.is_in(rows[ACCOUNT_ID].implode()))
    return pl.concat(found)
