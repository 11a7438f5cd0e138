"""A model as a table that people can read: each feature's steps, what they add, and who is in them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from risk_assets.domain.contract.policy import Points
from risk_assets.domain.governance.artifacts import NumberBins, Profile, Step
from risk_assets.domain.scorecard.scorecard import Floats, Levels, Line, Scorecard, Steps, Term, contributions
from risk_assets.domain.scorecard.scoring import feature_points
from risk_assets.domain.training.metrics import Labels

MISSING, OTHER = "(missing)", "(any other)"
DIGITS = range(6, 18)

Places: TypeAlias = npt.NDArray[np.intp]


def steps(card: Scorecard, x: Floats, bad: Labels, profile: Profile) -> tuple[Step, ...]:
    """Return the table of a card over training rows.

    A feature that is a line is shown in the profile's ranges, each with the mean of what it adds; a range without rows is
    left out there. `log_odds` are above or below the feature's mean in training, and are exact for steps and levels.

    Parameters
    ----------
    x : array of float, shape (n, features)
        The model's inputs.
    bad : array of int, shape (n,)
        1 where the account went bad.
    """
    parts = contributions(card, x)
    found: list[Step] = []
    for position, term in enumerate(card.terms):
        found += _of_term(term, x[:, position], parts[position], bad, profile)
    return tuple(found)


def steps_table(found: Sequence[Step], scale: Points, fewest: int = 0) -> str:
    """Return the table in Markdown: feature, step, points, share of accounts, bad rate.

    Steps and levels of fewer training rows than `fewest` are left out: what a few customers have is theirs.
    """
    rows = sum(step.rows for step in found if step.feature == found[0].feature)
    lines = ["| feature | step | points | accounts | bad rate |", "|---|---|---:|---:|---:|"]
    for step in (step for step in found if step.rows >= fewest):
        rate = f"{step.bad / step.rows:.1%}" if step.rows else ""
        name = step.step.replace("|", r"\|")
        lines.append(f"| {step.feature} | {name} | {feature_points(step.log_odds, scale):+z.1f} | {step.rows / rows:.1%} | {rate} |")
    return "\n".join(lines)


def _of_term(term: Term, x: Floats, part: Floats, bad: Labels, profile: Profile) -> list[Step]:
    names, places = _places(term, x, profile)
    rows, bads = np.bincount(places, minlength=len(names)), np.bincount(places, bad, minlength=len(names))
    if isinstance(term.shape, Line):
        sums = np.bincount(places, part, minlength=len(names))
        means = np.divide(sums, rows, out=np.zeros(len(names)), where=rows > 0)
        means[-1] = term.shape.missing
        there = [place for place in range(len(names)) if rows[place] or place == len(names) - 1]
    else:
        means = np.array([*term.shape.weights, *([term.shape.unseen] if isinstance(term.shape, Levels) else []), term.shape.missing])
        there = list(range(len(names)))
    return [Step(term.feature, names[place], float(means[place]) - term.mean, int(rows[place]), int(bads[place])) for place in there]


def _places(term: Term, x: Floats, profile: Profile) -> tuple[list[str], Places]:
    """Return the names of a feature's steps, missing last, and the one that each row is in."""
    shape = term.shape
    if isinstance(shape, Levels):
        names = [f'"{level}"' if level in (MISSING, OTHER) else level for level in shape.levels]
        return [*names, OTHER, MISSING], np.nan_to_num(x, nan=len(shape.levels) + 1).astype(np.intp)
    if isinstance(shape, Steps):
        return _ranges(shape.edges, "up to", "over"), np.searchsorted(np.array([*shape.edges, np.inf]), x)
    bins = profile.features[term.feature]
    assert isinstance(bins, NumberBins)
    places = np.searchsorted(np.array(bins.edges), x, side="right")
    return _ranges(bins.edges, "under", "from"), np.where(np.isnan(x), len(bins.edges) + 1, places)


def _ranges(edges: Sequence[float], below: str, above: str) -> list[str]:
    if not edges:
        return ["any", MISSING]
    shown = next(texts for digits in DIGITS if len(set(texts := [f"{edge:.{digits}g}" for edge in edges])) == len(edges))
    between = (f"{above} {low} {below} {high}" for low, high in pairwise(shown))
    return [f"{below} {shown[0]}", *between, f"{above} {shown[-1]}", MISSING]
