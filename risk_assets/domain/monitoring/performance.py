"""Measures the performance of the models that scored a date: their probabilities compared with the outcomes of its accounts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from risk_assets.domain.batch.review_list import TREATMENTS
from risk_assets.domain.contract.policy import Monitoring
from risk_assets.domain.contract.schema import GROUP, OUTCOME
from risk_assets.domain.governance.artifacts import Metrics, Performance
from risk_assets.domain.governance.fairness import MIN_CELL_SIZE
from risk_assets.domain.monitoring.performance_limits import Tails, lowest_auc, ratio_limits
from risk_assets.domain.monitoring.performance_report import (
    ALL,
    AtTraining,
    Interval,
    ModelPerformance,
    OwnEstimate,
    Part,
    Parts,
    Ranking,
    Role,
)
from risk_assets.domain.scorecard.arrays import Floats, Integers
from risk_assets.domain.scorecard.points_table import MISSING_LABEL, level_names
from risk_assets.domain.training.intervals import TAIL, auc, auc_interval
from risk_assets.domain.training.rates import Rows, design_effect, jeffreys

PROBABILITY, BAND, TREATMENT = "probability", "band", "treatment"
Z = 1.96  # standard errors of a 95 % interval
MOST_LEVELS = 20  # of a category, those with the most rows


@dataclass(frozen=True)
class Scored:
    """A model and the rows that it scored on a date.

    Attributes
    ----------
    rows
        The columns `probability`, `band`, `group` (the account or customer), `bad` (1, 0, or null without an outcome), the categories, and
        `treatment`: whether a flagged account is on the review list or held out; null for other accounts, and if nothing is held out.
    bands
        The names of the bands, from the safest to the riskiest.
    metrics
        The figures of the version at training.
    used_in_training
        Whether the date trained the version, or was held out.
    same_target
        Whether the version was trained on outcomes as they are defined today.
    """

    version: str
    role: Role
    rows: pl.DataFrame
    bands: Sequence[str]
    categories: Sequence[str]
    metrics: Metrics
    used_in_training: bool = False
    same_target: bool = True


@dataclass(frozen=True)
class _Labelled:
    """The rows of a model that have an outcome, and the design effect of their groups."""

    frame: pl.DataFrame
    rows: Rows
    effect: float


@dataclass(frozen=True)
class _Limits:
    """The limits of a model's calibration; the bad accounts of training are divided among bands as the expected ones are."""

    part: _Labelled
    metrics: Metrics
    tails: Tails

    def ratio(self, row: Mapping[str, Any], policy: float) -> Interval:
        """Return the limits of the ratio of observed to expected bads of a part of the rows."""
        expected, variance = row["expected"], row["variance"]
        share = expected / float(self.part.rows.probability.sum())
        trained = self.metrics.bad_groups_train / (1 - self.metrics.bad_rate_train) * share
        return ratio_limits(expected, self.part.effect * variance / expected, trained, policy, self.tails.two_sided)


def measure(models: Iterable[Scored], policy: Monitoring, evaluated: bool) -> tuple[ModelPerformance, ...]:
    """Return the performance of each model that scored at least one row of a date.

    Parameters
    ----------
    evaluated
        Whether figures have limits: not if too many outcomes are missing. Those of a date that was
        used in training, and those of another target, never have any.
    """
    found = [(model, _labelled(model.rows)) for model in models if len(model.rows)]
    limited = [evaluated and model.same_target and not model.used_in_training for model, _ in found]
    tails = Tails(sum(_count_figures(part) for (_, part), is_limited in zip(found, limited, strict=True) if part and is_limited))
    return tuple(
        _measure(model, part, policy, tails if is_limited else None) for (model, part), is_limited in zip(found, limited, strict=True)
    )


def own_estimate(rows: pl.DataFrame) -> OwnEstimate:
    """Return what a model expects of rows by its probabilities alone. The interval takes the rows as independent of each other."""
    chance = rows[PROBABILITY].to_numpy()
    expected, width = float(chance.sum()), Z * float(np.sqrt((chance * (1 - chance)).sum()))
    return OwnEstimate(len(rows), expected, (max(expected - width, 0.0), min(expected + width, float(len(rows)))), expected_auc(chance))


def expected_auc(probability: Floats) -> float | None:
    """Return the AUC that probabilities of shape (n,) would have if they were exact; None without a pair of rows.

    It is the probability that a bad row has a higher probability than another, good row.
    """
    rank = np.unique(probability, return_inverse=True)[1]
    bads, goods = np.bincount(rank, probability), np.bincount(rank, 1 - probability)
    itself = float((probability * (1 - probability)).sum())
    pairs = float(bads.sum() * goods.sum()) - itself
    right = float((bads * (np.cumsum(goods) - goods / 2)).sum()) - itself / 2
    return right / pairs if len(probability) > 1 and pairs > 0 else None


def _measure(model: Scored, part: _Labelled | None, policy: Monitoring, tails: Tails | None) -> ModelPerformance:
    training, estimate = _at_training(model.metrics), own_estimate(model.rows)
    if part is None:
        return ModelPerformance(model.version, model.role, model.used_in_training, estimate, training=training)
    limits = _Limits(part, model.metrics, tails) if tails else None
    return ModelPerformance(
        version=model.version,
        role=model.role,
        used_in_training=model.used_in_training,
        estimate=estimate,
        overall=_part(_sums(part.frame).row(0, named=True), ALL, part.effect, limits, policy.max_calibration_ratio),
        ranking=_ranking(part.rows, model.metrics.other_accounts, policy, tails),
        brier=float(np.mean((part.rows.probability - part.rows.bad) ** 2)),
        bands=_bands(part, model.bands, limits, policy.max_band_calibration_ratio),
        categories={name: _levels(part, name) for name in model.categories},
        flagged=_flagged(part),
        training=training,
    )


