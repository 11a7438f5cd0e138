"""What may stand in a field, and what is said of what may not: one wording for snapshots and for requests."""

import math

import numpy as np

from risk_assets.domain.contract.schema import Contract, Feature

MISSING = "missing"
UNREADABLE = "unreadable"


def below(bound: float) -> str:
    """Return what is said of a number under its least."""
    return f"below {plain(bound)}"


def above(bound: float) -> str:
    """Return what is said of a number over its most."""
    return f"above {plain(bound)}"


def id_tokens(contract: Contract) -> tuple[str, ...]:
    """Return the texts that name no account."""
    return ("", *contract.missing)


def missing_tokens(feature: Feature, contract: Contract) -> tuple[str, ...]:
    """Return the texts that mean "not known" in a feature's column."""
    return (*id_tokens(contract), *feature.missing)


def missing_codes(feature: Feature, contract: Contract) -> list[float]:
    """Return the numbers that mean "not known" in a feature's column."""
    return [code for token in missing_tokens(feature, contract) if (code := _as_number(token, contract)) is not None]


def plain(number: float) -> str:
    """Return a number in full, without an exponent and without needless zeros."""
    return np.format_float_positional(number, trim="-")


def _as_number(token: str, contract: Contract) -> float | None:
    try:
        value = float(token.replace(",", ".") if contract.decimal == "," else token)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
