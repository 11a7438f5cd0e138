"""The distribution of the training data in fixed bins, the reference for drift on later dates."""

import math

import numpy as np
import pandas as pd

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import LevelBins, NumberBins, Profile
from risk_assets.domain.scorecard.arrays import Floats, Integers

BINS = 10
SMALLEST_SHARE = 0.01  # rows are not divided into bins with less than this share of the known values


def profile(features: pd.DataFrame, probability: Floats, contract: Contract) -> Profile:
    """Return the profile of training rows: up to ten bins of each number and of the probability, shares of each level."""
    bins = {
        name: number_bins(features[name].to_numpy(dtype=np.float64)) if f.type == "number" else _level_bins(features[name])
        for name, f in contract.inputs.items()
    }
    return Profile(rows=len(features), features=bins, score=number_bins(probability))


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
