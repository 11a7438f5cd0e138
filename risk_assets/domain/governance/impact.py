"""What changes for the accounts if a candidate replaces the live version: bands, who is flagged, and rates by category."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
import polars as pl

from risk_assets.domain.contract.column_types import POLARS_TYPES
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, ISSUES, Contract
from risk_assets.domain.markdown import markdown_table
from risk_assets.domain.scorecard.expressions import probabilities
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_assets.errors import ModelError

MISSING = "(missing)"
NEWLY, NO_LONGER = "newly flagged", "no longer flagged"
CHANGES = {"date": pl.String, ACCOUNT_ID: pl.String, "change": pl.String, "probability": pl.Float64, "live_probability": pl.Float64}

_SCORED = {
    ACCOUNT_ID: pl.String(),
    "probability": pl.Float64(),
    "band": pl.Int64(),
    "live_probability": pl.Float64(),
    "live_band": pl.Int64(),
}
_SUMS = (pl.len().cast(pl.Int64).alias("rows"), pl.col("probability", "live_probability").sum())


class CategoryImpact(msgspec.Struct, frozen=True):
    """Accounts of one level of a category: rows, and the bad rate that the candidate and the live model predict.

    Rows without a level have `level` "(missing)" and come last; a level of that very name has an entry of its own before.
    """

    feature: str
    level: str
    rows: int
    candidate: float
    live: float | None


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate changes on the rows of some dates that could be scored.

    `against` is the live version: None where there is none, or its features are not in the snapshots; then all that is told
    of it is None, and `migration` empty. `policy` is the policy's digest. An account counts once in each figure of accounts,
    also when it is newly flagged on one date and no longer on another. `migration` is rows by live band and then by the
    candidate's, zeros included.
    """

    candidate: str
    against: str | None
    dates: tuple[str, ...]
    policy: str
    rows: int
    accounts: int
    predicted_bad_rate: float
    live_predicted_bad_rate: float | None
    flagged: int
    live_flagged: int | None
    newly_flagged: int | None
    no_longer_flagged: int | None
    newly_flagged_accounts: int | None
    no_longer_flagged_accounts: int | None
    migration: dict[str, dict[str, int]]
    categories: tuple[CategoryImpact, ...]


def measure(
    snapshots: Mapping[str, pl.LazyFrame],
    candidate: VersionedScorecard,
    live: VersionedScorecard | None,
    policy: Policy,
    contract: Contract,
) -> tuple[Impact, pl.DataFrame]:
    """Return what changes if the candidate replaces the live version, and the rows whose flag differs.

    Dates are read one after the other, each as a stream. What is held is a hash of 8 bytes for each account, a few times over
    while they are sorted, and the rows that differ.

    Parameters
    ----------
    snapshots : Mapping[str, pl.LazyFrame]
        Each date's checked features: `account_id`, features, `issues`. Rows with issues don't count.
    contract : Contract
        Names the categories; one that not every snapshot has is left out.

    Returns
    -------
    tuple[Impact, pl.DataFrame]
        The figures; and `date, account_id, change, probability, live_probability`, by date and in the file's order.

    Raises
    ------
    ModelError
        When there is no snapshot, one lacks a feature of the candidate, or no row can be scored.
    """
    dates = tuple(sorted(snapshots))
    schemas = [snapshots[date].collect_schema() for date in dates]
    _require(candidate, schemas, dates)
    against = live if live and not _lacking(live, schemas) else None
    categories = tuple(name for name in contract.categories if all(schema.get(name) == pl.String for schema in schemas))
    # Without a live model the candidate stands against itself, and what would be told of the other is taken out at the end.
    pair = (candidate, against or candidate)
    tables = [_scored(snapshots[date], pair, policy, categories) for date in dates]
    bands = _collected(table.group_by("live_band", "band", *_flags(policy)).agg(_SUMS) for table in tables)
    if bands.is_empty():
        raise ModelError(f"no row of {', '.join(dates)} can be scored. See in the features' `{ISSUES}` why, and land better files.")
    changes = _collected(_changes(table, date, policy) for table, date in zip(tables, dates, strict=True))
    impact = Impact(
        candidate=candidate.version,
        against=pair[1].version,
        dates=dates,
        policy=policy.digest,
        accounts=_accounts(snapshots[date] for date in dates),
        migration=_migration(bands, list(policy.bands)),
        categories=_categories(tables, categories),
        **_figures(bands, changes),
    )
    return impact if against else _alone(impact), changes


