"""Confidence intervals of the AUC whose unit of evidence is the group, however many rows it has.

Notes
-----
The variance is the sum over groups of the structural components of the AUC. Sources: E. DeLong, D. DeLong and
D. Clarke-Pearson, Comparing the areas under two or more correlated receiver operating characteristic curves, Biometrics 44
(1988); N. Obuchowski, Nonparametric analysis of clustered ROC curve data, Biometrics 53 (1997). The interval is symmetric in
the logit of the AUC: M. Pepe, The Statistical Evaluation of Medical Tests for Classification and Prediction (2003), chapter 5.
Its width has the quantile of Student's t with one degree of freedom less than there are groups in the smaller class, because
a class of few groups gives an uncertain variance. `tests/bench/README.md` has the measured coverage.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, expit, logit, ndtri, stdtrit

from risk_assets.domain.scorecard.arrays import Floats, Integers

TAIL = 0.025  # on each side of a 95 % interval
Codes = npt.NDArray[np.intp]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A figure, its variance, and the number of groups in the smaller class."""

    value: float
    variance: float
    smaller: int

    def width(self, tail: float = TAIL) -> float:
        """Return half of the length of the interval with a share of `tail` on each side."""
        return -float(stdtrit(self.smaller - 1, tail)) * math.sqrt(self.variance)

    def times(self, factor: float) -> "Estimate":
        """Return the same figure as so many times the groups would give it."""
        return Estimate(self.value, self.variance / factor, int(self.smaller * factor))


def auc(bad: Integers, probability: Floats, groups: Codes) -> Estimate:
    """Return the AUC of probabilities; `groups` has the group of each row as a number from 0."""
    return _estimate(bad, _placements(bad, probability), groups)


def mean_auc(folds: Sequence[Estimate]) -> Estimate:
    """Return the mean AUC of folds that have no group in common.

    Notes
    -----
    Source: E. LeDell, M. Petersen and M. van der Laan, Computationally efficient confidence intervals for cross-validated
    area under the ROC curve estimates, Electronic Journal of Statistics 9 (2015). The smallest fold sets the degrees of
    freedom: the models of folds share most of their training rows, so that their AUCs vary more than independent ones.
    """
    values, variances = [fold.value for fold in folds], [fold.variance for fold in folds]
    return Estimate(float(np.mean(values)), float(np.sum(variances)) / len(folds) ** 2, min(fold.smaller for fold in folds))


def auc_interval(found: Estimate, tail: float = TAIL) -> Interval:
    """Return the interval of an AUC, the 95 % one by default.

    Without a wrong pair, or without a right one, the variance is zero. The groups of the smaller class then count as
    independent trials with the same result (C. Clopper and E. Pearson, Biometrika 26, 1934). A class of one group gives the
    interval from 0 to 1.
    """
    if found.smaller < 2:
        return 0.0, 1.0
    if found.value in (0.0, 1.0):
        bound = tail ** (1 / found.smaller)
        return (bound, 1.0) if found.value else (0.0, 1 - bound)
    middle, width = logit(found.value), found.width(tail) / (found.value * (1 - found.value))
    return float(expit(middle - width)), float(expit(middle + width))


def auc_gain(bad: Integers, probability: Floats, rival: Floats, groups: Codes) -> Estimate:
    """Return the AUC of `probability` minus that of `rival`, on the same rows, shape (n,).

    What both have in common cancels, group by group.
    """
    return _estimate(bad, _placements(bad, probability) - _placements(bad, rival), groups)


def gain_interval(found: Estimate, tail: float = TAIL) -> Interval:
    """Return the interval of a difference of two AUCs, the 95 % one by default; from -1 to 1 if a class has one group."""
    if found.smaller < 2:
        return -1.0, 1.0
    return max(found.value - found.width(tail), -1.0), min(found.value + found.width(tail), 1.0)


def share_interval(share: float, groups: int) -> Interval:
    """Return the 95 % interval of a share of rows: Jeffreys' interval, in which the rows of one group count as one draw.

    Source: L. Brown, T. Cai and A. DasGupta, Interval estimation for a binomial proportion, Statistical Science 16 (2001).
    """
    hits, misses = share * groups, (1 - share) * groups
    low, high = (float(betaincinv(hits + 0.5, misses + 0.5, tail)) for tail in (TAIL, 1 - TAIL))
    return low if share > 0 else 0.0, high if share < 1 else 1.0


def ratio_interval(share: float, groups: int, other: float, other_groups: int) -> Interval:
    """Return the 95 % interval of `share / other`, two shares above 0 of rows of different groups; symmetric in the logarithm.

    Source: D. Katz, J. Baptista, S. Azen and M. Pike, Obtaining confidence intervals for the risk ratio in cohort studies,
    Biometrics 34 (1978).
    """
    variance = (1 - share) / (share * groups) + (1 - other) / (other * other_groups)
    width = -float(ndtri(TAIL)) * math.sqrt(variance)
    return share / other * math.exp(-width), share / other * math.exp(width)


def _placements(bad: Integers, probability: Floats) -> Floats:
    """Return for each bad row the share of good rows below it, and for each good row the share of bad rows above; ties count half."""
    rank = np.unique(probability, return_inverse=True)[1]
    bads, goods = (np.bincount(rank[bad == label], minlength=rank.max() + 1) for label in (1, 0))
    below = (np.cumsum(goods) - goods / 2) / goods.sum()
    above = 1 - (np.cumsum(bads) - bads / 2) / bads.sum()
    placements: Floats = np.where(bad == 1, below[rank], above[rank])
    return placements


def _estimate(bad: Integers, placements: Floats, groups: Codes) -> Estimate:
    """Return the mean placement of bad rows, which is the AUC or a difference of two, and its variance by group."""
    value = float(placements[bad == 1].mean())
    of_bads, bads = _deviations(placements - value, groups, bad == 1)
    of_goods, goods = _deviations(placements - value, groups, bad == 0)
    both = len(np.unique(groups))
    covariance = 2 * _unbiased(both) * float(of_bads @ of_goods)
    variance = _unbiased(bads) * float(of_bads @ of_bads) + _unbiased(goods) * float(of_goods @ of_goods) + covariance
    return Estimate(value, max(variance, 0.0), min(bads, goods))


def _deviations(centred: Floats, groups: Codes, rows: npt.NDArray[np.bool_]) -> tuple[Floats, int]:
    """Return each group's share of the deviation of the rows' mean, and the number of groups that have such rows."""
    deviations: Floats = np.bincount(groups, np.where(rows, centred, 0.0)) / rows.sum()
    return deviations, int(np.count_nonzero(np.bincount(groups[rows])))


def _unbiased(groups: int) -> float:
    """Return the factor that makes the variance of a mean of so many groups unbiased."""
    return groups / (groups - 1) if groups > 1 else 1.0
