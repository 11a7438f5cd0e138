"""Scores records: each by the model that answers for its account."""

import math
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np

from risk_assets.domain.contract.field_rules import account_group
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import CHALLENGER, CHAMPION, Arms
from risk_assets.domain.scorecard import single_row
from risk_assets.domain.scorecard.arrays import Floats, contributions, probability
from risk_assets.domain.scorecard.reasons import reason_texts
from risk_assets.domain.scorecard.scorecard import Levels, Shape, VersionedScorecard
from risk_assets.domain.scorecard.scoring import base_points, feature_points, score
from risk_serving.scoring.answers import Explanation, FeatureExplanation, NotEligible, RecordResult, Result, WithIssues
from risk_serving.scoring.records import Columns, Ineligible, Records, Row, Rows, Unscored, Value


class Scored(msgspec.Struct, frozen=True):
    """The results in the records' order, and the probabilities of a challenger in shadow, if there is one; None if not scored."""

    results: list[RecordResult]
    shadow: Sequence[float | None] | None = None


class Scorer:
    """Scores records whose features are in the contract's order."""

    def __init__(self, arms: Arms, policy: Policy, contract: Contract) -> None:
        self._arms = arms
        self._has_customers = contract.group is not None
        features = tuple(contract.request_features)
        self._champion = _Model(arms.champion, CHAMPION, policy, features)
        self._challenger = _Model(arms.challenger, CHALLENGER, policy, features) if arms.challenger else None

    def score(self, records: Records) -> Scored:
        """Return the results of all records, in their order."""
        scored = self._scored(records)
        return self._with_unscored(scored, records.unscored) if records.unscored else scored

    def _scored(self, records: Records) -> Scored:
        """Return the results of the records to score."""
        if self._challenger is None:
            return Scored(self._champion.results(records))
        if self._arms.shadow:
            return Scored(self._champion.results(records), self._challenger.probabilities(records))
        groups = map(_group, records.ids, records.groups) if self._has_customers else records.ids
        challenged = np.array(self._arms.challenged(groups), dtype=np.bool_)
        if not challenged.any():
            return Scored(self._champion.results(records))
        champion = iter(self._champion.results(records.take(np.flatnonzero(~challenged).tolist())))
        challenger = iter(self._challenger.results(records.take(np.flatnonzero(challenged).tolist())))
        return Scored([next(challenger if by_challenger else champion) for by_challenger in challenged.tolist()])

    def _with_unscored(self, scored: Scored, unscored: Sequence[Unscored]) -> Scored:
        """Return the results with those of the records that are not scored, at their positions."""
        results, shadow = list(scored.results), None if scored.shadow is None else list(scored.shadow)
        groups = [_group(record.id, record.group) if self._has_customers else record.id for record in unscored]
        challenged = self._arms.challenged(groups)
        for record, by_challenger in zip(unscored, challenged, strict=True):
            model = self._challenger if self._challenger and by_challenger else self._champion
            results.insert(record.position, model.unscored(record))
            if shadow is not None:
                shadow.insert(record.position, None)
        return Scored(results, shadow)


def _group(account: str | None, customer: str | None) -> str | None:
    """Return the customer, or else the account's own group; None if both are missing."""
    return account_group(account) if customer is None and account is not None else customer


class _Model:
    """A version, prepared for records whose features are in the contract's order."""

    def __init__(self, model: VersionedScorecard, arm: str, policy: Policy, features: Sequence[str]) -> None:
        card = model.scorecard
        self._card, self._policy, self.version, self.arm = card, policy, model.version, arm
        self._score_row = single_row.scorer(card, policy)
        self._positions = [features.index(term.feature) for term in card.terms]
        self._encoders = [_encoder(term.shape) for term in card.terms]
        self._bands = list(policy.bands)
        self._texts = reason_texts(card)
        self._contributions = single_row.contributions(card)
        self._base_points = base_points(card, policy.points)

    def results(self, records: Records) -> list[RecordResult]:
        results = self._results(records)
        if not records.explain:
            return list(results)
        explanations = map(self._explanation, self._parts(records))
        return [msgspec.structs.replace(result, explanation=each) for result, each in zip(results, explanations, strict=True)]

    def _results(self, records: Records) -> list[Result]:
        if isinstance(records, Rows):
            return [self._row_result(account, row) for account, row in zip(records.ids, records.rows, strict=True)]
        scores = score(self._card, self._policy, self._matrix(records))
        reasons: list[tuple[str, ...]] = [()] * len(records.ids)
        flagged = np.flatnonzero(scores.prediction)
        for index, positions in zip(flagged.tolist(), scores.texts[flagged].tolist(), strict=True):
            reasons[index] = tuple(self._texts[position] for position in positions if position >= 0)
        predictions, probabilities, points = scores.prediction.astype(int).tolist(), scores.probability.tolist(), scores.points.tolist()
        bands = map(self._bands.__getitem__, scores.band.tolist())
        return list(map(Result, records.ids, predictions, probabilities, points, bands, reasons, repeat(self.arm), repeat(self.version)))

    def unscored(self, record: Unscored) -> RecordResult:
        if isinstance(record, Ineligible):
            return NotEligible(record.id, record.reason, self.arm, self.version)
        return WithIssues(record.id, record.issues, self.arm, self.version)

    def probabilities(self, records: Records) -> list[float]:
        if isinstance(records, Rows):
            return [self._score_row(self._term_values(row))[0] for row in records.rows]
        probabilities: list[float] = probability(self._card, contributions(self._card, self._matrix(records))).tolist()
        return probabilities

    def _row_result(self, account: str | None, row: Row) -> Result:
        probability, bad, points, band, reasons = self._score_row(self._term_values(row))
        return Result(account, int(bad), probability, points, self._bands[band], reasons, self.arm, self.version)

    def _parts(self, records: Records) -> list[list[float]]:
        """Return the log-odds of each record's features."""
        if isinstance(records, Rows):
            return [self._contributions(self._term_values(row)) for row in records.rows]
        parts: list[list[float]] = contributions(self._card, self._matrix(records)).T.tolist()
        return parts

    def _explanation(self, parts: Sequence[float]) -> Explanation:
        scale = self._policy.points
        features = [
            FeatureExplanation(term.feature, part, feature_points(part - term.mean, scale))
            for term, part in zip(self._card.terms, parts, strict=True)
        ]
        return Explanation(self._card.intercept, self._base_points, features)

    def _term_values(self, row: Row) -> list[Value]:
        return [row[position] for position in self._positions]

    def _matrix(self, records: Columns) -> Floats:
        """Return the model's input, shape (records, terms): numbers unchanged, levels as their positions, NaN if missing."""
        x = np.empty((len(records.ids), len(self._positions)), order="F")
        for term, (position, encode) in enumerate(zip(self._positions, self._encoders, strict=True)):
            column = records.columns[position]
            x[:, term] = encode(column)
        return x


def _encoder(shape: Shape) -> Callable[[Any], Floats]:
    """Return the function from a column to the model's input: numbers unchanged, levels as positions, NaN for missing."""
    if not isinstance(shape, Levels):
        return np.asarray
    positions: dict[str | None, float] = {None: math.nan}
    positions.update(shape.positions)
    unseen = float(len(shape.levels))
    return lambda column: np.array([positions.get(level, unseen) for level in column.levels])[column.positions]
