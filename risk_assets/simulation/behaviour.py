"""How customers pay: the probabilities of a missed payment and of paying what is overdue."""

from collections.abc import Mapping

import numpy as np

from risk_assets.simulation.columns import DAYS_PER_MONTH
from risk_assets.simulation.draws import Floats, exp
from risk_assets.simulation.state import State
from risk_assets.simulation.traits import LEVELS

# The traits that move the probability of a missed payment, besides risk and luck.
BEHAVIOUR = frozenset({"utilisation", "payment_ratio", "inquiries_6m", "open_accounts", "employment_status"})


def _probability(log_odds: Floats) -> Floats:
    odds = exp(log_odds)
    return np.asarray(odds / (1 + odds))


def miss_probability(state: State, traits: Mapping[str, Floats], stress: float) -> Floats:
    """Return the probability that an account misses the payment that is due, shape (accounts,).

    It depends on risk, luck, the economy, missed payments before, and effects that a linear model cannot fit.
    """
    new = state.today - state.opened < 15 * DAYS_PER_MONTH
    unusual = np.minimum(traits["open_accounts"] * traits["open_accounts"], 4)
    return _probability(
        -2.7
        + 0.5 * traits["risk"]
        + 0.7 * traits["luck"]
        + 0.25 * stress
        + 0.1 * np.minimum(state.missed_payments, 4)
        + 0.6 * (traits["utilisation"] > 0.9)
        + 0.4 * (traits["payment_ratio"] < -0.7)
        + 0.3 * (traits["inquiries_6m"] > 0.9)
        + 0.15 * unusual
        + 0.3 * new
        + 0.3 * (traits["employment_status"] > LEVELS["employment_status"]["unemployed"])
    )


def cure_probability(state: State, risk: Floats, stress: float) -> Floats:
    """Return the probability that an account in arrears pays everything today: lower the riskier it is and the longer it is behind."""
    return 0.17 * _probability(-0.3 * risk - 0.15 * stress) / (1 + state.days_past_due / 30)
