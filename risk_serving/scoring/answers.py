"""The answer to a request: its results, one for each record."""

from typing import TypeAlias

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


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The live version, and the results in the order of the records."""

    model_version: str
    results: list[RecordResult]