def _labelled(rows: pl.DataFrame) -> _Labelled | None:
    """Return the rows with an outcome; None if there are none."""
    known = rows.filter(pl.col(OUTCOME).is_not_null())
    if known.is_empty():
        return None
    arrays = Rows(known[OUTCOME].cast(pl.Int64).to_numpy(), known[PROBABILITY].to_numpy(), _codes(known[GROUP]))
    return _Labelled(known, arrays, design_effect(arrays) if len(known) > 1 else 1.0)


def _codes(groups: pl.Series) -> Integers:
    return groups.rank("dense").cast(pl.Int64).to_numpy() - 1


def _count_figures(part: _Labelled) -> int:
    """Return the number of figures of a model that are evaluated: all bads, those of each band, and the ranking."""
    bands = part.frame.group_by(BAND).agg(pl.col(GROUP).n_unique()).filter(pl.col(GROUP) >= MIN_CELL_SIZE).height
    return 2 + bands


def _sums(frame: pl.DataFrame, *by: str) -> pl.DataFrame:
    chance, bad = pl.col(PROBABILITY), pl.col(OUTCOME).cast(pl.Int64)
    sums = (
        pl.len().alias("rows"),
        pl.col(GROUP).n_unique().alias("groups"),
        chance.sum().alias("expected"),
        (chance * (1 - chance)).sum().alias("variance"),
        bad.sum().alias("observed"),
    )
    return frame.group_by(*by).agg(sums) if by else frame.select(sums)


def _by(part: _Labelled, column: str) -> tuple[dict[Any, dict[str, Any]], int]:
    """Return the sums of the rows with each value of a column that enough accounts have, and the number of other values."""
    found = {row.pop(column): row for row in _sums(part.frame, column).iter_rows(named=True)}
    large = {value: row for value, row in found.items() if row["groups"] >= MIN_CELL_SIZE}
    return large, len(found) - len(large)


def _bands(part: _Labelled, bands: Sequence[str], limits: _Limits | None, policy: float) -> Parts:
    large, too_small = _by(part, BAND)
    return Parts(tuple(_part(large[band], band, part.effect, limits, policy) for band in bands if band in large), too_small)


def _flagged(part: _Labelled) -> Parts:
    """Return the flagged accounts by treatment; they have no limits, because treatment is meant to change the outcome."""
    large, too_small = _by(replace(part, frame=part.frame.filter(pl.col(TREATMENT).is_not_null())), TREATMENT)
    return Parts(tuple(_part(large[name], name, part.effect) for name in TREATMENTS if name in large), too_small)


def _levels(part: _Labelled, column: str) -> Parts:
    """Return the levels of a category, those with the most rows first."""
    large, too_small = _by(part, column)
    known = [level for level in large if level is not None]
    names = {None: MISSING_LABEL, **dict(zip(known, level_names(known), strict=True))}
    shown = sorted(large, key=lambda level: (-large[level]["rows"], names[level]))[:MOST_LEVELS]
    return Parts(tuple(_part(large[level], names[level], part.effect) for level in shown), too_small)


def _part(row: Mapping[str, Any], name: str, effect: float, limits: _Limits | None = None, policy: float = 1.0) -> Part:
    """Return a part from its sums; with limits, its ratio has them."""
    observed, rows = row["observed"], row["rows"]
    low, high = jeffreys(observed / rows, rows / effect, TAIL)
    interval = (low * rows if observed else 0.0, high * rows if observed < rows else float(rows))
    lowest, highest = limits.ratio(row, policy) if limits else (None, None)
    return Part(name, rows, row["groups"], row["expected"], observed, interval, lowest, highest)


def _ranking(rows: Rows, training: Performance, policy: Monitoring, tails: Tails | None) -> Ranking | None:
    if len(np.unique(rows.bad)) < 2:
        return None
    found = auc(rows.bad, rows.probability, rows.groups)
    return Ranking(
        roc_auc=found.value,
        roc_auc_interval=auc_interval(found),
        gini=2 * found.value - 1,
        ks=largest_gap(rows.bad, rows.probability),
        lowest=lowest_auc(found, training, policy.max_auc_loss, tails.one_sided) if tails else None,
    )


def largest_gap(bad: Integers, probability: Floats) -> float:
    """Return the Kolmogorov-Smirnov statistic: the largest gap between the cumulative shares of bad and good rows; both must occur."""
    rank = np.unique(probability, return_inverse=True)[1]
    bads, goods = (np.bincount(rank, bad == label) for label in (1, 0))
    return float(np.abs(np.cumsum(bads) / bads.sum() - np.cumsum(goods) / goods.sum()).max())


def _at_training(metrics: Metrics) -> tuple[AtTraining, ...]:
    return tuple(
        AtTraining(
            holdout=name,
            rows=found.rows,
            expected=sum(part.rows * part.predicted for part in found.calibration_bins),
            observed=found.bad,
            roc_auc=found.roc_auc,
            roc_auc_interval=found.roc_auc_interval,
            gini=found.gini,
            ks=found.ks,
            brier=found.brier,
        )
        for name, found in metrics.holdouts.items()
    )
