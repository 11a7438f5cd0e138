"""What changes for accounts if a candidate replaces the live version, or another policy or contract comes into force.

Bands, flags, and predicted bad rates by category.

An account is flagged when a model predicts it bad.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import polars as pl

from risk_assets.domain.contract.column_types import POLARS_TYPES
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, ISSUES, Contract
from risk_assets.domain.ingest.population import can_be_scored
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.domain.markdown import markdown_table
from risk_assets.domain.scorecard.expressions import frame_log_odds, lacks_required
from risk_assets.domain.scorecard.points_table import MISSING_LABEL
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_assets.domain.scorecard.scoring import decide
from risk_assets.errors import ModelError

NEWLY_FLAGGED, NO_LONGER_FLAGGED = "newly flagged", "no longer flagged"
CHANGES_SCHEMA = {
    "date": pl.String,
    ACCOUNT_ID: pl.String,
    "change": pl.String,
    "probability": pl.Float64,
    "live_probability": pl.Float64,
}

_SCORED = {
    ACCOUNT_ID: pl.String(),
    "probability": pl.Float64(),
    "band": pl.Int64(),
    "bad": pl.Boolean(),
    "live_probability": pl.Float64(),
    "live_band": pl.Int64(),
    "live_bad": pl.Boolean(),
}
_SUMS = (pl.len().cast(pl.Int64).alias("rows"), pl.col("probability", "live_probability").sum())
_LIVE = "live: "  # before the columns of the live side, where both sides are in one table
_CAN_BE_SCORED, _LACKS_REQUIRED = f"{_LIVE}can be scored", f"{_LIVE}lacks required"
_LIVE_FIGURES = ("live_", "newly_", "no_longer_")


@dataclass(frozen=True)
class Side:
    """One of two that are compared: how it is called, its model and policy, and its features by date.

    Features are `account_id`, the features of the contract, `excluded` and `issues`, in the order of the raw file.
    """

    name: str
    model: VersionedScorecard
    policy: Policy
    snapshots: Mapping[str, pl.LazyFrame]


class CategoryImpact(msgspec.Struct, frozen=True):
    """One level of a category: its rows, and the bad rate that the candidate and the live model predict.

    Rows without a level have the `level` "(missing)" and come last. A level of that name has its own entry before them.
    """

    feature: str
    level: str
    rows: int
    predicted_bad_rate: float
    live_predicted_bad_rate: float | None
    flagged: int = 0
    live_flagged: int | None = None


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate changes on the rows of some dates that both sides score.

    The candidate is a version, or the live version with another policy or contract; then `candidate` and `against` say so.

    `unscored` and `live_unscored` are the other eligible rows without issues: a value of a feature is missing that the model
    requires. `not_eligible` are the rows that a population rule excludes.
    `against` is the live version. It is None if there is none or the snapshots lack its features; then all figures of the live
    model are None and `migration` is empty. `policy` is the policy's hash. `accounts` and the figures that end in `_accounts`
    count each account once, also if it is newly flagged on one date and no longer flagged on another. `migration` maps the
    live model's bands to the candidate's bands to rows, zeros included.
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
    unscored: int = 0
    live_unscored: int | None = None
    not_eligible: int = 0


def measure(
    snapshots: Mapping[str, pl.LazyFrame],
    candidate: VersionedScorecard,
    live: VersionedScorecard | None,
    policy: Policy,
    contract: Contract,
) -> tuple[Impact, pl.DataFrame]:
    """Return what changes if the candidate replaces the live version, and the rows whose flag changes: see `compare`.

    Parameters
    ----------
    snapshots : Mapping[str, pl.LazyFrame]
        The validated features of each date.
    """
    live_side = Side(live.version, live, policy, snapshots) if live else None
    return compare(Side(candidate.version, candidate, policy, snapshots), live_side, contract)


def compare(candidate: Side, live: Side | None, contract: Contract) -> tuple[Impact, pl.DataFrame]:
    """Return what changes if one side replaces the other, and the rows whose flag changes.

    Dates are streamed one after the other. Memory holds a few copies of 8 bytes for each account, and the changed rows.

    Parameters
    ----------
    candidate, live : Side
        Both have the same dates and rows. Rows that are not eligible or have issues on one side do not count, nor rows without a
        value of a feature that one of the models requires.
    contract : Contract
        Declares the categories. A category that is missing from a snapshot is left out.

    Returns
    -------
    tuple[Impact, pl.DataFrame]
        The figures; and the changed rows with the columns of `CHANGES_SCHEMA`, by date and in the file's order.

    Raises
    ------
    ModelError
        If there is no snapshot, one lacks a feature of the candidate, or no row can be scored.
    """
    dates = tuple(sorted(candidate.snapshots))
    schemas = _schemas(candidate, dates)
    _require_features(candidate.model, schemas, dates)
    comparable = live if live and not _missing_features(live.model, _schemas(live, dates)) else None
    # Without a live model the candidate is compared with itself, and `_without_live` removes the figures of that comparison.
    sides = (candidate, comparable or candidate)
    categories = _categories_of_all(schemas, contract)
    checked = {date: _joined(*sides, date).filter(can_be_scored(), _CAN_BE_SCORED) for date in dates}
    unscored, live_unscored = _count_unscored(checked.values(), sides)
    both = {date: rows.filter(~lacks_required(candidate.model.scorecard), ~pl.col(_LACKS_REQUIRED)) for date, rows in checked.items()}
    tables = {date: _scored(both[date], sides, categories) for date in dates}
    bands = _band_counts(tables)
    changes = _collected(_changes(table, date) for date, table in tables.items())
    impact = Impact(
        candidate=candidate.name,
        against=sides[1].name,
        dates=dates,
        policy=candidate.policy.digest,
        accounts=_count_accounts(both.values()),
        migration=_migration(bands, *(list(side.policy.bands) for side in sides)),
        categories=_category_impacts(tables.values(), categories),
        unscored=unscored,
        live_unscored=live_unscored,
        not_eligible=_count_excluded(candidate.snapshots.values()),
        **_figures(bands, changes),
    )
    return impact if comparable else _without_live(impact), changes


def migration_table(impact: Impact) -> str:
    """Return the rows by band in Markdown: the live model's bands down, the candidate's across."""
    if not impact.migration:
        return "There is no live model to compare with."
    rows = ([band, *map(str, row.values())] for band, row in impact.migration.items())
    header = ["live \N{RIGHTWARDS ARROW} candidate", *next(iter(impact.migration.values()))]
    return markdown_table(header, rows, numbers=len(header) - 1)


def category_table(impact: Impact, min_rows: int = 1) -> str:
    """Return the predicted bad rates and the flagged rows by level in Markdown: feature, level, rows, candidate, live, difference.

    Levels with fewer than `min_rows` rows are left out, so that no single customer can be recognised.
    """
    rows = (_category_row(part) for part in impact.categories if part.rows >= min_rows)
    header = ("feature", "level", "rows", "candidate", "live", "difference (percentage points)", "flagged", "flagged, live")
    return markdown_table(header, rows, numbers=6)


def _category_row(part: CategoryImpact) -> list[str]:
    ours, live = part.predicted_bad_rate, part.live_predicted_bad_rate
    compared = ["", ""] if live is None else [f"{live:.2%}", f"{100 * (ours - live):+z.2f}"]
    live_flagged = "" if part.live_flagged is None else str(part.live_flagged)
    return [part.feature, part.level, str(part.rows), f"{ours:.2%}", *compared, str(part.flagged), live_flagged]


def _require_features(candidate: VersionedScorecard, schemas: Sequence[pl.Schema], dates: Sequence[str]) -> None:
    version = candidate.version
    if not dates:
        raise ModelError(f"there is no snapshot with the features of {version} to measure its impact on. Run a date: risk run DATE.")
    if missing := _missing_features(candidate, schemas):
        raise ModelError(
            f"{version} needs features that at least one snapshot of {', '.join(dates)} lacks: {', '.join(missing)}. "
            "Add them to the contract and run the dates again (risk run DATE), or train a version without them (risk train DATE)."
        )


def _schemas(side: Side, dates: Sequence[str]) -> list[pl.Schema]:
    return [side.snapshots[date].collect_schema() for date in dates]


def _joined(candidate: Side, live: Side, date: str) -> pl.LazyFrame:
    """Return the candidate's features of a date, and those that the live side reads, whether it can score, and whether it lacks one."""
    theirs = [
        can_be_scored().alias(_CAN_BE_SCORED),
        lacks_required(live.model.scorecard).alias(_LACKS_REQUIRED),
        *(pl.col(name).alias(f"{_LIVE}{name}") for name in live.model.scorecard.features),
    ]
    if live.snapshots is candidate.snapshots:
        return candidate.snapshots[date].with_columns(theirs)
    return pl.concat([candidate.snapshots[date], live.snapshots[date].select(theirs)], how="horizontal")


