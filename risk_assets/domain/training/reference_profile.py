"""The distribution of the training data in fixed bins, the reference for drift on later dates."""

import math

import numpy as np
import pandas as pd

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import LevelBins, NumberBins, Profile, Range, Spreads
from risk_assets.domain.governance.fairness import MIN_CELL_SIZE
from risk_assets.domain.scorecard.arrays import Floats, Integers, contributions, log_odds, sigmoid
from risk_assets.domain.scorecard.scorecard import Scorecard
from risk_assets.domain.training.stability import independent_rows

BINS = 10
SMALLEST_SHARE = 0.01  # rows are not divided into bins with less than this share of the known values


def profile(features: pd.DataFrame, card: Scorecard, x: Floats, groups: Integers, contract: Contract) -> Profile:
    """Return the profile of training rows: up to ten bins of each number and of the probability, shares of each level.

    Parameters
    ----------
    x : array of float, shape (n, features)
        The model's inputs.
    groups : array of int, shape (n,)
        The codes of the rows' groups.
    """
    parts = contributions(card, x)
    total = log_odds(card, parts)
    numbers = {name: features[name].to_numpy(dtype=np.float64) for name, feature in contract.inputs.items() if feature.type == "number"}
    bins = {name: number_bins(numbers[name]) if name in numbers else _level_bins(features[name]) for name in contract.inputs}
    return Profile(
        rows=len(features),
        features=bins,
        score=number_bins(sigmoid(total)),
        ranges={name: found for name, values in numbers.items() if (found := _range(values, groups))},
        independent=independent_rows(len(groups), float((np.bincount(groups).astype(np.float64) ** 2).sum())),
        spreads=Spreads(
            score=float(total.std()),
            features={term.feature: float(part.std()) for term, part in zip(card.terms, parts, strict=True)},
        ),
    )


def _range(values: Floats, groups: Integers) -> Range | None:
    """Return the range of a number; None if too few groups have a value."""
    by_group = pd.Series(values).groupby(groups)
    lowest, highest = by_group.min().dropna().sort_values(), by_group.max().dropna().sort_values()
    if len(lowest) < 2 * MIN_CELL_SIZE:
        return None
    low, high = float(lowest.iloc[MIN_CELL_SIZE - 1]), float(highest.iloc[-MIN_CELL_SIZE])
    return Range(low, high, float(((values < low) | (values > high)).mean()))


def number_bins(values: Floats) -> NumberBins:
    """Return up to ten bins with about equal numbers of rows; NaN means missing.

    A value that a tenth of the rows have or more, such as zero, is a bin by itself or with a few rarer neighbours, and the other
    bins divide the remaining rows. Two distinct values or more have at least two bins. No bin is empty, because each edge is one
    of the values and belongs to the bin above it.
    """
    distinct, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    if not len(distinct):
        return NumberBins(edges=(), shares=(0.0,), missing=1.0)
    firsts = _first_values(counts)
    return NumberBins(
        edges=tuple(distinct[firsts[1:]].tolist()),
        shares=tuple((np.add.reduceat(counts, firsts) / len(values)).tolist()),
        missing=1 - int(counts.sum()) / len(values),
    )


def _first_values(counts: Integers) -> list[int]:
    """Return the position of the first distinct value of each bin.

    The rows of values that are not bins by themselves are divided equally among the other bins; a bin ends after the value that
    brings it nearest to its share.
    """
    rows, ends = int(counts.sum()), counts.cumsum()
    often = counts * BINS >= rows
    smallest = math.ceil(rows * SMALLEST_SHARE)
    firsts = [0]
    while len(firsts) < BINS:
        at = firsts[-1]
        rest, alone = int(counts[at:][~often[at:]].sum()), int(often[at:].sum())
        parts = max(min(BINS + 1 - len(firsts) - alone, rest // smallest), 1)
        target = ends[at] - counts[at] + rest / parts
        following = at + int(np.abs(ends[at:] - target).argmin()) + 1
        if following == len(counts):
            break
        firsts.append(following)
    return firsts


def _level_bins(values: pd.Series) -> LevelBins:
    counts = values.value_counts()
    shares = {str(level): int(count) / len(values) for level, count in sorted(counts.items())}
    return LevelBins(shares=shares, missing=float(values.isna().mean()))
