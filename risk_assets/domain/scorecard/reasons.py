"""The text of a reason: which of a term's texts is true for an account.

A scorecard and a policy give a table of texts, `reason_texts`, in which each position of each term has an entry. `text_positions`
finds the entries for many accounts, `text_of` the text for one.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.scorecard.arrays import Floats, Integers, step_positions
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term

TextOf: TypeAlias = Callable[[float | str | None, float], str]

KNOWN, MISSING, NEUTRAL = range(3)  # the positions of a line


def reference(term: Term, policy: Policy) -> float:
    """Return the log-odds that a term's contribution is compared with when reasons are ranked."""
    return term.best if policy.reasons_against == "best" else term.mean


def reason_texts(card: Scorecard) -> tuple[str, ...]:
    """Return the texts of all positions of all terms, in the card's order."""
    return tuple(text for term in card.terms for text in _texts(term))


def text_positions(card: Scorecard, x: Floats, parts: Floats, reasons: Integers) -> Integers:
    """Return for each reason the position of its text in `reason_texts`, -1 for none.

    Parameters
    ----------
    x : array of float, shape (n, features)
        The inputs of the accounts.
    parts : array of float, shape (features, n)
        Their contributions.
    reasons : array of int, shape (n, most)
        Positions of terms, -1 for none.
    """
    found = np.empty(parts.shape, dtype=np.int64)
    start = 0
    for at, term in enumerate(card.terms):
        found[at] = start + _positions(term, x[:, at], parts[at])
        start += _size(term)
    return np.where(reasons >= 0, found[reasons, np.arange(len(reasons))[:, np.newaxis]], -1)


def text_of(term: Term) -> TextOf:
    """Return the function from one account's value and its contribution to the text of the term as a reason."""
    texts, shape = _texts(term), term.shape
    if isinstance(shape, Line):
        typical = _typical(term)
        return lambda value, part: texts[MISSING if value is None else KNOWN if part > typical else NEUTRAL]
    *known, missing = texts
    if isinstance(shape, Levels):
        *levels, unseen = known
        by_level: dict[float | str | None, str] = {level: levels[position] for level, position in shape.positions.items()}
        return lambda value, _: missing if value is None else by_level.get(value, unseen)
    edges: tuple[float | str, ...] = shape.edges
    return lambda value, _: missing if value is None else known[bisect_left(edges, value)]


def _texts(term: Term) -> tuple[str, ...]:
    """Return the text of each position of a term; a line has a third one, for known values that are not worse than a typical one."""
    if not term.texts:
        return (term.reason,) * _size(term)
    return (*term.texts, term.reason) if isinstance(term.shape, Line) else term.texts


def _typical(term: Term) -> float:
    return -math.inf if term.typical is None else term.typical


def _size(term: Term) -> int:
    match term.shape:
        case Line():
            return 3
        case Levels(levels):
            return len(levels) + 2
        case Steps(_, weights):
            return len(weights) + 1


def _positions(term: Term, x: Floats, part: Floats) -> Integers:
    match term.shape:
        case Line():
            known = np.where(part > _typical(term), KNOWN, NEUTRAL)
            return np.where(np.isnan(x), MISSING, known)
        case Levels(levels):
            return np.where(np.isnan(x), len(levels) + 1, x).astype(np.int64)
        case Steps(edges):
            return step_positions(edges, x)
