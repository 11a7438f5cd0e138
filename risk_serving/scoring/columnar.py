"""Reads the columns of a JSON body without making records of them: the formats of tables in `formats`.

Only ordinary valid bodies with many records are read here. All others are rewritten to records, which is faster for a few, and finds
every error.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from types import NoneType
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import astuple

from risk_serving.scoring.columns import MIN_COLUMNS, AbsentValue, ColumnRules
from risk_serving.scoring.fields import ID_TYPE, MAX_ID, Field
from risk_serving.scoring.formats import COLUMNS, DATAFRAME_SPLIT, INPUT_DATA, INPUTS, Limits
from risk_serving.scoring.json_text import count_byte, has_colon_escapes, has_control_escapes
from risk_serving.scoring.options import FIELDS, Options
from risk_serving.scoring.records import Columns, Sent

_TABLES = (COLUMNS, INPUTS, INPUT_DATA, DATAFRAME_SPLIT)


class _Split(Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: list[list[float | str | None]]
    index: list[Raw] | UnsetType = UNSET


class ColumnReader:
    """Reads the columns of a body.

    Parameters
    ----------
    rules
        The rules for columns.
    record
        The struct of a record, whose fields are the columns in their order.
    fields
        The features.
    limits
        The most records and values.
    """

    def __init__(self, rules: ColumnRules, record: Any, fields: Sequence[Field], limits: Limits) -> None:
        self._rules, self._record, self._limits = rules, record, limits
        self._names: tuple[str, ...] = record.__struct_encode_fields__
        self._positions = {name: position for position, name in enumerate(self._names)}
        self._fewest = MIN_COLUMNS * sum(field.required for field in fields)  # commas and brackets of a table that is read here
        self._texts = [at for at in range(len(self._names)) if not (0 < at <= len(fields) and fields[at - 1].is_number)]
        self._types = {1 + at: {float, NoneType} if field.is_number else {str, NoneType} for at, field in enumerate(fields)}
        table = _table_type(self._names, fields)
        self._read_columns = msgspec.json.Decoder(_request_type({COLUMNS: table, INPUTS: table, INPUT_DATA: table})).decode
        self._read_split = msgspec.json.Decoder(_request_type({DATAFRAME_SPLIT: _Split, INPUT_DATA: _Split})).decode

    def read(self, body: bytes) -> Columns | None:
        """Return the records of a body, or None if it is not an ordinary valid table."""
        if not self._fewest <= sum(count_byte(body, character) for character in (b",", b"[", b"{")) <= self._limits.values:
            return None
        request = self._decoded(body)
        tables = [table for name in _TABLES if (table := getattr(request, name, UNSET)) is not UNSET]
        if len(tables) != 1:
            return None
        columns = self._of_split(tables[0]) if isinstance(tables[0], _Split) else list(astuple(tables[0]))
        sizes = {len(column) for column in columns or () if column is not UNSET}
        if columns is None or len(sizes) != 1 or not MIN_COLUMNS <= min(sizes) <= self._limits.records:
            return None
        names = _count_names(request) + _count_names(tables[0])
        if self._has_others(body, names, columns):
            return None
        records = self._validated(columns, *sizes)
        return None if records is None else msgspec.structs.replace(records, options=Options.of(request))

    def _validated(self, columns: Sequence[Any], size: int) -> Columns | None:
        try:
            records = self._rules.read(columns, size)
        except AbsentValue:
            return None
        sent = Sent(lambda: _structs(self._record, columns, size), is_rewritten=True)
        return None if records is None else msgspec.structs.replace(records, sent=sent)

    def _decoded(self, body: bytes) -> Any:
        """Return the request, or None if it is not of either form."""
        for read in (self._read_columns, self._read_split):
            try:
                return read(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
        return None

    def _of_split(self, split: _Split) -> list[Any] | None:
        """Return the columns of a table with its names beside its rows, or None if they are not those of a record."""
        width, size = len(split.columns), len(split.data)
        even = all(len(row) == width for row in split.data) and (split.index is UNSET or len(split.index) == size)
        if not even or len(set(split.columns)) < width or not self._positions.keys() >= set(split.columns):
            return None
        values = list(chain.from_iterable(split.data))
        columns: list[Any] = [UNSET] * len(self._names)
        for at, name in enumerate(split.columns):
            columns[self._positions[name]] = values[at::width]
        return columns if all(map(self._has_types, range(len(columns)), columns)) else None

    def _has_types(self, position: int, column: Any) -> bool:
        """Return whether the values of a column have the type of its field."""
        if column is UNSET:
            return True
        types = set(map(type, column))
        if position in self._types:
            return types <= self._types[position]
        return types <= {str, NoneType} and max((len(text) for text in column if text is not None), default=0) <= MAX_ID

    def _has_others(self, body: bytes, names: int, columns: Sequence[Any]) -> bool:
        """Return whether a body may have more names than were decoded, which are repeated, or characters that no text may have.

        Each name is followed by a colon, and texts may have more.
        """
        if has_control_escapes(body):
            return True
        colons = count_byte(body, b":")
        return colons != names and (has_colon_escapes(body) or colons != names + self._count_colons(columns))

    def _count_colons(self, columns: Sequence[Any]) -> int:
        texts = (columns[at] for at in self._texts if columns[at] is not UNSET)
        return sum(text.count(":") for column in texts for text in column if text is not None)


def _structs(record: Any, columns: Sequence[Any], size: int) -> list[Struct]:
    return list(map(record, *(repeat(UNSET, size) if column is UNSET else column for column in columns)))


def _count_names(struct: Struct) -> int:
    return sum(value is not UNSET for value in astuple(struct))


def _table_type(names: Sequence[str], fields: Sequence[Field]) -> Any:
    """Return the struct that msgspec decodes an object of columns into. Its fields are numbered, as those of a record."""
    types: list[Any] = [ID_TYPE, *(float | None if field.is_number else str | None for field in fields)]
    types += [ID_TYPE] * (len(names) - len(types))
    typed: list[Any] = [(f"field_{at}", list[each] | UnsetType, UNSET) for at, each in enumerate(types)]  # type: ignore[valid-type]
    renamed = {f"field_{at}": name for at, name in enumerate(names)}
    return msgspec.defstruct("Table", typed, rename=renamed, forbid_unknown_fields=True, frozen=True)


def _request_type(tables: Mapping[str, Any]) -> Any:
    """Return the struct of a request in one of some formats, with its options."""
    fields: list[Any] = [(name, table | UnsetType, UNSET) for name, table in tables.items()]
    return msgspec.defstruct("Request", [*fields, *FIELDS], forbid_unknown_fields=True, frozen=True)
