"""Answers of the service, as its log has them: scored again as the batch does, and compared."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import polars as pl

from risk_assets.domain.batch.comparison import TOLERANCE, differing_rows
from risk_assets.domain.batch.predictions import prediction_schema, predictions
from risk_assets.domain.contract.field_rules import (
    MISSING_ISSUE,
    SEPARATOR,
    above,
    account_group,
    below,
    group_tokens,
    missing_codes,
    missing_tokens,
)
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import (
    ACCOUNT_ID,
    GROUP,
    ISSUE,
    ISSUES,
    NOT_ELIGIBLE,
    ONLINE_ID,
    RAGGED,
    SCORED,
    STATUS,
    Contract,
    Feature,
)
from risk_assets.domain.contract.text import normalize_level, strip_cell
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.ingest.validation import validate
from risk_assets.domain.scorecard.arrays import contributions
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scoring import base_points, feature_points

Value: TypeAlias = float | str | None
Record: TypeAlias = Mapping[str, Value]
Points = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]

BY_ACCOUNT = (ACCOUNT_ID, "arm", "model_version")  # what does not depend on a record's values


class FeatureShare(msgspec.Struct, frozen=True):
    """What one feature adds to the log-odds and to the points."""

    feature: str
    log_odds: float
    points: float


class AnsweredExplanation(msgspec.Struct, frozen=True):
    """The explanation in a result."""

    base_log_odds: float
    base_points: float
    features: tuple[FeatureShare, ...]


class ScoredAnswer(msgspec.Struct, frozen=True, tag_field=STATUS, tag=SCORED):
    """The result of a scored record, its explanation if the request asked for it, and the result of a challenger in shadow."""

    id: str | None
    prediction: Literal[0, 1]
    probability: float
    points: Points
    band: str
    reasons: tuple[str, ...]
    arm: str
    model_version: str
    explanation: AnsweredExplanation | None = None
    challenger_probability: float | None = None
    challenger_version: str | None = None


class NotEligibleAnswer(msgspec.Struct, frozen=True, tag_field=STATUS, tag=NOT_ELIGIBLE):
    """The result of a record that a population rule excludes."""

    id: str | None
    excluded: str
    arm: str
    model_version: str


class IssueAnswer(msgspec.Struct, frozen=True, tag_field=STATUS, tag=ISSUE):
    """The result of a record that is not valid."""

    id: str | None
    issues: tuple[str, ...]
    arm: str
    model_version: str


Answer: TypeAlias = ScoredAnswer | NotEligibleAnswer | IssueAnswer


@dataclass(frozen=True)
class Decision:
    """What decided an answer: the models, the policy and the contract."""

    arms: Arms
    policy: Policy
    contract: Contract

    @cached_property
    def plain_contract(self) -> Contract:
        """The contract with the columns of requests as plain text: no notation and no missing tokens, which `_texts` replaces.

        As in requests, a column is required only if a model or a population rule uses it.
        """
        contract = self.contract
        used = {name for model in self.arms.models for name in model.scorecard.features} | {rule.column for rule in contract.exclude}
        plain = {"format": None, "decimal": None, "thousands": None, "missing": ()}
        features = {
            name: feature.model_copy(update={**plain, "required": feature.required and name in used})
            for name, feature in contract.request_features.items()
        }
        return contract.model_copy(update={"id": ONLINE_ID, "group": None, "features": features, "missing": (), "decimal": "."})

    @cached_property
    def batch_issues(self) -> frozenset[str]:
        """The issues that the batch can find in the values of features."""
        features = self.plain_contract.features
        bounds = [(name, above(feature.max)) for name, feature in features.items() if feature.max is not None]
        bounds += [(name, below(feature.min)) for name, feature in features.items() if feature.min is not None]
        return frozenset(f"{name}: {rule}" for name, rule in [*bounds, *((name, MISSING_ISSUE) for name in features)])


def record_features(records: Sequence[Record], decision: Decision) -> pl.DataFrame:
    """Return a table of features, as the batch makes them of a snapshot, for records as they were sent; one row each, in order.

    Columns: `account_id`, the features of requests, `group`, `excluded` and `issues`. A record may lack an id: then it has no group
    either, unless it has a customer.
    """
    contract = decision.plain_contract
    texts = [[str(position), *_texts(record, decision.contract), None] for position, record in enumerate(records)]
    columns = dict.fromkeys([contract.id, *contract.features, RAGGED], pl.String)
    features = validate(pl.LazyFrame(texts, schema=columns, orient="row"), contract, pl.Series([], dtype=pl.String)).collect()
    ids = [_account(record) for record in records]
    groups = [_group(record, account, decision.contract) for record, account in zip(records, ids, strict=True)]
    return features.with_columns(pl.Series(ACCOUNT_ID, ids, dtype=pl.String), pl.Series(GROUP, groups, dtype=pl.String))


def answered_rows(answers: Iterable[Answer], policy: Policy) -> pl.DataFrame:
    """Return answers as a table of predictions; issues are sorted."""
    return pl.DataFrame([_row(answer, policy) for answer in answers], schema=prediction_schema(policy), orient="row")


def differences(answers: Sequence[Answer], features: pl.DataFrame, decision: Decision) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the positions of the answers that differ from the batch's predictions for a table of `record_features`, and in which columns.

    Probabilities and explanations may differ by 1e-12, everything else must be equal. Of an answer that `is_recomputable` excludes,
    only what does not depend on values is compared.
    """
    recomputed = predictions(features.lazy(), decision.arms, decision.policy).collect()
    recomputed = recomputed.with_columns(pl.Series(ISSUES, list(map(_sorted, recomputed[ISSUES])), dtype=pl.String))
    found = dict(differing_rows(answered_rows(answers, decision.policy), recomputed, decision.policy))
    unexplained = frozenset(_explained_otherwise(answers, features, decision))
    for position, answer in enumerate(answers):
        columns = found.get(position, ())
        if not is_recomputable(answer, decision):
            columns = tuple(column for column in columns if column in BY_ACCOUNT)
        explanation = ("explanation",) if position in unexplained else ()
        if columns := (*columns, *_other_differences(answer, decision), *explanation):
            yield position, columns


