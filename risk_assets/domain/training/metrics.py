"""How well probabilities tell bad accounts from good ones, and how true they are."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from risk_assets.domain.governance.artifacts import CalibrationBin, Performance
from risk_assets.domain.scorecard.scorecard import Floats

Labels = npt.NDArray[np.int64]
CALIBRATION_BINS = 10
CURVE_POINTS = 100
RESAMPLES = 400


def performance(bad: Labels, chance: Floats, threshold: float) -> Performance:
    """Return the figures of probabilities against outcomes.

    Parameters
    ----------
    bad : array of int, shape (n,)
        1 where the account went bad, else 0; both must occur.
    chance : array of float, shape (n,)
        Probabilities of default.
    threshold : float
        From which probability on an account is predicted bad.

    Notes
    -----
    Gini is 2 AUC - 1. KS is the largest gap between the cumulative shares of bad and good (Kolmogorov-Smirnov).
    """
    false_rate, true_rate, _ = sk.roc_curve(bad, chance, drop_intermediate=False)
    auc = float(sk.roc_auc_score(bad, chance))
    bins = calibration(bad, chance)
    return Performance(
        rows=len(bad),
        bad=int(bad.sum()),
        accuracy=float(np.mean((chance >= threshold) == bad)),
        roc_auc=auc,
        gini=2 * auc - 1,
        ks=float(np.max(true_rate - false_rate)),
        brier=float(np.mean((chance - bad) ** 2)),
        log_loss=float(sk.log_loss(bad, chance)),
        calibration_error=calibration_error(bins),
        calibration=bins,
        roc=_thinned(false_rate, true_rate),
    )


def calibration(bad: Labels, chance: Floats) -> tuple[CalibrationBin, ...]:
    """Return up to ten bins of equal rows, from the lowest probability to the highest."""
    order = np.argsort(chance, kind="stable")
    parts = [part for part in np.array_split(order, CALIBRATION_BINS) if len(part)]
    return tuple(CalibrationBin(len(part), float(chance[part].mean()), float(bad[part].mean())) for part in parts)


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Return the mean |predicted - observed| of bins, weighted by their rows."""
    return sum(part.rows * abs(part.predicted - part.observed) for part in bins) / sum(part.rows for part in bins)


def calibration_noise(bins: Sequence[CalibrationBin]) -> float:
    """Return the calibration error that probabilities which are exactly true would show by chance.

    Notes
    -----
    The mean |observed - p| of n draws with probability p is about sqrt(2 p (1 - p) / (pi n)), the mean absolute deviation
    of the normal distribution that comes near the binomial one.
    """
    expected = (part.rows * math.sqrt(2 * part.predicted * (1 - part.predicted) / (math.pi * part.rows)) for part in bins)
    return sum(expected) / sum(part.rows for part in bins)


def auc_gain(bad: Labels, chance: Floats, rival: Floats, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of how much higher the AUC of `chance` is than that of `rival` on the same rows, each shape (n,).

    Notes
    -----
    The bootstrap's rows are drawn by Poisson(1) weights, the same for both, so that what they share cancels. Source: B.
    Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentiles).
    """
    random = np.random.default_rng(seed)
    ranks = [np.unique(scores, return_inverse=True)[1] for scores in (chance, rival)]
    gains: list[float] = []
    while len(gains) < RESAMPLES:
        weights = random.poisson(1.0, len(bad)).astype(np.float64)
        if weights[bad == 1].any() and weights[bad == 0].any():
            ours, theirs = (_weighted_auc(bad, rank, weights) for rank in ranks)
            gains.append(ours - theirs)
    low, high = np.quantile(gains, (0.025, 0.975))
    return float(low), float(high)


def _weighted_auc(bad: Labels, rank: npt.NDArray[np.intp], weights: Floats) -> float:
    """Return the share of pairs of a bad and a good row in which the bad one ranks higher; ties count half."""
    bads, goods = np.bincount(rank, weights * bad), np.bincount(rank, weights * (1 - bad))
    below = np.cumsum(goods) - goods / 2
    return float(bads @ below / (bads.sum() * goods.sum()))


def _thinned(false_rate: Floats, true_rate: Floats) -> tuple[tuple[float, float], ...]:
    picked = np.unique(np.linspace(0, len(false_rate) - 1, CURVE_POINTS).round().astype(np.intp))
    return tuple((float(false_rate[i]), float(true_rate[i])) for i in picked)
