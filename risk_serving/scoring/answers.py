"""The answer to a request: its results, one for each record."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from risk_assets.domain.contract.schema import ISSUE, NOT_ELIGIBLE, SCORED, STATUS


class FeatureExplanation(msgspec.Struct, frozen=True, gc=False):
    """What one feature adds to a record's log-odds of default, and to its points beside those of its mean in training."""

    feature: str
    log_odds: float
    points: float


class Explanation(msgspec.Struct, frozen=True, gc=False):
    """What a score consists of: `base_log_odds` plus those of all features give the probability, `base_points` plus theirs the points."""

    base_log_odds: float
    base_points: float
    features: list[FeatureExplanation]


class Result(msgspec.Struct, frozen=True, gc=False, tag_field=STATUS, tag=SCORED):
    """The result of a scored record: the scores, and the arm and version that gave them; reasons only if it is predicted bad.

    `explanation` is there if the request asks for it.
    """

    id: str | None
    prediction: int
    probability: float
    points: int
    band: str
    reasons: tuple[str, ...]
    arm: str
    model_version: str
    explanation: Explanation | UnsetType = UNSET


class NotEligible(msgspec.Struct, frozen=True, gc=False, tag_field=STATUS, tag=NOT_ELIGIBLE):
    """The result of a record that is not eligible: why, and the arm and version that would have scored it."""

    id: str | None
    excluded: str
    arm: str
    model_version: str


class WithIssues(msgspec.Struct, frozen=True, gc=False, tag_field=STATUS, tag=ISSUE):
    """The result of a record that is not valid: its issues, as in the batch, and the arm and version that would have scored it."""

    id: str | None
    issues: tuple[str, ...]
    arm: str
    model_version: str


RecordResult: TypeAlias = Result | NotEligible | WithIssues
Status: TypeAlias = Literal["scored", "not eligible", "issue"]

_STATUS: dict[type, Any] = {Result: SCORED, NotEligible: NOT_ELIGIBLE, WithIssues: ISSUE}


class ResultColumns(msgspec.Struct, frozen=True, gc=False):
    """The results as columns of equal length, in the order of the records; a value that a result does not have is null.

    `explanation` is there if the request asks for it.
    """

    status: list[Status]
    id: list[str | None]
    prediction: list[int | None]
    probability: list[float | None]
    points: list[int | None]
    band: list[str | None]
    reasons: list[tuple[str, ...] | None]
    excluded: list[str | None]
    issues: list[tuple[str, ...] | None]
    arm: list[str]
    model_version: list[str]
    explanation: list[Explanation | None] | UnsetType = UNSET


def columns_of(results: Sequence[RecordResult]) -> ResultColumns:
    """Return results as columns."""
    names = ResultColumns.__struct_fields__[1:-1]
    columns: dict[str, Any] = {name: [getattr(result, name, None) for result in results] for name in names}
    explained = [getattr(result, "explanation", UNSET) for result in results]
    if any(each is not UNSET for each in explained):
        columns["explanation"] = [None if each is UNSET else each for each in explained]
    return ResultColumns([_STATUS[type(result)] for result in results], **columns)


class ColumnAnswer(msgspec.Struct, frozen=True, gc=False):
    """The live version, and the results as columns."""

    model_version: str
    columns: ResultColumns


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The live version, and the results in the order of the records."""

    model_version: str
    results: list[RecordResult]
