"""What is stored with a trained model. These types can be read without scikit-learn."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from risk_assets.domain.governance.fairness import Fairness
from risk_assets.domain.scorecard.scorecard import Example, Scorecard, Step
from risk_assets.domain.wording import counted

Status: TypeAlias = Literal["passed", "failed", "undecided"]
PASSED: Final = "passed"
FAILED: Final = "failed"
UNDECIDED: Final = "undecided"


class Gate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A condition for going live, and whether a version is within its limit, beyond it, or the data cannot tell.

    `value` is the figure, `limit` the limit that it is closest to, `interval` its 90 % interval. `more_bads` are the bad groups
    that would decide an undecided gate if the figure stayed the same; None if they would not help.
    """

    name: str
    status: Status
    value: float | None = None
    limit: float | None = None
    interval: tuple[float, float] | None = None
    evidence: str = ""
    more_bads: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the version is within the limit."""
        return self.status == PASSED


class MeasuredGates(msgspec.Struct, frozen=True):
    """The gates of a version, the hash of the policy, and the versions that they were measured against.

    `champions` are the versions that have been live and are compared, with the live one; none if nothing has been live.
    """

    found: tuple[Gate, ...]
    policy: str
    live: str | None
    champions: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate is passed."""
        return all(gate.passed for gate in self.found)


class CalibrationBin(msgspec.Struct, frozen=True):
    """Rows of similar probability: their number, the number of their groups, mean probability and bad rate."""

    rows: int
    groups: int
    predicted: float
    observed: float


class Performance(msgspec.Struct, frozen=True):
    """Figures of one model on one labelled set.

    `groups` and `bad_groups` count accounts or customers, and those with a bad row. `base_accuracy` is the accuracy of always
    predicting the more frequent class: an accuracy means nothing without it. `roc_auc_interval` is the 95 % interval by group.
    `calibration_error` is the mean |predicted - observed| of the calibration bins, weighted by rows. `roc` has pairs of false
    and true positive rate.
    """

    rows: int
    bad: int
    groups: int
    bad_groups: int
    accuracy: float
    base_accuracy: float
    roc_auc: float
    roc_auc_interval: tuple[float, float]
    gini: float
    ks: float
    brier: float
    log_loss: float
    calibration_error: float
    calibration_bins: tuple[CalibrationBin, ...]
    roc: tuple[tuple[float, float], ...]


class NumberBins(msgspec.Struct, frozen=True, tag="number"):
    """A number's bins: inner edges, the share of training rows in each bin, and the share of missing values.

    An edge belongs to the bin above it.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    missing: float


class LevelBins(msgspec.Struct, frozen=True, tag="category"):
    """The share of training rows with each level, and of missing values."""

    shares: dict[str, float]
    missing: float


class Range(msgspec.Struct, frozen=True):
    """The usual range of a number in training: that of all groups but the nine lowest and the nine highest; and the share of rows outside.

    The lowest and the highest values themselves are not stored, because each is a single customer's.
    """

    low: float
    high: float
    outside: float


class Spreads(msgspec.Struct, frozen=True):
    """The standard deviation of the log-odds of the training rows, and of each feature's contribution to them."""

    score: float
    features: dict[str, float]


class Profile(msgspec.Struct, frozen=True):
    """The bins of each feature, and of the model's probability (`score`), on the training rows.

    `ranges` has the range of each number with enough groups. `independent` is the number of independent rows: with several rows of a
    group, fewer than `rows`. Versions of earlier releases have neither of them, and no `spreads`.
    """

    rows: int
    features: dict[str, NumberBins | LevelBins]
    score: NumberBins
    ranges: dict[str, Range] = {}
    independent: float | None = None
    spreads: Spreads | None = None


class Calibration(msgspec.Struct, frozen=True):
    """The calibration error in cross-validation, and the rescaling of the log-odds: `slope * x + shift`.

    Folds have no group in common. `error` is None if a class has too few groups for cross-validation. `recalibrated_error` is
    None if the log-odds were not rescaled: the error was within the policy's limit, or rescaling did not reduce it.
    """

    error: float | None
    recalibrated_error: float | None = None
    slope: float = 1.0
    shift: float = 0.0


class CrossValidated(msgspec.Struct, frozen=True):
    """An estimator's mean AUC over the folds of the training rows, and its 95 % interval by group."""

    roc_auc: float
    roc_auc_interval: tuple[float, float]


