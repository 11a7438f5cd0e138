"""Observed rates of bad rows compared with predicted ones; the unit of evidence is the group.

Notes
-----
Rows of one group have much the same outcome, so n rows count as n divided by the design effect: the variance of the rate by group
over that of independent rows. Source: L. Kish, Survey Sampling (1965). Intervals are those of Jeffreys. Source: L. Brown, T. Cai
and A. DasGupta, Interval estimation for a binomial proportion, Statistical Science 16 (2001).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from risk_assets.domain.governance.verdicts import Criterion, Interval
from risk_assets.domain.scorecard.arrays import Floats, Integers
from risk_assets.domain.training.intervals import Codes, Estimate

Mask = npt.NDArray[np.bool_]
SMALLEST_RATE = 1e-9  # the reference of rows whose predicted rate is zero
STANDARD_ERRORS = 1.645 + 2.8  # a band of fewer bads would often be undecided, although its rate is as predicted


@dataclass(frozen=True)
class Rows:
    """Labelled rows, shape (n,): outcomes, a model's probabilities, and the number of each row's group, from 0."""

    bad: Integers
    probability: Floats
    groups: Codes

    def only(self, part: Mask) -> "Rows":
        """Return a part of the rows."""
        return Rows(self.bad[part], self.probability[part], self.groups[part])

    @property
    def bads(self) -> int:
        """The number of groups with a bad row."""
        return len(np.unique(self.groups[self.bad == 1]))


def jeffreys(rate: float, trials: float, tail: float) -> Interval:
    """Return the interval of a rate of so many independent trials."""
    good, bad = (1 - rate) * trials + 0.5, rate * trials + 0.5
    return float(betaincinv(bad, good, tail)), float(betaincinv(bad, good, 1 - tail))


def design_effect(rows: Rows) -> float:
    """Return the variance of the observed rate by group over that of independent rows, at least 1."""
    count, groups, rate = len(rows.bad), len(np.unique(rows.groups)), float(rows.bad.mean())
    if rate in (0.0, 1.0) or groups < 2:
        return count / groups
    sums = np.bincount(rows.groups, rows.bad - rate)
    return max(float(sums @ sums) / count * groups / (groups - 1) / (rate * (1 - rate)), 1.0)


def calibration(name: str, rows: Rows, ratio: float, average: float, effect: float) -> Criterion:
    """Return whether the observed rate of rows is within a ratio of the predicted one.

    The figure is `1 + (observed - predicted) / reference`. The reference is the predicted rate, or the `average` rate if that is
    higher: in a very safe part, a large ratio is a small difference. So the figure is observed / predicted in other parts.
    """
    predicted, observed = float(rows.probability.mean()), float(rows.bad.mean())
    reference, trials = max(predicted, average, SMALLEST_RATE), len(rows.bad) / effect

    def interval(tail: float, times: float) -> Interval:
        low, high = jeffreys(observed, trials * times, tail)
        return 1 + (low - predicted) / reference, 1 + (high - predicted) / reference

    figure = 1 + (observed - predicted) / reference
    subject = f"{name}: observed {observed:.2%}, predicted {predicted:.2%}, ratio {figure:.4f}"
    return Criterion(subject, figure, 1 / ratio, ratio, interval, rows.bads)


def needed_bads(ratio: float) -> float:
    """Return the number of bad groups that show that a rate is within a ratio of the predicted one, if it is as predicted."""
    return float((STANDARD_ERRORS / np.log(ratio)) ** 2)


def merged_bands(expected: Floats, band: Integers, names: Sequence[str], needed: float) -> dict[str, Mask]:
    """Return the rows of each band, from the riskiest to the safest; neighbours are merged until they have enough expected bads.

    Parameters
    ----------
    expected : array of float, shape (n,)
        The expected bads of each row.
    band : array of int, shape (n,)
        The position of each row's band in `names`, from the safest to the riskiest.
    needed : float
        The smallest number of expected bads of a part; one part if all bands together have fewer.
    """
    sums = np.bincount(band, expected, minlength=len(names))
    parts: list[tuple[int, int]] = []
    end = len(names)
    for start in reversed(range(len(names))):
        if sums[start:end].sum() >= needed:
            parts.append((start, end))
            end = start
    if end and parts:  # the safest bands have too few of their own
        parts[-1] = (0, parts[-1][1])
    return {_named(names[start:end]): (band >= start) & (band < end) for start, end in parts or [(0, len(names))]}


def brier_skill(rows: Rows) -> Estimate:
    """Return 1 - squared error / squared error of predicting the observed rate for every row, paired by row, with its variance."""
    count, rate, groups = len(rows.bad), float(rows.bad.mean()), len(np.unique(rows.groups))
    base = (rate - rows.bad) ** 2
    gain = (base - (rows.probability - rows.bad) ** 2) / float(base.mean())
    value = float(gain.mean())
    sums = np.bincount(rows.groups, gain - value) / count
    goods = len(np.unique(rows.groups[rows.bad == 0]))
    return Estimate(value, float(sums @ sums) * groups / max(groups - 1, 1), min(rows.bads, goods))


def _named(names: Sequence[str]) -> str:
    return names[0] if names[0] == names[-1] else f"{names[0]} to {names[-1]}"
