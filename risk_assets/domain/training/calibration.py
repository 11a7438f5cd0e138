"""How close probabilities are to observed rates."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from risk_assets.domain.governance.artifacts import CalibrationBin
from risk_assets.domain.scorecard.arrays import Floats, Integers

BINS = 10


def calibration_bins(bad: Integers, probability: Floats, groups: npt.NDArray[np.intp]) -> tuple[CalibrationBin, ...]:
    """Return up to ten bins with equal numbers of rows, from the lowest probability to the highest.

    `groups` has the group of each row as a number from 0.
    """
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return tuple(
        CalibrationBin(len(part), len(np.unique(groups[part])), float(probability[part].mean()), float(bad[part].mean())) for part in parts
    )


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Return the mean |predicted - observed| of bins, weighted by rows."""
    return sum(part.rows * abs(part.predicted - part.observed) for part in bins) / sum(part.rows for part in bins)


def calibration_noise(bins: Sequence[CalibrationBin]) -> float:
    """Return the calibration error that exact probabilities would show because of sampling alone.

    Notes
    -----
    The mean |observed - p| of n independent draws with probability p is about sqrt(2 p (1 - p) / (pi n)): the mean absolute
    deviation of the normal distribution that approximates the binomial. Rows of one group have much the same outcome and count
    as one draw.
    """
    expected = (part.rows * math.sqrt(2 * part.predicted * (1 - part.predicted) / (math.pi * part.groups)) for part in bins)
    return sum(expected) / sum(part.rows for part in bins)
