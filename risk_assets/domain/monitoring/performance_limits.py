"""The limits of performance: the larger of the policy's and what chance alone produces at a date's size.

All figures of a date are evaluated together, as those of drift are: the probability that any of them exceeds its limit although the
models are right is at most `FALSE_ALERTS`.

Notes
-----
Observed bads vary around expected ones by chance, and expected ones vary because a version was trained on few bad accounts. So the
observed number is about negative binomial: Poisson with a mean that has a gamma distribution. Its limits are the prediction limits
of a count after another one. Source: G. Hahn and W. Meeker, Statistical Intervals (1991), chapter 7. Outcomes vary less than Poisson
counts if probabilities are high, and more if accounts of a customer go bad together: counts are divided by the ratio of the
variances. Source: P. McCullagh and J. Nelder, Generalized Linear Models (1989), section 6.2.3, overdispersion.

The limit of the difference of two AUCs comes from the limits of each. Source: G. Zou and A. Donner, Construction of confidence limits
about effect measures, Statistics in Medicine 27 (2008).
"""

import math
from dataclasses import dataclass

from scipy.special import expit, logit, nbdtrik, stdtrit

from risk_assets.domain.governance.artifacts import Performance
from risk_assets.domain.monitoring.limits import FALSE_ALERTS
from risk_assets.domain.monitoring.performance_report import Interval
from risk_assets.domain.training.intervals import TAIL, Estimate, auc_interval

LEAST_DISPERSION = 0.01  # that of accounts that are almost certain to go bad
MOST_BADS = 1e7  # training bads from which on their noise is negligible


@dataclass(frozen=True)
class Tails:
    """The probability with which one of so many figures exceeds its limit by chance."""

    figures: int

    @property
    def one_sided(self) -> float:
        """The tail of a figure with one limit."""
        return FALSE_ALERTS / max(self.figures, 1)

    @property
    def two_sided(self) -> float:
        """Each tail of a figure with two limits."""
        return self.one_sided / 2


def ratio_limits(expected: float, dispersion: float, trained_bads: float, policy: float, tail: float) -> Interval:
    """Return the lowest and the highest ratio of observed to expected bads that are not alerts.

    Parameters
    ----------
    expected
        The expected bads.
    dispersion
        The variance of the observed bads divided by the expected bads.
    trained_bads
        The bad accounts of the training that the expected ones rest on.
    policy
        The ratio that the policy allows, in both directions.
    tail
        The probability of each side.
    """
    mean, size = expected / max(dispersion, LEAST_DISPERSION), min(max(trained_bads, 1.0), MOST_BADS)
    share = size / (size + mean)
    highest = (float(nbdtrik(1 - tail, size, share)) + 1) / mean
    lowest = float(nbdtrik(tail, size, share)) / mean if share**size < tail else 0.0
    return min(1 / policy, lowest), max(policy, highest)


def lowest_auc(found: Estimate, training: Performance, policy: float, tail: float) -> float:
    """Return the lowest AUC of a date that is not an alert: that of other accounts at training minus the loss that is allowed."""
    above = auc_interval(found, tail)[1] - found.value
    below = training.roc_auc - _lower(training, tail)
    return training.roc_auc - max(policy, math.hypot(above, below))


def _lower(training: Performance, tail: float) -> float:
    """Return the lower bound of an AUC for another tail than the stored interval has; its width is symmetric in the logit."""
    low, value = training.roc_auc_interval[0], training.roc_auc
    freedom = min(training.bad_groups, training.groups - training.bad_groups) - 1
    if freedom < 1 or not 0 < low < value < 1:
        return 0.0
    times = float(stdtrit(freedom, tail)) / float(stdtrit(freedom, TAIL))
    return float(expit(logit(value) - times * (logit(value) - logit(low))))
