"""What the training data looked like: frozen reference bins, against which later dates are held."""

import numpy as np
import pandas as pd

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import LevelBins, NumberBins, Profile
from risk_assets.domain.scorecard.scorecard import Floats

BINS = 10


def profile(features: pd.DataFrame, probability: Floats, contract: Contract) -> Profile:
    """Return the reference of training rows: deciles of numbers and of the probability, shares of levels."""
    bins = {
        name: number_bins(features[name].to_numpy(dtype=np.float64)) if f.type == "number" else _levels(features[name])
        for name, f in contract.features.items()
    }
    return Profile(rows=len(features), features=bins, score=number_bins(probability))


def number_bins(values: Floats) -> NumberBins:
    """Return bins of about equal rows, none empty; fewer than ten where values repeat.

    Each edge is one of the values, so the bin that starts at it holds at least that one.
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


def _levels(values: pd.Series) -> LevelBins:
    counts = values.value_counts()
    shares = {str(level): int(count) / len(values) for level, count in sorted(counts.items())}
    return LevelBins(shares=shares, missing=float(values.isna().mean()))
