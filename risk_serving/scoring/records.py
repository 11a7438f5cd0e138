"""Decoded records, ready to score: a few as rows, many as columns, which are faster to score from a certain size on."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from risk_assets.domain.scorecard.arrays import Floats, Integers

Value: TypeAlias = float | str | None
Row: TypeAlias = tuple[Value, ...]


class Categories(msgspec.Struct, frozen=True):
    """A column of categories: the distinct levels (None if missing), and each record's position in them, shape (records,)."""

    levels: tuple[str | None, ...]
    positions: Integers


Column: TypeAlias = Floats | Categories


class Ineligible(msgspec.Struct, frozen=True):
    """A record that a population rule excludes: its position among all records of the request, id, group and reason."""

    position: int
    id: str | None
    group: str | None
    reason: str


class Invalid(msgspec.Struct, frozen=True):
    """A record that is not valid: its position among all records of the request, id and group (None if not known), and its issues."""

    position: int
    id: str | None
    group: str | None
    issues: tuple[str, ...]


Unscored: TypeAlias = Ineligible | Invalid


class Rows(msgspec.Struct, frozen=True):
    """The records to score: ids without surrounding whitespace, and features in the contract's order, None if missing.

    `groups` has the customers, None if missing; it is empty if the contract has no group. `sent` has all records as they were
    decoded, before ids, levels and missing codes are replaced; an absent value is `msgspec.UNSET`. `unscored` are the other
    records, in order. Of those that are not valid, `sent` has only the values that can be read. `is_rewritten` if the body has no
    list of records that equals `sent`; `explain` if the results are to be explained.
    """

    ids: Sequence[str | None]
    rows: Sequence[Row]
    sent: Sequence[msgspec.Struct] = ()
    groups: Sequence[str | None] = ()
    unscored: Sequence[Unscored] = ()
    is_rewritten: bool = False
    explain: bool = False

    def take(self, indices: Sequence[int]) -> "Rows":
        """Return the ids and features of the records at some indices, in their order."""
        return Rows([self.ids[index] for index in indices], [self.rows[index] for index in indices], explain=self.explain)


class Columns(msgspec.Struct, frozen=True):
    """The same as `Rows`, by column: numbers as arrays of shape (records,), NaN if missing, and `Categories`."""

    ids: Sequence[str | None]
    columns: Sequence[Column]
    sent: Sequence[msgspec.Struct] = ()
    groups: Sequence[str | None] = ()
    unscored: Sequence[Unscored] = ()
    is_rewritten: bool = False
    explain: bool = False

    def take(self, indices: Sequence[int]) -> "Columns":
        """Return the ids and features of the records at some indices, in their order."""
        columns = [_take(column, indices) for column in self.columns]
        return Columns([self.ids[index] for index in indices], columns, explain=self.explain)


Records: TypeAlias = Rows | Columns


def _take(column: Column, indices: Sequence[int]) -> Column:
    return column[indices] if isinstance(column, np.ndarray) else Categories(column.levels, column.positions[indices])
