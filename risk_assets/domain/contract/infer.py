"""Infer a draft contract from a CSV. Comments in the draft explain each guess."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import yaml

from risk_assets.domain.contract.column_profile import (
    ColumnProfile,
    Decimal,
    ExcludedColumn,
    bounds,
    decimal_mark,
    profile_column,
    univariate_auc,
)
from risk_assets.domain.contract.schema import DEFAULT_MISSING, RESERVED
from risk_assets.errors import ContractError

SAMPLE_ROWS = 200_000
MAX_LABELS_SHOWN = 5
LEAKAGE_AUC = 0.98  # a column that separates bad from good better than this alone is excluded
MIN_ROWS_FOR_FLOOR = 100  # rows from which numbers without negative values get `min: 0`
UNNAMED_ID = "unnamed_1"
BAD_LABELS = {
    frozenset({"0", "1"}): "1",
    frozenset({"good", "bad"}): "bad",
    frozenset({"y", "n"}): "y",
    frozenset({"yes", "no"}): "yes",
    frozenset({"true", "false"}): "true",
}
ONE_TWO = frozenset({"1", "2"})
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Outcome:
    """The labels of the target, why `bad` was chosen, and whether each row is bad (null where unlabelled)."""

    bad: str
    good: str
    why: str
    is_bad: pl.Series


def infer(frame: pl.LazyFrame, columns: Sequence[str], id: str, target: str, bad: str | None, name: str) -> str:
    """Return a draft contract as YAML with comments.

    Reads the first `SAMPLE_ROWS` rows. Comments contain only these values of the data: the lowest and highest number of
    a column, the labels of the target and the tokens and codes for "missing".

    Parameters
    ----------
    frame : LazyFrame
        All columns as text, with empty fields as empty strings.
    columns : sequence of str
        The columns of the file, in order.
    id : str
        The id column; "" means the first column, if that has no name.
    target : str
        The outcome column. It must have two labels.
    bad : str or None
        The label that means bad; None derives it from customary pairs such as 0/1 or Good/Bad.
    name : str
        The file, for messages.

    Raises
    ------
    ContractError
        When `id` or `target` is not a column, the bad label cannot be derived, or no column can be a feature.
    """
    id_column = id or UNNAMED_ID
    _check_columns(columns, id_column, target, name)
    texts = pl.col(*columns).fill_null("").str.strip_chars()
    sample = frame.select(texts).head(SAMPLE_ROWS + 1).collect(engine="streaming")
    rows = sample.head(SAMPLE_ROWS)
    outcome = _outcome(rows[target], bad, name)
    decimal, profiles = _profiles(rows.drop(id_column, target), outcome)
    features = list(_features(profiles, len(rows)))
    if all(isinstance(profile, ExcludedColumn) for profile in profiles.values()):
        raise ContractError(f"{name} has no column that can be a feature:\n" + "\n".join(features))
    header = _header(name, len(rows), cut=len(sample) > SAMPLE_ROWS)
    return "\n".join([*header, *_id_and_target(rows[id_column], target, outcome, decimal), "features:", *features]) + "\n"


def reason_text(column: str) -> str:
    """Derive a reason text from a column name: "Limit bal" from `LIMIT_BAL`, "Debt ratio" from `DebtRatio`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z][a-z])", " ", column)
    words = re.sub(r"[_.\s]+|(?<!\d)-|-(?!\d)", " ", words).strip().lower()
    return words[:1].upper() + words[1:] or column.strip() or "A column without a name"


def _check_columns(columns: Sequence[str], id_column: str, target: str, name: str) -> None:
    for option, column in (("--id", id_column), ("--target", target)):
        if column not in columns:
            raise ContractError(f"{name} has no column {column}. It has: {', '.join(columns)}. Pass one of them as {option}.")
    if id_column == target:
        raise ContractError(f"{name}: {target} cannot be both the id and the target. Pass another column as --target.")


def _outcome(text: pl.Series, bad: str | None, name: str) -> Outcome:
    labelled = text.set(text.is_in(DEFAULT_MISSING), None)
    rows = dict(labelled.drop_nulls().value_counts().sort(text.name).iter_rows())
    shown = f" ({', '.join(rows)})" if 0 < len(rows) <= MAX_LABELS_SHOWN else ""
    if len(rows) != 2:
        raise ContractError(
            f"{name}: the target {text.name} has {len(rows)} distinct values{shown}; it must have two, one for bad and one "
            "for good. Pass another column as --target, or map its values at the source."
        )
    if bad is not None and bad not in rows:
        raise ContractError(f"{name}: {bad} is not a value of the target {text.name}{shown}. Pass one of its values as --bad.")
    chosen, why = (bad, "set by --bad") if bad is not None else _choose_bad(rows)
    if chosen is None:
        options = " or ".join(f"--bad {_quoted(label)}" for label in rows)
        raise ContractError(f"{name}: cannot derive which value of the target {text.name} means bad. Pass {options}.")
    (good,) = rows.keys() - {chosen}
    return Outcome(chosen, good, why, labelled == chosen)


