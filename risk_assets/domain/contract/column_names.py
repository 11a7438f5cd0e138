"""The words of a column name."""

import re

from risk_assets.domain.contract.text import without_controls

CUSTOMER = frozenset({"customer", "cust", "client", "borrower", "obligor", "debtor", "party", "member"})
IDENTIFIER = frozenset({"id", "no", "nr", "num", "number", "key", "code", "ref"})
_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")


def words(column: str) -> frozenset[str]:
    """Return the words of a column name in lower case: marital and status from `MARITAL_STATUS` or `maritalStatus`."""
    return frozenset(word_list(column))


def word_list(column: str) -> tuple[str, ...]:
    """Return the words of a column name in lower case, in order."""
    return tuple(word.lower() for word in re.findall(r"[^\W_]+", _BOUNDARY.sub(" ", column)))


def names_customer(column: str) -> bool:
    """Return whether a column's name is that of a customer's id, such as `customer_id`, `ClientNo` or `borrower`."""
    found = words(column)
    return bool(found & CUSTOMER) and bool(found & IDENTIFIER or found <= CUSTOMER)


def reason_text(column: str) -> str:
    """Derive a reason text from a column name: "Limit bal" from `LIMIT_BAL`, "Debt ratio" from `DebtRatio`."""
    column = without_controls(column)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z][a-z])", " ", column)
    spaced = re.sub(r"[_.\s]+|(?<!\d)-|-(?!\d)", " ", spaced).strip().lower()
    return spaced[:1].upper() + spaced[1:] or column.strip() or "A column without a name"


def missing_text(column: str) -> str:
    """Derive the reason text of a missing value from a column name: "Limit bal: no value is known" from `LIMIT_BAL`."""
    return f"{reason_text(column)}: no value is known"