def _missing_features(model: VersionedScorecard, schemas: Sequence[pl.Schema]) -> list[str]:
    """Return the model's features that a snapshot lacks or has with another type."""
    kinds = model.scorecard.features.items()
    return [f"{name} ({kind})" for name, kind in kinds if any(schema.get(name) != POLARS_TYPES[kind] for schema in schemas)]


def _categories_of_all(schemas: Sequence[pl.Schema], contract: Contract) -> tuple[str, ...]:
    return tuple(name for name in contract.all_categories if all(schema.get(name) == pl.String for schema in schemas))


def _count_unscored(snapshots: Iterable[pl.LazyFrame], sides: Sequence[Side]) -> tuple[int, int]:
    """Return the rows that each side does not score because a required feature is missing."""
    if not any(side.model.scorecard.required for side in sides):
        return 0, 0
    lacks = (lacks_required(sides[0].model.scorecard), pl.col(_LACKS_REQUIRED))
    counts = [missing.sum().cast(pl.Int64).alias(str(at)) for at, missing in enumerate(lacks)]
    ours, live = _collected(rows.select(counts) for rows in snapshots).sum().row(0)
    return ours, live


def _count_excluded(snapshots: Iterable[pl.LazyFrame]) -> int:
    return sum(rows.select(pl.col(EXCLUDED).count()).collect(engine="streaming").item() for rows in snapshots)


