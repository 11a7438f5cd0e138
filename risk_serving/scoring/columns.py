"""Validates many records at once, by column."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, TypeAlias

import numpy as np
from msgspec import UNSET

from risk_assets.domain.contract.text import normalize_level
from risk_assets.domain.scorecard.arrays import Floats
from risk_assets.domain.scorecard.many_rows import Codes
from risk_serving.scoring.fields import Field
from risk_serving.scoring.records import Columns, Ineligible
from risk_serving.scoring.request_errors import RecordRules

Text: TypeAlias = str | None

MIN_COLUMNS = 12  # records from which on columns are faster than rows
LARGEST = float(np.finfo(np.float64).max)


class AbsentValue(Exception):
    """A column in which only some records have a value."""


class ColumnRules:
    """The rules of a contract for columns: the same as `RecordRules` for one record.

    Parameters
    ----------
    rules
        The rules for a record.
    group_tokens
        The texts that mean a missing customer.
    """

    def __init__(self, rules: RecordRules, group_tokens: frozenset[str]) -> None:
        self._rules, self._group_tokens = rules, group_tokens
        self.numbers = tuple(field for field in rules.fields if field.is_number)
        self.categories = tuple(field for field in rules.fields if not field.is_number)
        self._positions = [(at, field.is_number) for at, field in enumerate(rules.fields, start=1)]
        self._low = np.array([max(field.low, -LARGEST) for field in self.numbers]).reshape(-1, 1)
        self._high = np.array([min(field.high, LARGEST) for field in self.numbers]).reshape(-1, 1)
        self._required = np.array([field.required for field in self.numbers], dtype=np.bool_).reshape(-1, 1)
        self._codes = _code_columns([sorted(field.codes) for field in self.numbers])

    def read(self, columns: Sequence[Any], size: int) -> Columns | None:
        """Return the records of columns of decoded values: the id, the features, and the group, if the contract has one.

        A column may be `msgspec.UNSET`. Returns None if a record is not valid; raises `AbsentValue` if a value is `msgspec.UNSET`.
        """
        numbers = np.empty((len(self.numbers), size))
        codes: list[Codes] = []
        row = 0
        for position, is_number in self._positions:
            column = columns[position]
            if is_number:
                numbers[row] = np.nan if column is UNSET else _number_array(column, size)
                row += 1
            else:
                codes.append(_absent(size) if column is UNSET else text_codes(column, self._rules.fields[position - 1]))
        ids = [None] * size if columns[0] is UNSET else stripped(columns[0])
        return self.validated(ids, numbers, codes, self._groups(columns[-1], size))

    def validated(self, ids: Sequence[Text], numbers: Floats, categories: Sequence[Codes], groups: Sequence[Text]) -> Columns | None:
        """Return the records that are eligible, and the others as `unscored`; None if any of the former is not valid.

        Parameters
        ----------
        ids, groups
            Ids without surrounding whitespace.
        numbers : array of float, shape (numbers, records)
            NaN for a value that is not known; missing codes in it are replaced.
        categories
            A column for each category of the contract, with levels that are normalised.
        """
        if self._rules.account.any_missing(ids):
            return None
        for code in self._codes:
            np.copyto(numbers, np.nan, where=numbers == code)
        broken = (numbers < self._low) | (numbers > self._high) | (self._required & np.isnan(numbers))
        if not self._rules.eligibility.has_rules:
            if broken.any() or any(field.required and None in column.levels for field, column in self._with_fields(categories)):
                return None
            return Columns(ids, numbers, categories, groups)
        return self._eligible(Columns(ids, numbers, categories, groups), broken.any(axis=0))

    def _eligible(self, records: Columns, broken: Any) -> Columns | None:
        for field, column in self._with_fields(records.categories):
            if field.required:
                broken |= np.array([level is None for level in column.levels], dtype=np.bool_)[column.positions]
        matched = self._rules.eligibility.matched(records.numbers, records.categories)
        excluded = matched >= 0
        if (broken & ~excluded).any():
            return None
        if not excluded.any():
            return records
        groups = records.groups or [None] * len(records.ids)
        reasons = self._rules.eligibility.reasons
        unscored = [Ineligible(at, records.ids[at], groups[at], reasons[matched[at]]) for at in np.flatnonzero(excluded).tolist()]
        eligible = records.take(np.flatnonzero(~excluded).tolist())
        return Columns(eligible.ids, eligible.numbers, eligible.categories, eligible.groups, unscored)

    def _with_fields(self, categories: Sequence[Codes]) -> Iterable[tuple[Field, Codes]]:
        return zip(self.categories, categories, strict=True)

    def _groups(self, column: Any, size: int) -> Sequence[Text]:
        if self._rules.group is None:
            return ()
        return [None] * size if column is UNSET else [self.group(value) for value in column]

    @staticmethod
    def normalized(field: Field, column: Codes) -> Codes:
        """Return a column with the levels of its texts."""
        return Codes(tuple(map(field.level, column.levels)), column.positions)

    def group(self, sent: Text) -> Text:
        """Return the customer of a record, or None if it is missing."""
        return None if sent is None or normalize_level(sent) in self._group_tokens else sent.strip()


def stripped(texts: Sequence[Text]) -> list[Text]:
    """Return texts without surrounding whitespace: `str.strip` removes the same characters as `strip_cell`."""
    try:
        return list(map(str.strip, texts))  # type: ignore[arg-type]
    except TypeError:
        return [_stripped(text) for text in texts]


def text_codes(column: Sequence[Text], field: Field) -> Codes:
    """Return a column of texts as categories; different texts of one level have positions of their own."""
    positions: defaultdict[Any, int] = defaultdict(count().__next__)
    found = np.fromiter(map(positions.__getitem__, column), np.int64, len(column))
    if UNSET in positions:
        raise AbsentValue
    return Codes(tuple(map(field.level, positions)), found)


def _stripped(text: Any) -> Text:
    if text is UNSET:
        raise AbsentValue
    return None if text is None else str.strip(text)


def _number_array(column: Sequence[Any], size: int) -> Floats:
    try:
        return np.fromiter(column, np.float64, size)
    except TypeError:
        raise AbsentValue from None


def _absent(size: int) -> Codes:
    return Codes((None,), np.zeros(size, dtype=np.int64))


def _code_columns(codes: Sequence[Sequence[float]]) -> list[Floats]:
    """Return the missing codes of all numbers, as columns of shape (numbers, 1), NaN where a number has no more of them."""
    most = max(map(len, codes), default=0)
    padded = np.array([[*row, *[np.nan] * (most - len(row))] for row in codes]).reshape(len(codes), most)
    return [padded[:, [at]] for at in range(most)]
