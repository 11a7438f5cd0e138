"""The accounts that changed between two scored dates: counts of all, and lists of the riskiest.

Tables are streamed once. The join keeps the columns of one date's scored rows in memory, as any comparison by account does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.morning.facts import WORSE_POINTS, AccountList, Causes, Changes, ListedAccount

EXPOSURE = "exposure"
BAND, FLAGGED_EXPOSURE = "band", "flagged exposure"  # also the names of the parts with these figures
_VALUES: Mapping[str, pl.DataType] = MappingProxyType(
    {"probability": pl.Float64(), "points": pl.Int64(), "prediction": pl.Int8(), BAND: pl.String(), EXPOSURE: pl.Float64()}
)
_BEFORE = "_before"
EXPOSURE_DIGITS = 2  # sums of parts in another order differ in the last digits
_PRESENT = "present"
_PART = pl.Schema(
    {
        "list": pl.String(),
        "count": pl.Int64(),
        "sum": pl.Float64(),
        ACCOUNT_ID: pl.String(),
        EXPOSURE: pl.Float64(),
        **{name: _VALUES[name] for name in ("probability", "points", BAND)},
        **{f"{name}{_BEFORE}": _VALUES[name] for name in ("probability", "points", BAND)},
    }
)
_SHOWN = (ACCOUNT_ID, EXPOSURE, "probability", "points", BAND, f"probability{_BEFORE}", f"points{_BEFORE}", f"{BAND}{_BEFORE}")
_LISTS = ("new_on_list", "off_list", "newly_flagged", "no_longer_flagged", "worse", "new_accounts", "gone", "returned")
_OF_LIST = ("listed", "listed_flagged", "listed_newly_flagged")
_COUNTS = ("flagged_new", "flagged_returned")


@dataclass(frozen=True)
class Comparison:
    """What one pass over two dates finds.

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
    earlier = _rows(before.predictions) if before else _rows(now.predictions).filter(pl.lit(False))
    joined = _rows(now.predictions).join(earlier, on=ACCOUNT_ID, how="full", coalesce=True, suffix=_BEFORE)
    listed_before = before.listed if before else pl.Series([], dtype=pl.String)
    part = partial(_part, conditions=_conditions(now.listed, listed_before), most=max(most, len(now.listed)))
    parts = joined.map_batches(part, schema=_PART, streamable=True).collect(engine="streaming")
    found = {name: rows for (name,), rows in parts.partition_by("list", as_dict=True).items()}
    bands = found.get(BAND, parts.clear()).group_by(BAND).agg(pl.sum("count")).rows()
    return Comparison(
        changes=_changes(before.date, found, most, causes) if before else None,
        bands={band: count for band, count in bands if band is not None},
        exposure=_total(found.get(FLAGGED_EXPOSURE)),
        flagged=_accounts(found.get("listed_flagged")),
        newly_flagged=_accounts(found.get("listed_newly_flagged")),
        exposures=dict(found["listed"].select(ACCOUNT_ID, EXPOSURE).drop_nulls().iter_rows()) if "listed" in found else {},
    )


