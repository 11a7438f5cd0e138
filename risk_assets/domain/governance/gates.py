"""The gates that a version must pass before it goes live."""

from collections.abc import Sequence

from risk_assets.domain.contract.policy import Promotion
from risk_assets.domain.governance.artifacts import Gate, Metrics, Performance
from risk_assets.domain.scorecard.self_check import MAX_DIFFERENCE
from risk_assets.errors import ModelError

ROUNDING = 1e-12  # 0.62 - 0.60 is slightly more than 0.02 in floating point


def gates(metrics: Metrics, reasons: Sequence[str], policy: Promotion) -> tuple[Gate, ...]:
    """Return the gates of a candidate, measured on other accounts; the comparison with the live model only if `metrics` has one.

    Parameters
    ----------
    reasons : sequence of str
        The reason text of each feature.
    """
    found = (
        _auc_floor(metrics, policy),
        _calibrated(metrics, policy),
        _compiled_equals_fitted(metrics),
        _reasons_complete(reasons),
    )
    if metrics.champion_other_accounts is None or metrics.auc_gain is None:
        return found
    return *found, _not_worse_than_live(metrics, metrics.champion_other_accounts, metrics.auc_gain, policy)


def require_passed(version: str, found: Sequence[Gate], override: bool) -> tuple[str, ...]:
    """Return the names of the failed gates; raises `ModelError` if there are any and `override` is false."""
    failed = [gate for gate in found if not gate.passed]
    if failed and not override:
        evidence = "; ".join(f"{gate.name} ({gate.evidence})" for gate in failed)
        raise ModelError(
            f"{version} did not pass {evidence}. Choose another version, or override the gates (the binding records the override)."
        )
    return tuple(gate.name for gate in failed)


def _auc_floor(metrics: Metrics, policy: Promotion) -> Gate:
    passed = metrics.roc_auc >= policy.min_roc_auc
    low, high = metrics.other_accounts.roc_auc_interval
    evidence = f"AUC on other accounts {metrics.roc_auc:.4f}, 95 % interval {low:.4f} to {high:.4f}, floor {policy.min_roc_auc:.4f}"
    return Gate("auc_floor", passed, evidence)


def _calibrated(metrics: Metrics, policy: Promotion) -> Gate:
    error, limit = metrics.other_accounts.calibration_error, policy.max_calibration_error
    return Gate("calibrated", error <= limit, f"calibration error on other accounts {error:.4f}, limit {limit:.4f}")


def _compiled_equals_fitted(metrics: Metrics) -> Gate:
    difference = metrics.compiled_difference
    return Gate("compiled_equals_fitted", difference <= MAX_DIFFERENCE, f"probabilities differ by at most {difference:.1e}")


def _reasons_complete(reasons: Sequence[str]) -> Gate:
    complete = sum(bool(text.strip()) for text in reasons)
    return Gate("reasons_complete", complete == len(reasons), f"{complete} of {len(reasons)} features have a text")


def _not_worse_than_live(metrics: Metrics, champion: Performance, gain: tuple[float, float], policy: Promotion) -> Gate:
    loss, (low, high) = champion.roc_auc - metrics.roc_auc, gain
    evidence = (
        f"AUC on other accounts {metrics.roc_auc:.4f}, the live model's {champion.roc_auc:.4f} on the same rows: a gain of {-loss:+z.4f}, "
        f"95 % interval {low:+.4f} to {high:+.4f}, allowed loss {policy.max_auc_loss:.4f}"
    )
    return Gate("not_worse_than_live", loss <= policy.max_auc_loss + ROUNDING, evidence)
