"""How far the distribution of the score and of features has moved since training: the population stability index (PSI).

Notes
-----
Without a change, the index of samples of N and M groups in B bins is about (1/N + 1/M) times a chi-squared variable with B - 1
degrees of freedom, so that small samples have a high index. With a change it is noncentral. Source: B. Yurdakul and J. Naranjo,
Statistical properties of the population stability index, Journal of Risk Model Validation 14 (2020).
"""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtri

from risk_assets.domain.governance.artifacts import LevelBins, NumberBins
from risk_assets.domain.governance.verdicts import Criterion, Interval
from risk_assets.domain.scorecard.arrays import Floats

MIN_EXPECTED = 5.0  # groups in a bin; sparser bins are merged
HALF = 0.5  # added to each bin, so that an empty one has a finite index


@dataclass(frozen=True)
class Shares:
    """The shares of rows in the same bins, in training and in a snapshot, and the numbers of their groups."""

    trained: Floats
    found: Floats
    trained_groups: int
    found_groups: int


def number_shares(bins: NumberBins, values: Floats) -> Floats:
    """Return the share of values in each bin of a number, then of missing values (NaN)."""
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(bins.edges, known, side="right"), minlength=len(bins.edges) + 1)
    return np.append(counts, len(values) - len(known)) / len(values)


def level_shares(bins: LevelBins, values: pl.Series) -> Floats:
    """Return the share of values at each level of a category, then of levels that training did not see, then of missing values."""
    counts = dict(values.drop_nulls().value_counts().iter_rows())
    seen = [counts.get(level, 0) for level in bins.shares]
    return np.array([*seen, sum(counts.values()) - sum(seen), values.null_count()]) / len(values)


def trained_shares(bins: NumberBins | LevelBins) -> Floats:
    """Return the shares of the training rows in the bins of `number_shares` or `level_shares`."""
    if isinstance(bins, NumberBins):
        return np.array([*bins.shares, bins.missing])
    return np.array([*bins.shares.values(), 0.0, bins.missing])


def psi(trained: Floats, found: Floats) -> float:
    """Return the index of two samples from their numbers of independent rows in the same bins; it is finite for empty bins."""
    before, after = (counts + HALF for counts in (trained, found))
    before, after = before / before.sum(), after / after.sum()
    return float(((after - before) * np.log(after / before)).sum())


def independent_rows(rows: float, squares: float) -> float:
    """Return how many independent rows the rows of groups are worth if those of a group repeat each other.

    Parameters
    ----------
    rows
        The number of rows.
    squares
        The sum of the squares of the sizes of the groups.

    Notes
    -----
    Source: L. Kish, Survey Sampling (1965), chapter 11.7: the effective size of a sample with unequal weights.
    """
    return rows**2 / squares if squares else 0.0


def stability(name: str, shares: Shares, limit: float) -> Criterion:
    """Return whether the index without what sampling alone would give is at most the limit."""
    trained, found = _counts(shares)
    freedom = len(trained) - 1
    size = 1 / (1 / shares.trained_groups + 1 / shares.found_groups)
    raw = psi(trained, found)
    index = max(raw - freedom / size, 0.0)

    def interval(tail: float, times: float) -> Interval:
        effective = size * times
        width = -float(ndtri(tail)) * math.sqrt(2 * freedom + 4 * index * effective) / effective
        return max(index - width, 0.0), index + width

    return Criterion(f"{name}: PSI {raw:.4f}, {index:.4f} without sampling noise", index, -math.inf, limit, interval)


def _counts(shares: Shares) -> tuple[Floats, Floats]:
    """Return the numbers of groups in each bin; bins in which few are expected are merged."""
    trained, found = shares.trained * shares.trained_groups, shares.found * shares.found_groups
    sparse = np.minimum(trained, shares.trained * shares.found_groups) < MIN_EXPECTED
    merged = (np.append(part[~sparse], part[sparse].sum()) if sparse.any() else part for part in (trained, found))
    one, other = merged
    return one, other
