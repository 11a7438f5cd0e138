"""How well probabilities separate bad accounts from good ones."""

import numpy as np
from sklearn import metrics as sk

from risk_assets.domain.governance.artifacts import Performance
from risk_assets.domain.scorecard.arrays import Floats, Integers
from risk_assets.domain.training.calibration import calibration_bins, calibration_error
from risk_assets.domain.training.intervals import Codes, auc, auc_interval

CURVE_POINTS = 100


def performance(bad: Integers, probability: Floats, groups: Codes, threshold: float) -> Performance:
    """Return the figures of probabilities compared with outcomes.

    Parameters
    ----------
    bad : array of int, shape (n,)
        1 if the account went bad, else 0; both must occur.
    probability : array of float, shape (n,)
        Probabilities of default.
    groups : array of int, shape (n,)
        The group of each row, as a number from 0.
    threshold : float
        The lowest probability at which an account is predicted bad.

    Notes
    -----
    Gini is 2 AUC - 1. KS is the largest gap between the cumulative shares of bad and good (Kolmogorov-Smirnov).
    """
    false_rate, true_rate, _ = sk.roc_curve(bad, probability, drop_intermediate=False)
    found, bins, bad_share = auc(bad, probability, groups), calibration_bins(bad, probability, groups), float(bad.mean())
    return Performance(
        rows=len(bad),
        bad=int(bad.sum()),
        groups=len(np.unique(groups)),
        bad_groups=len(np.unique(groups[bad == 1])),
        accuracy=float(np.mean((probability >= threshold) == bad)),
        base_accuracy=max(bad_share, 1 - bad_share),
        roc_auc=found.value,
        roc_auc_interval=auc_interval(found),
        gini=2 * found.value - 1,
        ks=float(np.max(true_rate - false_rate)),
        brier=float(np.mean((probability - bad) ** 2)),
        log_loss=float(sk.log_loss(bad, probability)),
        calibration_error=calibration_error(bins),
        calibration_bins=bins,
        roc=_thinned(false_rate, true_rate),
    )


def _thinned(false_rate: Floats, true_rate: Floats) -> tuple[tuple[float, float], ...]:
    picked = np.unique(np.linspace(0, len(false_rate) - 1, CURVE_POINTS).round().astype(np.intp))
    return tuple((float(false_rate[i]), float(true_rate[i])) for i in picked)
