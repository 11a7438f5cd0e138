"""What is known of a trained model: figures, reference bins, an example, origin and gates. Read without scikit-learn."""

from dataclasses import dataclass

import msgspec

from risk_assets.domain.scorecard.points_table import Step
from risk_assets.domain.scorecard.scorecard import Scorecard
from risk_assets.domain.scorecard.self_check import Example


class Gate(msgspec.Struct, frozen=True):
    """One condition: its name, whether it holds, and what was seen against what was asked."""

    name: str
    passed: bool
    evidence: str


class CalibrationBin(msgspec.Struct, frozen=True):
    """Rows of similar probability: how many, the mean probability and the share that went bad."""

    rows: int
    predicted: float
    observed: float


class Performance(msgspec.Struct, frozen=True):
    """Figures of one model on one labelled set; `calibration_error` is the bins' mean |predicted - observed| by rows."""

    rows: int
    bad: int
    accuracy: float
    roc_auc: float
    gini: float
    ks: float
    brier: float
    log_loss: float
    calibration_error: float
    calibration: tuple[CalibrationBin, ...]
    roc: tuple[tuple[float, float], ...]


class NumberBins(msgspec.Struct, frozen=True, tag="number"):
    """Inner edges of a number's bins, the share of training rows in each (edge belongs to the upper bin), and of missing."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    missing: float


class LevelBins(msgspec.Struct, frozen=True, tag="category"):
    """Each level's share of the training rows, and the share of missing."""

    shares: dict[str, float]
    missing: float


class Profile(msgspec.Struct, frozen=True):
    """The reference bins of each feature and of the model's own probability."""

    rows: int
    features: dict[str, NumberBins | LevelBins]
    score: NumberBins


class Calibration(msgspec.Struct, frozen=True):
    """How true the probabilities were in cross-validation, and by what the log-odds were rescaled: `slope * x + shift`.

    `error` is None where a class has too few rows to tell, `recalibrated_error` where nothing was rescaled: because the model was
    true enough, or because rescaling would not have helped.
    """

    error: float | None
    recalibrated_error: float | None = None
    slope: float = 1.0
    shift: float = 0.0


class Metrics(msgspec.Struct, frozen=True):
    """What `metrics.json` holds: the candidate on its holdout, and the live model on the same rows where there is one.

    `considered` is the AUC of each estimator that was tried, `auc_gain` the 95 % interval of the candidate's AUC less the
    live model's.
    """

    accuracy: float
    roc_auc: float
    gini: float
    ks: float
    n_train: int
    n_test: int
    random_state: int
    bad_rate_train: float
    bad_rate_test: float
    compiled_difference: float
    against_direction: tuple[str, ...]
    considered: dict[str, float]
    calibration: Calibration
    holdout: Performance
    champion_version: str | None
    champion: Performance | None
    auc_gain: tuple[float, float] | None


class Origin(msgspec.Struct, frozen=True):
    """Where a model comes from: estimator, features and their types, dates, hashes of contract and policy, libraries."""

    estimator: str
    features: dict[str, str]
    training_date: str
    train_dates: tuple[str, ...]
    holdout_dates: tuple[str, ...]
    contract: str
    policy: str
    libraries: dict[str, str]


@dataclass(frozen=True)
class TrainedModel:
    """A model before it has a number: scorecard and its table, figures, reference bins, example, origin, gates, pipeline."""

    scorecard: Scorecard
    steps: tuple[Step, ...]
    metrics: Metrics
    profile: Profile
    example: Example
    origin: Origin
    gates: tuple[Gate, ...]
    pipeline: bytes
