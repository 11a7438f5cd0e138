"""Figures of a version that passes all gates."""

from typing import Any

import msgspec

from risk_assets.domain.governance.artifacts import Calibration, CrossValidated, Metrics, Performance


def performance(roc_auc: float, calibration_error: float = 0.03) -> Performance:
    return Performance(
        rows=100,
        bad=20,
        groups=50,
        bad_groups=10,
        accuracy=0.8,
        base_accuracy=0.8,
        roc_auc=roc_auc,
        roc_auc_interval=(0.5, 0.9),
        gini=2 * roc_auc - 1,
        ks=0.4,
        brier=0.1,
        log_loss=0.3,
        calibration_error=calibration_error,
        calibration_bins=(),
        roc=(),
    )


def metrics(roc_auc: float = 0.8, champion: float | None = None, error: float = 0.03, **more: Any) -> Metrics:
    """Return the figures of a candidate that passes all gates, with changes."""
    figures = Metrics(
        accuracy=0.8,
        base_accuracy=0.8,
        roc_auc=roc_auc,
        gini=2 * roc_auc - 1,
        ks=0.4,
        n_train=400,
        groups_train=200,
        bad_groups_train=40,
        n_test=100,
        random_state=42,
        bad_rate_train=0.2,
        bad_rate_test=0.2,
        compiled_difference=0.0,
        against_direction=(),
        considered={"logistic": CrossValidated(roc_auc, (0.5, 0.9))},
        calibration=Calibration(0.03),
        other_accounts=performance(roc_auc, error),
        later_dates=performance(0.1, 0.9),  # worse than any limit: gates do not use later dates
        champion_version=None if champion is None else "model_v001",
        champion_other_accounts=None if champion is None else performance(champion),
        champion_later_dates=None if champion is None else performance(1.0),
        auc_gain=None if champion is None else (-0.0123, 0.0456),
    )
    return msgspec.structs.replace(figures, **more)
