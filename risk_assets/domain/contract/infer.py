"""Writes a first contract for a file that nobody has described yet, and says in comments what was done and why."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import yaml

from risk_assets.domain.contract.column_profile import ColumnProfile, Decimal, LeftOut, bounds, decimal_mark, profile_column, separation
from risk_assets.domain.contract.schema import DEFAULT_MISSING, RESERVED
from risk_assets.errors import ContractError

SAMPLE_ROWS = 200_000
SHOWN_LABELS = 5
LEAKAGE_AUC = 0.98
FLOOR_ROWS = 100
UNNAMED_ID = "unnamed_1"
BAD_WORDS = {
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
    """The target's two labels, why `bad` is the one that means bad, and which rows are bad (null where unlabelled)."""

    bad: str
    good: str
    why: str
    is_bad: pl.Series


def infer(frame: pl.LazyFrame, columns: Sequence[str], id: str, target: str, bad: str | None, name: str) -> str:
    """Return the YAML text of a first contract, with comments.

    Looks at the first `SAMPLE_ROWS` rows. Comments hold no values of rows but the lowest and highest number of a
    column, the target's labels and codes for missing.

    Parameters
    ----------
    frame : LazyFrame
        All columns as text; an empty field is an empty string.
    columns : sequence of str
        The file's columns, in order.
    id : str
        The id column; "" is the first column when that has no name.
    target : str
        The outcome's column; it must hold two labels.
    bad : str or None
        The label that means bad; None leaves the choice to customary pairs such as 0/1 or Good/Bad.
    name : str
        The file, for messages.

    Raises
    ------
    ContractError
        When id or target is no column, the target's labels can't be told apart, or nothing is left as a feature.
    """
    id_column = id or UNNAMED_ID
    _check_columns(columns, id_column, target, name)
    texts = pl.col(*columns).fill_null("").str.strip_chars()
    sample = frame.select(texts).head(SAMPLE_ROWS + 1).collect(engine="streaming")
    rows = sample.head(SAMPLE_ROWS)
    outcome = _outcome(rows[target], bad, name)
    features = rows.drop(id_column, target)
    decimal = decimal_mark(features.iter_columns())
    found = {text.name: _assess(text, decimal, outcome.is_bad) for text in features.iter_columns()}
    if all(isinstance(column, LeftOut) for column in found.values()):
        raise ContractError(f"{name} has no column that could be a feature:\n" + "\n".join(_features(found, len(rows))))
    lines = [
        *_preface(name, len(rows), cut=len(sample) > SAMPLE_ROWS),
        *_identity(rows[id_column], target, outcome, decimal),
        "features:",
        *_features(found, len(rows)),
    ]
    return "\n".join(lines) + "\n"


