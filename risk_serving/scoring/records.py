"""Records that fit the contract, made ready to be scored: a few as rows, many as columns, which are quicker scored that way."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from risk_assets.domain.scorecard.arrays import Floats, Integers

Value: TypeAlias = float | str | None
Row: TypeAlias = tuple[Value, ...]


class Texts(msgspec.Struct, frozen=True):
    """A column of categories: the levels that occur (None: not known), and the place there of each record's, shape (records,)."""

    levels: tuple[str | None, ...]
    places: Integers


Column: TypeAlias = Floats | Texts


class Rows(msgspec.Struct, frozen=True):
    """Ids, and features in the contract's order, None where not known. `sent` are the records as they came."""

    ids: Sequence[str | None]
    rows: Sequence[Row]
    sent: Sequence[msgspec.Struct] = ()

    def take(self, positions: Sequence[int]) -> "Rows":
        """Return the records at some positions, in that order."""
        return Rows([self.ids[position] for position in positions], [self.rows[position] for position in positions])


class Columns(msgspec.Struct, frozen=True):
    """The same, feature by feature: numbers as arrays of shape (records,), NaN where not known, categories as `Texts`."""

    ids: Sequence[str | None]
    columns: Sequence[Column]
    sent: Sequence[msgspec.Struct] = ()

    def take(self, positions: Sequence[int]) -> "Columns":
        """Return the records at some positions, in that order."""
        return Columns([self.ids[position] for position in positions], [_taken(column, positions) for column in self.columns])


Records: TypeAlias = Rows | Columns


def _taken(column: Column, positions: Sequence[int]) -> Column:
    return column[positions] if isinstance(column, np.ndarray) else Texts(column.levels, column.places[positions])
