"""Scores many accounts at a time: bit-identical to `scoring.score`, with the tables of a card and a policy prepared once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.scorecard.arrays import Floats, Integers, log_odds, probability, step_positions
from risk_assets.domain.scorecard.reasons import KNOWN, MISSING, NEUTRAL, reason_texts, reference
from risk_assets.domain.scorecard.scorecard import MAX_LOG_ODDS, Levels, Line, Scorecard, Steps
from risk_assets.domain.scorecard.scoring import Decisions, decide

Level: TypeAlias = str | None


@dataclass(frozen=True)
class Codes:
    """A column of categories: the distinct levels, None for missing, and each account's position in them, shape (n,)."""

    levels: Sequence[Level]
    positions: Integers


@dataclass(frozen=True)
class ManyScores(Decisions):
    """The decisions for n accounts, and the reasons of those that are predicted bad.

    `flagged`, shape (m,), are the positions of those accounts. `texts`, shape (m, most), are the positions of their reasons in
    `reason_texts`, highest first; `counts`, shape (m,), is how many of them there are.
    """

    flagged: Integers
    texts: Integers
    counts: Integers


@dataclass(frozen=True)
class Parts:
    """The contributions of n accounts, shape (terms, n), and their positions in the tables of the terms that have one."""

    log_odds: Floats
    positions: Mapping[int, Integers]
    missing: Floats


class ManyRows:
    """Scores accounts whose features are columns.

    Parameters
    ----------
    card, policy
        The model and its policy.
    numbers
        The names of the numbers, in the order of the rows of the array that is scored.
    """

    def __init__(self, card: Scorecard, policy: Policy, numbers: Sequence[str]) -> None:
        self._card, self._policy = card, policy
        self.texts = reason_texts(card)
        self.categories = tuple(term.feature for term in card.terms if isinstance(term.shape, Levels))
        self._add_lines([(at, term.shape) for at, term in enumerate(card.terms) if isinstance(term.shape, Line)], numbers)
        self._steps = [
            (at, numbers.index(term.feature), term.shape.edges, np.array(term.shape.table))
            for at, term in enumerate(card.terms)
            if isinstance(term.shape, Steps)
        ]
        self._levels = [
            (at, _codes(term.shape), np.array(term.shape.table)) for at, term in enumerate(card.terms) if isinstance(term.shape, Levels)
        ]
        self._references = np.array([reference(term, policy) for term in card.terms])
        sizes = [3 if isinstance(term.shape, Line) else len(term.shape.table) for term in card.terms]
        self._starts = np.cumsum([0, *sizes[:-1]])
        self._most = min(policy.reasons, len(card.terms))

    def _add_lines(self, lines: Sequence[tuple[int, Line]], numbers: Sequence[str]) -> None:
        terms = [self._card.terms[at] for at, _ in lines]
        self._line_terms = np.array([at for at, _ in lines], dtype=np.intp)
        rows = [numbers.index(term.feature) for term in terms]
        self._line_rows: slice | Integers = slice(rows[0], rows[-1] + 1) if rows and _is_range(rows) else np.array(rows, dtype=np.int64)
        self._slope, self._center, self._missing = (
            np.array([getattr(line, name) for _, line in lines]).reshape(-1, 1) for name in ("slope", "center", "missing")
        )
        self._typical = np.array([-math.inf if term.typical is None else term.typical for term in terms]).reshape(-1, 1)

    def score(self, numbers: Floats, categories: Sequence[Codes]) -> ManyScores:
        """Return the scores of accounts: numbers of shape (numbers, n), NaN for missing, and a column for each of `categories`."""
        parts = self._parts(numbers, categories)
        decisions = decide(log_odds(self._card, parts.log_odds), self._policy)
        flagged = np.flatnonzero(decisions.prediction)
        terms, counts = self._reasons(parts.log_odds, flagged)
        texts = terms
        if len(flagged):
            texts = self._starts[terms] + self._text_positions(parts, flagged)[terms, np.arange(len(flagged))[:, np.newaxis]]
        return ManyScores(decisions.probability, decisions.prediction, decisions.points, decisions.band, flagged, texts, counts)

    def probabilities(self, numbers: Floats, categories: Sequence[Codes]) -> Floats:
        """Return the probabilities of default, shape (n,)."""
        return probability(self._card, self.contributions(numbers, categories))

    def contributions(self, numbers: Floats, categories: Sequence[Codes]) -> Floats:
        """Return each term's log-odds, shape (terms, n)."""
        return self._parts(numbers, categories).log_odds

    def _parts(self, numbers: Floats, categories: Sequence[Codes]) -> Parts:
        parts = np.empty((len(self._card.terms), numbers.shape[1]))
        missing = self._fill_lines(numbers, parts)
        positions: dict[int, Integers] = {}
        for at, row, edges, table in self._steps:
            positions[at] = step_positions(edges, numbers[row])
            parts[at] = table[positions[at]]
        for (at, codes, table), column in zip(self._levels, categories, strict=True):
            unseen = len(table) - 2
            positions[at] = np.array([codes.get(level, unseen) for level in column.levels], dtype=np.int64)[column.positions]
            parts[at] = table[positions[at]]
        return Parts(parts, positions, missing)

    def _fill_lines(self, numbers: Floats, parts: Floats) -> Floats:
        """Write the contributions of all lines, and return which of their values are missing, shape (lines, n)."""
        x = numbers[self._line_rows]
        missing: Floats = np.isnan(x)
        if len(x):
            with np.errstate(over="ignore"):
                line = self._slope * (x - self._center)
            np.copyto(line, self._missing, where=missing)
            parts[self._line_terms] = np.clip(line, -MAX_LOG_ODDS, MAX_LOG_ODDS, out=line)
        return missing

    def _reasons(self, parts: Floats, flagged: Integers) -> tuple[Integers, Integers]:
        """Return the terms that raise a risk most above their reference, highest first, and how many of them do.

        Ties go to the term that comes first in the contract.
        """
        excess = np.subtract(parts[:, flagged].T, self._references, order="C")
        rows = np.arange(len(flagged))
        terms = np.empty((len(flagged), self._most), dtype=np.int64)
        counts = np.zeros(len(flagged), dtype=np.int64)
        for rank in range(self._most):
            highest = terms[:, rank] = excess.argmax(axis=1)
            counts += excess[rows, highest] > 0
            excess[rows, highest] = -np.inf
        return terms, counts

    def _text_positions(self, parts: Parts, flagged: Integers) -> Integers:
        """Return the position of each flagged account in each term's texts, shape (terms, m)."""
        found = np.empty((len(self._card.terms), len(flagged)), dtype=np.int64)
        if len(self._line_terms):
            known = np.where(parts.log_odds[self._line_terms][:, flagged] > self._typical, KNOWN, NEUTRAL)
            found[self._line_terms] = np.where(parts.missing[:, flagged], MISSING, known)
        for at, positions in parts.positions.items():
            found[at] = positions[flagged]
        return found


def _codes(shape: Levels) -> dict[Level, int]:
    """Return the position of each level in the shape's table, and of a missing one."""
    codes: dict[Level, int] = {None: len(shape.levels) + 1}
    codes.update(shape.positions)
    return codes


def _is_range(rows: Sequence[int]) -> bool:
    return list(rows) == list(range(rows[0], rows[0] + len(rows)))
