"""Which snapshot of each group enters training: one in any period of `spacing_days`."""

from collections.abc import Iterable
from datetime import date

import numpy as np
import polars as pl

from risk_assets.domain.contract.schema import GROUP
from risk_assets.domain.training.groups import SNAPSHOT_DAY, hashes

ROWS = "rows"
DAY = "day"
_STATE = {GROUP: pl.String, "start": pl.Int64, "early": pl.Int64, "early_rows": pl.Int64, "first": pl.Int64, "last": pl.Int64}
NO_PICKS = pl.DataFrame(schema={GROUP: pl.String, ROWS: pl.Int64, DAY: pl.Int64})


def spaced(available: Iterable[tuple[int, pl.DataFrame]], first: int, last: int, spacing: int) -> pl.DataFrame:
    """Return the picked snapshots: `group`, `rows` and `day`.

    Each group has a start, the day among the first `spacing` of the window that its hash selects. It is picked on the first day
    from its start on that has a snapshot, and then each time at least `spacing` days have passed. Starts are fixed in the
    calendar, so that a later window picks the same snapshots of a group that is always there. A snapshot before the start is
    picked only if it is far enough from all others. A window shorter than `spacing` has one pick for each group.

    Parameters
    ----------
    available : iterable of (int, DataFrame)
        By ascending day, the groups that have a snapshot on it: `group` and the number of `rows`.
    first, last : int
        The first and the last day with snapshots, as ordinals of the proleptic calendar.
    spacing : int
        The smallest number of days between two picks of a group.
    """
    period = min(spacing, last - first + 1)
    state, picked = pl.DataFrame(schema=_STATE), [NO_PICKS]
    for day, groups in available:
        state = pl.concat([state, _new(groups.join(state, on=GROUP, how="anti"), first, period)])
        state = state.join(groups, on=GROUP, how="left", maintain_order="left").with_columns(_due(day, spacing))
        picked.append(state.filter("due").select(GROUP, ROWS, pl.lit(day, pl.Int64).alias(DAY)))
        state = state.with_columns(*_seen(day)).select(_STATE.keys())
    gap = pl.col("first").is_null() | (pl.col("first") - pl.col("early") >= spacing)
    early = state.filter(pl.col("early").is_not_null() & gap)
    return pl.concat([*picked, early.select(GROUP, pl.col("early_rows").alias(ROWS), pl.col("early").alias(DAY))])


def ordinal(day: str) -> int:
    """Return a date's number in the proleptic calendar."""
    return date.fromisoformat(day).toordinal()


def _new(groups: pl.DataFrame, first: int, period: int) -> pl.DataFrame:
    """Return the state of groups that are new: their start, no picks."""
    phase = pl.Series("start", hashes(groups[GROUP], SNAPSHOT_DAY) % np.uint64(period)).cast(pl.Int64)
    known = groups.select(GROUP, (first + (phase - first) % period).alias("start"))
    return known.with_columns(pl.lit(None, pl.Int64).alias(name) for name in _STATE if name not in (GROUP, "start"))


def _due(day: int, spacing: int) -> pl.Expr:
    """Return whether a group is picked on a day."""
    rested = pl.col("last").is_null() | (day - pl.col("last") >= spacing)
    return (pl.col(ROWS).is_not_null() & (pl.col("start") <= day) & rested).alias("due")


def _seen(day: int) -> tuple[pl.Expr, ...]:
    """Return the state of each group after a day."""
    picked = pl.when("due").then(day)
    early = pl.col("early").is_null() & pl.col(ROWS).is_not_null() & (pl.col("start") > day)
    return (
        pl.when(early).then(day).otherwise("early").alias("early"),
        pl.when(early).then(ROWS).otherwise("early_rows").alias("early_rows"),
        pl.coalesce("first", picked).alias("first"),
        picked.otherwise("last").alias("last"),
    )
