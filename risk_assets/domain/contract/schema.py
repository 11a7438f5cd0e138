"""The contract: the columns of an account snapshot, with their types, formats, ranges and reasons, and who is in the population."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from risk_assets.domain.contract.column_names import missing_text, reason_text
from risk_assets.domain.contract.documents import ColumnName, Document, Number, Text
from risk_assets.domain.contract.notation import MONEY, PERCENT, Decimal, Notation, Thousands, check_format
from risk_assets.domain.contract.text import normalize_level
from risk_assets.errors import ContractError

ACCOUNT_ID = "account_id"
ISSUES = "issues"
EXCLUDED = "excluded"  # the reason of the population rule that the row matches
GROUP = "group"  # the unit of evidence: the customer, or the account
OUTCOME = "bad"
# The product adds these two columns. The leading control character keeps them apart from any column of a file.
SNAPSHOT = "\x1fsnapshot"  # the date of the row's snapshot
RAGGED = "\x1fragged"  # why a line cannot be read with certainty, else null
ROW_ID = "#row"  # as `id` of a contract: accounts are named by their row number
ONLINE_ID = "id"  # the account id in a record of POST /predict
RESERVED = frozenset({ACCOUNT_ID, ISSUES, EXCLUDED, GROUP, OUTCOME, ONLINE_ID})
STATUS = "status"
SCORED, ISSUE, NOT_ELIGIBLE = "scored", "issue", "not eligible"
MAX_WINDOW_DAYS = 1826  # five years: the training window and the performance window together
DEFAULT_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def _text(value: object) -> object:
    """Convert a YAML number to text, so that tokens such as `1` or `-9` need no quotes."""
    if isinstance(value, bool):
        raise ValueError("write it in quotes: YAML reads it as true or false")
    return str(value) if isinstance(value, int | float) else value


def _is_unset(value: object) -> bool:
    return value is None or value is False or value == ()


def _is_zero(value: object) -> bool:
    return value == 0


def _is_true(value: object) -> bool:
    return value is True


Token = Annotated[str, BeforeValidator(_text)]
Format = Annotated[str, AfterValidator(check_format)]
Days = Annotated[int, Field(ge=0, le=MAX_WINDOW_DAYS, strict=True)]


class BadWhen(Document):
    """The condition under which an account is bad on a date: a number feature of its snapshot is at least a limit."""

    column: str
    at_least: Annotated[Number, Field(allow_inf_nan=False)]


class Derived(Document):
    """Outcomes that are derived from later snapshots.

    Attributes
    ----------
    bad_when
        The condition under which an account is bad on a date.
    within_days
        The performance window: an account of a snapshot goes bad if it is bad on one of this many days after it.
    when_gone
        The outcome of an account that leaves the snapshots before the end of the window and did not go bad.
    """

    bad_when: BadWhen
    within_days: Annotated[int, Field(ge=1, le=MAX_WINDOW_DAYS, strict=True)]
    when_gone: Literal["good", "bad", "unknown"]


@dataclass(frozen=True)
class OutcomeFile:
    """The columns of a file of outcomes, and the tokens that mean bad and good."""

    column: str
    bad: str
    good: str | None
    known_at: str | None


class Target(Document):
    """The outcome: a column of the file of outcomes and the tokens that mean bad and good, or a rule that derives it.

    Attributes
    ----------
    column
        The column in the file of outcomes.
    bad
        The token for a bad outcome.
    good
        The token for a good outcome. Without it, every token that is neither bad nor missing means good.
    matures_after_days
        The performance window: the days after the snapshot in which an account can go bad. Training for a date uses the
        snapshots whose window has ended by then. 0 means that outcomes are known on the day of the snapshot.
    definition
        What bad means, for people, such as "90 days past due within 12 months".
    known_at
        A column in the file of outcomes with the date (YYYY-MM-DD) on which the outcome became known. It counts if it is later
        than the end of the performance window. Without the column, or without a date in it, an outcome counts as known at the
        end of the window. A label that a later file changes counts from the date on which that file was stored.
    derived
        The rule that derives outcomes from later snapshots, instead of `column`, `bad`, `good`, `matures_after_days` and
        `known_at`.
    """

    # Unset keys are not part of the digest: contracts that do not use them keep theirs.
    derived: Derived | None = Field(default=None, exclude_if=_is_unset)  # first: it decides which other keys are required
    column: ColumnName | None = Field(default=None, validate_default=True)
    bad: Token | None = Field(default=None, validate_default=True)
    good: Token | None = None
    matures_after_days: Days = Field(default=0, exclude_if=_is_zero)
    definition: Text | None = Field(default=None, exclude_if=_is_unset)
    known_at: ColumnName | None = Field(default=None, exclude_if=_is_unset)

    @field_validator("column", "bad")
    @classmethod
    def _required(cls, value: str | None, info: ValidationInfo) -> str | None:
        is_derived = info.data.get("derived", True)  # a rule with errors is missing here: only these are reported
        if value is None and not is_derived:
            raise ValueError("Field required, unless target.derived derives outcomes from later snapshots")
        return value

    @model_validator(mode="after")
    def _landed_or_derived(self) -> Self:
        landed = ("column", "bad", "good", "matures_after_days", "known_at")
        given = [name for name in landed if getattr(self, name) not in (None, 0)]
        if self.derived is not None and given:
            raise ValueError(f"{', '.join(given)} and derived exclude each other; remove one of them")
        return self

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.bad is not None and self.good is not None and same_token(self.bad, self.good):
            raise ValueError("bad and good must be different tokens, and different numbers where both are numbers")
        return self

    @property
    def performance_days(self) -> int:
        """The performance window in days: the time after a snapshot in which its accounts can go bad."""
        return self.derived.within_days if self.derived else self.matures_after_days

    @property
    def file(self) -> OutcomeFile:
        """The columns and tokens of a file of outcomes.

        Raises
        ------
        ContractError
            If outcomes are derived, so that there is no such file.
        """
        if self.column is None or self.bad is None:
            raise ContractError(
                "the contract derives outcomes from later snapshots (target.derived), so no file of outcomes is read. Write the outcomes "
                "of the snapshots that mature on a date: risk outcomes DATE; or set target.column and target.bad instead of target.derived."
            )
        return OutcomeFile(self.column, self.bad, self.good, self.known_at)


def same_token(one: str, other: str) -> bool:
    """Return whether two tokens match, as text or, if both are numbers, as numbers. Outcomes are read the same way."""
    try:
        return normalize_level(one) == normalize_level(other) or float(one) == float(other)
    except ValueError:
        return False


@dataclass(frozen=True)
class ReasonTexts:
    """A feature's texts as a reason: for a low and for a high value, for a missing value, and `neutral` for any known value."""

    low: str
    high: str
    missing: str
    neutral: str


