"""Columns of a snapshot from traits, as numbers and as text."""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from risk_assets.simulation.draws import Floats, exp, whole
from risk_assets.simulation.traits import LEVELS

DAYS_PER_MONTH = 30.4375
# Decimal places; other numbers are whole.
DECIMAL_PLACES: Mapping[str, int] = MappingProxyType(
    {"balance": 2, "utilisation": 3, "payment_ratio": 2, "debt_to_income": 3, "cash_advance_share": 2}
)
# The share of accounts with a missing value, by column, and the code for missing where the column has one.
MISSING_SHARES: Mapping[str, float] = MappingProxyType(
    {"annual_income": 0.04, "months_employed": 0.08, "bureau_score": 0.03, "home_ownership": 0.03, "channel": 0.02}
)
MISSING_CODES: Mapping[str, str] = MappingProxyType({"months_employed": "-9"})


def tenure(traits: Mapping[str, Floats], elapsed: int) -> dict[str, Floats]:
    """Return income, and months at the address, with the employer and on the book, which rise with the elapsed days."""
    months = elapsed / DAYS_PER_MONTH
    return {
        "annual_income": whole(320 * exp(0.45 * traits["annual_income"]), 60, 5000) * 100,
        "months_at_address": whole(48 * exp(0.9 * traits["months_at_address"]) + months, 0, 900),
        "months_employed": whole(54 * exp(0.8 * traits["months_employed"]) + months, 0, 720),
        "months_on_book": whole(30 * exp(0.7 * traits["months_on_book"]) + months, 1, 600),
    }


def usage(traits: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return limit, utilisation, balance, payments and cash withdrawals."""
    limit = whole(46 * exp(0.65 * traits["credit_limit"]), 5, 500) * 100
    used = np.rint(1000 * np.clip(0.42 + 0.3 * traits["utilisation"], 0, 1.3)) / 1000
    return {
        "credit_limit": limit,
        "utilisation": used,
        "balance": limit * used,
        "payment_ratio": np.clip(0.35 * exp(0.8 * traits["payment_ratio"]), 0.02, 2),
        "cash_advance_share": np.clip(0.22 * traits["cash_advance_share"] - 0.05, 0, 1),
    }


def bureau(traits: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return what the credit bureau reports."""
    return {
        "inquiries_6m": whole(1.4 + 1.7 * traits["inquiries_6m"], 0, 20),
        "open_accounts": whole(6.5 + 3 * traits["open_accounts"], 1, 30),
        "debt_to_income": np.clip(0.32 + 0.16 * traits["debt_to_income"], 0, 1.5),
        "bureau_score": whole(665 + 70 * traits["bureau_score"], 300, 850),
    }


def with_missing(name: str, values: Floats, uniforms: Floats) -> Floats:
    """Replace the values of the column's share of accounts, those with the smallest draws, by NaN."""
    return np.where(uniforms < MISSING_SHARES.get(name, 0), np.nan, values)


def number_texts(values: Floats, name: str) -> list[str]:
    """Format the numbers of a column, NaN as its code for missing. Each distinct number is formatted once."""
    places = DECIMAL_PLACES.get(name, 0)
    distinct, positions = np.unique(np.round(values, places) + 0.0, return_inverse=True)
    missing = MISSING_CODES.get(name, "")
    texts = [missing if math.isnan(value) else f"{value:.{places}f}" for value in distinct.tolist()]
    return [texts[position] for position in positions.tolist()]


def level_texts(values: Floats, name: str) -> list[str]:
    """Return the level of each trait of a category, empty if NaN."""
    lowest = np.array(list(LEVELS[name].values()), dtype=np.float64)
    texts = [*LEVELS[name], ""]
    positions = np.where(np.isnan(values), len(lowest), np.searchsorted(lowest, values, side="right") - 1)
    return [texts[position] for position in positions.tolist()]


def csv(columns: Mapping[str, Iterable[str]]) -> bytes:
    """Return columns as CSV (UTF-8, LF) with a header."""
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    return "\n".join((*map(",".join, rows), "")).encode()
