"""The default drift rules that Evidently and NannyML publish, applied to the same rows.

Neither library is imported: their releases do not run beside today's pandas. The rules are those of their documentation: Evidently's
default data drift algorithm, and the default method and threshold of NannyML's univariate drift.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, norm, wasserstein_distance

from risk_assets.domain.scorecard.arrays import Floats

SMALL = 1_000  # training rows up to which Evidently uses tests of significance
SIGNIFICANCE, DISTANCE = 0.05, 0.1
FEW_VALUES = 5  # up to so many, Evidently takes a number for a category
DRIFTED_SHARE = 0.5  # of columns: Evidently's drift of a data set
RULES = ("Evidently, data set", "Evidently, any column", "NannyML, any column")


@dataclass(frozen=True)
class Published:
    """The rules, with the training rows as their reference."""

    reference: pl.DataFrame

    def alerts(self, rows: pl.DataFrame) -> dict[str, bool]:
        """Return whether each rule alerts on a date with the columns of the reference."""
        pairs = [(self.reference[name].drop_nulls(), rows[name].drop_nulls()) for name in self.reference.columns]
        drifted = [_evidently(*pair) for pair in pairs]
        found = (np.mean(drifted) >= DRIFTED_SHARE, any(drifted), any(_nannyml(*pair) for pair in pairs))
        return dict(zip(RULES, map(bool, found), strict=True))


def _evidently(trained: pl.Series, found: pl.Series) -> bool:
    """Return whether a column has drifted by Evidently's default algorithm."""
    values = trained.n_unique()
    is_category = trained.dtype == pl.String or values <= FEW_VALUES
    if len(trained) > SMALL:
        if is_category:
            return float(jensenshannon(*_shares(trained, found))) >= DISTANCE
        scale = max(float(np.std(trained.to_numpy())), 0.001)
        return float(wasserstein_distance(trained.to_numpy(), found.to_numpy())) / scale >= DISTANCE
    if not is_category:
        return float(ks_2samp(trained.to_numpy(), found.to_numpy()).pvalue) < SIGNIFICANCE
    test = _proportions if values <= 2 else _chi_squared
    return test(trained, found) < SIGNIFICANCE


def _nannyml(trained: pl.Series, found: pl.Series) -> bool:
    """Return whether the Jensen-Shannon distance of a column is above NannyML's default threshold."""
    if trained.dtype == pl.String:
        return float(jensenshannon(*_shares(trained, found), base=2)) > DISTANCE
    edges = np.histogram_bin_edges(trained.to_numpy(), bins="doane")
    before, now = (np.histogram(each.to_numpy(), edges)[0] / len(each) for each in (trained, found))
    outside = max(1 - float(now.sum()), 0.0)
    return float(jensenshannon([*before, 0.0], [*now, outside], base=2)) > DISTANCE


def _shares(trained: pl.Series, found: pl.Series) -> tuple[Floats, Floats]:
    counts = _counts(trained, found)
    return counts[0] / counts[0].sum(), counts[1] / counts[1].sum()


def _counts(trained: pl.Series, found: pl.Series) -> Floats:
    """Return the rows with each value, shape (2, values)."""
    before, now = (_number_of_rows(each) for each in (trained, found))
    values = sorted({*before, *now})
    return np.array([[each.get(value, 0) for value in values] for each in (before, now)], dtype=np.float64)


def _number_of_rows(column: pl.Series) -> Mapping[object, int]:
    return dict(column.value_counts().iter_rows())


def _chi_squared(trained: pl.Series, found: pl.Series) -> float:
    return float(chi2_contingency(_counts(trained, found)).pvalue)


def _proportions(trained: pl.Series, found: pl.Series) -> float:
    counts = _counts(trained, found)
    sizes, shares = counts.sum(axis=1), counts[:, 0] / counts.sum(axis=1)
    pooled = counts[:, 0].sum() / sizes.sum()
    error = np.sqrt(pooled * (1 - pooled) * (1 / sizes).sum())
    return float(2 * norm.sf(abs(shares[0] - shares[1]) / error)) if error else 1.0
