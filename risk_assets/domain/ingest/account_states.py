"""States of accounts, carried from date to date: when each was last seen and last bad. Outcomes are derived from them.

An account of snapshot S is bad if it was bad on one of the days after S up to the end of the performance window T. That is so
if `last_bad` in the state of T is after S. So a date costs the same whatever the length of the window.
"""

from datetime import date as Date
from datetime import timedelta

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID, ISSUES, MAX_WINDOW_DAYS, OUTCOME, Contract, Derived
from risk_assets.domain.ingest.csv_counts import LINE_ISSUES
from risk_assets.domain.ingest.text import strip_cells

LAST_SEEN, LAST_BAD, BECAME_BAD = "last_seen", "last_bad", "became_bad"
GONE = "gone"
_TODAY = "today"
_WHEN_GONE = {"good": 0, "bad": 1, "unknown": None}


def carry(features: pl.LazyFrame, before: pl.LazyFrame | None, bad_when: Derived, date: str) -> pl.LazyFrame:
    """Return the state of each account on a date, sorted: `account_id`, `last_seen`, `last_bad` and `became_bad`.

    `last_bad` is the last date on which the account was bad, `became_bad` the first date of that time; both are null if it never
    was. A row without an id is left out. A row whose line has an issue says that the account exists, and nothing about bad.
    Accounts that have been gone for longer than any performance window are dropped.

    Parameters
    ----------
    features : LazyFrame
        The checked features of the date.
    before : LazyFrame or None
        The state of the date before; None for the first date.
    """
    day = Date.fromisoformat(date)
    seen = _seen(features, bad_when)
    earlier = before if before is not None else pl.LazyFrame(schema=_SCHEMA)
    both = earlier.join(seen, on=ACCOUNT_ID, how="full", coalesce=True)
    is_bad, continues = pl.col(_TODAY).fill_null(False), pl.col(LAST_BAD).is_not_null() & (pl.col(LAST_BAD) == pl.col(LAST_SEEN))
    state = both.select(
        ACCOUNT_ID,
        pl.when(pl.col(_TODAY).is_not_null()).then(pl.lit(day)).otherwise(LAST_SEEN).alias(LAST_SEEN),
        pl.when(is_bad).then(pl.lit(day)).otherwise(LAST_BAD).alias(LAST_BAD),
        pl.when(is_bad & ~continues).then(pl.lit(day)).otherwise(BECAME_BAD).alias(BECAME_BAD),
    )
    oldest = day - timedelta(days=MAX_WINDOW_DAYS)
    return state.filter(pl.col(LAST_SEEN) >= oldest).sort(ACCOUNT_ID)


def derive(features: pl.LazyFrame, state: pl.LazyFrame, derived: Derived, snapshot: str, state_date: str) -> pl.LazyFrame:
    """Return `account_id` and `bad`, one row for each account of a snapshot, in the order of the snapshot.

    Parameters
    ----------
    state : LazyFrame
        The state at the end of the performance window.
    state_date : str
        The date of the state. An account that was not seen then is gone.
    """
    ids = features.select(strip_cells(pl.col(ACCOUNT_ID))).filter(_has_id()).unique(ACCOUNT_ID, keep="first", maintain_order=True)
    both = ids.join(state, on=ACCOUNT_ID, how="left", maintain_order="left")
    went_bad = (pl.col(LAST_BAD) > Date.fromisoformat(snapshot)).fill_null(False)
    gone = pl.lit(_WHEN_GONE[derived.when_gone], pl.Int8)
    bad = pl.when(went_bad).then(pl.lit(1, pl.Int8)).when(is_gone(state_date)).then(gone).otherwise(pl.lit(0, pl.Int8))
    return both.select(ACCOUNT_ID, bad.alias(OUTCOME))


def is_gone(state_date: str) -> pl.Expr:
    """Return whether an account was not in the snapshot of the state's date."""
    return (pl.col(LAST_SEEN) < Date.fromisoformat(state_date)).fill_null(True)


def state_facts(date: str) -> list[pl.Expr]:
    """Return the aggregations of a table of states: rows, and the accounts seen, bad, and bad since the date."""
    day = Date.fromisoformat(date)
    on = {"seen": LAST_SEEN, "bad": LAST_BAD, "became_bad": BECAME_BAD}
    return [pl.len().alias("rows"), *((pl.col(column) == day).sum().alias(name) for name, column in on.items())]


def state_descriptions(contract: Contract) -> dict[str, str]:
    """Return a description of each column of a table of states."""
    derived = contract.target.derived
    rule = f"{derived.bad_when.column} at least {derived.bad_when.at_least:g}" if derived else "no rule"
    return {
        ACCOUNT_ID: "account id, without surrounding whitespace",
        LAST_SEEN: "the last date whose snapshot had the account",
        LAST_BAD: f"the last date on which the account was bad ({rule}); null if it never was",
        BECAME_BAD: "the first date of the time in which it was last bad",
    }


_SCHEMA = {ACCOUNT_ID: pl.String, LAST_SEEN: pl.Date, LAST_BAD: pl.Date, BECAME_BAD: pl.Date}


def _seen(features: pl.LazyFrame, derived: Derived) -> pl.LazyFrame:
    """Return the accounts of a snapshot, and whether each is bad."""
    condition = derived.bad_when
    is_certain = ~pl.col(ISSUES).is_in(list(LINE_ISSUES.values())).fill_null(False)
    bad = is_certain & (pl.col(condition.column) >= condition.at_least).fill_null(False)
    rows = features.select(strip_cells(pl.col(ACCOUNT_ID)), bad.alias(_TODAY)).filter(_has_id())
    return rows.group_by(ACCOUNT_ID).agg(pl.col(_TODAY).any())


def _has_id() -> pl.Expr:
    return pl.col(ACCOUNT_ID).fill_null("") != ""
