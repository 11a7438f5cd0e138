"""Turns a table of features into a table of predictions with the same rows in the same order."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl

from risk_assets.domain.contract.field_rules import MISSING_ISSUE, SEPARATOR
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, GROUP, ISSUE, ISSUES, NOT_ELIGIBLE, SCORED, STATUS
from risk_assets.domain.governance.arms import CHALLENGER, CHAMPION, Arms
from risk_assets.domain.ingest.population import can_be_scored, is_eligible
from risk_assets.domain.scorecard.expressions import encode, probabilities
from risk_assets.domain.scorecard.reasons import reason_texts
from risk_assets.domain.scorecard.scorecard import Scorecard, VersionedScorecard
from risk_assets.domain.scorecard.scoring import HISTOGRAM_BINS, score

pl.Series(np.zeros(1))  # polars imports numpy at the first use of an array, which fails if two threads do so at the same time


def predictions(features: pl.LazyFrame, arms: Arms, policy: Policy) -> pl.LazyFrame:
    """Return one prediction for each row of features, in order, by the model that decides for the account.

    Columns: `account_id, status, probability, prediction, points, band, reason_1 … reason_n, arm, model_version,
    challenger_probability, excluded, issues`. The status is "scored", "issue" or "not eligible"; only scored rows have a
    prediction. An eligible row without a value of a feature that a model requires gets the issue `feature: missing`.
    `challenger_probability` is the probability of a challenger in shadow.
    """
    columns = features.select(needed_columns(arms))
    return columns.map_batches(partial(predict, arms=arms, policy=policy), schema=prediction_schema(policy), streamable=True)


def predict(batch: pl.DataFrame, arms: Arms, policy: Policy) -> pl.DataFrame:
    """Return what `predictions` returns, for rows in memory; with a share, each model scores only the groups that it decides for."""
    if batch.is_empty():
        return pl.DataFrame(schema=prediction_schema(policy))
    batch = with_missing_issues(batch.select(needed_columns(arms)), arms.required)
    if arms.share is None or arms.challenger is None:
        return _by_model(batch, arms.champion, CHAMPION, arms.shadow, policy)
    challenged = np.array(arms.challenged(batch[GROUP]), dtype=np.bool_)
    theirs, ours = np.flatnonzero(challenged), np.flatnonzero(~challenged)
    parts = [
        _by_model(batch[ours], arms.champion, CHAMPION, None, policy),
        _by_model(batch[theirs], arms.challenger, CHALLENGER, None, policy),
    ]
    return pl.concat(parts)[np.argsort(np.concatenate([ours, theirs]))]


def scored_rows(features: pl.LazyFrame, arms: Arms) -> pl.LazyFrame:
    """Return the rows of features that `predictions` scores."""
    return features.filter(can_be_scored(), *(pl.col(name).is_not_null() for name in arms.required))


def needed_columns(arms: Arms) -> list[str]:
    """Return the columns of features that predictions depend on."""
    names = dict.fromkeys(name for model in arms.models for name in model.scorecard.features)
    drawn_by = [] if arms.share is None else [GROUP]
    return [ACCOUNT_ID, *names, *drawn_by, EXCLUDED, ISSUES]


def constant_texts(arms: Arms, policy: Policy) -> list[str]:
    """Return the texts that predictions can contain, but for those of the features: account, exclusion and issues."""
    reasons = (text for model in arms.models for text in reason_texts(model.scorecard))
    versions = (model.version for model in arms.models)
    return [SCORED, ISSUE, NOT_ELIGIBLE, CHAMPION, CHALLENGER, *versions, *policy.bands, *reasons]


def prediction_schema(policy: Policy) -> dict[str, type[pl.DataType]]:
    """Return the columns of a predictions table and their polars types."""
    reasons = {f"reason_{rank}": pl.String for rank in range(1, policy.reasons + 1)}
    return {
        ACCOUNT_ID: pl.String,
        STATUS: pl.String,
        "probability": pl.Float64,
        "prediction": pl.Int8,
        "points": pl.Int64,
        "band": pl.String,
        **reasons,
        "arm": pl.String,
        "model_version": pl.String,
        "challenger_probability": pl.Float64,
        EXCLUDED: pl.String,
        ISSUES: pl.String,
    }


def prediction_descriptions(policy: Policy) -> dict[str, str]:
    """Return a description of each column of a predictions table."""
    scale = policy.points
    reasons = {f"reason_{rank}": f"reason number {rank} for a bad prediction" for rank in range(1, policy.reasons + 1)}
    return {
        ACCOUNT_ID: "id of the account, without surrounding whitespace; rows are in the order of the raw file",
        STATUS: "scored, issue (see `issues`) or not eligible (see `excluded`); only scored rows have a prediction",
        "probability": "probability that the account goes bad",
        "prediction": f"1 (bad) if {cut_off_text(policy)}, else 0",
        "points": f"score: {scale.base:g} at odds of {scale.odds:g} to 1; {scale.pdo:g} more points double the odds",
        "band": f"risk band, from {next(iter(policy.bands))} (safest) to {list(policy.bands)[-1]} (riskiest), by {policy.cut_by}",
        **reasons,
        "arm": "the model that decides for the account: champion or challenger",
        "model_version": "the version of that model",
        "challenger_probability": "probability by a challenger in shadow; empty if there is none",
        EXCLUDED: "why the account is not eligible, by the contract's population rules; empty if it is",
        ISSUES: "why an eligible row was not scored; empty if it was",
    }


def cut_off_text(policy: Policy) -> str:
    """Return the condition under which an account is predicted bad, in words."""
    if policy.cuts.by_points:
        return f"the points are at most {policy.threshold:.0f}"
    return f"the probability is at least {policy.threshold:g}"


def prediction_facts() -> list[pl.Expr]:
    """Return the expressions that summarise a predictions table: counts, min/mean/max probability, and a histogram."""
    probability, challenged = pl.col("probability"), pl.col("arm") == CHALLENGER
    above = [
        probability.count(),
        *((probability * HISTOGRAM_BINS >= position).sum() for position in range(1, HISTOGRAM_BINS)),
        pl.lit(0, pl.UInt32),
    ]
    return [
        pl.len().alias("rows"),
        probability.count().alias("scored"),
        pl.col(ISSUES).count().alias("with_issues"),
        pl.col(EXCLUDED).count().alias("not_eligible"),
        pl.col("prediction").cast(pl.Int64).sum().alias("predicted_bad"),
        probability.min().alias("min_score"),
        probability.mean().alias("mean_score"),
        probability.max().alias("max_score"),
        (challenged & pl.col("probability").is_not_null()).sum().alias("challenger_scored"),
        pl.coalesce(pl.when(challenged).then(probability), pl.col("challenger_probability")).mean().alias("challenger_mean_score"),
        *[(above[position] - above[position + 1]).alias(f"histogram.{position:02d}") for position in range(HISTOGRAM_BINS)],
    ]


def with_missing_issues(batch: pl.DataFrame, required: Sequence[str]) -> pl.DataFrame:
    """Return the batch with an issue for each required feature that is missing in an eligible row and has none."""
    if not required:
        return batch
    earlier = pl.lit(SEPARATOR) + pl.col(ISSUES).fill_null("")
    missing = [is_eligible() & pl.col(name).is_null() & ~earlier.str.contains(f"{SEPARATOR}{name}: ", literal=True) for name in required]
    found = [pl.when(rows).then(pl.lit(f"{name}: {MISSING_ISSUE}")) for name, rows in zip(required, missing, strict=True)]
    joined = pl.concat_str(pl.col(ISSUES), *found, separator=SEPARATOR, ignore_nulls=True)
    return batch.with_columns(pl.when(joined != "").then(joined).alias(ISSUES))


def _by_model(batch: pl.DataFrame, model: VersionedScorecard, arm: str, shadow: VersionedScorecard | None, policy: Policy) -> pl.DataFrame:
    """Return one model's predictions, null for rows that are not scored, with the status, arm and version of every row."""
    columns = _scores(batch, model.scorecard, policy) | {"challenger_probability": _shadow_probability(batch, shadow)}
    whole = pl.DataFrame([batch[ACCOUNT_ID], *[column.alias(name) for name, column in columns.items()], batch[EXCLUDED], batch[ISSUES]])
    valid = pl.when(can_be_scored()).then(pl.col(*columns))
    added = {STATUS: _status(), "arm": pl.lit(arm), "model_version": pl.lit(model.version)}
    return whole.with_columns(valid, **added).select(*prediction_schema(policy))


