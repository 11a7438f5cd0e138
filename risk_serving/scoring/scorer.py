"""Scores records by the models that are live: each by the one that answers for its account."""

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np

from risk_assets.domain.contract.field_rules import id_tokens
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import CHALLENGER, CHAMPION, Arms
from risk_assets.domain.scorecard import single_row
from risk_assets.domain.scorecard.arrays import Floats, contributions, probability
from risk_assets.domain.scorecard.scorecard import Levels, VersionedScorecard
from risk_assets.domain.scorecard.scoring import score
from risk_serving.scoring.fields import BLANKS
from risk_serving.scoring.records import Columns, Records, Row, Rows, Texts, Value
from risk_serving.scoring.wire import Result


class Scored(msgspec.Struct, frozen=True):
    """The results in the records' order, and the probabilities of a challenger in shadow, where there is one."""

    results: list[Result]
    shadow: Sequence[float] | None = None


class Scorer:
    """Scores records of a contract: features in its order."""

    def __init__(self, arms: Arms, policy: Policy, contract: Contract) -> None:
        self._arms = arms
        self._nobody = frozenset(id_tokens(contract))
        names = tuple(contract.inputs)
        self._champion = _Model(arms.champion, CHAMPION, policy, names)
        self._challenger = _Model(arms.challenger, CHALLENGER, policy, names) if arms.challenger else None

    def score(self, records: Records) -> Scored:
        """Return the results of records, in order."""
        if self._challenger is None:
            return Scored(self._champion.results(records))
        if self._arms.shadow:
            return Scored(self._champion.results(records), self._challenger.probabilities(records))
        challenged = np.array(self._arms.challenged(map(self._account, records.ids)), dtype=np.bool_)
        if not challenged.any():
            return Scored(self._champion.results(records))
        theirs, ours = np.flatnonzero(challenged).tolist(), np.flatnonzero(~challenged).tolist()
        results: list[Any] = [None] * len(records.ids)
        for model, positions in ((self._champion, ours), (self._challenger, theirs)):
            for position, result in zip(positions, model.results(records.take(positions)), strict=True):
                results[position] = result
        return Scored(results)

    def _account(self, told: str | None) -> str | None:
        """Return the account that an id names; in a snapshot a blank, or a text that means "not known", names none."""
        return None if told is None or told.strip(BLANKS) in self._nobody else told


class _Model:
    """A version, made ready for records whose features come in the contract's order."""

    def __init__(self, model: VersionedScorecard, arm: str, policy: Policy, names: Sequence[str]) -> None:
        card = model.scorecard
        self._card, self._policy, self._version, self._arm = card, policy, model.version, arm
        self._single = single_row.scorer(card, policy)
        self._positions = [names.index(term.feature) for term in card.terms]
        self._levels = [_level_positions(term.shape) if isinstance(term.shape, Levels) else {} for term in card.terms]
        self._bands = list(policy.bands)
        self._reasons = [term.reason for term in card.terms]

    def results(self, records: Records) -> list[Result]:
        if isinstance(records, Rows):
            return [self._one(account, row) for account, row in zip(records.ids, records.rows, strict=True)]
        scores = score(self._card, self._policy, self._inputs(records))
        reasons: list[tuple[str, ...]] = [()] * len(records.ids)
        flagged = np.flatnonzero(scores.prediction)
        for place, positions in zip(flagged.tolist(), scores.reasons[flagged].tolist(), strict=True):
            reasons[place] = tuple(self._reasons[position] for position in positions if position >= 0)
        predictions, probabilities, points = scores.prediction.astype(int).tolist(), scores.probability.tolist(), scores.points.tolist()
        bands = map(self._bands.__getitem__, scores.band.tolist())
        return list(map(Result, records.ids, predictions, probabilities, points, bands, reasons, repeat(self._arm), repeat(self._version)))

    def probabilities(self, records: Records) -> list[float]:
        """Return the probability of each record."""
        if isinstance(records, Rows):
            return [self._single(self._values(row))[0] for row in records.rows]
        probabilities: list[float] = probability(self._card, contributions(self._card, self._inputs(records))).tolist()
        return probabilities

    def _one(self, account: str | None, row: Row) -> Result:
        probability, bad, points, band, reasons = self._single(self._values(row))
        texts = self._reasons
        told = tuple(texts[position] for position in reasons)
        return Result(account, int(bad), probability, points, self._bands[band], told, self._arm, self._version)

    def _values(self, row: Row) -> list[Value]:
        return [row[position] for position in self._positions]

    def _inputs(self, records: Columns) -> Floats:
        """Return the model's input, shape (records, features): numbers as they are, levels as positions, NaN for missing."""
        x = np.empty((len(records.ids), len(self._positions)), order="F")
        for place, (position, levels) in enumerate(zip(self._positions, self._levels, strict=True)):
            column = records.columns[position]
            x[:, place] = _encoded(column, levels) if isinstance(column, Texts) else column
        return x


def _encoded(column: Texts, levels: Mapping[str | None, float]) -> Floats:
    unseen = len(levels) - 1  # besides the levels themselves, it holds what is not known
    encoded: Floats = np.array([levels.get(level, unseen) for level in column.levels])[column.places]
    return encoded


def _level_positions(shape: Levels) -> dict[str | None, float]:
    """Return each level's position and NaN for missing; what is not in it is unseen, whose position is the count of levels."""
    return {**{level: float(position) for position, level in enumerate(shape.levels)}, None: float("nan")}