def migration_table(impact: Impact) -> str:
    """Return the rows by band in Markdown: the live model's down, the candidate's across."""
    if not impact.migration:
        return "There is no live model to compare with."
    rows = ([band, *map(str, row.values())] for band, row in impact.migration.items())
    header = ["live \N{RIGHTWARDS ARROW} candidate", *impact.migration]
    return markdown_table(header, rows, numbers=len(header) - 1)


def category_table(impact: Impact, fewest: int = 1) -> str:
    """Return the predicted bad rates by level in Markdown: feature, level, rows, candidate, live, difference.

    Levels of fewer rows than `fewest` are left out: what a few customers have is theirs.
    """
    rows = []
    for part in (part for part in impact.categories if part.rows >= fewest):
        live = ["", ""] if part.live is None else [f"{part.live:.2%}", f"{100 * (part.candidate - part.live):+z.2f}"]
        rows.append([part.feature, part.level, str(part.rows), f"{part.candidate:.2%}", *live])
    header = ("feature", "level", "rows", "candidate", "live", "difference (percentage points)")
    return markdown_table(header, rows, numbers=4)


def _require(candidate: VersionedScorecard, schemas: Sequence[pl.Schema], dates: Sequence[str]) -> None:
    version = candidate.version
    if not dates:
        raise ModelError(f"there is no snapshot with the features of {version} to see its impact on. Run a date first: risk run DATE.")
    if lacking := _lacking(candidate, schemas):
        raise ModelError(
            f"{version} needs features that not every snapshot of {', '.join(dates)} gives: {', '.join(lacking)}. "
            "Put them into the contract and run the dates again (risk run DATE), or train a version without them: risk train DATE."
        )


def _lacking(model: VersionedScorecard, schemas: Sequence[pl.Schema]) -> list[str]:
    kinds = model.scorecard.features.items()
    return [f"{name} ({kind})" for name, kind in kinds if any(schema.get(name) != POLARS_TYPES[kind] for schema in schemas)]


def _scored(features: pl.LazyFrame, pair: Sequence[VersionedScorecard], policy: Policy, categories: Sequence[str]) -> pl.LazyFrame:
    """Return both models' probabilities and bands; categories are named by position, as theirs may be any name."""
    needed = dict.fromkeys([name for model in pair for name in model.scorecard.features] + list(categories))
    rows = features.filter(pl.col(ISSUES).is_null()).select(ACCOUNT_ID, *needed)
    score = partial(_score, pair=pair, bounds=list(policy.bands.values()), categories=categories)
    schema = _SCORED | {str(position): pl.String() for position in range(len(categories))}
    return rows.map_batches(score, schema=schema, streamable=True)


def _score(batch: pl.DataFrame, pair: Sequence[VersionedScorecard], bounds: Sequence[float], categories: Sequence[str]) -> pl.DataFrame:
    ours, live = (probabilities(model.scorecard, batch) for model in pair)
    found = [batch[ACCOUNT_ID], ours, np.searchsorted(bounds, ours), live, np.searchsorted(bounds, live)]
    levels = {str(position): batch[name] for position, name in enumerate(categories)}
    return pl.DataFrame(dict(zip(_SCORED, found, strict=True)) | levels)


