"""A model as a table: the steps of each feature, their points, and the training accounts in each."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from risk_assets.domain.contract.policy import Points
from risk_assets.domain.markdown import markdown_table
from risk_assets.domain.scorecard.arrays import Floats, Integers, contributions, step_positions
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Step, Steps, Term
from risk_assets.domain.scorecard.scoring import feature_points

MISSING_LABEL, OTHER_LABEL = "(missing)", "(any other)"
SHOWN_DIGITS = range(6, 18)

Positions: TypeAlias = npt.NDArray[np.intp]


def steps(card: Scorecard, x: Floats, bad: Integers, ranges: Mapping[str, Sequence[float]]) -> tuple[Step, ...]:
    """Return the table of a card over training rows.

    `log_odds` are relative to the feature's mean in training, exact for steps and levels. A line is shown by range: the mean
    contribution of the rows in each, and no row for a range without rows.

    Parameters
    ----------
    x : array of float, shape (n, features)
        The model's inputs.
    bad : array of int, shape (n,)
        1 if the account went bad.
    ranges : mapping of str to sequence of float
        The inner edges of the ranges of each feature that is a line; an edge belongs to the range above it.
    """
    parts = contributions(card, x)
    found: list[Step] = []
    for position, term in enumerate(card.terms):
        found += _steps_of(term, x[:, position], parts[position], bad, ranges.get(term.feature, ()))
    return tuple(found)


def steps_table(found: Sequence[Step], scale: Points, min_rows: int = 0) -> str:
    """Return the table in Markdown: feature, step, points, share of accounts, bad rate.

    Steps with fewer than `min_rows` training rows are left out, so that no single customer can be recognised.
    """
    total = sum(step.rows for step in found if step.feature == found[0].feature)
    rows = (
        (
            step.feature,
            step.step,
            f"{feature_points(step.log_odds, scale):+z.1f}",
            f"{step.rows / total:.1%}",
            f"{step.bad / step.rows:.1%}" if step.rows else "",
        )
        for step in found
        if step.rows >= min_rows
    )
    return markdown_table(("feature", "step", "points", "accounts", "bad rate"), rows, numbers=3)


def _steps_of(term: Term, x: Floats, part: Floats, bad: Integers, ranges: Sequence[float]) -> list[Step]:
    names, positions = _positions(term, x, ranges)
    rows, bads = np.bincount(positions, minlength=len(names)), np.bincount(positions, bad, minlength=len(names))
    if isinstance(term.shape, Line):
        sums = np.bincount(positions, part, minlength=len(names))
        values = np.divide(sums, rows, out=np.zeros(len(names)), where=rows > 0)
        values[-1] = term.shape.missing
        shown = [position for position in range(len(names)) if rows[position] or position == len(names) - 1]
    else:
        values = np.array(term.shape.table)
        shown = list(range(len(names)))
    return [Step(term.feature, names[at], float(values[at]) - term.mean, int(rows[at]), int(bads[at])) for at in shown]


def _positions(term: Term, x: Floats, ranges: Sequence[float]) -> tuple[list[str], Positions]:
    """Return the names of a feature's steps, missing last, and the position of the step of each row."""
    shape = term.shape
    if isinstance(shape, Levels):
        return [*level_names(shape.levels), OTHER_LABEL, MISSING_LABEL], np.nan_to_num(x, nan=len(shape.levels) + 1).astype(np.intp)
    if isinstance(shape, Steps):
        return range_names(shape.edges, "up to", "over"), step_positions(shape.edges, x)
    positions = np.searchsorted(np.array(ranges), x, side="right")
    return range_names(ranges, "under", "from"), np.where(np.isnan(x), len(ranges) + 1, positions)


def level_names(levels: Sequence[str]) -> list[str]:
    """Return a name for each level, which differs from the names of other levels and missing values."""
    return [f'"{level}"' if level in (MISSING_LABEL, OTHER_LABEL) else level for level in levels]


def range_names(edges: Sequence[float], below: str, above: str) -> list[str]:
    """Return a name for each range and one for missing values, with as few digits as keep the edges distinct."""
    if not edges:
        return ["any", MISSING_LABEL]
    texts = ([f"{edge:.{digits}g}" for edge in edges] for digits in SHOWN_DIGITS)
    shown = next(found for found in texts if len(set(found)) == len(edges))
    between = (f"{above} {low} {below} {high}" for low, high in pairwise(shown))
    return [f"{below} {shown[0]}", *between, f"{above} {shown[-1]}", MISSING_LABEL]
