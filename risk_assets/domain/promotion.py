"""When a version may go live: gates, each with its evidence."""

import msgspec

from risk_assets.domain.policy import Promotion

MAX_COMPILED_DIFFERENCE = 1e-9
ROUNDING = 1e-12  # 0.62 - 0.60 is a little more than 0.02 in floats


class Gate(msgspec.Struct, frozen=True):
    """One condition: its name, whether it holds, and what was seen against what was asked."""

    name: str
    passed: bool
    evidence: str


def gates(roc_auc: float, champion_auc: float | None, difference: float, policy: Promotion) -> tuple[Gate, ...]:
    """Return the conditions for going live.

    Parameters
    ----------
    roc_auc : float
        The candidate's AUC on its holdout.
    champion_auc : float or None
        The live model's AUC on the same rows; None where no model is live, or its features are no longer there.
    difference : float
        The largest |compiled - fitted| probability on the holdout.
    policy : Promotion
        The limits.
    """
    floor = Gate("auc_floor", roc_auc >= policy.min_roc_auc, f"AUC {roc_auc:.4f}, floor {policy.min_roc_auc:.4f}")
    exact = Gate("compiled_equals_fitted", difference <= MAX_COMPILED_DIFFERENCE, f"differs by {difference:.1e} at most")
    if champion_auc is None:
        return floor, exact
    loss = champion_auc - roc_auc
    evidence = f"AUC {roc_auc:.4f}, the live model's {champion_auc:.4f}, allowed loss {policy.max_auc_loss:.4f}"
    return floor, exact, Gate("not_worse_than_live", loss <= policy.max_auc_loss + ROUNDING, evidence)