def _status() -> pl.Expr:
    unscored = pl.when(is_eligible()).then(pl.lit(ISSUE)).otherwise(pl.lit(NOT_ELIGIBLE))
    return pl.when(can_be_scored()).then(pl.lit(SCORED)).otherwise(unscored)


def _scores(batch: pl.DataFrame, card: Scorecard, policy: Policy) -> dict[str, pl.Series]:
    scores = score(card, policy, encode(batch, card))
    bands = pl.Series(list(policy.bands), dtype=pl.String)
    texts = pl.Series([*reason_texts(card), None], dtype=pl.String)  # -1, for none, is the position of the last one
    reasons = {f"reason_{rank + 1}": texts.gather(scores.texts[:, rank]) for rank in range(policy.reasons)}
    return {
        "probability": pl.Series(scores.probability),
        "prediction": pl.Series(scores.prediction).cast(pl.Int8),
        "points": pl.Series(scores.points),
        "band": bands.gather(pl.Series(scores.band)),
        **reasons,
    }


def _shadow_probability(batch: pl.DataFrame, shadow: VersionedScorecard | None) -> pl.Series:
    if shadow is None:
        return pl.repeat(None, batch.height, dtype=pl.Float64, eager=True)
    return pl.Series(probabilities(shadow.scorecard, batch))
