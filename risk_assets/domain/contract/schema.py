"""The contract: the columns of an account snapshot, with their types, ranges, missing tokens and reason texts."""

import math
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from risk_assets.domain.contract.documents import Document
from risk_assets.domain.contract.text import normalize_level

ACCOUNT_ID = "account_id"
ISSUES = "issues"
OUTCOME = "bad"
# The product adds these two columns. The leading control character keeps them apart from any column of a file.
SNAPSHOT = "\x1fsnapshot"  # the date of the row's snapshot
RAGGED = "\x1fragged"  # the issue of a line with too few or too many fields, else null
ONLINE_ID = "id"  # the account id in a record of POST /predict
RESERVED = frozenset({ACCOUNT_ID, ISSUES, OUTCOME, ONLINE_ID})
DEFAULT_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def _text(value: object) -> object:
    """Convert a YAML number to text, so that tokens such as `1` or `-9` need no quotes."""
    if isinstance(value, bool):
        raise ValueError("write it in quotes: YAML reads it as true or false")
    return str(value) if isinstance(value, int | float) else value


Token = Annotated[str, BeforeValidator(_text)]


class Target(Document):
    """The outcome column and the tokens that mean bad and good.

    Attributes
    ----------
    column
        The column in the file of outcomes.
    bad
        The token for a bad outcome.
    good
        The token for a good outcome. Without it, every token that is neither bad nor missing means good.
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
    """Return whether two tokens match, as text or, if both are numbers, as numbers. Outcomes are read the same way."""
    try:
        return normalize_level(one) == normalize_level(other) or float(one) == float(other)
    except ValueError:
        return False


class Feature(Document):
    """One input column of the model.

    Attributes
    ----------
    type
        "number" or "category".
    min, max
        The valid range of a number, both ends included.
    required
        Whether a row without this value gets an issue instead of a score.
    missing
        Tokens that mean "missing" in this column only, in addition to the contract's.
    risk
        The direction in which a higher number moves the risk; None leaves the direction to the model.
    reason
        The text of this feature as a reason code. It may be sent to customers.
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
            raise ValueError("min, max and risk apply to numbers only; remove them or set type: number")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be above max")
        if any(bound is not None and not math.isfinite(bound) for bound in (self.min, self.max)):
            raise ValueError("min and max must be finite; to have no bound, leave the key out")
        return self


class Contract(Document):
    """The columns of a snapshot and how to read them.

    Attributes
    ----------
    id
        The column with the account id, in snapshots and in outcomes.
    target
        The outcome.
    missing
        Tokens that mean "missing" in every column. An empty field is always missing.
    decimal
        The decimal mark of numbers.
    features
        The features by column name. Their order is the order of the model's inputs and breaks ties between reasons.
    """

    id: str
    target: Target
    missing: tuple[Token, ...] = DEFAULT_MISSING
    decimal: Literal[".", ","] = "."
    features: dict[str, Feature] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        for name in self.features:
            if name in RESERVED:
                raise ValueError(f"the name {name} is reserved: rename it at the source")
            if name in (self.id, self.target.column):
                raise ValueError(f"{name} is the id or the target and cannot also be a feature")
        if self.id == self.target.column:
            raise ValueError("id and target must be different columns")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a snapshot must have: the id, then the features in contract order."""
        return (self.id, *self.features)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of the numeric features, in contract order."""
        return tuple(name for name, feature in self.features.items() if feature.type == "number")

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the categorical features, in contract order."""
        return tuple(name for name, feature in self.features.items() if feature.type == "category")
