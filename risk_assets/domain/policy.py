"""What is done with a probability, how models are trained, and when one may go live."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from risk_assets.domain.document import Document

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Points(Document):
    """The scale: `base` points stand for good:bad odds of `odds`; every `pdo` points more double the odds."""

    base: Annotated[float, Field(allow_inf_nan=False)] = 600
    odds: Positive = 50
    pdo: Positive = 20


class Training(Document):
    """Which snapshots train a model, and what is held out.

    `window_days` counts back from the training date, which it includes. `holdout` is a share of the rows: the newest dates
    that reach it, or a stratified share of a single date. `min_rows`, and `min_bad` of each class, must be left to
    train on once the holdout is taken. `max_rows` bounds memory: of a larger window the same share of each
    date's rows is drawn, by `random_state`.
    """

    estimator: Literal["logistic"] = "logistic"
    window_days: Count = 28
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    random_state: Annotated[int, Field(ge=0, le=2**32 - 1, strict=True)] = 42
    min_rows: Count = 500
    min_bad: Count = 30
    max_rows: Annotated[int, Field(ge=1000, strict=True)] = 2_000_000


class Promotion(Document):
    """When a new version goes live: `auto` when it passes the gates, `manual` only when a person says so."""

    mode: Literal["auto", "manual"] = "auto"
    min_roc_auc: Share = 0.6
    max_auc_loss: Share = 0.02


class Checks(Document):
    """Limits of the asset checks: what a normal night looks like."""

    max_issue_share: Share = 0.1
    min_bad_rate: Share = 0.005
    max_bad_rate: Share = 0.5
    row_count_days: Count = 7
    max_row_count_change: Annotated[float, Field(gt=0)] = 0.5

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_bad_rate > self.max_bad_rate:
            raise ValueError("min_bad_rate must not be above max_bad_rate")
        return self


class Policy(Document):
    """Threshold, bands, points, reasons, training, promotion and checks.

    `bands` maps each band to the highest probability it holds, from the safest to the riskiest, whose bound is 1.
    """

    threshold: Annotated[float, Field(gt=0, lt=1)]
    bands: dict[str, Share] = Field(min_length=1)
    points: Points = Points()
    reasons: Annotated[int, Field(ge=0, le=10, strict=True)] = 4
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
