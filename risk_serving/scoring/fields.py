"""The rules for one field of a record, from the contract, and the same rules as JSON schema."""

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from risk_assets.domain.contract.field_rules import MISSING_ISSUE, UNREADABLE_ISSUE, above, below, missing_codes, missing_tokens, plain
from risk_assets.domain.contract.schema import Contract, Feature
from risk_assets.domain.contract.text import normalize_level


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
            return None if isinstance(value, str | None) else "must be text or null"
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
            return {"type": "string", "pattern": r"\S", "not": {"enum": tokens}}
        return {"type": ["string", "null"], "description": _missing_values(tokens)}

    def _number_schema(self) -> dict[str, object]:
        bounds = {key: bound for key, bound in (("minimum", self.low), ("maximum", self.high)) if math.isfinite(bound)}
        codes = sorted(self.codes)
        if not codes:
            return {"type": "number" if self.required else ["number", "null"], **bounds}
        if self.required:
            return {"type": "number", **bounds, "not": {"enum": codes}}
        return {"anyOf": [{"type": "number", **bounds}, {"enum": [*codes, None]}], "description": _missing_values(map(plain, codes))}


def _missing_values(codes: Iterable[str]) -> str:
    return f"Missing values: {', '.join(['null', *codes])}."
