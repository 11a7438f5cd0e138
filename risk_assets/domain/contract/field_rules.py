"""Rules for one field: the tokens that mean "missing", and the texts of issues. Snapshots and requests share them."""

import math
from decimal import Decimal

from risk_assets.domain.contract.schema import Contract, Feature
from risk_assets.domain.contract.text import normalize_level

MISSING_ISSUE = "missing"
UNREADABLE_ISSUE = "unreadable"
REPEATED_ISSUE = "repeated"


def below(bound: float) -> str:
    """Return the issue of a number below the minimum."""
    return f"below {plain(bound)}"


def above(bound: float) -> str:
    """Return the issue of a number above the maximum."""
    return f"above {plain(bound)}"


def id_tokens(contract: Contract) -> tuple[str, ...]:
    """Return the tokens that mean "missing" in the id column, normalised like the levels that they are compared with."""
    return ("", *map(normalize_level, contract.missing))


def missing_tokens(feature: Feature, contract: Contract) -> tuple[str, ...]:
    """Return the tokens that mean "missing" in a feature's column, normalised like the levels that they are compared with."""
    return (*id_tokens(contract), *map(normalize_level, feature.missing))


def missing_codes(feature: Feature, contract: Contract) -> list[float]:
    """Return the missing tokens of a feature that are finite numbers, as numbers.

    A code matches by value: -9 also matches -9.0.
    """
    return [code for token in missing_tokens(feature, contract) if (code := _as_number(token, contract)) is not None]


def plain(number: float) -> str:
    """Return a number with all its digits, without exponent and trailing zeros."""
    digits = format(Decimal(repr(float(number))), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _as_number(token: str, contract: Contract) -> float | None:
    try:
        value = float(token.replace(",", ".") if contract.decimal == "," else token)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
