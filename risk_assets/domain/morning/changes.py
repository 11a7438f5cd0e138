"""The accounts that changed between two scored dates: counts of all, and lists of the riskiest.

Accounts are compared by the 64-bit hash of their ids, with their points and probabilities: about 30 bytes in memory for each account of a
date. The probability that two of n accounts have one hash is below n**2 / 2**65. Ids, bands and exposures are read for the accounts of
the lists only, in a second pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.morning.facts import WORSE_POINTS, AccountList, Causes, Changes, ListedAccount

EXPOSURE, BAND = "exposure", "band"
EXPOSURE_DIGITS = 2  # sums of parts in another order differ in the last digits
_KEY, _PRESENT, _RISK, _BEFORE = "key", "present", "risk", "_before"
_COMPARED: Mapping[str, pl.DataType] = MappingProxyType(
    {_KEY: pl.UInt64(), "probability": pl.Float64(), "points": pl.Int64(), "prediction": pl.Int8()}
)
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
    """A scored date: its predictions with the column `EXPOSURE`, which is null without an exposure, and the ids on its review list."""

    date: str
    predictions: pl.LazyFrame
    listed: pl.Series


@dataclass(frozen=True)
class _Found:
    """The number of accounts of each condition, and the keys of the riskiest of them."""

    counts: Mapping[str, int]
    keys: Mapping[str, pl.Series]


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
    wanted = pl.concat([pl.Series([], dtype=pl.UInt64), *found.keys.values()]).unique()
    details, bands, exposure = pl.collect_all(
        [_details(now, wanted), _bands(now), now.predictions.filter(pl.col("prediction") == 1).select(_exposure_sum())], engine="streaming"
    )
    rows = details.unique(_KEY)
    listed = rows.filter(pl.col(_KEY).is_in(found.keys["listed"].implode()))
    return Comparison(
        changes=_changes(before, rows, wanted, found, causes) if before else None,
        bands=dict(bands.iter_rows()),
        exposure=exposure.item(),
        flagged=_accounts(rows, found.keys["listed_flagged"]),
        newly_flagged=_accounts(rows, found.keys["listed_newly_flagged"]),
        exposures=dict(listed.select(ACCOUNT_ID, EXPOSURE).drop_nulls().iter_rows()),
    )


def _find(now: ReviewedDate, before: ReviewedDate | None, most: int) -> _Found:
    """Return the accounts of each condition."""
    earlier = _compared(before) if before else _compared(now).clear()
    joined = _compared(now).join(earlier, on=_KEY, how="full", coalesce=True, suffix=_BEFORE)
    conditions = _conditions(now.listed, before.listed if before else now.listed.clear())
    masks = joined.select(mask.fill_null(value=False).alias(name) for name, mask in conditions.items())
    risk = joined.select(_KEY, pl.coalesce("probability", f"probability{_BEFORE}").fill_null(-1.0).alias(_RISK))
    keys = {name: _riskiest(risk.filter(masks[name]), most) for name in _LISTS}
    keys |= {name: risk.filter(masks[name])[_KEY] for name in _OF_LIST}
    return _Found(dict(zip(masks.columns, masks.sum().row(0), strict=True)), keys)


def _compared(date: ReviewedDate) -> pl.DataFrame:
    """Return one row for each account: the scored ones, whose ids are unique, and each id of the others once.

    A repeated id, of which no row is scored, would otherwise be joined with itself.
    """
    named = date.predictions.filter(pl.col(ACCOUNT_ID).is_not_null())
    rows = named.select(pl.col(ACCOUNT_ID).hash().alias(_KEY), *[name for name in _COMPARED if name != _KEY]).collect(engine="streaming")
    is_scored = rows["probability"].is_not_null()
    if not is_scored.all():
        rows = pl.concat([rows.filter(is_scored), rows.filter(~is_scored).unique(_KEY)])
    return rows.with_columns(pl.lit(value=True).alias(_PRESENT))


def _conditions(listed: pl.Series, listed_before: pl.Series) -> dict[str, pl.Expr]:
    """Return the condition of each list and of each count, given the accounts on the two review lists."""
    scored, scored_before = (pl.col(f"probability{suffix}").is_not_null() for suffix in ("", _BEFORE))
    flagged, flagged_before = (pl.col(f"prediction{suffix}") == 1 for suffix in ("", _BEFORE))
    here, before = (pl.col(f"{_PRESENT}{suffix}").is_not_null() for suffix in ("", _BEFORE))
    returned = scored & before & ~scored_before
    newly_flagged = scored & scored_before & flagged & ~flagged_before
    on_list, on_list_before = (pl.col(_KEY).is_in(accounts.hash().implode()) for accounts in (listed, listed_before))
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


def _riskiest(accounts: pl.DataFrame, most: int) -> pl.Series:
    """Return the keys of the riskiest accounts; ties by key."""
    return accounts.top_k(most, by=[_RISK, _KEY])[_KEY]


def _details(date: ReviewedDate, wanted: pl.Series) -> pl.LazyFrame:
    """Return the rows of some accounts with their keys."""
    keyed = date.predictions.select(ACCOUNT_ID, *_SHOWN, EXPOSURE, pl.col(ACCOUNT_ID).hash().alias(_KEY))
    return keyed.filter(pl.col(_KEY).is_in(wanted.implode()), pl.col(ACCOUNT_ID).is_not_null())


def _bands(date: ReviewedDate) -> pl.LazyFrame:
    return date.predictions.filter(pl.col(BAND).is_not_null()).group_by(BAND).agg(pl.len())


def _exposure_sum() -> pl.Expr:
    """Return the sum of the exposures that are known; null if none is."""
    known = pl.col(EXPOSURE)
    return pl.when(known.count() > 0).then(known.sum().round(EXPOSURE_DIGITS))


def _changes(before: ReviewedDate, rows: pl.DataFrame, wanted: pl.Series, found: _Found, causes: Causes | None) -> Changes:
    earlier = _details(before, wanted).collect(engine="streaming").unique(_KEY)
    whole = rows.join(earlier, on=_KEY, how="full", coalesce=True, suffix=_BEFORE).select(
        _KEY,
        pl.coalesce(ACCOUNT_ID, f"{ACCOUNT_ID}{_BEFORE}"),
        pl.coalesce(EXPOSURE, f"{EXPOSURE}{_BEFORE}"),
        *_SHOWN,
        *(f"{name}{_BEFORE}" for name in _SHOWN),
        pl.coalesce("probability", f"probability{_BEFORE}").fill_null(-1.0).alias(_RISK),
    )
    ordered = whole.sort(_RISK, ACCOUNT_ID, descending=[True, False]).drop(_RISK)
    lists: dict[str, Any] = {name: _account_list(ordered, found.keys[name], found.counts[name]) for name in _LISTS}
    counts: dict[str, Any] = {name: found.counts[name] for name in _COUNTS}
    return Changes(since=before.date, causes=causes, **lists, **counts)


def _account_list(rows: pl.DataFrame, keys: pl.Series, count: int) -> AccountList:
    listed = rows.filter(pl.col(_KEY).is_in(keys.implode())).drop(_KEY)
    return AccountList(count, tuple(_listed(row) for row in listed.iter_rows(named=True)))


def _listed(row: Mapping[str, Any]) -> ListedAccount:
    return ListedAccount(**{name.removesuffix("_id"): value for name, value in row.items()})


def _accounts(rows: pl.DataFrame, keys: pl.Series) -> frozenset[str]:
    return frozenset(rows.filter(pl.col(_KEY).is_in(keys.implode()))[ACCOUNT_ID])