class Feature(Document):
    """One column of a snapshot.

    Attributes
    ----------
    type
        "number" or "category".
    format
        How the numbers are written in files; None means plain numbers such as 1234.5 or 1e3. The value is a number in each
        case, and `min`, `max` and numeric `missing` tokens are in its unit. Requests to the service send numbers in the
        same unit as JSON, so `format`, `decimal` and `thousands` do not apply to them.

        - `percent`: 24.49% is 24.49. The unit is percentage points as written, not divided by 100. A value without a percent
          sign is unreadable.
        - `money`: a currency sign or code before or after the number is optional. (822), 822- and -822 are -822. Thousands
          marks are accepted; without `thousands`, the mark is "," with a decimal point and "." with a decimal comma.
        - `date(FORMAT)`: the number of days before the snapshot, positive in the past. FORMAT has the directives %Y (four
          digits) or %y (two digits: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068), %m (number), %b (Jan) or %B
          (January), and %d. Without %d, the date is the first of the month. %H, %M and %S are ignored. All other text must
          occur literally.
    decimal
        The decimal mark of this column; None means the contract's.
    thousands
        The thousands mark of this column: ",", ".", " " (any space) or "'". Groups have three digits, or two and at last
        three as in 12,34,567. None means that numbers have no thousands marks, except with `format: money`.
    min, max
        The valid range of a number, both ends included.
    required
        Whether a row without this value gets an issue instead of a score.
    missing
        Tokens that mean "missing" in this column only, in addition to the contract's.
    risk
        The direction in which a higher number moves the risk; None leaves the direction to the model.
    input
        Whether models use the column. A column with `input: false` is validated and stored with the features; population rules
        can use it, such as the status of an account or a flag for a death.
    sensitive
        Whether the column is a basis on which decisions must not rest, such as sex or religion. A sensitive column is
        validated and stored with the features for fairness figures, but it is not an input of models, and requests to the
        service do not contain it. An invalid value gives the row an issue, as in any other column. In the United States see
        Regulation B (ECOA), 12 CFR 1002.2(z) and 1002.6(b).
    reason
        The text of this feature as a reason code. It may be sent to customers. A column that models do not use gives no reason.
        With `risk: up` it is the text for high values, with `risk: down` for low values, and other known values have a neutral text
        derived from the column's name. Without `risk` it must be true of any known value.
    reason_missing
        The text if the value is missing. None means a text derived from the column's name, such as "Annual income: no value is
        known".
    reason_low, reason_high
        The texts for a number without `risk`: `reason_low` where higher values would score better and no lower value would,
        `reason_high` where lower values would score better and no higher value would. None means `reason`.
    """

    type: Literal["number", "category"]
    # Unset keys are not part of the digest: contracts that do not use them keep theirs.
    format: Format | None = Field(default=None, exclude_if=_is_unset)
    decimal: Decimal | None = Field(default=None, exclude_if=_is_unset)
    thousands: Thousands | None = Field(default=None, exclude_if=_is_unset)
    min: Number | None = None
    max: Number | None = None
    required: bool = False
    missing: tuple[Token, ...] = ()
    risk: Literal["up", "down"] | None = None
    input: bool = Field(default=True, exclude_if=_is_true)
    sensitive: bool = Field(default=False, exclude_if=_is_unset)
    reason: Text
    reason_missing: Text | None = Field(default=None, exclude_if=_is_unset)
    reason_low: Text | None = Field(default=None, exclude_if=_is_unset)
    reason_high: Text | None = Field(default=None, exclude_if=_is_unset)

    def reason_texts(self, name: str) -> ReasonTexts:
        """Return the texts of this feature, whose column has a name."""
        named = reason_text(name)
        neutral = named if self.risk else self.reason
        return ReasonTexts(
            low=self.reason if self.risk == "down" else self.reason_low or neutral,
            high=self.reason if self.risk == "up" else self.reason_high or neutral,
            missing=self.reason_missing or missing_text(name),
            neutral=neutral,
        )

    @model_validator(mode="after")
    def _one_text_for_each_side(self) -> Self:
        if (self.reason_low, self.reason_high) == (None, None):
            return self
        if self.type == "category":
            raise ValueError("reason_low and reason_high apply to numbers only; remove them")
        if self.risk:
            side = "high" if self.risk == "up" else "low"
            raise ValueError(f"with risk: {self.risk}, reason is the text for {side} values; remove reason_low and reason_high")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type == "category" and (self.min, self.max, self.risk) != (None, None, None):
            raise ValueError("min, max and risk apply to numbers only; remove them or set type: number")
        if self.type == "category" and (self.format, self.decimal, self.thousands) != (None, None, None):
            raise ValueError("format, decimal and thousands apply to numbers only; remove them or set type: number")
        if self.format not in (None, PERCENT, MONEY) and (self.decimal, self.thousands) != (None, None):
            raise ValueError("decimal and thousands do not apply to dates; remove them")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be above max")
        if any(bound is not None and not math.isfinite(bound) for bound in (self.min, self.max)):
            raise ValueError("min and max must be finite; to have no bound, leave the key out")
        return self


