"""When a version may go live: gates, each with its evidence."""

from collections.abc import Sequence

from risk_assets.domain.contract.policy import Promotion
from risk_assets.domain.governance.artifacts import Gate, Metrics
from risk_assets.domain.scorecard.self_check import MAX_DIFFERENCE
from risk_assets.errors import ModelError

ROUNDING = 1e-12  # 0.62 - 0.60 is a little more than 0.02 in floats


def gates(metrics: Metrics, reasons: Sequence[str], policy: Promotion) -> tuple[Gate, ...]:
    """Return the conditions for going live.

    Parameters
    ----------
    metrics : Metrics
        The candidate's figures on its holdout, and the live model's on the same rows where one is live and its features
        are there.
    reasons : sequence of str
        The text of each feature.
    policy : Promotion
        The limits.
    """
    told = sum(bool(text.strip()) for text in reasons)
    found = (
        Gate("auc_floor", metrics.roc_auc >= policy.min_roc_auc, f"AUC {metrics.roc_auc:.4f}, floor {policy.min_roc_auc:.4f}"),
        Gate(
            "calibrated",
            metrics.holdout.calibration_error <= policy.max_calibration_error,
            f"probabilities are off by {metrics.holdout.calibration_error:.4f} on average, limit {policy.max_calibration_error:.4f}",
        ),
        Gate(
            "compiled_equals_fitted",
            metrics.compiled_difference <= MAX_DIFFERENCE,
            f"differs by {metrics.compiled_difference:.1e} at most",
        ),
        Gate("reasons_complete", told == len(reasons), f"{told} of {len(reasons)} features have a text"),
    )
    if metrics.champion is None or metrics.auc_gain is None:
        return found
    loss = metrics.champion.roc_auc - metrics.roc_auc
    low, high = metrics.auc_gain
    evidence = (
        f"AUC {metrics.roc_auc:.4f}, the live model's {metrics.champion.roc_auc:.4f} on the same rows: a gain of {-loss:+.4f}, "
        f"95 % interval {low:+.4f} to {high:+.4f}, allowed loss {policy.max_auc_loss:.4f}"
    )
    return *found, Gate("not_worse_than_live", loss <= policy.max_auc_loss + ROUNDING, evidence)


def require_passed(version: str, found: Sequence[Gate], override: bool) -> tuple[str, ...]:
    """Return the names of the gates that are set aside; raises `ModelError` when one is not passed and none may be."""
    failed = [gate for gate in found if not gate.passed]
    if failed and not override:
        evidence = "; ".join(f"{gate.name} ({gate.evidence})" for gate in failed)
        raise ModelError(
            f"{version} did not pass {evidence}. Choose another version, or set the gates aside with override (it is recorded)."
        )
    return tuple(gate.name for gate in failed)