class Metrics(msgspec.Struct, frozen=True):
    """The content of `metrics.json`: the candidate's figures on two holdouts, and the live model's on the same rows.

    `other_accounts` are groups that never train, on the dates of the training rows; `later_dates` are the newest dates, None if
    there is only one date. `accuracy`, `base_accuracy`, `roc_auc`, `gini`, `ks`, `n_test` and `bad_rate_test` are those of other
    accounts: later dates may have accounts that trained. `n_train` counts rows, `groups_train` and `bad_groups_train` accounts or
    customers. `considered` has each estimator that was tried; its value is None if a class has too few groups for
    cross-validation. `compiled_difference` is the largest |compiled - fitted| probability on both holdouts. `against_direction`
    names the numbers whose slope contradicts the contract. `auc_gain` is the 95 % interval of the candidate's AUC minus the live
    model's, on other accounts. The champion's figures are None if no live model can be compared.
    `fairness` has the candidate's figures by group of each sensitive feature, on other accounts.
    """

    accuracy: float
    base_accuracy: float
    roc_auc: float
    gini: float
    ks: float
    n_train: int
    groups_train: int
    bad_groups_train: int
    n_test: int
    random_state: int
    bad_rate_train: float
    bad_rate_test: float
    compiled_difference: float
    against_direction: tuple[str, ...]
    considered: dict[str, CrossValidated | None]
    calibration: Calibration
    other_accounts: Performance
    later_dates: Performance | None
    champion_version: str | None
    champion_other_accounts: Performance | None
    champion_later_dates: Performance | None
    auc_gain: tuple[float, float] | None
    fairness: tuple[Fairness, ...] = ()

    @property
    def holdouts(self) -> dict[str, Performance]:
        """The candidate's figures on each holdout that there is."""
        found = {"other accounts": self.other_accounts, "later dates": self.later_dates}
        return {name: each for name, each in found.items() if each is not None}


def left_out_note(outcomes: int, until: str | None, training_date: str, known_by: str) -> str | None:
    """Return a sentence about outcomes that became known after a date, with the command that uses them; None if there are none."""
    if not outcomes:
        return None
    left_out = counted(outcomes, "outcome was left out: it became known", "outcomes were left out: they became known")
    return f"{left_out} after {known_by}, the last one on {until}. To train with them: risk train {training_date} --known-by {until}"


class Origin(msgspec.Struct, frozen=True):
    """What a model was trained from: estimator, types of features, dates, seed, hashes of contract and policy, versions.

    `holdout_dates` are the later dates; none if there is only one date. `requested` is the estimator of the run, by the policy or
    its configuration; "both" selects one. `inputs` has the SHA-256 of the content of every table that was read, by path. `code` is
    the release and a hash of its code.

    `known_by` is the date by which its outcomes were known, and `matured_until` the last snapshot date whose outcomes had matured.
    `window_days` is the length of the training window that ends with it, `performance_days` that of the performance window.
    `left_out` outcomes were left out, because they became known later: all of them are known from `left_out_until` on.
    `regrouped` accounts have rows of several customers, or lack the customer on some date; these customers count as one group.
    `reason` is why the training was started, such as drift beyond a limit. Without one it is not in the JSON, as in that of releases that
    did not have it, whose seals stay valid.
    """

    estimator: str
    features: dict[str, str]
    training_date: str
    train_dates: tuple[str, ...]
    holdout_dates: tuple[str, ...]
    contract: str
    policy: str
    libraries: dict[str, str]
    seed: int
    code: str
    requested: str = ""
    inputs: dict[str, str] = {}
    known_by: str = ""
    matured_until: str = ""
    window_days: int = 0
    performance_days: int = 0
    left_out: int = 0
    left_out_until: str | None = None
    regrouped: int = 0
    reason: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def left_out_note(self) -> str | None:
        """A sentence about the outcomes that were left out, with the command that uses them; None if there are none."""
        return left_out_note(self.left_out, self.left_out_until, self.training_date, self.known_by)


@dataclass(frozen=True)
class TrainedModel:
    """A trained model before it is registered under a version. `pipeline` is the pickled scikit-learn classifier."""

    scorecard: Scorecard
    steps: tuple[Step, ...]
    metrics: Metrics
    profile: Profile
    example: Example
    origin: Origin
    gates: MeasuredGates
    pipeline: bytes
