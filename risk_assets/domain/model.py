"""What is known of a trained model: figures, reference bins, origin and gates. Read without scikit-learn."""

from dataclasses import dataclass

import msgspec

from risk_assets.domain.promotion import Gate
from risk_assets.domain.scorecard import Scorecard


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


class Metrics(msgspec.Struct, frozen=True):
    """What `metrics.json` holds: the candidate on its holdout, and the live model on the same rows where there is one."""

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
    holdout: Performance
    champion_version: str | None
    champion: Performance | None


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
    """A model before it has a number: its scorecard, figures, reference bins, origin, gates, and the pickled pipeline."""

    scorecard: Scorecard
    metrics: Metrics
    profile: Profile
    origin: Origin
    gates: tuple[Gate, ...]
    pipeline: bytes


@dataclass(frozen=True)
class Live:
    """The live version and its scorecard, against which a candidate is held."""

    version: str
    scorecard: Scorecard
