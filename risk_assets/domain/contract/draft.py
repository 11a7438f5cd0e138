"""Write a draft contract as YAML with comments."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from risk_assets.domain.contract.column_names import missing_text, reason_text
from risk_assets.domain.contract.column_profile import ColumnProfile, ExcludedColumn, bounds
from risk_assets.domain.contract.notation import MONEY, Decimal
from risk_assets.domain.contract.outcome_labels import Outcome
from risk_assets.domain.contract.schema import ROW_ID
from risk_assets.domain.wording import counted

MIN_ROWS_FOR_RULES = 100  # rows from which `min: 0` and `required: true` are derived
MATURITY_WARNING = (
    "0 means that outcomes are known on the day of the snapshot. Write the performance window: the days after a snapshot in which "
    "its accounts can go bad, such as 365. Training leaves out snapshots whose window has not ended."
)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Column:
    """A column of the file, what was found in it, and what to say about it.

    Attributes
    ----------
    name : str
        The name in the file.
    profile : ColumnProfile or ExcludedColumn
        How the column becomes a feature, or why it does not.
    warnings : tuple of str
        Signs of a leak, as sentences.
    sensitive : bool
        Whether the column is a prohibited basis, so that it stays out of models.
    """

    name: str
    profile: ColumnProfile | ExcludedColumn
    warnings: tuple[str, ...] = ()
    sensitive: bool = False

    @property
    def is_input(self) -> bool:
        """Whether models use the column."""
        return isinstance(self.profile, ColumnProfile) and not self.sensitive


@dataclass(frozen=True)
class Source:
    """The file, the number of rows that were read, and whether it has more."""

    name: str
    rows: int
    is_cut: bool


@dataclass(frozen=True)
class Draft:
    """A draft contract: its YAML, the warnings in its comments, each with the name of its column, and the observed bad rate."""

    text: str
    warnings: tuple[str, ...]
    bad_rate: float


def write_draft(source: Source, ids: Sequence[str], outcome: Outcome, decimal: Decimal, columns: Sequence[Column]) -> str:
    """Return the YAML of a contract; `ids` are its lines with the id and, as a comment, the group."""
    features = feature_lines(columns, source.rows, decimal)
    return "\n".join([*_header(source), *ids, *_target(outcome, decimal), "features:", *features]) + "\n"


def id_line(column: str, repeats: int) -> str:
    """Return the line with the id column, or with `#row`; `repeats` rows have no id or share one."""
    if column == ROW_ID:
        return f'id: "{ROW_ID}"  # the row number names the account: outcomes must have the same rows in the same order'
    return f"id: {key(column)}" + (_unscored(repeats) if repeats else "")


def group_line(column: str, values: int, rows: int) -> str:
    """Return a comment with the column that looks like the customer's id, which has fewer values than rows."""
    return (
        f"# group: {key(column)}  # {values:,} values in {rows:,} rows, so one customer seems to have several accounts. If that is so, "
        "remove the first # of this line, and the feature of that name if there is one: evidence then counts customers"
    )


def _unscored(repeats: int) -> str:
    several = "rows have no id or share one: they would not be scored"
    return f"  # {counted(repeats, 'row has no id: it would not be scored', several)}"


def feature_lines(columns: Sequence[Column], rows: int, decimal: Decimal) -> list[str]:
    """Return the features, and a comment for each column that is left out."""
    return [line for column in columns for line in _column(column, rows, decimal)]


def comment(text: str) -> str:
    """Return the text on one line, without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def key(text: str) -> str:
    """Return the text as a YAML key or scalar."""
    return text if _PLAIN_KEY.fullmatch(text) and yaml.safe_load(text) == text else _quoted(text)


def _header(source: Source) -> Iterator[str]:
    rows = f"the first {source.rows:,} rows; later rows were not read" if source.is_cut else f"{source.rows:,} rows"
    yield f"# Draft contract for {comment(source.name)}, inferred from {rows}."
    yield "# Types, labels and missing codes are guesses. Someone who knows the data must review every line."
    yield "# Each `reason` is derived from the column name. Edit it: it may be sent to customers."
    yield "# With `risk`, a reason must say that the value is high (up) or low (down)."
    yield "# `seen` is the range of the numbers in these rows, not a limit. Set min and max where limits exist."


def _target(outcome: Outcome, decimal: Decimal) -> Iterator[str]:
    yield "target:"
    yield f"  column: {key(outcome.is_bad.name)}"
    yield f"  bad: {_quoted(outcome.bad)}  # {outcome.why}; {outcome.bad_share:.1%} of labelled rows"
    yield f"  good: {_quoted(outcome.good)}"
    yield f"  # WARNING: {MATURITY_WARNING}"
    yield "  matures_after_days: 0"
    if decimal == ",":
        yield 'decimal: ","  # the decimal mark of most columns'


def _column(column: Column, rows: int, decimal: Decimal) -> Iterator[str]:
    if isinstance(column.profile, ExcludedColumn):
        yield f"  # {key(column.name)} is left out: {comment(column.profile.reason)}"
    else:
        yield from _feature(column, column.profile, rows, decimal)


def _feature(column: Column, profile: ColumnProfile, rows: int, decimal: Decimal) -> Iterator[str]:
    yield f"  {key(column.name)}:"
    yield from (f"    # {comment(note)}" for note in profile.notes)
    yield from (f"    # WARNING: {comment(warning)}" for warning in column.warnings)
    yield from _number(column, profile, rows, decimal) if profile.is_number else ("    type: category",)
    if profile.missing:
        yield f"    missing: [{', '.join(_quoted(token) for token in profile.missing)}]"
    if column.sensitive:
        yield "    sensitive: true"
    yield f"    reason: {_quoted(reason_text(column.name))}"
    if column.is_input and profile.values.null_count():
        yield f"    reason_missing: {_quoted(missing_text(column.name))}"


def _number(column: Column, profile: ColumnProfile, rows: int, decimal: Decimal) -> Iterator[str]:
    low, high = bounds(profile.values)
    yield f"    type: number  # seen {low:.10g} to {high:.10g}"
    yield from (f"    {name}: {value}" for name, value in _notation(profile, decimal))
    if column.sensitive or rows < MIN_ROWS_FOR_RULES:
        return
    if low >= 0:
        yield "    min: 0"
    if not profile.values.null_count():
        yield "    required: true  # never missing in these rows"


def _notation(profile: ColumnProfile, decimal: Decimal) -> Iterator[tuple[str, str]]:
    choice = profile.choice
    if choice.format:
        yield "format", choice.format
    if choice.decimal not in (None, decimal):
        yield "decimal", f'"{choice.decimal}"'
    if choice.thousands and (choice.format, choice.thousands) not in ((MONEY, ","), (MONEY, ".")):
        yield "thousands", f'"{choice.thousands}"'


def _quoted(text: str) -> str:
    scalar: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf)
    return scalar.strip()