def _rows(predictions: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row for each account: the scored ones, whose ids are unique, and each id of the others once.

    A repeated id, of which no row is scored, would otherwise be joined with itself.
    """
    columns = predictions.select(ACCOUNT_ID, *_VALUES, pl.lit(value=True).alias(_PRESENT)).filter(pl.col(ACCOUNT_ID).is_not_null())
    is_scored = pl.col("probability").is_not_null()
    return pl.concat([columns.filter(is_scored), columns.filter(~is_scored).unique(ACCOUNT_ID)])


def _conditions(listed: pl.Series, listed_before: pl.Series) -> dict[str, pl.Expr]:
    """Return the condition of each list and of each count, given the accounts on the two review lists."""
    scored, scored_before = (pl.col(f"probability{suffix}").is_not_null() for suffix in ("", _BEFORE))
    flagged, flagged_before = (pl.col(f"prediction{suffix}") == 1 for suffix in ("", _BEFORE))
    here, before = (pl.col(f"{_PRESENT}{suffix}").is_not_null() for suffix in ("", _BEFORE))
    returned = scored & before & ~scored_before
    newly_flagged = scored & scored_before & flagged & ~flagged_before
    on_list, on_list_before = (pl.col(ACCOUNT_ID).is_in(accounts.implode()) for accounts in (listed, listed_before))
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


def _part(batch: pl.DataFrame, conditions: Mapping[str, pl.Expr], most: int) -> pl.DataFrame:
    """Return, for a part of the accounts, the number of each condition, the riskiest of each list, the bands and the exposures."""
    masks = batch.select(mask.fill_null(value=False).alias(name) for name, mask in conditions.items())
    tables = [_band_counts(batch), _exposure(batch)]
    for name, mask in zip(masks.columns, masks.get_columns(), strict=True):
        count = int(mask.sum())
        if count:
            tables.append(pl.DataFrame({"list": [name], "count": [count]}))
        if count and name in (*_LISTS, *_OF_LIST):
            tables.append(_riskiest(batch.filter(mask), most).select(pl.lit(name).alias("list"), *_SHOWN))
    return pl.concat([pl.DataFrame(schema=_PART), *tables], how="diagonal_relaxed").select(_PART.names()).cast(_PART)


def _band_counts(batch: pl.DataFrame) -> pl.DataFrame:
    counts = batch.group_by(BAND).agg(pl.len().cast(pl.Int64).alias("count"))
    return counts.select(pl.lit(BAND).alias("list"), BAND, "count")


def _exposure(batch: pl.DataFrame) -> pl.DataFrame:
    known = batch.filter(pl.col("prediction") == 1)[EXPOSURE].drop_nulls()
    return pl.DataFrame({"list": [FLAGGED_EXPOSURE], "sum": [float(known.sum())]} if len(known) else {"list": [], "sum": []})


def _riskiest(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return the riskiest accounts, by the probability of the later date where there is one; ties by id."""
    risk = pl.coalesce("probability", f"probability{_BEFORE}").fill_null(-1.0)
    return (
        rows.with_columns(pl.coalesce(EXPOSURE, f"{EXPOSURE}{_BEFORE}"))
        .sort(risk, ACCOUNT_ID, descending=[True, False])
        .head(most)
        .select(_SHOWN)
    )


def _changes(since: str, found: Mapping[Any, pl.DataFrame], most: int, causes: Causes | None) -> Changes:
    lists: dict[str, Any] = {name: _account_list(found.get(name), most) for name in _LISTS}
    counts: dict[str, Any] = {name: _count(found.get(name)) for name in _COUNTS}
    return Changes(since=since, causes=causes, **lists, **counts)


def _account_list(part: pl.DataFrame | None, most: int) -> AccountList:
    if part is None:
        return AccountList(0)
    rows = part.filter(pl.col(ACCOUNT_ID).is_not_null()).with_columns(pl.lit(None, pl.Float64).alias(f"{EXPOSURE}{_BEFORE}"))
    return AccountList(_count(part), tuple(_listed(row) for row in _riskiest(rows, most).iter_rows(named=True)))


def _listed(row: Mapping[str, Any]) -> ListedAccount:
    return ListedAccount(**{name.removesuffix("_id"): value for name, value in row.items()})


def _accounts(part: pl.DataFrame | None) -> frozenset[str]:
    return frozenset() if part is None else frozenset(part[ACCOUNT_ID].drop_nulls())


def _count(part: pl.DataFrame | None) -> int:
    return 0 if part is None else int(part["count"].sum())


def _total(part: pl.DataFrame | None) -> float | None:
    return None if part is None else round(float(part["sum"].sum()), EXPOSURE_DIGITS)
