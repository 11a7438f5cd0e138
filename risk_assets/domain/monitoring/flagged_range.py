"""The usual number of accounts that are predicted bad.

Notes
-----
Counts are compared on the scale of the square root, on which the variance of a Poisson count is 1/4 whatever its mean. Source:
F. Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 35 (1948). Most accounts are the same from
date to date, so their number varies less than that.
"""

import math
import statistics
from collections.abc import Sequence

from risk_assets.domain.contract.policy import Monitoring
from risk_assets.domain.monitoring.alerts import Figure

FALSE_ALERTS = 0.005  # of dates without a change
USUAL_DATES = 28  # whose median is the usual number
MIN_DATES = 7  # fewer dates do not say what is usual
_ANSCOMBE = 3 / 8


def flagged_figure(now: int, before: Sequence[int], policy: Monitoring) -> Figure | None:
    """Return the number of flagged accounts with its usual range; None without enough earlier dates.

    The range is the larger of the policy's and of what chance alone produces.
    """
    if len(before) < MIN_DATES:
        return None
    usual = statistics.median(before)
    root, noise = math.sqrt(usual + _ANSCOMBE), statistics.NormalDist().inv_cdf(1 - FALSE_ALERTS / 2) / 2
    highest = max(usual * (1 + policy.max_flagged_change), (root + noise) ** 2 - _ANSCOMBE)
    lowest = min(usual * (1 - policy.max_flagged_change), max(root - noise, 0.0) ** 2 - _ANSCOMBE)
    return Figure("accounts predicted bad", float(now), max(lowest, 0.0), highest)
