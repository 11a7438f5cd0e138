"""The formats of a request besides `records`: MLflow's, Azure ML's, and columns. A body in one of them is rewritten to records.

The values are not read: the rewritten body has the same JSON of each value, and passes the same checks as any other.
MLflow documents its formats in https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/, Azure ML its own under "Input
structure" in https://learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

from risk_serving.http.problems import FieldError
from risk_serving.scoring.json_text import count_byte
from risk_serving.scoring.request_errors import MAX_NAME, REPEATED, find_repeated

RECORDS = "records"
DATAFRAME_RECORDS, DATAFRAME_SPLIT, INPUTS, INPUT_DATA, COLUMNS = "dataframe_records", "dataframe_split", "inputs", "input_data", "columns"
FORMATS = (DATAFRAME_RECORDS, DATAFRAME_SPLIT, INPUTS, INPUT_DATA, COLUMNS)

_SPLIT_RULE = "must be an object with the lists columns (names) and data (rows), and index if it is sent"
_COLUMNS_RULE = "must be an object of columns, each a list of values: values without names are not accepted"

Records: TypeAlias = Sequence[Raw] | Sequence[Mapping[str, Raw]]


@dataclass(frozen=True)
class Limits:
    """The most records of a request, commas and opening brackets of its body, and characters of the names of a table's columns."""

    records: int
    values: int
    names: int


class FormatError(Exception):
    """A body whose format is known and whose records cannot be found; `errors` yields the errors, which may take long to find."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        super().__init__()
        self.errors = errors


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: list[list[Raw]]
    index: list[Raw] | UnsetType = UNSET


_read_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_read_list = msgspec.json.Decoder(list[Raw]).decode
_read_split = msgspec.json.Decoder(_Split).decode
_read_columns = msgspec.json.Decoder(dict[str, list[Raw]]).decode


def to_records(body: bytes, limits: Limits) -> bytes | None:
    """Return a body in one of `FORMATS` with its records as `records`, or None for any other body.

    A body is not read if it has more values than the limit.

    Raises
    ------
    FormatError
        If the records of a body in one of `FORMATS` cannot be found, or if they exceed a limit.
    """
    if sum(count_byte(body, character) for character in (b",", b"[", b"{")) > limits.values:
        return None
    try:
        fields = _read_fields(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    given = [name for name in (RECORDS, *FORMATS) if name in fields]
    if not given or given == [RECORDS]:
        return None
    if len(given) > 1:
        raise FormatError([FieldError(None, name, f"must not be sent beside {given[0]}") for name in given[1:]])
    if count_byte(body, b":") != len(fields) + sum(count_byte(value, b":") for value in fields.values()):
        raise FormatError(_repeated(body, FieldError(None, None, "has an unknown field with a colon")))
    name = given[0]
    records = _READERS[name](name, bytes(fields.pop(name)), limits)
    return msgspec.json.encode({**fields, RECORDS: records})


def _from_records(name: str, table: bytes, limits: Limits) -> Records:
    """Return the records of a list."""
    try:
        records: list[Raw] = _read_list(table)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FormatError([FieldError(None, name, "must be a list of objects")]) from None
    _require_count(len(records), limits)
    return records


def _from_split(name: str, table: bytes, limits: Limits) -> Records:
    """Return the records of a table with its names beside its rows."""
    try:
        split = _read_split(table)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FormatError([FieldError(None, name, _SPLIT_RULE)]) from None
    widths = set(map(len, split.data))
    is_even = widths <= {len(split.columns)} and (split.index is UNSET or len(split.index) == len(split.data))
    if not is_even or len(set(split.columns)) < len(split.columns):
        raise FormatError(_split_errors(split))
    _require_count(len(split.data), limits)
    _require_short(name, split.columns, limits)
    return [dict(zip(split.columns, row, strict=True)) for row in split.data]


def _split_errors(split: _Split) -> Iterator[FieldError]:
    width = len(split.columns)
    yield from (FieldError(None, column[:MAX_NAME], REPEATED) for column, times in Counter(split.columns).items() if times > 1)
    for position, row in enumerate(split.data):
        if len(row) != width:
            yield FieldError(position, None, f"must have {width} values, one for each of columns")
    if split.index is not UNSET and len(split.index) != len(split.data):
        yield FieldError(None, "index", "must have one value for each row of data")


def _from_columns(name: str, table: bytes, limits: Limits) -> Records:
    """Return the records of an object of columns."""
    try:
        columns = _read_columns(table)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FormatError([FieldError(None, name, _COLUMNS_RULE)]) from None
    if count_byte(table, b":") != len(columns) and _has_repeated(table, columns):
        raise FormatError(_repeated(table, FieldError(None, name, "has a column with an escaped colon")))
    most = max(map(len, columns.values()), default=0)
    short = [column for column, values in columns.items() if len(values) < most]
    if short:
        raise FormatError([FieldError(None, column[:MAX_NAME], f"must have {most} values, as another column has") for column in short])
    _require_count(most, limits)
    _require_short(name, columns, limits)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _require_count(records: int, limits: Limits) -> None:
    if not 0 < records <= limits.records:
        raise FormatError([FieldError(None, RECORDS, f"must have 1 to {limits.records} records")])


def _require_short(name: str, columns: Iterable[str], limits: Limits) -> None:
    """Raise `FormatError` if the names are too long: each record repeats them."""
    if sum(map(len, columns)) > limits.names:
        raise FormatError([FieldError(None, name, "has columns that are not in the contract, and whose names are too long to list them")])


def _has_repeated(table: bytes, columns: Mapping[str, Sequence[Raw]]) -> bool:
    """Return whether a table has more names than columns: each has a colon, and names and values may have more."""
    others = sum(column.count(":") for column in columns) + sum(count_byte(value, b":") for values in columns.values() for value in values)
    return count_byte(table, b":") != len(columns) + others


def _repeated(text: bytes, otherwise: FieldError) -> Iterator[FieldError]:
    """Yield the repeated fields of a JSON document, or another error if there is none."""
    found = False
    for error in find_repeated(text):
        found = True
        yield error
    if not found:
        yield otherwise


def _from_either(name: str, table: bytes, limits: Limits) -> Records:
    """Return the records of a table in one of Azure ML's two forms."""
    try:
        is_split = {"columns", "data"} <= _read_fields(table).keys()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        is_split = False
    return _from_split(name, table, limits) if is_split else _from_columns(name, table, limits)


_READERS: dict[str, Callable[[str, bytes, Limits], Records]] = {
    DATAFRAME_RECORDS: _from_records,
    DATAFRAME_SPLIT: _from_split,
    INPUTS: _from_columns,
    INPUT_DATA: _from_either,
    COLUMNS: _from_columns,
}
