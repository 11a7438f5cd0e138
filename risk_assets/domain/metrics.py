"""How well probabilities tell bad accounts from good ones, and how true they are."""

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from risk_assets.domain.model import CalibrationBin, Performance
from risk_assets.domain.scorecard import Floats

Labels = npt.NDArray[np.int64]
CALIBRATION_BINS = 10
CURVE_POINTS = 100


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
        calibration_error=sum(b.rows * abs(b.predicted - b.observed) for b in bins) / len(bad),
        calibration=bins,
        roc=_thinned(false_rate, true_rate),
    )


def calibration(bad: Labels, chance: Floats) -> tuple[CalibrationBin, ...]:
    """Return up to ten bins of equal rows, from the lowest probability to the highest."""
    order = np.argsort(chance, kind="stable")
    parts = [part for part in np.array_split(order, CALIBRATION_BINS) if len(part)]
    return tuple(CalibrationBin(len(part), float(chance[part].mean()), float(bad[part].mean())) for part in parts)


def _thinned(false_rate: Floats, true_rate: Floats) -> tuple[tuple[float, float], ...]:
    picked = np.unique(np.linspace(0, len(false_rate) - 1, CURVE_POINTS).round().astype(np.intp))
    return tuple((float(false_rate[i]), float(true_rate[i])) for i in picked)
