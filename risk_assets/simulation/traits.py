"""Traits of accounts: normal draws that the columns of a snapshot and the behaviour of accounts are made from."""

from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import Protocol

from risk_assets.simulation.draws import Floats, correlated

# Correlation of each trait with the latent risk of the account: lasting traits, changing traits and categories.
LASTING_LOADS: Mapping[str, float] = MappingProxyType(
    {
        "annual_income": -0.25,
        "months_at_address": -0.1,
        "months_employed": -0.2,
        "months_on_book": -0.15,
        "credit_limit": -0.25,
        "open_accounts": 0.05,
    }
)
CHANGING_LOADS: Mapping[str, float] = MappingProxyType(
    {
        "utilisation": 0.3,
        "payment_ratio": -0.25,
        "cash_advance_share": 0.25,
        "missed_payments": 0.3,
        "days_past_due": 0.25,
        "inquiries_6m": 0.25,
        "debt_to_income": 0.25,
        "bureau_score": -0.4,
    }
)
CATEGORY_LOAD = 0.15
DRIFT_LOAD = 0.4  # correlation of a changing trait with its drifting part
DRIFT_DAYS = 14  # days from one independent draw of a drifting part to the next

# The levels of each category, from the safest to the riskiest, with the lowest trait of each level.
LEVELS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "region": {"south": -9, "west": -0.6, "central": 0.1, "east": 0.5, "north": 1.0},
        "product": {"classic": -9, "rewards": 0.0, "store": 0.7, "student": 1.4},
        "employment_status": {"employed": -9, "retired": 0.3, "self_employed": 0.8, "unemployed": 1.5},
        "home_ownership": {"owner": -9, "mortgage": -0.6, "family": 0.3, "rent": 0.6},
        "channel": {"branch": -9, "online": -0.4, "partner": 0.6, "telephone": 1.4},
    }
)
TRAITS = frozenset({*LASTING_LOADS, *CHANGING_LOADS, *LEVELS})


class Draw(Protocol):
    """Draws of the accounts."""

    def __call__(self, stream: str, elapsed: int | None = None) -> Floats:
        """Return normal draws of a stream, shape (accounts,); with `elapsed` days, a part of them drifts."""


def traits(draw: Draw, elapsed: int, names: Container[str] = TRAITS) -> dict[str, Floats]:
    """Return traits of a day by name, each of mean 0 and variance 1, and the latent `risk`, which no column shows."""
    lasting, now = draw("risk"), draw("risk", elapsed)
    found = {name: correlated(load, lasting, draw(name)) for name, load in LASTING_LOADS.items() if name in names}
    found |= {name: correlated(CATEGORY_LOAD, lasting, draw(name)) for name in LEVELS if name in names}
    found |= {name: correlated(load, now, draw(name, elapsed)) for name, load in CHANGING_LOADS.items() if name in names}
    return found | {"risk": now}