def reason_text(column: str) -> str:
    """Return a first text for a column's name: `LIMIT_BAL` gives "Limit bal", `DebtRatio` "Debt ratio"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z][a-z])", " ", column)
    words = re.sub(r"[_.\s]+|(?<!\d)-|-(?!\d)", " ", words).strip().lower()
    return words[:1].upper() + words[1:] or column.strip() or "A column without a name"


def _check_columns(columns: Sequence[str], id_column: str, target: str, name: str) -> None:
    for option, column in (("--id", id_column), ("--target", target)):
        if column not in columns:
            raise ContractError(f"{name} has no column {column}. It has: {', '.join(columns)}. Pass one of them as {option}.")
    if id_column == target:
        raise ContractError(f"{name}: {target} can't be both the id and the target. Pass another column as --target.")


def _outcome(text: pl.Series, bad: str | None, name: str) -> Outcome:
    labelled = text.set(text.is_in(DEFAULT_MISSING), None)
    rows = dict(labelled.drop_nulls().value_counts().sort(text.name).iter_rows())
    shown = f" ({', '.join(rows)})" if 0 < len(rows) <= SHOWN_LABELS else ""
    if len(rows) != 2:
        raise ContractError(
            f"{name}: the target {text.name} holds {len(rows)} distinct values{shown} where it needs two, one for bad "
            "and one for good. Pass another column as --target, or map its values at the source."
        )
    if bad is not None and bad not in rows:
        raise ContractError(f"{name}: {bad} is no value of the target {text.name}{shown}. Pass one of them as --bad.")
    chosen, why = (bad, "as --bad says") if bad is not None else _choose_bad(rows)
    if chosen is None:
        options = " or ".join(f"--bad {_quoted(label)}" for label in rows)
        raise ContractError(f"{name}: which value of the target {text.name} means bad? Pass {options}.")
    (good,) = rows.keys() - {chosen}
    return Outcome(chosen, good, why, labelled == chosen)


def _choose_bad(rows: Mapping[str, int]) -> tuple[str | None, str]:
    labels = {_canonical(label): label for label in rows}
    if labels.keys() == ONE_TWO:
        one, two = labels["1"], labels["2"]
        if rows[one] == rows[two]:
            return two, "1 and 2 are equally frequent, 2 is a guess: check it"
        return (one if rows[one] < rows[two] else two), "the rarer one is a guess: check it"
    word = BAD_WORDS.get(frozenset(labels))
    return (labels[word], "by custom") if word else (None, "")


def _canonical(label: str) -> str:
    return re.sub(r"\.0+$", "", label.lower())


def _assess(text: pl.Series, decimal: Decimal, is_bad: pl.Series) -> ColumnProfile | LeftOut:
    if text.name in RESERVED:
        return LeftOut("the product uses this name itself. Rename it at the source to use it.")
    found = profile_column(text, decimal)
    if isinstance(found, LeftOut):
        return found
    area = separation(found.values, is_bad)
    if area <= LEAKAGE_AUC:
        return found
    return LeftOut(
        f"it all but gives the target away (AUC {area:.3f} by itself), so it may be known only afterwards. "
        "Put it back if it is known on the day of the snapshot."
    )


def _preface(name: str, rows: int, *, cut: bool) -> Iterator[str]:
    seen = f"its first {rows:,} rows; the others were not looked at" if cut else f"its {rows:,} rows"
    yield f"# A first contract for {_comment(name)}, from {seen}."
    yield "# It is a guess from values: let someone who knows the data check each line."
    yield "# Each `reason` is only made from the column's name: write what customers may be told before they are."
    yield "# `seen` is what the numbers span here and no limit: write min and max where there are any."


def _identity(ids: pl.Series, target: str, outcome: Outcome, decimal: Decimal) -> Iterator[str]:
    repeats = len(ids) - ids.filter(ids != "").n_unique()
    yield f"id: {_key(ids.name)}" + (f"  # {repeats} rows repeat an id or have none" if repeats else "")
    yield "target:"
    yield f"  column: {_key(target)}"
    share = int(outcome.is_bad.sum()) / outcome.is_bad.count()
    yield f"  bad: {_quoted(outcome.bad)}  # {outcome.why}; {share:.1%} of the labelled rows"
    yield f"  good: {_quoted(outcome.good)}"
    if decimal == ",":
        yield 'decimal: ","  # some numbers can only be read with a decimal comma'


def _features(found: Mapping[str, ColumnProfile | LeftOut], rows: int) -> Iterator[str]:
    for column, profile in found.items():
        if isinstance(profile, LeftOut):
            yield f"  # {_key(column)} is left out: {profile.why}"
        else:
            yield from _feature(column, profile, rows)


def _feature(column: str, profile: ColumnProfile, rows: int) -> Iterator[str]:
    yield f"  {_key(column)}:"
    yield from (f"    # {_comment(note)}" for note in profile.notes)
    if profile.is_number:
        low, high = bounds(profile.values)
        yield f"    type: number  # seen {low:.10g} to {high:.10g}"
        if low >= 0 and rows >= FLOOR_ROWS:
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
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
