"""Decoded records, ready to score: a few as rows, many as columns, which are faster to score from a certain size on."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from risk_assets.domain.scorecard.arrays import Floats
from risk_assets.domain.scorecard.many_rows import Codes
from risk_serving.scoring.options import DEFAULT, Options

Value: TypeAlias = float | str | None
Row: TypeAlias = tuple[Value, ...]
MakeSent: TypeAlias = Callable[[], list[msgspec.Struct]]


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


class Sent(msgspec.Struct, frozen=True):
    """The records of a request as they were sent, before ids, levels and missing codes are replaced.

    `make` returns them; an absent value is `msgspec.UNSET`. Of records that are not valid, they have only the values that can be
    read. `is_rewritten` if the body has no list of records that equals them.
    """

    make: MakeSent = list
    is_rewritten: bool = False

    def content(self) -> bytes:
        """Return the list of records as JSON."""
        return msgspec.json.encode(self.make())


class Rows(msgspec.Struct, frozen=True):
    """The records to score: ids without surrounding whitespace, and features in the contract's order, None if missing.

    `groups` has the customers, None if missing; it is empty if the contract has no group. `unscored` are the other records, in
    order.
    """

    ids: Sequence[str | None]
    rows: Sequence[Row]
    groups: Sequence[str | None] = ()
    unscored: Sequence[Unscored] = ()
    sent: Sent = Sent()
    options: Options = DEFAULT

    def take(self, indices: Sequence[int]) -> "Rows":
        """Return the records at some indices, in their order, without the other records."""
        groups = [self.groups[index] for index in indices] if self.groups else ()
        return Rows([self.ids[index] for index in indices], [self.rows[index] for index in indices], groups, options=self.options)


class Columns(msgspec.Struct, frozen=True):
    """The same as `Rows`, by column: numbers of shape (numbers, records), NaN if missing, and the categories."""

    ids: Sequence[str | None]
    numbers: Floats
    categories: Sequence[Codes]
    groups: Sequence[str | None] = ()
    unscored: Sequence[Unscored] = ()
    sent: Sent = Sent()
    options: Options = DEFAULT

    def take(self, indices: Sequence[int]) -> "Columns":
        """Return the records at some indices, in their order, without the other records."""
        categories = [Codes(column.levels, column.positions[indices]) for column in self.categories]
        groups = [self.groups[index] for index in indices] if self.groups else ()
        return Columns([self.ids[index] for index in indices], self.numbers[:, indices], categories, groups, options=self.options)


Records: TypeAlias = Rows | Columns
