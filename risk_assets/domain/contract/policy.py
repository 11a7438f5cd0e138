"""What is done with a probability, how models are trained, and when one may go live."""

from itertools import pairwise
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from risk_assets.domain.contract.documents import Document
from risk_assets.errors import ContractError

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Points(Document):
    """The scale: `base` points stand for good:bad odds of `odds`; every `pdo` points more double the odds."""

    base: Annotated[float, Field(allow_inf_nan=False)] = 600
    odds: Positive = 50
    pdo: Positive = 20


class Boosting(Document):
    """How the estimator `scorecard` is fitted: rounds of small trees, each on one feature alone.

    `max_bins` bounds how many steps a number may have, `min_rows` is the least that a leaf stands on. Few bins and small
    leaves make tables that people can read; on the files tried, finer ones were not better.
    """

    rounds: Annotated[int, Field(ge=1, le=5000, strict=True)] = 200
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    max_leaves: Annotated[int, Field(ge=2, le=64, strict=True)] = 8
    max_bins: Annotated[int, Field(ge=2, le=255, strict=True)] = 32
    min_rows: Count = 50
    shrinkage: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0


class Training(Document):
    """Which snapshots train a model, by which estimator, and what is held out.

    `estimator` may be `both`: then the one with the higher AUC on the holdout is the candidate, and `logistic`, the simpler
    one, when it is behind by `simpler_within` at most. Where probabilities in cross-validation are further from the observed
    rates than `recalibrate_above` and chance explain, and rescaling the log-odds brings them nearer, they are rescaled.

    `window_days` counts back from the training date, which it includes. `holdout` is a share of the rows: the newest dates
    that reach it, or a stratified share of a single date. `min_rows`, and `min_bad` of each class, must be left to
    train on once the holdout is taken. `max_rows` bounds memory: of a larger window the same share of each
    date's rows is drawn, by `random_state`.
    """

    estimator: Literal["logistic", "scorecard", "both"] = "logistic"
    scorecard: Boosting = Boosting()
    simpler_within: Share = 0.005
    recalibrate_above: Share = 0.02
    window_days: Count = 28
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    random_state: Annotated[int, Field(ge=0, le=2**32 - 1, strict=True)] = 42
    min_rows: Count = 500
    min_bad: Count = 30
    max_rows: Annotated[int, Field(ge=1000, strict=True)] = 2_000_000


class Promotion(Document):
    """When a new version goes live: `auto` when it passes the gates, `manual` only when a person says so.

    `impact_days` is how many of the newest dates in the lake are scored by a candidate and by the live model, to show who
    would be treated differently.
    """

    mode: Literal["auto", "manual"] = "auto"
    min_roc_auc: Share = 0.6
    max_auc_loss: Share = 0.02
    max_calibration_error: Share = 0.1
    impact_days: Count = 7


class Review(Document):
    """The review list: its length, and how many days back an account's last snapshot is looked for."""

    size: Count = 50
    look_back_days: Count = 28


class Checks(Document):
    """Limits of the asset checks: what a normal night looks like."""

    max_issue_share: Share = 0.1
    min_bad_rate: Share = 0.005
    max_bad_rate: Share = 0.5
    row_count_days: Count = 7
    max_row_count_change: Positive = 0.5

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_bad_rate > self.max_bad_rate:
            raise ValueError("min_bad_rate must not be above max_bad_rate")
        return self


class Policy(Document):
    """Threshold, bands, points, reasons, review list, training, promotion and checks.

    `bands` maps each band to the highest probability it holds, from the safest to the riskiest, whose bound is 1.
    `reasons_against` is what a feature's part is held against: the `mean` of the accounts in training, or the `best` that
    any of them had. Source: Regulation B, 12 CFR 1002.9, official comment 9(b)(2): reasons may be the factors in which an
    applicant fell furthest below the average of all applicants (comment 5), or come from a method with similar results;
    more than four are not likely to be helpful (comment 1).
    """

    threshold: Annotated[float, Field(gt=0, lt=1)]
    bands: dict[str, Share] = Field(min_length=1)
    points: Points = Points()
    reasons: Annotated[int, Field(ge=0, le=10, strict=True)] = 4
    reasons_against: Literal["mean", "best"] = "mean"
    review: Review = Review()
    training: Training = Training()
    promotion: Promotion = Promotion()
    checks: Checks = Checks()

    @model_validator(mode="after")
    def _bands_rise(self) -> Self:
        bounds = list(self.bands.values())
        if any(low >= high for low, high in pairwise(bounds)):
            raise ValueError("bands must rise, from the safest to the riskiest")
        if bounds[-1] != 1:
            raise ValueError("the last band must end at 1, so that every probability has a band")
        return self

    def trained_by(self, estimator: str | None) -> Self:
        """Return the policy with another estimator; raises `ContractError` when there is none of that name."""
        if estimator is None:
            return self
        known = get_args(Training.model_fields["estimator"].annotation)
        if estimator not in known:
            raise ContractError(f"there is no estimator of this name; give one of {', '.join(known)}.")
        return self.model_copy(update={"training": self.training.model_copy(update={"estimator": estimator})})
