"""From a table of features to a table of predictions, row for row and in order."""

from functools import partial

import numpy as np
import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, ISSUES
from risk_assets.domain.governance.arms import CHALLENGER, CHAMPION, Arms
from risk_assets.domain.scorecard.expressions import encode, probabilities
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_assets.domain.scorecard.scoring import HISTOGRAM_BINS, Integers, score


def predictions(features: pl.LazyFrame, arms: Arms, policy: Policy) -> pl.LazyFrame:
    """Return one prediction for each row of features, in order, by the model that answers for the account.

    Columns: `account_id, probability, prediction, points, band, reason_1 … reason_n, arm, model_version,
    challenger_probability, issues`. Where there are issues, nothing is predicted. `challenger_probability` is that of a
    challenger in shadow.
    """
    needed = dict.fromkeys(name for model in arms.models for name in model.scorecard.features)
    wanted = features.select(ACCOUNT_ID, *needed, ISSUES)
    return wanted.map_batches(partial(_predict, arms=arms, policy=policy), schema=prediction_schema(policy), streamable=True)


def prediction_schema(policy: Policy) -> dict[str, type[pl.DataType]]:
    """Return the columns of a predictions table and their polars types."""
    reasons = {f"reason_{rank}": pl.String for rank in range(1, policy.reasons + 1)}
    return {
        ACCOUNT_ID: pl.String,
        "probability": pl.Float64,
        "prediction": pl.Int8,
        "points": pl.Int64,
        "band": pl.String,
        **reasons,
        "arm": pl.String,
        "model_version": pl.String,
        "challenger_probability": pl.Float64,
        ISSUES: pl.String,
    }


def prediction_descriptions(policy: Policy) -> dict[str, str]:
    """Return what each column of a predictions table is, for people."""
    reasons = {f"reason_{rank}": f"what raises the risk, number {rank}" for rank in range(1, policy.reasons + 1)}
    return {
        ACCOUNT_ID: "the account, in the order of the raw file",
        "probability": "probability that the account goes bad",
        "prediction": f"1 (bad) from a probability of {policy.threshold:g} on, else 0",
        "points": f"score: {policy.points.base:g} at odds of {policy.points.odds:g} to 1, {policy.points.pdo:g} more double the odds",
        "band": f"from {next(iter(policy.bands))} (safest) to {list(policy.bands)[-1]} (riskiest)",
        **reasons,
        "arm": "who answers for the account: champion or challenger",
        "model_version": "the version that scored the row",
        "challenger_probability": "what a challenger in shadow says; empty without one",
        ISSUES: "why the row was not scored; empty where it was",
    }


def prediction_facts() -> list[pl.Expr]:
    """Return the expressions that sum up a predictions table: counts, min/mean/max probability, and a histogram."""
    probability, challenged = pl.col("probability"), pl.col("arm") == CHALLENGER
    bins = (probability * HISTOGRAM_BINS).floor().clip(0, HISTOGRAM_BINS - 1)
    return [
        pl.len().alias("rows"),
        probability.count().alias("scored"),
        pl.col(ISSUES).count().alias("with_issues"),
        pl.col("prediction").cast(pl.Int64).sum().alias("predicted_bad"),
        probability.min().alias("min_score"),
        probability.mean().alias("mean_score"),
        probability.max().alias("max_score"),
        (challenged & pl.col("probability").is_not_null()).sum().alias("challenger_scored"),
        pl.coalesce(pl.when(challenged).then(probability), pl.col("challenger_probability")).mean().alias("challenger_mean_score"),
        *[(bins == position).sum().alias(f"histogram.{position:02d}") for position in range(HISTOGRAM_BINS)],
    ]


def _predict(batch: pl.DataFrame, arms: Arms, policy: Policy) -> pl.DataFrame:
    """Return a batch's predictions: the shares are scored apart, and put back into the file's order."""
    if arms.share is None or arms.challenger is None:
        return _by_model(batch, arms.champion, CHAMPION, arms.shadow, policy)
    challenged = arms.challenged(batch[ACCOUNT_ID])
    theirs, ours = np.flatnonzero(challenged), np.flatnonzero(~challenged)
    parts = [
        _by_model(batch[ours], arms.champion, CHAMPION, None, policy),
        _by_model(batch[theirs], arms.challenger, CHALLENGER, None, policy),
    ]
    return pl.concat(parts)[np.argsort(np.concatenate([ours, theirs]))]


def _by_model(batch: pl.DataFrame, model: VersionedScorecard, arm: str, shadow: VersionedScorecard | None, policy: Policy) -> pl.DataFrame:
    card = model.scorecard
    scores = score(card, policy, encode(batch, card))
    bands = pl.Series(list(policy.bands), dtype=pl.String)
    texts = pl.Series([term.reason for term in card.terms], dtype=pl.String)
    beside = pl.Series(probabilities(shadow.scorecard, batch)) if shadow else pl.repeat(None, batch.height, dtype=pl.Float64, eager=True)
    columns = {
        "probability": pl.Series(scores.probability),
        "prediction": pl.Series(scores.prediction).cast(pl.Int8),
        "points": pl.Series(scores.points),
        "band": bands.gather(pl.Series(scores.band)),
        **{f"reason_{rank + 1}": texts.gather(_position(scores.reasons[:, rank])) for rank in range(policy.reasons)},
        "challenger_probability": beside,
    }
    scored = pl.col(ISSUES).is_null()
    whole = pl.DataFrame([batch[ACCOUNT_ID], *[column.alias(name) for name, column in columns.items()], batch[ISSUES]])
    told = {name: pl.when(scored).then(pl.col(name)).alias(name) for name in columns}
    by = {"arm": pl.lit(arm).alias("arm"), "model_version": pl.lit(model.version).alias("model_version")}
    return whole.select((told | by).get(name, pl.col(name)) for name in prediction_schema(policy))


def _position(reasons: Integers) -> pl.Series:
    positions = pl.Series(reasons)
    return positions.set(positions < 0, None)