def is_recomputable(answer: Answer, decision: Decision) -> bool:
    """Return whether an answer follows from the logged values: not if it has an issue that no file can have, such as a value's type.

    Values of another type are not logged.
    """
    return not isinstance(answer, IssueAnswer) or decision.batch_issues.issuperset(answer.issues)


def _explained_otherwise(answers: Sequence[Answer], features: pl.DataFrame, decision: Decision) -> Iterator[int]:
    """Yield the positions of the answers whose explanation is not the one of their record and version."""
    for model in decision.arms.models:
        explained = [
            (position, answer.explanation)
            for position, answer in enumerate(answers)
            if isinstance(answer, ScoredAnswer) and answer.explanation is not None and answer.model_version == model.version
        ]
        if not explained:
            continue
        card, scale = model.scorecard, decision.policy.points
        parts = contributions(card, encode(features[[position for position, _ in explained]], card)).T.tolist()
        bases = (card.intercept, base_points(card, scale))
        for (position, found), row in zip(explained, parts, strict=True):
            expected = [(term.feature, part, feature_points(part - term.mean, scale)) for term, part in zip(card.terms, row, strict=True)]
            if not _is_near((found.base_log_odds, found.base_points), bases) or not _has_shares(found, expected):
                yield position


def _has_shares(found: AnsweredExplanation, expected: Sequence[tuple[str, float, float]]) -> bool:
    names = [share.feature for share in found.features] == [name for name, _, _ in expected]
    shares = zip(found.features, expected, strict=False)
    return names and all(_is_near((share.log_odds, share.points), values) for share, (_, *values) in shares)


def _is_near(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Return whether numbers agree: points are larger than probabilities, so the tolerance is relative above 1."""
    return all(math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for one, other in zip(found, expected, strict=True))


def _other_differences(answer: Answer, decision: Decision) -> Iterator[str]:
    """Yield what a table of predictions cannot show: more reasons than the policy has, and another challenger in shadow."""
    if isinstance(answer, ScoredAnswer):
        if len(answer.reasons) > decision.policy.reasons:
            yield "reasons"
        if answer.challenger_version != (decision.arms.shadow.version if decision.arms.shadow else None):
            yield "challenger_version"


def _row(answer: Answer, policy: Policy) -> tuple[Any, ...]:
    if isinstance(answer, ScoredAnswer):
        reasons = (*answer.reasons[: policy.reasons], *[None] * (policy.reasons - len(answer.reasons)))
        values = (answer.probability, answer.prediction, answer.points, answer.band, *reasons)
        return (answer.id, SCORED, *values, answer.arm, answer.model_version, answer.challenger_probability, None, None)
    none = [None] * (4 + policy.reasons)
    if isinstance(answer, NotEligibleAnswer):
        return (answer.id, NOT_ELIGIBLE, *none, answer.arm, answer.model_version, None, answer.excluded, None)
    return (answer.id, ISSUE, *none, answer.arm, answer.model_version, None, None, SEPARATOR.join(sorted(answer.issues)))


def _sorted(issues: str | None) -> str | None:
    return issues and SEPARATOR.join(sorted(issues.split(SEPARATOR)))


def _texts(record: Record, contract: Contract) -> Iterator[str]:
    """Yield the cells of a record, empty for missing values."""
    for name, feature in contract.request_features.items():
        yield _text(record.get(name), feature, contract)


def _text(value: Value, feature: Feature, contract: Contract) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return "" if normalize_level(value) in missing_tokens(feature, contract) else value
    return "" if value in missing_codes(feature, contract) else repr(value)


def _account(record: Record) -> str | None:
    account = record.get(ONLINE_ID)
    return strip_cell(account) if isinstance(account, str) else None


def _group(record: Record, account: str | None, contract: Contract) -> str | None:
    """Return what decides the arm: the customer if the contract has `group`, else the account."""
    if contract.group is None:
        return account
    customer = record.get(contract.group)
    if isinstance(customer, str) and normalize_level(customer) not in group_tokens(contract):
        return strip_cell(customer)
    return None if account is None else account_group(account)
