"""The accounts that changed between two scored dates: counts of all, and lists of the riskiest.

Accounts are compared by the indexes of the two dates, one range of keys after the other. The probability that two of n accounts have one
key is below n**2 / 2**65. Ids and exposures are read for the accounts of the lists only, by their rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.morning.account_index import BAND, KEY, ROW, index, indexed_columns, keys_of, parts
from risk_assets.domain.morning.facts import WORSE_POINTS, AccountList, Causes, Changes, ListedAccount

EXPOSURE = "exposure"
EXPOSURE_DIGITS = 2  # sums of parts in another order differ in the last digits
RANGE_ROWS = 131_072  # that are compared at once
_RISK, _BEFORE = "risk", "_before"
_SHOWN = ("probability", "points", BAND)
_LISTS = ("new_on_list", "off_list", "newly_flagged", "no_longer_flagged", "worse", "new_accounts", "gone", "returned")
_COUNTS = ("flagged_new", "flagged_returned")
_OF_LIST = ("listed", "listed_flagged", "listed_newly_flagged")


@dataclass(frozen=True)
class Comparison:
    """What is found by comparing two dates.

    Attributes
    ----------
    changes
        What changed; None without an earlier date.
    bands
        The scored accounts of each band, in any order.
    exposure
        The exposure of the flagged accounts; None if it is not known.
    flagged, newly_flagged
        The accounts of the review list that are predicted bad, and those of them that were scored on the earlier date and not
        predicted bad.
    exposures
        The exposures of the accounts of the review list that are known.
    """

    changes: Changes | None
    bands: dict[str, int]
    exposure: float | None
    flagged: frozenset[str]
    newly_flagged: frozenset[str]
    exposures: dict[str, float]


@dataclass(frozen=True)
class ReviewedDate:
    """A scored date.

    Attributes
    ----------
    index
        The index of its accounts, with the column `BAND`.
    accounts
        `account_id` and `EXPOSURE`, which is null without an exposure, in the order of the rows.
    listed
        The ids on its review list.
    """

    date: str
    index: pl.DataFrame
    accounts: pl.LazyFrame
    listed: pl.Series


@dataclass(frozen=True)
class _Found:
    """The number of accounts of each condition, and the riskiest of them with their rows and scores on both dates."""

    counts: Mapping[str, int]
    accounts: Mapping[str, pl.DataFrame]


def of_predictions(date: str, predictions: pl.LazyFrame, listed: pl.Series) -> ReviewedDate:
    """Return a date of which there is no index, from its predictions with the column `EXPOSURE`."""
    columns = predictions.select(*indexed_columns(), BAND).collect(engine="streaming")
    return ReviewedDate(date, index(columns), predictions.select(ACCOUNT_ID, EXPOSURE), listed)


def compare(now: ReviewedDate, before: ReviewedDate | None, most: int, causes: Causes | None = None) -> Comparison:
    """Return what changed since an earlier scored date.

    Parameters
    ----------
    before
        The earlier date; None if there is none.
    most
        The largest number of accounts in a list.
    causes
        Why the number of flagged accounts changed, from the drift report.
    """
    found = _find(now, before, most)
    listed = _with_accounts(now, found.accounts["listed"].select(KEY, ROW))
    return Comparison(
        changes=_changes(now, before, found, causes) if before else None,
        bands=dict(now.index[BAND].drop_nulls().value_counts().iter_rows()),
        exposure=_flagged_exposure(now),
        flagged=_ids(listed, found.accounts["listed_flagged"]),
        newly_flagged=_ids(listed, found.accounts["listed_newly_flagged"]),
        exposures=dict(listed.select(ACCOUNT_ID, EXPOSURE).drop_nulls().iter_rows()),
    )


def _find(now: ReviewedDate, before: ReviewedDate | None, most: int) -> _Found:
    """Return the accounts of each condition."""
    earlier = before.index if before else now.index.clear()
    conditions = _conditions(now.listed, before.listed if before else now.listed.clear())
    ranges = 1 + max(now.index.height, earlier.height) // RANGE_ROWS
    found = [_compared(*pair, conditions, most) for pair in zip(parts(now.index, ranges), parts(earlier, ranges), strict=True)]
    counts = {name: sum(part.counts[name] for part in found) for name in conditions}
    whole = {name: pl.concat([part.accounts[name] for part in found]) for name in (*_LISTS, *_OF_LIST)}
    return _Found(counts, whole | {name: _riskiest(whole[name], most) for name in _LISTS})


def _compared(now: pl.DataFrame, before: pl.DataFrame, conditions: Mapping[str, pl.Expr], most: int) -> _Found:
    """Return the accounts of each condition in one range of keys."""
    joined = _once(now).join(_once(before), on=KEY, how="full", coalesce=True, suffix=_BEFORE)
    masks = joined.select(mask.fill_null(value=False).alias(name) for name, mask in conditions.items())
    risk = pl.coalesce("probability", f"probability{_BEFORE}").fill_null(-1.0).alias(_RISK)
    is_any = masks.select(pl.any_horizontal(*_LISTS, *_OF_LIST)).to_series()  # few accounts meet a condition
    changed, of_changed = joined.filter(is_any).with_columns(risk), masks.filter(is_any)
    accounts = {name: changed.filter(of_changed[name]) for name in (*_LISTS, *_OF_LIST)}
    riskiest = {name: _riskiest(accounts[name], most) for name in _LISTS}
    return _Found(dict(zip(masks.columns, masks.sum().row(0), strict=True)), accounts | riskiest)


def _once(index: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each account: a repeated id, of which no row is scored, would otherwise be joined with itself."""
    return index.filter(pl.col(KEY).ne_missing(pl.col(KEY).shift()))


