"""Scores records: each by the model that answers for its account."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from risk_assets.domain.contract.field_rules import account_group
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import CHALLENGER, CHAMPION, Arms
from risk_assets.domain.scorecard import single_row
from risk_assets.domain.scorecard.many_rows import Codes, ManyRows
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_assets.domain.scorecard.scoring import base_points, feature_points
from risk_serving.scoring.answers import Explanation, FeatureExplanation, NotEligible, RecordResult, Result, WithIssues
from risk_serving.scoring.records import Columns, Ineligible, Records, Row, Rows, Unscored, Value
from risk_serving.scoring.scored import ManyScored, ModelNames, Scored


class Scorer:
    """Scores records whose features are in the contract's order."""

    def __init__(self, arms: Arms, policy: Policy, contract: Contract) -> None:
        self._arms = arms
        self._has_customers = contract.group is not None
        self._champion = _Model(arms.champion, CHAMPION, policy, contract)
        self._challenger = _Model(arms.challenger, CHALLENGER, policy, contract) if arms.challenger else None

    def score(self, records: Records) -> Scored:
        """Return the results of all records, in their order."""
        scored = self._scored(records)
        return self._with_unscored(scored, records.unscored) if records.unscored else scored

    def _scored(self, records: Records) -> Scored:
        """Return the results of the records to score."""
        if self._challenger is None:
            return self._champion.scored(records)
        if self._arms.shadow:
            return self._champion.scored(records, self._challenger.probabilities(records))
        groups = map(_group, records.ids, records.groups) if self._has_customers else records.ids
        challenged = np.array(self._arms.challenged(groups), dtype=np.bool_)
        if not challenged.any():
            return self._champion.scored(records)
        champion = iter(self._champion.scored(records.take(np.flatnonzero(~challenged).tolist())).results)
        challenger = iter(self._challenger.scored(records.take(np.flatnonzero(challenged).tolist())).results)
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

    def __init__(self, model: VersionedScorecard, arm: str, policy: Policy, contract: Contract) -> None:
        card = model.scorecard
        features = list(contract.request_features)
        numbers = [name for name, feature in contract.request_features.items() if feature.type == "number"]
        categories = [name for name in features if name not in numbers]
        self._card, self._policy, self.version, self.arm = card, policy, model.version, arm
        self._score_row = single_row.scorer(card, policy)
        self._positions = [features.index(term.feature) for term in card.terms]
        self._many = ManyRows(card, policy, numbers)
        self._categories = [categories.index(name) for name in self._many.categories]
        self._bands = list(policy.bands)
        self._names = ModelNames(arm, model.version, self._bands, self._many.texts)
        self._contributions = single_row.contributions(card)
        self._features, self._means = list(card.features), np.array([term.mean for term in card.terms])
        self._base_points = base_points(card, policy.points)

    def scored(self, records: Records, shadow: Sequence[float] | None = None) -> Scored:
        """Return the scores of records, with the probabilities of a challenger in shadow."""
        scored = self._scored(records, shadow)
        if not records.options.explain:
            return scored
        pairs = zip(scored.results, self._explanations(records), strict=True)
        return Scored([msgspec.structs.replace(result, explanation=explanation) for result, explanation in pairs], shadow)

    def _scored(self, records: Records, shadow: Sequence[float] | None) -> Scored:
        if isinstance(records, Rows):
            return Scored([self._row_result(account, row) for account, row in zip(records.ids, records.rows, strict=True)], shadow)
        scores = self._many.score(records.numbers, self._used(records))
        return ManyScored(records.ids, scores, self._names, shadow)

    def unscored(self, record: Unscored) -> RecordResult:
        if isinstance(record, Ineligible):
            return NotEligible(record.id, record.reason, self.arm, self.version)
        return WithIssues(record.id, record.issues, self.arm, self.version)

    def probabilities(self, records: Records) -> list[float]:
        if isinstance(records, Rows):
            return [self._score_row(self._term_values(row))[0] for row in records.rows]
        probabilities: list[float] = self._many.probabilities(records.numbers, self._used(records)).tolist()
        return probabilities

    def _row_result(self, account: str | None, row: Row) -> Result:
        probability, bad, points, band, reasons = self._score_row(self._term_values(row))
        return Result(account, int(bad), probability, points, self._bands[band], reasons, self.arm, self.version)

    def _explanations(self, records: Records) -> Iterator[Explanation]:
        for log_odds, points in zip(*self._parts(records), strict=True):
            features = list(map(FeatureExplanation, self._features, log_odds, points))
            yield Explanation(self._card.intercept, self._base_points, features)

    def _parts(self, records: Records) -> tuple[list[list[float]], list[list[float]]]:
        """Return the log-odds and the points of each record's features."""
        if isinstance(records, Rows):
            parts = np.array([self._contributions(self._term_values(row)) for row in records.rows]).reshape(-1, len(self._features))
        else:
            parts = self._many.contributions(records.numbers, self._used(records)).T
        return parts.tolist(), feature_points(parts - self._means, self._policy.points).tolist()

    def _term_values(self, row: Row) -> list[Value]:
        return [row[position] for position in self._positions]

    def _used(self, records: Columns) -> list[Codes]:
        """Return the categories that the model uses, in its order."""
        return [records.categories[position] for position in self._categories]
