"""Rules for one field: the tokens that mean "missing", and the texts of issues. Snapshots and requests share them."""

import math
from decimal import Decimal

from risk_assets.domain.contract.notation import date_format
from risk_assets.domain.contract.schema import Contract, Feature
from risk_assets.domain.contract.text import normalize_level

SEPARATOR = "; "  # between the issues of a row
MISSING_ISSUE = "missing"
UNREADABLE_ISSUE = "unreadable"
REPEATED_ISSUE = "repeated"
LINE_END_ISSUE = "has a line end"
CONTROL_ISSUE = "stray control character"
ACCOUNT_MARK = "\x1f"  # before the id of an account without a customer: no customer starts with it, because cells are stripped


def below(bound: float) -> str:
    """Return the issue of a number below the minimum."""
    return f"below {plain(bound)}"


def above(bound: float) -> str:
    """Return the issue of a number above the maximum."""
    return f"above {plain(bound)}"


def id_tokens(contract: Contract) -> tuple[str, ...]:
    """Return the tokens that mean "missing" in the id column, normalised as levels are. Row numbers are never missing."""
    return ("",) if contract.has_row_ids else ("", *map(normalize_level, contract.missing))


def group_tokens(contract: Contract) -> tuple[str, ...]:
    """Return the tokens that mean "missing" in the column of the group, normalised as levels are."""
    return ("", *map(normalize_level, contract.missing))


def account_group(account: str) -> str:
    """Return the group of an account whose customer is missing, which no customer's id can equal."""
    return ACCOUNT_MARK + account


def missing_tokens(feature: Feature, contract: Contract) -> tuple[str, ...]:
    """Return the tokens that mean "missing" in a feature's column, normalised as the levels that they are compared with."""
    return ("", *map(normalize_level, (*contract.missing, *feature.missing)))


def missing_codes(feature: Feature, contract: Contract) -> list[float]:
    """Return the missing tokens of a feature that are finite numbers, as numbers.

    A code matches by value: -9 also matches -9.0, and -9% with `format: percent`. Dates have no codes.
    """
    if date_format(feature.format):
        return []
    decimal = feature.decimal or contract.decimal
    return [code for token in missing_tokens(feature, contract) if (code := _as_number(token, decimal)) is not None]


def plain(number: float) -> str:
    """Return a number with all its digits, without exponent and trailing zeros."""
    digits = format(Decimal(repr(float(number))), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _as_number(token: str, mark: str) -> float | None:
    try:
        value = float(token.replace(",", ".") if mark == "," else token)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
