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
NEWLY_SCORED_FLAGGED, NO_LONGER_SCORED_FLAGGED = "newly scored and flagged", "flagged before and no longer scored"
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
_CHANGES = {
    "newly_flagged": NEWLY_FLAGGED,
    "no_longer_flagged": NO_LONGER_FLAGGED,
    "newly_scored_flagged": NEWLY_SCORED_FLAGGED,
    "no_longer_scored_flagged": NO_LONGER_SCORED_FLAGGED,
}
_COUNTED = ("scored", "unscored", "not_eligible", "with_issues")
_OURS = {name: f"candidate: {name}" for name in _COUNTED}  # whether a row counts as such on a side
_THEIRS = {name: f"{_LIVE}{name}" for name in _COUNTED}
_BOTH = pl.col("bad").is_not_null() & pl.col("live_bad").is_not_null()
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

    `scored`, `unscored`, `with_issues` and `not_eligible` are all rows of the candidate, and the same names with `live_` those of
    the live side: `unscored` are eligible and have no issues, but lack a value that the model requires, and `not_eligible` are
    excluded by a population rule. `newly_scored_flagged` are the rows that only the candidate scores, and flags, because the
    contracts of the sides differ; `no_longer_scored_flagged` those that only the live side scores, and flags. `flagged` and
    `live_flagged` include them. They are None if both sides have one contract. All other figures are of the `rows` that both sides score.
    `against` is the live version. It is None if there is none or the snapshots lack its features; then all figures of the live
    model are None and `migration` is empty. `policy` is the policy's hash. `accounts` and the figures that end in `_accounts`
    count each account once, also if it is newly flagged on one date and no longer flagged on another. `migration` maps the
    live model's bands to the candidate's bands to rows, zeros included. An impact of an earlier release lacks the last figures.
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
    live_not_eligible: int | None = None
    scored: int | None = None
    live_scored: int | None = None
    with_issues: int | None = None
    live_with_issues: int | None = None
    newly_scored_flagged: int | None = None
    no_longer_scored_flagged: int | None = None
    newly_scored_flagged_accounts: int | None = None
    no_longer_scored_flagged_accounts: int | None = None


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
        Both have the same dates and rows. Sides with the same snapshots have the same contract: rows that only one of them scores
        lack a value that the other model requires, and are left out. Under two contracts, those that are flagged are changes.
    contract : Contract
        Declares the categories. A category that is missing from a snapshot is left out.

    Returns
    -------
    tuple[Impact, pl.DataFrame]
        The figures; and the changed rows with the columns of `CHANGES_SCHEMA`, by date and in the file's order. A side that does
        not score a row has no probability there.

    Raises
    ------
    ModelError
        If there is no snapshot, one lacks a feature of the candidate, or no row is scored by both sides.
    """
    dates = tuple(sorted(candidate.snapshots))
    schemas = _schemas(candidate, dates)
    _require_features(candidate.model, schemas, dates)
    comparable = live if live and not _missing_features(live.model, _schemas(live, dates)) else None
    # Without a live model the candidate is compared with itself, and `_without_live` removes the figures of that comparison.
    sides = (candidate, comparable or candidate)
    categories = _categories_of_all(schemas, contract)
    joined = {date: _joined(*sides, date) for date in dates}
    both = {date: rows.filter(_OURS["scored"], _THEIRS["scored"]) for date, rows in joined.items()}
    either = {date: rows.filter(pl.col(_OURS["scored"]) | pl.col(_THEIRS["scored"])) for date, rows in joined.items()}
    has_one_contract = sides[0].snapshots is sides[1].snapshots
    tables = {date: _scored((both if has_one_contract else either)[date], sides, categories) for date in dates}
    bands = _band_counts(tables)
    changes = _collected(_changes(table, date) for date, table in tables.items())
    impact = Impact(
        candidate=candidate.name,
        against=sides[1].name,
        dates=dates,
        policy=candidate.policy.digest,
        accounts=_count_accounts(both.values()),
        migration=_migration(bands, *(list(side.policy.bands) for side in sides)),
        categories=_category_impacts((table.filter(_BOTH) for table in tables.values()), categories),
        **_row_counts(joined.values()),
        **_figures(bands, changes),
    )
    if has_one_contract:
        impact = _without(impact, "newly_scored_", "no_longer_scored_")
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
    """Return the candidate's features of a date, those that the live side reads, and how each side counts the row."""
    theirs = [*_counted(live, _THEIRS), *(pl.col(name).alias(f"{_LIVE}{name}") for name in live.model.scorecard.features)]
    ours = candidate.snapshots[date].with_columns(_counted(candidate, _OURS))
    if live.snapshots is candidate.snapshots:
        return ours.with_columns(theirs)
    return pl.concat([ours, live.snapshots[date].select(theirs)], how="horizontal")


def _counted(side: Side, names: Mapping[str, str]) -> list[pl.Expr]:
    """Return whether a side scores a row; and if not, why."""
    lacks = lacks_required(side.model.scorecard)
    found = (can_be_scored() & ~lacks, can_be_scored() & lacks, pl.col(EXCLUDED).is_not_null(), pl.col(ISSUES).is_not_null())
    return [each.alias(names[name]) for name, each in zip(_COUNTED, found, strict=True)]


def _missing_features(model: VersionedScorecard, schemas: Sequence[pl.Schema]) -> list[str]:
    """Return the model's features that a snapshot lacks or has with another type."""
    kinds = model.scorecard.features.items()
    return [f"{name} ({kind})" for name, kind in kinds if any(schema.get(name) != POLARS_TYPES[kind] for schema in schemas)]


