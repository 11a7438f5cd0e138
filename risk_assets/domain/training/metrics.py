"""How well probabilities separate bad accounts from good ones."""

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from risk_assets.domain.governance.artifacts import Performance
from risk_assets.domain.scorecard.arrays import Floats, Integers
from risk_assets.domain.training.calibration import calibration_bins, calibration_error

CURVE_POINTS = 100
RESAMPLES = 400


def performance(bad: Integers, probability: Floats, threshold: float) -> Performance:
    """Return the figures of probabilities compared with outcomes.

    Parameters
    ----------
    bad : array of int, shape (n,)
        1 if the account went bad, else 0; both must occur.
    probability : array of float, shape (n,)
        Probabilities of default.
    threshold : float
        The lowest probability at which an account is predicted bad.

    Notes
    -----
    Gini is 2 AUC - 1. KS is the largest gap between the cumulative shares of bad and good (Kolmogorov-Smirnov).
    """
    false_rate, true_rate, _ = sk.roc_curve(bad, probability, drop_intermediate=False)
    auc = float(sk.roc_auc_score(bad, probability))
    bins = calibration_bins(bad, probability)
    return Performance(
        rows=len(bad),
        bad=int(bad.sum()),
        accuracy=float(np.mean((probability >= threshold) == bad)),
        roc_auc=auc,
        gini=2 * auc - 1,
        ks=float(np.max(true_rate - false_rate)),
        brier=float(np.mean((probability - bad) ** 2)),
        log_loss=float(sk.log_loss(bad, probability)),
        calibration_error=calibration_error(bins),
        calibration_bins=bins,
        roc=_thinned(false_rate, true_rate),
    )


def auc_gain(bad: Integers, probability: Floats, rival: Floats, seed: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the AUC of `probability` minus that of `rival`, both shape (n,) on the same rows.

    Notes
    -----
    Rows are drawn with Poisson(1) weights, the same for both, so that common variation cancels. Source: B. Efron and
    R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentiles).
    """
    random = np.random.default_rng(seed)
    ranks = [np.unique(scores, return_inverse=True)[1] for scores in (probability, rival)]
    gains: list[float] = []
    while len(gains) < RESAMPLES:
        weights = random.poisson(1.0, len(bad)).astype(np.float64)
        if weights[bad == 1].any() and weights[bad == 0].any():
            ours, theirs = (_weighted_auc(bad, rank, weights) for rank in ranks)
            gains.append(ours - theirs)
    low, high = np.quantile(gains, (0.025, 0.975))
    return float(low), float(high)


def _weighted_auc(bad: Integers, rank: npt.NDArray[np.intp], weights: Floats) -> float:
    """Return the share of pairs of a bad and a good row in which the bad one ranks higher; ties count half."""
    bads, goods = np.bincount(rank, weights * bad), np.bincount(rank, weights * (1 - bad))
    below = np.cumsum(goods) - goods / 2
    return float(bads @ below / (bads.sum() * goods.sum()))


def _thinned(false_rate: Floats, true_rate: Floats) -> tuple[tuple[float, float], ...]:
    picked = np.unique(np.linspace(0, len(false_rate) - 1, CURVE_POINTS).round().astype(np.intp))
    return tuple((float(false_rate[i]), float(true_rate[i])) for i in picked)