def _choose_bad(rows: Mapping[str, int]) -> tuple[str | None, str]:
    """Return the label that means bad, or None if it is unclear, and why; `rows` counts the rows of each label."""
    labels = {_canonical(label): label for label in rows}
    if labels.keys() == ONE_TWO:
        one, two = labels["1"], labels["2"]
        if rows[one] == rows[two]:
            return two, "a guess, because 1 and 2 are equally frequent: check it"
        return (one if rows[one] < rows[two] else two), "a guess, because it is the rarer label: check it"
    label = BAD_LABELS.get(frozenset(labels))
    return (labels[label], "by convention") if label else (None, "")


def _canonical(label: str) -> str:
    return re.sub(r"\.0+$", "", label.lower())


def _profiles(features: pl.DataFrame, outcome: Outcome) -> tuple[Decimal, dict[str, ColumnProfile | ExcludedColumn]]:
    decimal = decimal_mark(features.iter_columns())
    return decimal, {text.name: _profile(text, decimal, outcome.is_bad) for text in features.iter_columns()}


def _profile(text: pl.Series, decimal: Decimal, is_bad: pl.Series) -> ColumnProfile | ExcludedColumn:
    if text.name in RESERVED:
        return ExcludedColumn("the name is reserved. Rename it at the source to use it.")
    profile = profile_column(text, decimal)
    if isinstance(profile, ExcludedColumn):
        return profile
    auc = univariate_auc(profile.values, is_bad)
    if auc <= LEAKAGE_AUC:
        return profile
    return ExcludedColumn(
        f"it predicts the target almost perfectly (AUC {auc:.3f} alone), so it may be recorded after the outcome. "
        "Add it as a feature if it is known on the snapshot date."
    )


def _header(name: str, rows: int, *, cut: bool) -> Iterator[str]:
    source = f"the first {rows:,} rows; later rows were not read" if cut else f"{rows:,} rows"
    yield f"# Draft contract for {_comment(name)}, inferred from {source}."
    yield "# Types, labels and missing codes are guesses. Someone who knows the data must review every line."
    yield "# Each `reason` is derived from the column name. Edit it: it may be sent to customers."
    yield "# `seen` is the range of the numbers in these rows, not a limit. Set min and max where limits exist."


def _id_and_target(ids: pl.Series, target: str, outcome: Outcome, decimal: Decimal) -> Iterator[str]:
    repeats = len(ids) - ids.filter(ids != "").n_unique()
    yield f"id: {_key(ids.name)}" + (f"  # {repeats} rows have no id or repeat one" if repeats else "")
    yield "target:"
    yield f"  column: {_key(target)}"
    share = int(outcome.is_bad.sum()) / outcome.is_bad.count()
    yield f"  bad: {_quoted(outcome.bad)}  # {outcome.why}; {share:.1%} of labelled rows"
    yield f"  good: {_quoted(outcome.good)}"
    if decimal == ",":
        yield 'decimal: ","  # some numbers can only be parsed with a decimal comma'


def _features(profiles: Mapping[str, ColumnProfile | ExcludedColumn], rows: int) -> Iterator[str]:
    for column, profile in profiles.items():
        if isinstance(profile, ExcludedColumn):
            yield f"  # {_key(column)} is left out: {profile.reason}"
        else:
            yield from _feature(column, profile, rows)


def _feature(column: str, profile: ColumnProfile, rows: int) -> Iterator[str]:
    yield f"  {_key(column)}:"
    yield from (f"    # {_comment(note)}" for note in profile.notes)
    if profile.is_number:
        low, high = bounds(profile.values)
        yield f"    type: number  # seen {low:.10g} to {high:.10g}"
        if low >= 0 and rows >= MIN_ROWS_FOR_FLOOR:
            yield "    min: 0"
    else:
        yield "    type: category"
    if profile.missing:
        yield f"    missing: [{', '.join(_quoted(token) for token in profile.missing)}]"
    yield f"    reason: {_quoted(reason_text(column))}"


def _key(text: str) -> str:
    return text if _PLAIN_KEY.fullmatch(text) and yaml.safe_load(text) == text else _quoted(text)


def _quoted(text: str) -> str:
    scalar: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf)
    return scalar.strip()


def _comment(text: str) -> str:
    """Return the text on one line, without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