def _categories_of_all(schemas: Sequence[pl.Schema], contract: Contract) -> tuple[str, ...]:
    return tuple(name for name in contract.all_categories if all(schema.get(name) == pl.String for schema in schemas))


def _row_counts(snapshots: Iterable[pl.LazyFrame]) -> dict[str, int]:
    """Return how many rows each side scores, and how many it does not, by cause."""
    names = {**_OURS, **{f"live_{name}": column for name, column in _THEIRS.items()}}
    counts = [pl.col(column).sum().cast(pl.Int64).alias(name) for name, column in names.items()]
    return _collected(rows.select(counts) for rows in snapshots).sum().row(0, named=True)


def _scored(features: pl.LazyFrame, sides: Sequence[Side], categories: Sequence[str]) -> pl.LazyFrame:
    """Return the probabilities and bands of the sides, null where one does not score the row, and the categories.

    Categories are under their positions, because a category may have any name.
    """
    ours, live = (list(side.model.scorecard.features) for side in sides)
    needed = dict.fromkeys([*ours, *(f"{_LIVE}{name}" for name in live), *categories])
    rows = features.select(strip_cells(pl.col(ACCOUNT_ID)), *needed, _OURS["scored"], _THEIRS["scored"])
    score = partial(_score, sides=sides, categories=categories)
    schema = _SCORED | {str(position): pl.String() for position in range(len(categories))}
    return rows.map_batches(score, schema=schema, streamable=True)


def _score(batch: pl.DataFrame, sides: Sequence[Side], categories: Sequence[str]) -> pl.DataFrame:
    theirs = batch.select(pl.col(f"{_LIVE}{name}").alias(name) for name in sides[1].model.scorecard.features)
    columns: list[Any] = [batch[ACCOUNT_ID]]
    for side, rows, names in zip(sides, (batch, theirs), (_OURS, _THEIRS), strict=True):
        decided = decide(frame_log_odds(side.model.scorecard, rows), side.policy)
        found = pl.DataFrame({"probability": decided.probability, "band": decided.band, "bad": decided.prediction})
        columns += found.select(pl.when(batch[names["scored"]]).then(pl.all())).get_columns()
    levels = {str(position): batch[name] for position, name in enumerate(categories)}
    return pl.DataFrame(dict(zip(_SCORED, columns, strict=True)) | levels)


def _band_counts(tables: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """Return rows and sums of probabilities by band and flag of both sides, null where one does not score the rows.

    Raises
    ------
    ModelError
        If no row is scored by both sides.
    """
    bands = _collected(table.group_by("live_band", "band", "bad", "live_bad").agg(_SUMS) for table in tables.values())
    if bands.filter(_BOTH).is_empty():
        by_whom = "" if bands.is_empty() else " under both contracts"
        raise ModelError(
            f"no row of {', '.join(tables)} can be scored{by_whom}. See `{ISSUES}` and `{EXCLUDED}` in the features for the causes, and "
            "the features that the models require (risk models show VERSION), and land fixed files."
        )
    return bands


def _changes(table: pl.LazyFrame, date: str) -> pl.LazyFrame:
    """Return the rows whose flag differs, with the columns of `CHANGES_SCHEMA`."""
    bad, live_bad = pl.col("bad"), pl.col("live_bad")
    changes = {
        NEWLY_FLAGGED: bad & ~live_bad,
        NO_LONGER_FLAGGED: live_bad & ~bad,
        NEWLY_SCORED_FLAGGED: bad & live_bad.is_null(),
        NO_LONGER_SCORED_FLAGGED: live_bad & bad.is_null(),
    }
    change = pl.coalesce(pl.when(applies).then(pl.lit(name)) for name, applies in changes.items())
    columns = (pl.lit(date), pl.col(ACCOUNT_ID), change, pl.col("probability"), pl.col("live_probability"))
    found = table.select(column.alias(name) for column, name in zip(columns, CHANGES_SCHEMA, strict=True))
    return found.filter(pl.col("change").is_not_null())


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
    rates = bands.filter(_BOTH).select(
        rows=rows.sum(),
        predicted_bad_rate=pl.col("probability").sum() / rows.sum(),
        live_predicted_bad_rate=pl.col("live_probability").sum() / rows.sum(),
    )
    flags = bands.select(
        flagged=rows.filter(bad).sum(),
        live_flagged=rows.filter(live_bad).sum(),
        newly_flagged=rows.filter(bad & ~live_bad).sum(),
        no_longer_flagged=rows.filter(live_bad & ~bad).sum(),
        newly_scored_flagged=rows.filter(bad & live_bad.is_null()).sum(),
        no_longer_scored_flagged=rows.filter(live_bad & bad.is_null()).sum(),
    )
    accounts = {f"{name}_accounts": changes.filter(change=change)[ACCOUNT_ID].n_unique() for name, change in _CHANGES.items()}
    return rates.row(0, named=True) | flags.row(0, named=True) | accounts


def _migration(bands: pl.DataFrame, names: Sequence[str], live_names: Sequence[str]) -> dict[str, dict[str, int]]:
    migration = {live: dict.fromkeys(names, 0) for live in live_names}
    for live, band, rows in bands.filter(_BOTH).select("live_band", "band", "rows").iter_rows():
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
    categories = tuple(msgspec.structs.replace(part, live_predicted_bad_rate=None, live_flagged=None) for part in impact.categories)
    return msgspec.structs.replace(_without(impact, *_LIVE_FIGURES), against=None, migration={}, categories=categories)


def _without(impact: Impact, *prefixes: str) -> Impact:
    """Return the impact without the figures whose names begin with one of the prefixes."""
    removed: dict[str, Any] = {name: None for name in Impact.__struct_fields__ if name.startswith(prefixes)}
    return msgspec.structs.replace(impact, **removed)
