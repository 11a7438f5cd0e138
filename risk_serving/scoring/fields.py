"""The rules for one field of a record, from the contract, and the same rules as JSON schema."""

import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from risk_assets.domain.contract.field_rules import (
    CONTROL_ISSUE,
    LINE_END_ISSUE,
    MISSING_ISSUE,
    UNREADABLE_ISSUE,
    above,
    below,
    id_tokens,
    missing_codes,
    missing_tokens,
    plain,
)
from risk_assets.domain.contract.schema import Contract, Feature
from risk_assets.domain.contract.text import normalize_level, strip_cell

# Patterns of JSON schema: a text without NUL, one that is not blank, and one that has no line end inside either.
TEXT = r"^[^\x00]*$"
MAX_ID = 256  # characters, with surrounding whitespace
ID_TYPE: Any = Annotated[str, Meta(max_length=MAX_ID)] | None  # of the ids of accounts and customers
KNOWN_TEXT = r"^[^\x00]*[^\s\x00][^\x00]*$"
KNOWN_LINE = r"^\s*[^\s\x00]([^\r\n\x00]*[^\s\x00])?\s*$"
_LINE_END = re.compile(r"[\r\n]")


def broken_text(value: object) -> str | None:
    """Return the rule that a decoded JSON value breaks if it is neither null nor a text that a line of a snapshot can have, or None."""
    if value is None:
        return None
    if not isinstance(value, str):
        return "must be text or null"
    return CONTROL_ISSUE if "\0" in value else None


def broken_id_text(value: object) -> str | None:
    """Return the rule that a decoded JSON value breaks as the id of an account or a customer, which may be missing, or None."""
    if isinstance(value, str) and len(value) > MAX_ID:
        return f"longer than {MAX_ID} characters"
    return broken_text(value)


@dataclass(frozen=True)
class IdField:
    """The account's id of a record. `tokens` are the texts that mean a missing id."""

    tokens: frozenset[str]

    @staticmethod
    def of(contract: Contract) -> "IdField":
        """Return the field for the ids of a contract."""
        return IdField(frozenset(id_tokens(contract)))

    def broken_rule(self, value: object) -> str | None:
        """Return the rule that a decoded JSON value breaks, or None. An id may be absent or null."""
        if (rule := broken_id_text(value)) or not isinstance(value, str):
            return rule
        if normalize_level(value) in self.tokens:
            return MISSING_ISSUE
        return LINE_END_ISSUE if _LINE_END.search(strip_cell(value)) else None

    def any_missing(self, ids: Sequence[str | None]) -> bool:
        """Return whether any of the ids, which have no surrounding whitespace, is a text that means a missing id."""
        others = (account for account in ids if account is not None and not account.isascii())
        return not self.tokens.isdisjoint(ids) or not self.tokens.isdisjoint(map(normalize_level, others))

    def schema(self, column: str) -> dict[str, object]:
        """Return the JSON schema of the valid values. It cannot express that whitespace around a missing-value text is ignored."""
        text = f"The account's id: {column} in the contract. Surrounding whitespace is ignored. Without it, the champion scores the record."
        return {
            "type": ["string", "null"],
            "maxLength": MAX_ID,
            "pattern": KNOWN_LINE,
            "not": {"enum": sorted(self.tokens - {""})},
            "description": text,
        }


@dataclass(frozen=True)
class Field:
    """One feature of a record.

    Attributes
    ----------
    required
        Whether a known value is needed: a live model uses the feature and the contract requires it, or the model does.
    low, high
        The range of a number, inclusive.
    codes, tokens
        The numbers and the texts that mean a missing value.
    """

    name: str
    is_number: bool
    required: bool
    low: float
    high: float
    codes: frozenset[float]
    tokens: frozenset[str]

    @staticmethod
    def of(name: str, feature: Feature, contract: Contract, required: bool) -> "Field":
        """Return the field for a feature of the contract."""
        return Field(
            name,
            feature.type == "number",
            required,
            -math.inf if feature.min is None else feature.min,
            math.inf if feature.max is None else feature.max,
            frozenset(missing_codes(feature, contract)),
            frozenset(missing_tokens(feature, contract)),
        )

    def level(self, text: str | None) -> str | None:
        """Return the level of a category, stripped and normalised, or None if it is missing."""
        if text is None:
            return None
        level = normalize_level(text)
        return None if level in self.tokens else level

    def broken_rule(self, value: object) -> str | None:
        """Return the rule that a decoded JSON value breaks, or None."""
        return self.broken_type(value) or (self._broken_range(value) if self.is_number else self._broken_level(value))

    def broken_type(self, value: object) -> str | None:
        """Return the rule that a decoded JSON value breaks if it cannot be read as a value of the field, or None."""
        if not self.is_number:
            return broken_text(value)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            return "must be a number or null"
        return UNREADABLE_ISSUE if value is not None and abs(value) > sys.float_info.max else None

    def _broken_level(self, value: Any) -> str | None:
        return MISSING_ISSUE if self.required and self.level(value) is None else None

    def _broken_range(self, value: Any) -> str | None:
        if value is None or value in self.codes:
            return MISSING_ISSUE if self.required else None
        if value < self.low:
            return below(self.low)
        return above(self.high) if value > self.high else None

    def schema(self) -> dict[str, object]:
        """Return the JSON schema of the valid values. It cannot express that whitespace around a missing-value text is ignored."""
        return self._number_schema() if self.is_number else self._category_schema()

    def _category_schema(self) -> dict[str, object]:
        tokens = sorted(self.tokens - {""})
        if self.required:
            return {"type": "string", "pattern": KNOWN_TEXT, "not": {"enum": tokens}}
        return {"type": ["string", "null"], "pattern": TEXT, "description": _missing_values(tokens)}

    def _number_schema(self) -> dict[str, object]:
        bounds = {key: bound for key, bound in (("minimum", self.low), ("maximum", self.high)) if math.isfinite(bound)}
        codes = sorted(self.codes)
        if not codes:
            return {"type": "number" if self.required else ["number", "null"], **bounds}
        if self.required:
            return {"type": "number", **bounds, "not": {"enum": codes}}
        # A code is a range of one number: generators of clients reject or drop enumerations of numbers with null.
        single = [{"type": "number", "minimum": code, "maximum": code} for code in codes]
        return {"anyOf": [{"type": "number", **bounds}, *single, {"type": "null"}], "description": _missing_values(map(plain, codes))}


def _missing_values(codes: Iterable[str]) -> str:
    return f"Missing values: {', '.join(['null', *codes])}."