class Exclusion(Document):
    """A population rule: which accounts are not eligible, and why. A missing value matches no rule.

    Attributes
    ----------
    reason
        Why the accounts are not eligible, such as "closed". It is the row's `excluded` and may be sent to customers.
    column
        A feature of the contract that is not sensitive.
    at_least, above, at_most, below
        The numbers that match: one lower bound, one upper bound, or one of each. Dates are days before the snapshot, so that
        `below: 60` on the date of opening means opened less than 60 days ago.
    is
        The levels of a category that match. Surrounding whitespace is ignored.
    """

    reason: Text
    column: str
    at_least: Number | None = Field(default=None, exclude_if=_is_unset)
    above: Number | None = Field(default=None, exclude_if=_is_unset)
    at_most: Number | None = Field(default=None, exclude_if=_is_unset)
    below: Number | None = Field(default=None, exclude_if=_is_unset)
    levels: tuple[Token, ...] = Field(default=(), alias="is", exclude_if=_is_unset)

    @property
    def bounds(self) -> tuple[float, ...]:
        """The bounds that are set; none if the rule is about a category."""
        return tuple(bound for bound in (self.at_least, self.above, self.at_most, self.below) if bound is not None)

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if bool(self.bounds) == bool(self.levels):
            raise ValueError("set either numbers (at_least, above, at_most, below) or levels (is)")
        if None not in (self.at_least, self.above) or None not in (self.at_most, self.below):
            raise ValueError("set at_least or above, and at_most or below, not both of a kind")
        if not all(map(math.isfinite, self.bounds)):
            raise ValueError("the bounds must be finite numbers")
        if len(self.bounds) > 1 and not self._has_numbers():
            raise ValueError("no number is within these bounds")
        return self

    def matches_number(self, value: float) -> bool:
        """Return whether a known number is within the bounds."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def _has_numbers(self) -> bool:
        low, high = self.bounds
        return low < high or self.matches_number(low)


class Contract(Document):
    """The columns of a snapshot and how to read them.

    Attributes
    ----------
    id
        The column with the account id, in snapshots and in outcomes. "#row" means that files have no such column: the row
        number names the account, "1" for the first row after the header. Outcomes must then have the same rows in the same
        order as the snapshot of their date, and an account keeps its id only as long as it keeps its row.
    target
        The outcome.
    missing
        Tokens that mean "missing" in every column. An empty field is always missing.
    decimal
        The decimal mark of numbers, unless a feature sets its own.
    group
        The column with the customer's id, if one customer can have several accounts. A challenger then decides for all accounts
        of a customer, or for none. An account without a value is a group of its own. None means that each account is one.
    exclude
        The population rules, in the order in which they are compared with a row: the first that matches names the reason. Such a
        row is not eligible: it is neither scored nor used in training or figures. Issues of its features do not count; a row
        whose line or id has an issue matches no rule.
    exposure
        The feature, a number, with the exposure of an account, such as its balance. The morning report sums it over flagged accounts and
        shows it in its lists. It decides nothing. None means that no exposure is shown.
    features
        The features by column name. Their order is the order of the model's inputs and breaks ties between reasons.
    """

    id: ColumnName
    target: Target
    missing: tuple[Token, ...] = DEFAULT_MISSING
    decimal: Decimal = "."
    group: ColumnName | None = Field(default=None, exclude_if=_is_unset)
    exclude: tuple[Exclusion, ...] = Field(default=(), exclude_if=_is_unset)
    exposure: str | None = Field(default=None, exclude_if=_is_unset)
    features: dict[str, Feature] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        for name in self.features:
            if name in RESERVED:
                raise ValueError(f"the name {name} is reserved: rename it at the source")
            if name in (self.id, self.target.column, self.target.known_at):
                raise ValueError(f"{name} is the id, the target or target.known_at and cannot also be a feature")
        columns = [name for name in (self.id, self.target.column, self.target.known_at) if name is not None]
        if len(set(columns)) < len(columns):
            raise ValueError("id, target and target.known_at must be different columns")
        if self.group is not None and self.group in columns:
            raise ValueError(f"{self.group} is the id or the target and cannot also be the group; without group, each account is one")
        if self.group in self.features:
            raise ValueError(f"{self.group} is the group and cannot also be a feature")
        if self.group == ONLINE_ID:
            raise ValueError(f"the name {ONLINE_ID} is reserved: rename the group at the source")
        return self

    @model_validator(mode="after")
    def _derivable(self) -> Self:
        if self.target.derived is None:
            return self
        column = self.target.derived.bad_when.column
        if column not in self.features or self.features[column].type != "number":
            raise ValueError(f"target.derived.bad_when.column: {column} is not a feature with type: number; name one")
        if self.has_row_ids:
            raise ValueError(
                f'id: "{ROW_ID}" names no account from one snapshot to the next, so outcomes cannot be derived; set id to a column'
            )
        return self

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for name, feature in self.features.items():
            if feature.thousands == (feature.decimal or self.decimal):
                raise ValueError(f"{name} has the same mark for thousands and decimals; set decimal or thousands of {name}")
        if not self.inputs:
            raise ValueError("every feature is sensitive or has input: false, so a model has no input; add a feature that is not")
        return self

    @model_validator(mode="after")
    def _excludable(self) -> Self:
        for rule in self.exclude:
            feature = self.features.get(rule.column)
            if feature is None:
                raise ValueError(f"exclude: {rule.column} is not a feature; add it to features, with input: false if models do not use it")
            if feature.sensitive:
                raise ValueError(f"exclude: {rule.column} is sensitive, and decisions must not rest on it")
            if feature.type == "number" and rule.levels:
                raise ValueError(f"exclude: {rule.column} is a number; use at_least, above, at_most or below")
            if feature.type == "category" and rule.bounds:
                raise ValueError(f"exclude: {rule.column} is a category; use is")
            missing = {"", *map(normalize_level, (*self.missing, *feature.missing))}
            if not missing.isdisjoint(map(normalize_level, rule.levels)):
                raise ValueError(f"exclude: a level of {rule.column} means a missing value, which matches no rule; remove it")
        return self

    @model_validator(mode="after")
    def _exposed(self) -> Self:
        if self.exposure is None:
            return self
        feature = self.features.get(self.exposure)
        if feature is None:
            raise ValueError(f"exposure: {self.exposure} is not a feature; add it to features, with input: false if models do not use it")
        if feature.type != "number" or self.notation(self.exposure).date_format:
            raise ValueError(f"exposure: {self.exposure} is not an amount; name a feature with type: number that is not a date")
        if feature.sensitive:
            raise ValueError(f"exposure: {self.exposure} is sensitive, and lists of accounts must not show it")
        return self

    @property
    def has_row_ids(self) -> bool:
        """Whether accounts are named by their row number."""
        return self.id == ROW_ID

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a snapshot must have: the id, if accounts have one, the group, then the features in contract order."""
        return (*self._id_columns(), *([self.group] if self.group else []), *self.features)

    @property
    def outcome_columns(self) -> tuple[str, ...]:
        """The columns that a file of outcomes must have: the id, if accounts have one, the target, and `known_at` if it is set.

        Raises
        ------
        ContractError
            If outcomes are derived, so that there is no such file.
        """
        file = self.target.file
        return (*self._id_columns(), file.column, *([file.known_at] if file.known_at else []))

    @property
    def inputs(self) -> MappingProxyType[str, Feature]:
        """The features that models use: neither sensitive nor with `input: false`, in contract order."""
        used = {name: feature for name, feature in self.features.items() if feature.input and not feature.sensitive}
        return MappingProxyType(used)

    @property
    def sensitive(self) -> MappingProxyType[str, Feature]:
        """The sensitive features, in contract order: figures compare their groups, and models do not use them."""
        return MappingProxyType({name: feature for name, feature in self.features.items() if feature.sensitive})

    @property
    def request_features(self) -> MappingProxyType[str, Feature]:
        """The features in requests to the service: the inputs of models, then the other columns of population rules."""
        others = {rule.column: self.features[rule.column] for rule in self.exclude}
        return MappingProxyType({**self.inputs, **others})

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of the numeric inputs of models, in contract order."""
        return tuple(name for name, feature in self.inputs.items() if feature.type == "number")

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the categorical inputs of models, in contract order."""
        return tuple(name for name, feature in self.inputs.items() if feature.type == "category")

    @property
    def all_categories(self) -> tuple[str, ...]:
        """The names of all categorical features, sensitive ones included: results are compared between their levels."""
        return tuple(name for name, feature in self.features.items() if feature.type == "category")

    @property
    def dates(self) -> tuple[str, ...]:
        """The names of the features that are read as days before the snapshot."""
        return tuple(name for name in self.features if self.notation(name).date_format)

    def notation(self, name: str) -> Notation:
        """Return how a feature's numbers are written."""
        feature = self.features[name]
        decimal = feature.decimal or self.decimal
        default: Thousands | None = None
        if feature.format == MONEY:
            default = "," if decimal == "." else "."
        return Notation(feature.format, decimal, feature.thousands or default)

    def _id_columns(self) -> Iterator[str]:
        if not self.has_row_ids:
            yield self.id
