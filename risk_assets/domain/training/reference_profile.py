"""The distribution of the training data in fixed bins, the reference for drift on later dates."""

import numpy as np
import pandas as pd

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import LevelBins, NumberBins, Profile
from risk_assets.domain.scorecard.arrays import Floats

BINS = 10


def profile(features: pd.DataFrame, probability: Floats, contract: Contract) -> Profile:
    """Return the profile of training rows: deciles of each number and of the probability, shares of each level."""
    bins = {
        name: number_bins(features[name].to_numpy(dtype=np.float64)) if f.type == "number" else _level_bins(features[name])
        for name, f in contract.inputs.items()
    }
    return Profile(rows=len(features), features=bins, score=number_bins(probability))


def number_bins(values: Floats) -> NumberBins:
    """Return up to ten bins with about equal numbers of rows; NaN means missing.

    Repeated values can reduce the number of bins. No bin is empty, because each edge is one of the values and belongs to the
    bin above it.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return NumberBins(edges=(), shares=(0.0,), missing=1.0)
    inner = np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="higher")
    edges = np.unique(inner[inner > known.min()])
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return NumberBins(
        edges=tuple(edges.tolist()),
        shares=tuple((counts / len(values)).tolist()),
        missing=1 - len(known) / len(values),
    )


def _level_bins(values: pd.Series) -> LevelBins:
    counts = values.value_counts()
    shares = {str(level): int(count) / len(values) for level, count in sorted(counts.items())}
    return LevelBins(shares=shares, missing=float(values.isna().mean()))