def _scored(features: pl.LazyFrame, sides: Sequence[Side], categories: Sequence[str]) -> pl.LazyFrame:
    """Return both sides' probabilities and bands, and the categories under their positions, because a category may have any name."""
    ours, live = (list(side.model.scorecard.features) for side in sides)
    needed = dict.fromkeys([*ours, *(f"{_LIVE}{name}" for name in live), *categories])
    rows = features.select(strip_cells(pl.col(ACCOUNT_ID)), *needed)
    score = partial(_score, sides=sides, categories=categories)
    schema = _SCORED | {str(position): pl.String() for position in range(len(categories))}
    return rows.map_batches(score, schema=schema, streamable=True)


def _score(batch: pl.DataFrame, sides: Sequence[Side], categories: Sequence[str]) -> pl.DataFrame:
    theirs = batch.select(pl.col(f"{_LIVE}{name}").alias(name) for name in sides[1].model.scorecard.features)
    columns: list[Any] = [batch[ACCOUNT_ID]]
    for side, rows in zip(sides, (batch, theirs), strict=True):
        decided = decide(frame_log_odds(side.model.scorecard, rows), side.policy)
        columns += [decided.probability, decided.band, decided.prediction]
    levels = {str(position): batch[name] for position, name in enumerate(categories)}
    return pl.DataFrame(dict(zip(_SCORED, columns, strict=True)) | levels)