def _conditions(listed: pl.Series, listed_before: pl.Series) -> dict[str, pl.Expr]:
    """Return the condition of each list and of each count, given the accounts on the two review lists."""
    scored, scored_before = (pl.col(f"probability{suffix}").is_not_null() for suffix in ("", _BEFORE))
    flagged, flagged_before = (pl.col(f"prediction{suffix}") == 1 for suffix in ("", _BEFORE))
    here, before = (pl.col(f"{ROW}{suffix}").is_not_null() for suffix in ("", _BEFORE))
    returned = scored & before & ~scored_before
    newly_flagged = scored & scored_before & flagged & ~flagged_before
    on_list, on_list_before = (pl.col(KEY).is_in(_keys(accounts).implode()) for accounts in (listed, listed_before))
    return {
        "listed": on_list & here,
        "listed_flagged": on_list & flagged,
        "listed_newly_flagged": on_list & newly_flagged,
        "new_on_list": on_list & here & ~on_list_before,
        "off_list": on_list_before & before & ~on_list,
        "newly_flagged": newly_flagged,
        "no_longer_flagged": scored & scored_before & flagged_before & ~flagged,
        "worse": pl.col("points") <= pl.col(f"points{_BEFORE}") - WORSE_POINTS,
        "new_accounts": here & ~before,
        "gone": before & ~here,
        "returned": returned,
        "flagged_new": here & ~before & flagged,
        "flagged_returned": returned & flagged,
    }


def _keys(ids: pl.Series) -> pl.Series:
    return pl.DataFrame({ACCOUNT_ID: ids}).select(keys_of())[KEY]


def _riskiest(accounts: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return the riskiest accounts; ties by key."""
    return accounts.top_k(most, by=[_RISK, KEY])


def _with_accounts(date: ReviewedDate, found: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `found` that the date has, with the ids and the exposures at their `ROW`."""
    wanted = found[ROW].drop_nulls().unique()
    numbered = date.accounts.with_row_index(ROW).filter(pl.col(ROW).is_in(wanted.implode()))
    return found.join(numbered.collect(engine="streaming"), on=ROW)


def _flagged_exposure(date: ReviewedDate) -> float | None:
    """Return the sum of the exposures of flagged accounts that are known; None if none is."""
    flagged = date.index.filter(pl.col("prediction") == 1)[ROW].sort()
    known = date.accounts.select(EXPOSURE).collect(engine="streaming")[EXPOSURE].gather(flagged).drop_nulls()
    return round(float(known.sum()), EXPOSURE_DIGITS) if len(known) else None


def _changes(now: ReviewedDate, before: ReviewedDate, found: _Found, causes: Causes | None) -> Changes:
    listed = pl.concat([found.accounts[name] for name in _LISTS]).unique(KEY)
    here = _with_accounts(now, listed)
    gone = listed.filter(pl.col(ROW).is_null()).drop(ROW).rename({f"{ROW}{_BEFORE}": ROW})
    whole = pl.concat([here, _with_accounts(before, gone)], how="diagonal")
    ordered = whole.sort(_RISK, ACCOUNT_ID, descending=[True, False])
    lists: dict[str, Any] = {name: _account_list(ordered, found.accounts[name][KEY], found.counts[name]) for name in _LISTS}
    counts: dict[str, Any] = {name: found.counts[name] for name in _COUNTS}
    return Changes(since=before.date, causes=causes, **lists, **counts)


def _account_list(rows: pl.DataFrame, keys: pl.Series, count: int) -> AccountList:
    listed = rows.filter(pl.col(KEY).is_in(keys.implode())).select(ACCOUNT_ID, EXPOSURE, *_SHOWN, *(f"{name}{_BEFORE}" for name in _SHOWN))
    return AccountList(count, tuple(_listed(row) for row in listed.iter_rows(named=True)))


def _listed(row: Mapping[str, Any]) -> ListedAccount:
    return ListedAccount(**{name.removesuffix("_id"): value for name, value in row.items()})


def _ids(listed: pl.DataFrame, found: pl.DataFrame) -> frozenset[str]:
    return frozenset(listed.join(found, on=KEY, how="semi")[ACCOUNT_ID])
