"""The policy: cut-off, bands, points, reasons, and the rules of training, promotion, review, checks and monitoring."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from risk_assets.domain.contract.documents import Document, Number
from risk_assets.domain.contract.schema import MAX_WINDOW_DAYS
from risk_assets.errors import ContractError

Share = Annotated[Number, Field(ge=0, le=1)]
Part = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, strict=True)]
Days = Annotated[int, Field(ge=1, le=MAX_WINDOW_DAYS, strict=True)]
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[Number, Field(allow_inf_nan=False)]
Ratio = Annotated[Number, Field(gt=1, allow_inf_nan=False)]
GateName = Literal[
    "discrimination",
    "calibration",
    "calibration_by_band",
    "brier_skill",
    "not_worse_than_live",
    "not_worse_than_best",
    "directions",
    "stability",
    "segments",
]
OVERRIDABLE: tuple[GateName, ...] = tuple(name for name in get_args(GateName) if name != "directions")


class Points(Document):
    """The points scale.

    Attributes
    ----------
    base
        The points at good:bad odds of `odds`.
    odds
        The good:bad odds at `base` points.
    pdo
        Points to double the odds.
    """

    base: Annotated[Number, Field(allow_inf_nan=False)] = 600
    odds: Positive = 50
    pdo: Positive = 20


class Boosting(Document):
    """The hyperparameters of the estimator `scorecard`: boosting with trees of a single feature each.

    Few bins and large leaves keep the points tables short enough to read. Finer settings did not score better on the
    data sets tried.

    Attributes
    ----------
    rounds
        The number of boosting rounds.
    learning_rate
        The weight of each round.
    max_leaves
        The maximum number of leaves of a tree.
    max_bins
        The maximum number of steps of a number, and of levels of a category, in the points table.
    min_rows
        The minimum number of training groups in a leaf: rows if each group has one, else as many rows as this many groups
        have on average.
    shrinkage
        The L2 regularization of leaf values.
    """

    rounds: Annotated[int, Field(ge=1, le=5000, strict=True)] = 200
    learning_rate: Annotated[Number, Field(gt=0, le=1)] = 0.1
    max_leaves: Annotated[int, Field(ge=2, le=64, strict=True)] = 8
    max_bins: Annotated[int, Field(ge=2, le=255, strict=True)] = 32
    min_rows: Count = 50
    shrinkage: Annotated[Number, Field(ge=0, allow_inf_nan=False)] = 1.0


class Training(Document):
    """The rows and the estimator that train a model.

    A group is the unit of evidence: an account, or all accounts of a customer. Rows of one group repeat each other, so
    minimums, folds and intervals count groups.

    Attributes
    ----------
    estimator
        "logistic", "scorecard", or "both": compare the two in cross-validation by group and fit the one with the higher AUC.
    scorecard
        The hyperparameters of the estimator "scorecard".
    simpler_within
        With "both", keep "logistic" if its cross-validated AUC is at most this much lower.
    recalibrate_above
        Rescale the log-odds if the cross-validated calibration error exceeds this value plus sampling noise and the
        rescaling reduces it.
    window_days
        The length of the training window, counted back from the last date whose outcomes have matured by the training date.
    spacing_days
        In any period of this many days, a group enters training with one snapshot, which its hash selects. 1 keeps all. It can be
        longer than the window, which then has one snapshot of each group.
    holdout
        The share of rows on the newest dates, which are held out. A single date has no later dates to hold out.
    other_accounts
        The share of groups that never trains, 0.05 to 0.5: the same groups for all versions, selected by their hash. They measure a
        model on accounts that it has not seen.
    random_state
        The seed of every random choice.
    min_rows, min_bad
        The minimum number of training groups, and of groups with a training row of each class, without the holdouts.
    max_rows
        The maximum number of rows in memory. Of a larger window, a share of the groups is kept, selected by their hash.
    unseen_missing
        The treatment of a missing value in a feature that had none in the training rows. The model cannot learn its risk
        from data, and an estimator would assume an average one, so that a lost column would lower the predicted risk.
        "worst": the value contributes the highest log-odds of this feature in training, and the account is scored.
        "issue": the account is not scored. Batch predictions have the issue `feature: missing`, and the service rejects
        the request.
    """

    estimator: Literal["logistic", "scorecard", "both"] = "logistic"
    scorecard: Boosting = Boosting()
    simpler_within: Share = 0.005
    recalibrate_above: Share = 0.02
    window_days: Days = 28
    spacing_days: Days = 28
    holdout: Annotated[Number, Field(gt=0, lt=1)] = 0.2
    other_accounts: Annotated[Number, Field(ge=0.05, le=0.5)] = 0.2
    random_state: Annotated[int, Field(ge=0, le=2**32 - 1, strict=True)] = 42
    min_rows: Count = 500
    min_bad: Count = 30
    max_rows: Annotated[int, Field(ge=1000, strict=True)] = 2_000_000
    unseen_missing: Literal["worst", "issue"] = "worst"


class Promotion(Document):
    """The gates that a new version must pass to go live, and who may decide otherwise.

    A gate is passed if its figure is within the limit with 95 % confidence, failed if the figure is beyond the limit with 95 %
    confidence that allows for all gates, and otherwise undecided. Only a version that passes all gates goes live automatically.

    Attributes
    ----------
    mode
        "auto" promotes the version that a training has registered if it passes the gates; "manual" waits for `risk promote`.
    min_roc_auc
        `discrimination`: the minimum AUC on other accounts, which never train.
    max_calibration_ratio
        `calibration`: the observed bad rate is at most this many times the predicted one, and at least the predicted one divided
        by it.
    max_band_calibration_ratio
        `calibration_by_band` and `segments`: the same in each band, and in each level of a category that has enough bad accounts.
        In bands safer than the average, the difference of the rates counts in relation to the average rate.
    min_brier_skill
        `brier_skill`: the minimum share by which the squared error is lower than that of predicting the average rate for everyone.
    max_auc_loss
        `not_worse_than_live`, `not_worse_than_best`: the AUC may be at most this much lower than that of the live version, and of
        the best version that has been live, on the same rows of other accounts.
    max_psi
        `stability`: the maximum population stability index of the score and of each feature, between the training rows and the
        newest snapshot. What sampling alone would give is subtracted.
    override
        The gates that `--override` may set aside when a person promotes a version that has not passed them.
    second_name
        Whether `risk promote` requires a second person, `--approved-by`: "never", to "override" a gate, or "always". Unless it is
        "never", adopting another policy or contract requires one as well.
    impact_days
        The number of newest dates scored by both candidate and champion, to list the accounts they treat differently.
    """

    mode: Literal["auto", "manual"] = "auto"
    min_roc_auc: Share = 0.6
    max_calibration_ratio: Ratio = 1.3
    max_band_calibration_ratio: Ratio = 1.75
    min_brier_skill: Annotated[Number, Field(lt=1, allow_inf_nan=False)] = 0.0
    max_auc_loss: Share = 0.01
    max_psi: Positive = 0.25
    override: tuple[GateName, ...] = OVERRIDABLE
    second_name: Literal["never", "override", "always"] = "never"
    impact_days: Days = 7


class Review(Document):
    """The review list.

    Attributes
    ----------
    size
        The number of accounts.
    look_back_days
        How many days back to look for earlier snapshots of its accounts.
    hold_out
        The share of the flagged accounts that is kept off the list, always the same ones, to measure what people achieve with the others.
    """

    size: Count = 50
    look_back_days: Days = 28
    hold_out: Part = 0


class Checks(Document):
    """The limits of the asset checks.

    Attributes
    ----------
    max_issue_share
        The maximum share of rows with issues. Above it, the daily run stops.
    max_not_eligible
        The maximum share of rows that are not eligible.
    min_bad_rate, max_bad_rate
        The expected range of the bad rate in outcomes.
    max_without_outcome
        The maximum share of accounts without an outcome, of those of a snapshot that should have one: rows with issues and rows
        that are not eligible should not, and accounts whose outcome is unknown because they are gone.
    row_count_days, max_row_count_change
        The maximum relative change of the row count, compared with the median of this many previous days.
    max_missing_increase
        How far a feature's missing share may be above its share in training, besides sampling noise. Above it, the daily run stops.
    max_unseen_share
        The maximum share of rows with a level that training did not see, besides sampling noise. Above it, the daily run stops.
    """

    max_issue_share: Share = 0.1
    max_not_eligible: Share = 0.5
    min_bad_rate: Share = 0.005
    max_bad_rate: Share = 0.5
    max_without_outcome: Share = 0.05
    row_count_days: Days = 7
    max_row_count_change: Positive = 0.5
    max_missing_increase: Share = 0.1
    max_unseen_share: Share = 0.05

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_bad_rate > self.max_bad_rate:
            raise ValueError("min_bad_rate must not be above max_bad_rate")
        return self


class Retraining(Document):
    """When the sensor `retrain` starts a training: drift, or performance, exceeds a limit on `exceeded` of the newest `of_dates` dates.

    Attributes
    ----------
    exceeded
        The number of dates, with the newest one among them.
    of_dates
        The number of newest dates that are looked at: of drift the scored ones, of performance those whose outcomes have matured.
    cool_down_days
        The number of days after a training date before the next retraining, whether or not that training succeeded.
    """

    exceeded: Count = 3
    of_dates: Annotated[int, Field(ge=1, le=28, strict=True)] = 5
    cool_down_days: Days = 28

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.exceeded > self.of_dates:
            raise ValueError("exceeded must not be above of_dates")
        return self


class Monitoring(Document):
    """The limits of a scored date: of its distance from the training rows of its version, and of its performance when outcomes are known.

    A limit is the larger of the value here and what sampling alone would exceed on one date in 200, for the whole book.

    Attributes
    ----------
    max_psi
        The maximum population stability index of the score and of each feature. By convention, 0.1 is some change and 0.25 a large
        one. A shift of a number by half a standard deviation has about 0.23.
    max_points
        The maximum number of points by which the mean score, or a single feature's part in it, may have shifted in either direction.
        A quarter of the default `points.pdo`: the odds of an average account change by a fifth.
    max_missing_increase
        How far a feature's missing share may be above its share in training.
    max_unseen_share
        The maximum share of rows with a level that training did not see.
    max_out_of_range_increase
        How far the share of rows outside the usual range of a number may be above its share in training.
    max_calibration_ratio
        The observed bads are at most this many times the expected ones, and at least the expected ones divided by it.
    max_band_calibration_ratio
        The same in each band.
    max_auc_loss
        How far the AUC may be below that of other accounts at training.
    max_flagged_change
        How far the number of accounts that are predicted bad may be from its median of the previous 28 dates, in relation to it.
    outcomes_overdue_days
        For how many days after the end of a scored date's performance window its outcomes may be missing.
    retraining
        When a model is trained again.
    """

    max_psi: Positive = 0.2
    max_points: Positive = 5
    max_missing_increase: Share = 0.05
    max_unseen_share: Share = 0.01
    max_out_of_range_increase: Share = 0.05
    max_calibration_ratio: Ratio = 1.3
    max_band_calibration_ratio: Ratio = 1.75
    max_auc_loss: Share = 0.05
    max_flagged_change: Positive = 0.5
    outcomes_overdue_days: Days = 7
    retraining: Retraining = Retraining()


@dataclass(frozen=True)
class Cuts:
    """The cut-off and the inner bounds of the bands, on a scale that rises with risk: the probability, or points times -1.

    A value at the cut-off is predicted bad, and a value at a bound is in the riskier of its two bands.
    """

    by_points: bool
    cut_off: float
    bounds: tuple[float, ...]


class Policy(Document):
    """The rules that turn probabilities into decisions and versions into champions.

    Attributes
    ----------
    cut_by
        What the cut-off and the bands are stated in: "probability", or "points", the rounded points that are shown.
    threshold
        The cut-off: an account is predicted bad from this probability on, or from these points downwards.
    bands
        The bound of each band, from the safest band to the riskiest. With `cut_by: probability`, an account is in the first band
        whose bound is above its probability; the last bound is 1 and belongs to the last band. With `cut_by: points`, it is in
        the first band whose bound is below its points; the last band has no bound: null. An account at a bound is therefore in
        the riskier band: with a bound at the cut-off, accounts that are predicted bad and others never share a band.
    points
        The points scale.
    reasons
        The maximum number of reasons of an account that is predicted bad.
    reasons_against
        The reference that a feature's contribution is compared with: the "mean" of the training accounts, or the "best"
        contribution of any of them. Source: Regulation B, 12 CFR 1002.9, official comment 9(b)(2): reasons may be the
        factors in which an applicant fell furthest below the average of all applicants (comment 5), or come from a
        method with similar results; more than four are not likely to be helpful (comment 1).
    review, training, promotion, checks, monitoring
        The rules of the review list, of training, of promotion, of the asset checks and of monitoring.
    """

    cut_by: Literal["probability", "points"] = "probability"  # first: it decides what the next two mean
    threshold: Finite = Field(default=0.25, validate_default=True)
    bands: dict[str, Finite | None] = Field(
        default_factory=lambda: {"A": 0.03, "B": 0.08, "C": 0.15, "D": 0.25, "E": 0.45, "F": 1.0}, min_length=1, validate_default=True
    )
    points: Points = Points()
    reasons: Annotated[int, Field(ge=0, le=10, strict=True)] = 4
    reasons_against: Literal["mean", "best"] = "mean"
    review: Review = Review()
    training: Training = Training()
    promotion: Promotion = Promotion()
    checks: Checks = Checks()
    monitoring: Monitoring = Monitoring()

    @field_validator("threshold")
    @classmethod
    def _threshold_in_unit(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("cut_by") == "points":
            if not value.is_integer():
                raise ValueError("with cut_by: points, the cut-off must be a whole number of points")
        elif not 0 < value < 1:
            raise ValueError("the cut-off must be a probability greater than 0 and less than 1; to state points, set cut_by: points")
        return value

    @field_validator("bands")
    @classmethod
    def _bands_in_unit(cls, bands: dict[str, float | None], info: ValidationInfo) -> dict[str, float | None]:
        *inner, last = bands.values()
        bounds = [bound for bound in inner if bound is not None]
        if len(bounds) < len(inner):
            raise ValueError("only the last band can be without a bound")
        if info.data.get("cut_by") == "points":
            _require_points(bounds, last)
        else:
            _require_probabilities(bounds, last)
        return bands

    @property
    def cuts(self) -> Cuts:
        """The cut-off and the inner bounds of the bands on a scale that rises with risk."""
        sign = -1.0 if self.cut_by == "points" else 1.0
        *inner, _ = self.bands.values()
        return Cuts(self.cut_by == "points", sign * self.threshold, tuple(sign * bound for bound in inner if bound is not None))

    def with_estimator(self, estimator: str | None) -> Self:
        """Return a copy that trains with another estimator; None returns the policy unchanged.

        Raises
        ------
        ContractError
            When the estimator is unknown.
        """
        if estimator is None:
            return self
        known = get_args(Training.model_fields["estimator"].annotation)
        if estimator not in known:
            raise ContractError(f"unknown estimator {estimator}: use one of {', '.join(known)}.")
        return self.model_copy(update={"training": self.training.model_copy(update={"estimator": estimator})})


def _require_probabilities(bounds: Sequence[float], last: float | None) -> None:
    """Verify the bounds of bands that are cut by probability; raises `ValueError`."""
    if last is None:
        raise ValueError("the last band must end at 1, so that every probability has a band")
    if any(not 0 <= bound <= 1 for bound in (*bounds, last)):
        raise ValueError("the bounds of bands must be probabilities from 0 to 1; to state points, set cut_by: points")
    if any(low >= high for low, high in pairwise((*bounds, last))):
        raise ValueError("the bounds of bands must increase, from the safest band to the riskiest")
    if last != 1:
        raise ValueError("the last band must end at 1, so that every probability has a band")


def _require_points(bounds: Sequence[float], last: float | None) -> None:
    """Verify the bounds of bands that are cut by points; raises `ValueError`."""
    if last is not None:
        raise ValueError("with cut_by: points, the last band must have no bound, so that all points have a band: write null")
    if any(not bound.is_integer() for bound in bounds):
        raise ValueError("with cut_by: points, the bounds of bands must be whole numbers of points")
    if any(high <= low for high, low in pairwise(bounds)):
        raise ValueError("with cut_by: points, the bounds of bands must decrease, from the safest band to the riskiest")