def _band_counts(tables: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """Return rows and sums of probabilities by band and flag of both models; raises `ModelError` if there are no rows."""
    bands = _collected(table.group_by("live_band", "band", "bad", "live_bad").agg(_SUMS) for table in tables.values())
    if bands.is_empty():
        raise ModelError(
            f"no row of {', '.join(tables)} can be scored. See `{ISSUES}` and `{EXCLUDED}` in the features for the causes, and the "
            "features that the models require (risk models show VERSION), and land fixed files."
        )
    return bands


def _changes(table: pl.LazyFrame, date: str) -> pl.LazyFrame:
    """Return the rows whose flag differs, with the columns of `CHANGES_SCHEMA`."""
    bad, live_bad = pl.col("bad"), pl.col("live_bad")
    change = pl.when(bad).then(pl.lit(NEWLY_FLAGGED)).otherwise(pl.lit(NO_LONGER_FLAGGED))
    columns = (pl.lit(date), pl.col(ACCOUNT_ID), change, pl.col("probability"), pl.col("live_probability"))
    return table.filter(bad != live_bad).select(column.alias(name) for column, name in zip(columns, CHANGES_SCHEMA, strict=True))


def _collected(queries: Iterable[pl.LazyFrame]) -> pl.DataFrame:
    """Run queries one after the other: a union of them, or plans that share a scan, would keep whole tables in memory."""
    return pl.concat([query.collect(engine="streaming") for query in queries])


def _count_accounts(snapshots: Iterable[pl.LazyFrame]) -> int:
    """Count distinct accounts by their 64-bit hashes; the probability that two of n collide is below n**2 / 2**65."""
    seen = pl.Series(dtype=pl.UInt64)
    for features in snapshots:
        ids = features.select(strip_cells(pl.col(ACCOUNT_ID)).hash())
        hashes = ids.collect(engine="streaming").to_series()
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
    newly, no_longer = (changes.filter(change=change)[ACCOUNT_ID].n_unique() for change in (NEWLY_FLAGGED, NO_LONGER_FLAGGED))
    return figures | {"newly_flagged_accounts": newly, "no_longer_flagged_accounts": no_longer}


def _migration(bands: pl.DataFrame, names: Sequence[str], live_names: Sequence[str]) -> dict[str, dict[str, int]]:
    migration = {live: dict.fromkeys(names, 0) for live in live_names}
    for live, band, rows in bands.select("live_band", "band", "rows").iter_rows():
        migration[live_names[live]][names[band]] += rows
    return migration


def _category_impacts(tables: Iterable[pl.LazyFrame], names: Sequence[str]) -> tuple[CategoryImpact, ...]:
    if not names:
        return ()
    positions = [str(position) for position in range(len(names))]
    long = (table.unpivot(on=positions, index=["probability", "live_probability", "bad", "live_bad"]) for table in tables)
    flagged = pl.col("bad", "live_bad").sum().cast(pl.Int64)
    sums = _collected(rows.group_by("variable", "value").agg(*_SUMS, flagged) for rows in long).group_by("variable", "value").sum()
    ordered = sums.sort(pl.col("variable").cast(pl.Int64), "value", nulls_last=True)
    return tuple(
        CategoryImpact(names[int(position)], MISSING_LABEL if level is None else level, rows, probability / rows, live / rows, *flagged)
        for position, level, rows, probability, live, *flagged in ordered.iter_rows()
    )


def _without_live(impact: Impact) -> Impact:
    """Return the impact without figures of a live model."""
    removed: dict[str, Any] = {name: None for name in Impact.__struct_fields__ if name.startswith(_LIVE_FIGURES)}
    categories = tuple(msgspec.structs.replace(part, live_predicted_bad_rate=None, live_flagged=None) for part in impact.categories)
    return msgspec.structs.replace(impact, against=None, migration={}, categories=categories, **removed)
