"""Figures of a model by group of each sensitive feature, on rows that did not train it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from risk_assets.domain.contract.schema import Contract, Feature
from risk_assets.domain.governance.fairness import MIN_CELL_SIZE, Fairness, GroupFigures
from risk_assets.domain.scorecard.arrays import Floats, Integers
from risk_assets.domain.scorecard.points_table import MISSING_LABEL, level_names, range_names
from risk_assets.domain.training.intervals import Codes, Interval, auc, auc_interval, ratio_interval, share_interval

QUARTILES = (0.25, 0.5, 0.75)
EDGE_DIGITS = 3  # edges are rounded: an exact quartile is one customer's value

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Outcomes:
    """Rows with their outcomes, shape (n,): 1 if bad, the probability, whether predicted bad, and the account or customer as a number."""

    bad: Integers
    probability: Floats
    flagged: Mask
    accounts: Codes

    def where(self, rows: Mask) -> "Outcomes":
        """Return some of the rows."""
        return Outcomes(self.bad[rows], self.probability[rows], self.flagged[rows], self.accounts[rows])

    @property
    def size(self) -> int:
        """The number of accounts or customers."""
        return len(np.unique(self.accounts))


def fairness(frame: pd.DataFrame, training: pd.DataFrame, outcomes: Outcomes, contract: Contract) -> tuple[Fairness, ...]:
    """Return the figures by group of each sensitive feature.

    Parameters
    ----------
    frame : DataFrame, shape (n, any)
        The sensitive features of the rows of `outcomes`.
    training : DataFrame
        Those of the training rows, whose quartiles are the groups of numbers.
    """
    return tuple(
        _by_group(name, list(_groups(frame[name], training[name], feature)), outcomes) for name, feature in contract.sensitive.items()
    )


def _by_group(name: str, groups: Sequence[tuple[str, Mask]], outcomes: Outcomes) -> Fairness:
    parts = {group: outcomes.where(rows) for group, rows in groups if rows.any()}
    shown = {group: part for group, part in parts.items() if part.size >= MIN_CELL_SIZE}
    largest = max((group for group in shown if group != MISSING_LABEL), key=lambda group: shown[group].size, default=None)
    figures = (
        msgspec.structs.replace(_figures(group, part), **(_impact(part, shown[largest]) if largest not in (None, group) else {}))
        for group, part in shown.items()
    )
    return Fairness(name, tuple(figures), len(parts) - len(shown))


def _figures(group: str, part: Outcomes) -> GroupFigures:
    accounts, flagged, bad, predicted = part.size, float(part.flagged.mean()), float(part.bad.mean()), float(part.probability.mean())
    bad_interval = share_interval(bad, accounts)
    area = auc(part.bad, part.probability, part.accounts) if 0 < bad < 1 else None
    return GroupFigures(
        group=group,
        rows=len(part.bad),
        accounts=accounts,
        flagged=flagged,
        flagged_interval=share_interval(flagged, accounts),
        bad=bad,
        bad_interval=bad_interval,
        predicted=predicted,
        calibration=predicted / bad if bad else None,
        calibration_interval=(predicted / bad_interval[1], predicted / bad_interval[0]) if bad else None,
        roc_auc=area.value if area else None,
        roc_auc_interval=auc_interval(area) if area else None,
        impact_ratio=None,
        impact_ratio_interval=None,
    )


def _impact(part: Outcomes, largest: Outcomes) -> dict[str, float | Interval]:
    """Return the adverse impact ratio of a group; nothing if a share is 0.

    Source: Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4(D), which compares rates of favourable decisions.
    """
    ours, theirs = 1 - float(part.flagged.mean()), 1 - float(largest.flagged.mean())
    if not ours or not theirs:
        return {}
    return {"impact_ratio": ours / theirs, "impact_ratio_interval": ratio_interval(ours, part.size, theirs, largest.size)}


def _groups(values: pd.Series, training: pd.Series, feature: Feature) -> Iterator[tuple[str, Mask]]:
    """Return the name and the rows of each group, missing last."""
    missing = values.isna().to_numpy()
    if feature.type == "category":
        levels = sorted(map(str, values.dropna().unique()))
        yield from ((name, (values == level).to_numpy()) for name, level in zip(level_names(levels), levels, strict=True))
    else:
        yield from _ranges(values.to_numpy(dtype=np.float64), training.to_numpy(dtype=np.float64))
    yield MISSING_LABEL, missing


def _ranges(values: Floats, training: Floats) -> Iterator[tuple[str, Mask]]:
    known = training[~np.isnan(training)]
    quartiles = np.quantile(known, QUARTILES).tolist() if len(known) else []
    edges = sorted({float(f"{edge:.{EDGE_DIGITS}g}") for edge in quartiles})
    bounds = pairwise((-math.inf, *edges, math.inf))
    names = range_names(edges, "under", "from")[:-1]
    for name, (low, high) in zip(names, bounds, strict=True):
        yield name, (values >= low) & ((values < high) | (high == math.inf))
