"""Scores records by the models that are live: each by the one that answers for its account."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from risk_assets.domain import single
from risk_assets.domain.arms import CHALLENGER, CHAMPION, Arms
from risk_assets.domain.model import Registered
from risk_assets.domain.policy import Policy
from risk_assets.domain.scorecard import Floats, Levels, contributions, probability
from risk_assets.domain.scoring import score
from risk_serving.wire import Records, Result, Value


@dataclass(frozen=True)
class Scored:
    """The results in the records' order, and the probabilities of a challenger in shadow, where there is one."""

    results: list[Result]
    shadow: Sequence[float] | None


class Scorer:
    """Scores records whose features come in the contract's order, `names`."""

    def __init__(self, arms: Arms, policy: Policy, names: Sequence[str]) -> None:
        self._arms = arms
        self._champion = _Model(arms.champion, CHAMPION, policy, names)
        self._challenger = _Model(arms.challenger, CHALLENGER, policy, names) if arms.challenger else None

    def score(self, records: Records) -> Scored:
        """Return the results of records, in order."""
        if self._challenger is None:
            return Scored(self._champion.results(records), None)
        if self._arms.shadow:
            return Scored(self._champion.results(records), self._challenger.chances(records))
        challenged = self._arms.challenged(records.ids)
        if not challenged.any():
            return Scored(self._champion.results(records), None)
        theirs, ours = np.flatnonzero(challenged).tolist(), np.flatnonzero(~challenged).tolist()
        results: list[Result | None] = [None] * len(records.ids)
        for model, positions in ((self._champion, ours), (self._challenger, theirs)):
            for position, result in zip(positions, model.results(records.take(positions)), strict=True):
                results[position] = result
        return Scored([result for result in results if result is not None], None)


class _Model:
    """A version, made ready for records whose features come in the contract's order."""

    def __init__(self, model: Registered, arm: str, policy: Policy, names: Sequence[str]) -> None:
        card = model.scorecard
        self._card, self._policy, self._version, self._arm = card, policy, model.version, arm
        self._single = single.scorer(card, policy)
        self._positions = [names.index(term.feature) for term in card.terms]
        self._levels = [_level_positions(term.shape) if isinstance(term.shape, Levels) else None for term in card.terms]
        self._bands = list(policy.bands)
        self._reasons = [term.reason for term in card.terms]

    def results(self, records: Records) -> list[Result]:
        if not records.many:
            return [self._one(account, row) for account, row in zip(records.ids, records.rows, strict=True)]
        scores = score(self._card, self._policy, self._inputs(records))
        bands, texts = self._bands, self._reasons
        told: list[tuple[str, ...]] = [()] * len(records.ids)
        for place in np.flatnonzero(scores.prediction).tolist():
            told[place] = tuple(texts[position] for position in scores.reasons[place].tolist() if position >= 0)
        arm, version = self._arm, self._version
        columns = (scores.prediction.astype(int), scores.probability, scores.points, scores.band)
        return [
            Result(account, bad, chance, points, bands[band], reasons, arm, version)
            for account, reasons, bad, chance, points, band in zip(records.ids, told, *(column.tolist() for column in columns), strict=True)
        ]

    def chances(self, records: Records) -> list[float]:
        """Return the probability of each record."""
        if not records.many:
            return [self._single(self._values(row))[0] for row in records.rows]
        chances: list[float] = probability(self._card, contributions(self._card, self._inputs(records))).tolist()
        return chances

    def _one(self, account: str | None, row: Sequence[Value]) -> Result:
        chance, bad, points, band, reasons = self._single(self._values(row))
        texts = self._reasons
        told = tuple(texts[position] for position in reasons)
        return Result(account, int(bad), chance, points, self._bands[band], told, self._arm, self._version)

    def _values(self, row: Sequence[Value]) -> list[Value]:
        return [row[position] for position in self._positions]

    def _inputs(self, records: Records) -> Floats:
        """Return the model's input, shape (records, features): numbers as they are, levels as positions, NaN for missing."""
        x = np.empty((len(records.ids), len(self._positions)), order="F")
        for place, (position, levels) in enumerate(zip(self._positions, self._levels, strict=True)):
            column = records.columns[position]
            x[:, place] = column if levels is None else [levels.get(value, len(levels) - 1) for value in column]
        return x


def _level_positions(shape: Levels) -> dict[Value, float]:
    """Return each level's position and NaN for missing; what is not in it is unseen, whose position is the count of levels."""
    return {**{level: float(position) for position, level in enumerate(shape.levels)}, None: float("nan")}
