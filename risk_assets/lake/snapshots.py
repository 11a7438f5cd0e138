"""Checked features of several dates: the newest dates, and the last earlier snapshot of each account."""

import polars as pl

from risk_assets.clock import shift
from risk_assets.domain.contract.column_types import polars_schema
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, GROUP, ISSUES, SNAPSHOT
from risk_assets.domain.ingest.population import can_be_scored
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.lake import layout
from risk_assets.lake.manifests import partitions
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table


def newest(store: Store, kinds: dict[str, str], count: int) -> dict[str, pl.LazyFrame]:
    """Return the features of the newest dates, oldest first, at most `count`; dates without these columns are skipped.

    Parameters
    ----------
    kinds : dict
        Each feature and its type in the contract, `number` or `category`.
    """
    needed = polars_schema(kinds)
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
    """Return the rows of some accounts that are eligible and have no issues: the id and the features.

    Tables of earlier releases have ids with surrounding whitespace. It is ignored; an id that is then repeated has no row.
    """
    account = strip_cells(pl.col(ACCOUNT_ID))
    found = features.filter(account.is_in(accounts.implode()) & can_be_scored())  # first, so that the others are not read
    rows = found.with_columns(account).drop(GROUP, EXCLUDED, ISSUES).collect(engine="streaming")
    return rows.unique(ACCOUNT_ID, keep="none", maintain_order=True)


def last_before(store: Store, date: str, schema: pl.Schema, accounts: pl.Series, days: int) -> pl.DataFrame:
    """Return the features of each account in its last earlier snapshot in which it could be scored, and the date of that snapshot.

    Parameters
    ----------
    schema : pl.Schema
        The features; a date whose table lacks one of them is skipped.
    days : int
        The number of days before `date` to search.

    Returns
    -------
    pl.DataFrame
        `account_id`, `SNAPSHOT` and the features; no row for an account without an earlier snapshot.
    """
    found = [pl.DataFrame(schema={ACCOUNT_ID: pl.String, SNAPSHOT: pl.String, **schema})]
    remaining = accounts
    earlier = (shift(date, -back) for back in range(1, days + 1))
    for day, path in partitions(store, {day: layout.features(day) for day in earlier}).items():
        table = read_table(store, path)
        if remaining.is_empty() or not schema.items() <= table.collect_schema().items():
            continue
        rows = of_accounts(table, remaining).select(ACCOUNT_ID, pl.lit(day).alias(SNAPSHOT), *schema)
        found.append(rows)
        remaining = remaining.filter(~remaining.is_in(rows[ACCOUNT_ID].implode()))
    return pl.concat(found)
