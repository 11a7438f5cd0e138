"""Counts of a date in the bins of a profile, by polars expressions that one streaming pass evaluates."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import polars as pl

from risk_assets.domain.batch.predictions import scored_rows
from risk_assets.domain.contract.schema import GROUP
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.governance.artifacts import LevelBins, NumberBins, Profile, Range
from risk_assets.domain.monitoring.counts import Tallies, Tally
from risk_assets.domain.scorecard.expressions import contribution
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term
from risk_assets.domain.training.stability import independent_rows

COUNTS, LINE = "counts\x1f", "line\x1f"  # a feature's counts, and the sum of its contributions if it is a line
Bins: TypeAlias = NumberBins | LevelBins


def tally_date(features: pl.LazyFrame, predictions: pl.LazyFrame, arms: Arms, profile: Profile) -> Tallies:
    """Return the tallies of a date, or of a piece of it, in the bins of the profile of the champion that scored it.

    Parameters
    ----------
    features, predictions
        The table of features and the table of predictions that the models have made of it, or the same rows of both.
    """
    version = arms.champion.version
    own = predictions.filter(pl.col("probability").is_not_null(), pl.col("model_version") == version).select("probability")
    return tally_rows(scored_rows(features, arms), own, version, profile, arms.champion.scorecard)


def tally_rows(features: pl.LazyFrame, probability: pl.LazyFrame, version: str, profile: Profile, card: Scorecard) -> Tallies:
    """Return the tallies of rows in the bins of a version's profile, such as those of an online log.

    Parameters
    ----------
    features
        The features of the rows that were scored.
    probability
        The column `probability` of the rows that the version scored.
    """
    return Tallies(version, score_tally(probability, profile.score), feature_tallies(features, profile, card))


def feature_tallies(features: pl.LazyFrame, profile: Profile, card: Scorecard) -> dict[str, Tally]:
    """Return the tally of each feature of a profile over rows of features, in one streaming pass."""
    terms = {term.feature: term for term in card.terms}
    expressions: list[pl.Expr] = []
    for name, bins in profile.features.items():
        cuts = _cuts(bins, profile.ranges.get(name), terms.get(name))
        expressions.append(_counts(name, bins, cuts).alias(COUNTS + name))
        if name in terms and isinstance(terms[name].shape, Line):
            expressions.append(contribution(terms[name]).sum().alias(LINE + name))
    row = features.select(expressions).collect(engine="streaming").row(0, named=True)
    return {
        name: _tally(row[COUNTS + name], row.get(LINE + name), bins, profile.ranges.get(name), terms.get(name))
        for name, bins in profile.features.items()
    }


def count_independent(features: pl.LazyFrame) -> float:
    """Return how many independent rows the rows of features are worth, given their column `group`."""
    sizes = features.group_by(GROUP).len().select(pl.col("len").sum(), (pl.col("len").cast(pl.Float64) ** 2).sum().alias("squares"))
    return independent_rows(*sizes.collect(engine="streaming").row(0))


def score_tally(scores: pl.LazyFrame, bins: NumberBins) -> Tally:
    """Return the tally of the column `probability`."""
    counts = scores.select(_counts("probability", bins, bins.edges)).collect(engine="streaming").item()
    return _tally(counts.to_list(), None, bins, None, None)


def unseen_levels(features: pl.LazyFrame, name: str, bins: LevelBins, min_rows: int, most: int) -> dict[str, int]:
    """Return the most frequent levels of a category that training did not see, with their rows; none with fewer than `min_rows`."""
    unseen = features.filter(pl.col(name).is_not_null() & ~pl.col(name).is_in(list(bins.shares)))
    counts = unseen.group_by(name).len().filter(pl.col("len") >= min_rows)
    return dict(counts.sort("len", name, descending=[True, False]).head(most).collect(engine="streaming").iter_rows())


def _cuts(bins: Bins, usual: Range | None, term: Term | None) -> tuple[float, ...]:
    """Return the numbers from which on values are counted, so that bins, range and steps follow from the counts.

    A value is above the edge of a step, and outside a range, from the next larger number on.
    """
    if isinstance(bins, LevelBins):
        return ()
    found = set(bins.edges)
    if usual:
        found |= {usual.low, _next(usual.high)}
    if term and isinstance(term.shape, Steps):
        found |= set(map(_next, term.shape.edges))
    return tuple(sorted(found))


def _counts(name: str, bins: Bins, cuts: Sequence[float]) -> pl.Expr:
    """Return a list: the known values, then those of each level or from each cut on, then the missing values."""
    column = pl.col(name)
    parts = [column == level for level in bins.shares] if isinstance(bins, LevelBins) else [column >= cut for cut in cuts]
    counts = [column.count(), *(part.sum() for part in parts), column.null_count()]
    return pl.concat_list(count.cast(pl.Int64) for count in counts)


def _tally(counts: Sequence[int], line: float | None, bins: Bins, usual: Range | None, term: Term | None) -> Tally:
    known, *parts, missing = counts
    if isinstance(bins, LevelBins):
        found = (*parts, known - sum(parts), missing)
        return Tally(found, log_odds=_log_odds_of_levels(found, list(bins.shares), term))
    above = dict(zip(_cuts(bins, usual, term), parts, strict=True)) | {-math.inf: known, math.inf: 0}
    outside = known - above[usual.low] + above[_next(usual.high)] if usual else None
    found = (*_between(above, bins.edges), missing)
    return Tally(found, outside, line if line is not None else _log_odds_of_steps(above, missing, term))


def _between(above: Mapping[float, int], edges: Sequence[float]) -> list[int]:
    """Return the values between neighbouring edges, given the values from each edge on."""
    return [above[low] - above[high] for low, high in pairwise((-math.inf, *edges, math.inf))]


def _log_odds_of_steps(above: Mapping[float, int], missing: int, term: Term | None) -> float | None:
    if term is None or not isinstance(term.shape, Steps):
        return None
    rows = [*_between(above, list(map(_next, term.shape.edges))), missing]
    return math.fsum(count * weight for count, weight in zip(rows, term.shape.table, strict=True))


def _log_odds_of_levels(counts: Sequence[int], levels: Sequence[str], term: Term | None) -> float | None:
    if term is None or not isinstance(term.shape, Levels):
        return None
    table, positions = term.shape.table, term.shape.positions
    places = [*(positions.get(level, len(term.shape.levels)) for level in levels), -2, -1]
    return math.fsum(count * table[place] for count, place in zip(counts, places, strict=True))


def _next(number: float) -> float:
    return math.nextafter(number, math.inf)
