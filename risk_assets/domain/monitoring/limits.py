"""The limits of a date: the larger of the policy's limit and what sampling alone produces at its size.

All statistics of a date are evaluated together: without drift, the probability that any of them exceeds its limit is at most
`FALSE_ALERTS`, which Bonferroni's inequality divides among them. It holds however strongly features, and the same accounts on
consecutive dates, depend on each other: dependence between dates makes alerts last longer, not more frequent.

Notes
-----
Without a change, the population stability index of samples of N and M independent rows in B bins is about (1/N + 1/M) times a
chi-squared variable with B - 1 degrees of freedom. Source: B. Yurdakul and J. Naranjo, Statistical properties of the population
stability index, Journal of Risk Model Validation 14 (2020). Both samples vary: a large snapshot compared with few training rows has
a high limit too. Shares are compared on the scale of the arcsine of their square root, on which their variance depends on the size
only. Source: F. Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 35 (1948).
"""

import math
from dataclasses import dataclass

from scipy.special import chdtri, ndtri

from risk_assets.domain.contract.policy import Monitoring

FALSE_ALERTS = 0.005  # of dates without drift; chi-squared tails of sparse bins are up to three times as heavy


@dataclass(frozen=True)
class Limits:
    """The limits of statistics that are evaluated together.

    Attributes
    ----------
    policy
        The limits of the policy.
    trained, found
        The numbers of independent rows in training and on the date.
    statistics
        The number of statistics.
    """

    policy: Monitoring
    trained: float
    found: float
    statistics: int

    def psi(self, bins: int) -> float:
        """Return the largest index in so many bins that is not an alert."""
        return max(self.policy.max_psi, self._variance * float(chdtri(max(bins - 1, 1), self._tail)))

    def points(self, spread: float) -> float:
        """Return the largest shift of a mean that is not an alert, given the standard deviation of the training rows in points."""
        return max(self.policy.max_points, -float(ndtri(self._tail / 2)) * math.sqrt(self._variance) * spread)

    def share(self, trained: float, increase: float) -> float:
        """Return the largest share that is not an alert, given the share in training and the increase that the policy allows."""
        smoothed = (trained * self.trained + 3 / 8) / (self.trained + 3 / 4)
        noise = -float(ndtri(self._tail)) * math.sqrt(self._variance) / 2
        angle = min(math.asin(math.sqrt(min(smoothed, 1.0))) + noise, math.pi / 2)
        return min(max(trained + increase, math.sin(angle) ** 2), 1.0)

    @property
    def _variance(self) -> float:
        return 1 / self.trained + 1 / self.found

    @property
    def _tail(self) -> float:
        """The probability with which one statistic exceeds its limit without drift."""
        return FALSE_ALERTS / self.statistics
