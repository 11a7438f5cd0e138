"""Find which of the two labels of a target means bad."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from risk_assets.domain.contract.column_names import words
from risk_assets.domain.contract.schema import DEFAULT_MISSING
from risk_assets.domain.wording import counted
from risk_assets.errors import ContractError

MAX_COUNTS_SHOWN = 5
MAX_BAD_SHARE = 0.5  # above it, the label is not assumed without --bad
BAD_LABELS = {
    frozenset({"0", "1"}): "1",
    frozenset({"good", "bad"}): "bad",
    frozenset({"y", "n"}): "y",
    frozenset({"yes", "no"}): "yes",
    frozenset({"true", "false"}): "true",
    frozenset({"ja", "nein"}): "ja",
    frozenset({"j", "n"}): "j",
}
ONE_TWO = frozenset({"1", "2"})
GOOD_BAD = frozenset({"good", "bad"})
_GOOD_WORDS = frozenset({"good", "paid", "repaid", "approved", "accepted", "current", "performing", "success", "successful", "ok", "cured"})
_GOOD_WORDS |= {"healthy", "survived", "granted", "prepaid", "gut", "bezahlt"}
_BAD_WORDS = frozenset({"bad", "default", "defaulted", "delinquent", "late", "loss", "arrears", "overdue", "charged", "chargeoff", "fraud"})
_NOT_WORDS = frozenset({"not", "non", "no", "never", "without", "un", "nicht", "kein"})


@dataclass(frozen=True)
class Outcome:
    """The labels of the target, why `bad` was chosen, and whether each row is bad (null where unlabelled)."""

    bad: str
    good: str
    why: str
    is_bad: pl.Series

    @property
    def bad_share(self) -> float:
        """The share of bad rows among the labelled ones."""
        return int(self.is_bad.sum()) / self.is_bad.count()


def read_outcome(text: pl.Series, bad: str | None, name: str) -> Outcome:
    """Return the labels of a target column.

    Parameters
    ----------
    text : Series of String
        The target, stripped of blanks.
    bad : str or None
        The label that means bad; None derives it from customary pairs.
    name : str
        The file, for messages.

    Raises
    ------
    ContractError
        When the target does not have two labels, `bad` is not one of them, or the bad label is not clear: the pair is not a
        customary one, the column's name means good, or more than half of the labelled rows would be bad.
    """
    labelled = text.set(text.is_in(DEFAULT_MISSING), None)
    rows = dict(labelled.drop_nulls().value_counts().sort(text.name).iter_rows())
    if len(rows) != 2:
        values = counted(len(rows), "distinct value")
        raise ContractError(
            f"{name}: the target {text.name} has {values}{_counts(rows)}; it must have two, one for bad and one "
            "for good. Pass another column as --target, or map its values at the source."
        )
    if bad is not None and bad not in rows:
        raise ContractError(f"{name}: {bad} is not a value of the target {text.name} ({', '.join(rows)}). Pass one of its values as --bad.")
    chosen, why = (bad, "set by --bad") if bad is not None else _choose_bad(rows, text.name, name)
    (good,) = rows.keys() - {chosen}
    return Outcome(chosen, good, why, labelled == chosen)


def means_good(column: str) -> bool:
    """Return whether a column's name names a good outcome, such as repaid or non_default."""
    found = words(column)
    is_negated = bool(found & _NOT_WORDS)
    return bool(found & _BAD_WORDS) if is_negated else bool(found & _GOOD_WORDS)


def _counts(rows: Mapping[str, int]) -> str:
    """Return the rows of each value, most first, without the values, which may be a customer's; nothing for one or many values."""
    if not 1 < len(rows) <= MAX_COUNTS_SHOWN:
        return ""
    return f", in {', '.join(str(count) for count in sorted(rows.values(), reverse=True))} rows"


def _choose_bad(rows: Mapping[str, int], column: str, name: str) -> tuple[str, str]:
    """Return the label that means bad, and why; `rows` counts the rows of each label."""
    labels = {_canonical(label): label for label in rows}
    chosen, why = _customary(labels, rows)
    if chosen is None:
        raise _unclear(rows, f"{name}: cannot derive which value of the target {column} means bad")
    if means_good(column) and labels.keys() != GOOD_BAD:
        raise _unclear(rows, f"{name}: the name of the target {column} may mean a good outcome, so its bad value is not assumed")
    if rows[chosen] > MAX_BAD_SHARE * sum(rows.values()):
        share = rows[chosen] / sum(rows.values())
        raise _unclear(rows, f"{name}: {share:.1%} of the labelled rows would be bad if the value {chosen} of {column} means bad")
    return chosen, why


def _customary(labels: Mapping[str, str], rows: Mapping[str, int]) -> tuple[str | None, str]:
    if labels.keys() == ONE_TWO:
        one, two = labels["1"], labels["2"]
        if rows[one] == rows[two]:
            return two, "a guess, because 1 and 2 are equally frequent: check it"
        return (one if rows[one] < rows[two] else two), "a guess, because it is the rarer label: check it"
    label = BAD_LABELS.get(frozenset(labels))
    return (labels[label], "by convention") if label else (None, "")


def _unclear(rows: Mapping[str, int], problem: str) -> ContractError:
    total = sum(rows.values())
    options = " or ".join(f'--bad "{label}" ({count / total:.1%} bad)' for label, count in rows.items())
    return ContractError(f"{problem}. Pass {options}.")


def _canonical(label: str) -> str:
    return re.sub(r"\.0+$", "", label.lower())