def _flags(policy: Policy) -> tuple[pl.Expr, pl.Expr]:
    return (pl.col("probability") >= policy.threshold).alias("bad"), (pl.col("live_probability") >= policy.threshold).alias("live_bad")


def _changes(table: pl.LazyFrame, date: str, policy: Policy) -> pl.LazyFrame:
    bad, live_bad = _flags(policy)
    change = pl.when(bad).then(pl.lit(NEWLY)).otherwise(pl.lit(NO_LONGER))
    columns = (pl.lit(date), pl.col(ACCOUNT_ID), change, pl.col("probability"), pl.col("live_probability"))
    return table.filter(bad != live_bad).select(column.alias(name) for column, name in zip(columns, CHANGES, strict=True))


def _collected(queries: Iterable[pl.LazyFrame]) -> pl.DataFrame:
    """Run queries one by one: a union of them, or plans that share a scan, would hold whole tables."""
    return pl.concat([query.collect(engine="streaming") for query in queries])


def _accounts(snapshots: Iterable[pl.LazyFrame]) -> int:
    """Count the accounts by their hashes: that any two of n share one has a chance below n**2 / 2**65."""
    seen = pl.Series(dtype=pl.UInt64)
    for features in snapshots:
        hashes = features.filter(pl.col(ISSUES).is_null()).select(pl.col(ACCOUNT_ID).hash()).collect(engine="streaming").to_series()
        ordered = pl.concat([seen, hashes]).sort()
        seen = ordered.filter(ordered.ne_missing(ordered.shift()))
    return len(seen)


def _figures(bands: pl.DataFrame, changes: pl.DataFrame) -> dict[str, Any]:
    rows, bad, live_bad = pl.col("rows"), pl.col("bad"), pl.col("live_bad")
    figures = bands.select(
        rows=rows.sum(),
        predicted_bad_rate=pl.col("probability").sum() / rows.sum(),
        live_predicted_bad_rate=pl.col("live_probability").sum() / rows.sum(),
        flagged=rows.filter(bad).sum(),
        live_flagged=rows.filter(live_bad).sum(),
        newly_flagged=rows.filter(bad & ~live_bad).sum(),
        no_longer_flagged=rows.filter(live_bad & ~bad).sum(),
    ).row(0, named=True)
    newly, no_longer = (changes.filter(change=change)[ACCOUNT_ID].n_unique() for change in (NEWLY, NO_LONGER))
    return figures | {"newly_flagged_accounts": newly, "no_longer_flagged_accounts": no_longer}


def _migration(bands: pl.DataFrame, names: Sequence[str]) -> dict[str, dict[str, int]]:
    found = {live: dict.fromkeys(names, 0) for live in names}
    for live, band, rows in bands.select("live_band", "band", "rows").iter_rows():
        found[names[live]][names[band]] += rows
    return found


def _categories(tables: Sequence[pl.LazyFrame], names: Sequence[str]) -> tuple[CategoryImpact, ...]:
    if not names:
        return ()
    positions = [str(position) for position in range(len(names))]
    long = (table.unpivot(on=positions, index=["probability", "live_probability"]) for table in tables)
    sums = _collected(rows.group_by("variable", "value").agg(_SUMS) for rows in long).group_by("variable", "value").sum()
    ordered = sums.sort(pl.col("variable").cast(pl.Int64), "value", nulls_last=True)
    return tuple(
        CategoryImpact(names[int(position)], MISSING if level is None else level, rows, probability / rows, live / rows)
        for position, level, rows, probability, live in ordered.iter_rows()
    )


def _alone(impact: Impact) -> Impact:
    """Take out what is told of a live model."""
    untold: dict[str, Any] = {name: None for name in Impact.__struct_fields__ if name.startswith(("live_", "newly_", "no_longer_"))}
    categories = tuple(msgspec.structs.replace(part, live=None) for part in impact.categories)
    return msgspec.structs.replace(impact, against=None, migration={}, categories=categories, **untold)
