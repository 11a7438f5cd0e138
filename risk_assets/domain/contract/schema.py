"""What an account is: the columns of a snapshot, their types, ranges and texts."""

import math
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from risk_assets.domain.contract.documents import Document

ACCOUNT_ID = "account_id"
ISSUES = "issues"
OUTCOME = "bad"
SNAPSHOT = "\x1fsnapshot"  # the date of a row's snapshot; not a name that a file can have
RAGGED = "\x1fragged"  # the issue of a line with too few or too many fields
ONLINE_ID = "id"  # names the account in POST /predict
RESERVED = frozenset({ACCOUNT_ID, ISSUES, OUTCOME, ONLINE_ID})
DEFAULT_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def _text(value: object) -> object:
    """Let a team write `1` or `-9` where a token of text is meant."""
    if isinstance(value, bool):
        raise ValueError("write it in quotes: YAML reads it as true or false")
    return str(value) if isinstance(value, int | float) else value


Token = Annotated[str, BeforeValidator(_text)]


class Target(Document):
    """The outcome's column and the tokens that mean bad and good.

    Without `good`, every other token that is not missing means good.
    """

    column: str
    bad: Token
    good: Token | None = None

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.good is not None and _same(self.bad, self.good):
            raise ValueError("bad and good must be different tokens, and different numbers where both are numbers")
        return self


def _same(one: str, other: str) -> bool:
    """Say whether two tokens are one, as outcomes are read: as text, or as numbers where both are."""
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False


class Feature(Document):
    """One input of the model.

    `min` and `max` bound a number (both inclusive); `missing` lists this column's own codes for "not known";
    `risk` is the direction in which a higher number should move the risk; `reason` is what a person may be told.
    """

    type: Literal["number", "category"]
    min: float | None = None
    max: float | None = None
    required: bool = False
    missing: tuple[Token, ...] = ()
    risk: Literal["up", "down"] | None = None
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type == "category" and (self.min, self.max, self.risk) != (None, None, None):
            raise ValueError("min, max and risk are for numbers only; take them out or set type: number")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be above max")
        if any(bound is not None and not math.isfinite(bound) for bound in (self.min, self.max)):
            raise ValueError("min and max must be finite; leave a bound out where there is none")
        return self


class Contract(Document):
    """The id, the target, the tokens for missing, the decimal mark and the features of a snapshot."""

    id: str
    target: Target
    missing: tuple[Token, ...] = DEFAULT_MISSING
    decimal: Literal[".", ","] = "."
    features: dict[str, Feature] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in self.features:
            if name in RESERVED:
                raise ValueError(f"{name} is a name the product itself uses: rename it at the source")
            if name in (self.id, self.target.column):
                raise ValueError(f"{name} is the id or the target and can't be a feature too")
        if self.id == self.target.column:
            raise ValueError("id and target must be different columns")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns a snapshot must have: the id, then the features in the contract's order."""
        return (self.id, *self.features)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of the features that are numbers."""
        return tuple(name for name, feature in self.features.items() if feature.type == "number")

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the features that are categories."""
        return tuple(name for name, feature in self.features.items() if feature.type == "category")
