"""What one field of a record may hold: the contract's word on it, and the same as JSON schema."""

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from risk_assets.domain.contract.field_rules import MISSING_ISSUE, UNREADABLE_ISSUE, above, below, missing_codes, missing_tokens, plain
from risk_assets.domain.contract.schema import Contract, Feature

BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # polars'
)


@dataclass(frozen=True)
class Field:
    """One feature of a record; `needed` where it must be known for a live model to score."""

    name: str
    is_number: bool
    needed: bool
    low: float
    high: float
    codes: frozenset[float]
    tokens: frozenset[str]

    @staticmethod
    def of(name: str, feature: Feature, contract: Contract, used: bool) -> "Field":
        """Return the field of a contract's feature, `used` or not by a live model."""
        return Field(
            name,
            feature.type == "number",
            feature.required and used,
            -math.inf if feature.min is None else feature.min,
            math.inf if feature.max is None else feature.max,
            frozenset(missing_codes(feature, contract)),
            frozenset(missing_tokens(feature, contract)),
        )

    def level(self, text: str | None) -> str | None:
        """Return a category's level, or None where it is not known."""
        if text is None:
            return None
        stripped = text.strip(BLANKS)
        return None if stripped in self.tokens else stripped

    def broken(self, value: object) -> str | None:
        """Return the rule that a value breaks, or None where it fits."""
        if self.is_number:
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                return "must be a number or null"
            missing = value is None or value in self.codes
        else:
            if not isinstance(value, str | None):
                return "must be text or null"
            missing = self.level(value) is None
        if missing or isinstance(value, str | None):
            return MISSING_ISSUE if missing and self.needed else None
        if abs(value) > sys.float_info.max:
            return UNREADABLE_ISSUE
        if value < self.low:
            return below(self.low)
        return above(self.high) if value > self.high else None

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of what breaks no rule, but for blanks around a text that means "not known"."""
        if not self.is_number:
            tokens = sorted(self.tokens - {""})
            known = {"type": "string", "pattern": r"\S", "not": {"enum": tokens}}
            return known if self.needed else {"type": ["string", "null"], "description": _unknown(tokens)}
        bounds = {key: bound for key, bound in (("minimum", self.low), ("maximum", self.high)) if math.isfinite(bound)}
        codes = sorted(self.codes)
        if not codes:
            return {"type": "number" if self.needed else ["number", "null"], **bounds}
        if self.needed:
            return {"type": "number", **bounds, "not": {"enum": codes}}
        return {"anyOf": [{"type": "number", **bounds}, {"enum": [*codes, None]}], "description": _unknown(map(plain, codes))}


def _unknown(codes: Iterable[str]) -> str:
    return f"Not known: null, {', '.join(codes)}".removesuffix(", ")
