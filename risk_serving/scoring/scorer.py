"""Scores records: each by the model that answers for its account."""

from collections.abc import Mapping, Sequence
from itertools import repeat

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
from risk_serving.scoring.records import Categories, Columns, Records, Row, Rows, Value
from risk_serving.scoring.wire import Result


class Scored(msgspec.Struct, frozen=True):
    """The results in the records' order, and the probabilities of a challenger in shadow, if there is one."""

    results: list[Result]
    shadow: Sequence[float] | None = None


class Scorer:
    """Scores records whose features are in the contract's order."""

    def __init__(self, arms: Arms, policy: Policy, contract: Contract) -> None:
        self._arms = arms
        self._missing_ids = frozenset(id_tokens(contract))
        features = tuple(contract.inputs)
        self._champion = _Model(arms.champion, CHAMPION, policy, features)
        self._challenger = _Model(arms.challenger, CHALLENGER, policy, features) if arms.challenger else None

    def score(self, records: Records) -> Scored:
        """Return the results of records, in their order."""
        if self._challenger is None:
            return Scored(self._champion.results(records))
        if self._arms.shadow:
            return Scored(self._champion.results(records), self._challenger.probabilities(records))
        challenged = np.array(self._arms.challenged(map(self._account, records.ids)), dtype=np.bool_)
        if not challenged.any():
            return Scored(self._champion.results(records))
        champion = iter(self._champion.results(records.take(np.flatnonzero(~challenged).tolist())))
        challenger = iter(self._challenger.results(records.take(np.flatnonzero(challenged).tolist())))
        return Scored([next(challenger if by_challenger else champion) for by_challenger in challenged.tolist()])

    def _account(self, sent: str | None) -> str | None:
        """Return the account for an id, or None if a snapshot would read the id as missing."""
        return None if sent is None or sent.strip(BLANKS) in self._missing_ids else sent


class _Model:
    """A version, prepared for records whose features are in the contract's order."""

    def __init__(self, model: VersionedScorecard, arm: str, policy: Policy, features: Sequence[str]) -> None:
        card = model.scorecard
        self._card, self._policy, self._version, self._arm = card, policy, model.version, arm
        self._score_row = single_row.scorer(card, policy)
        self._positions = [features.index(term.feature) for term in card.terms]
        self._levels = [_level_positions(term.shape) if isinstance(term.shape, Levels) else {} for term in card.terms]
        self._bands = list(policy.bands)
        self._reasons = [term.reason for term in card.terms]

    def results(self, records: Records) -> list[Result]:
        if isinstance(records, Rows):
            return [self._row_result(account, row) for account, row in zip(records.ids, records.rows, strict=True)]
        scores = score(self._card, self._policy, self._matrix(records))
        reasons: list[tuple[str, ...]] = [()] * len(records.ids)
        flagged = np.flatnonzero(scores.prediction)
        for index, positions in zip(flagged.tolist(), scores.reasons[flagged].tolist(), strict=True):
            reasons[index] = tuple(self._reasons[position] for position in positions if position >= 0)
        predictions, probabilities, points = scores.prediction.astype(int).tolist(), scores.probability.tolist(), scores.points.tolist()
        bands = map(self._bands.__getitem__, scores.band.tolist())
        return list(map(Result, records.ids, predictions, probabilities, points, bands, reasons, repeat(self._arm), repeat(self._version)))

    def probabilities(self, records: Records) -> list[float]:
        if isinstance(records, Rows):
            return [self._score_row(self._term_values(row))[0] for row in records.rows]
        probabilities: list[float] = probability(self._card, contributions(self._card, self._matrix(records))).tolist()
        return probabilities

    def _row_result(self, account: str | None, row: Row) -> Result:
        probability, bad, points, band, positions = self._score_row(self._term_values(row))
        texts = self._reasons
        reasons = tuple(texts[position] for position in positions)
        return Result(account, int(bad), probability, points, self._bands[band], reasons, self._arm, self._version)

    def _term_values(self, row: Row) -> list[Value]:
        return [row[position] for position in self._positions]

    def _matrix(self, records: Columns) -> Floats:
        """Return the model's input, shape (records, terms): numbers unchanged, levels as their positions, NaN if missing."""
        x = np.empty((len(records.ids), len(self._positions)), order="F")
        for term, (position, levels) in enumerate(zip(self._positions, self._levels, strict=True)):
            column = records.columns[position]
            x[:, term] = _encode(column, levels) if isinstance(column, Categories) else column
        return x


def _encode(column: Categories, level_positions: Mapping[str | None, float]) -> Floats:
    unseen = len(level_positions) - 1  # the mapping has one entry more than there are levels: the missing value
    encoded: Floats = np.array([level_positions.get(level, unseen) for level in column.levels])[column.positions]
    return encoded


def _level_positions(shape: Levels) -> dict[str | None, float]:
    """Return each level's position, and NaN for a missing value. An unseen level's position is the number of levels."""
    return {**{level: float(position) for position, level in enumerate(shape.levels)}, None: float("nan")}
