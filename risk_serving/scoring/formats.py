"""The formats of a request besides `records`: MLflow's, Azure ML's, and columns. A body in one of them is rewritten to records.

The values are not read: the rewritten body has the same JSON of each value, and passes the same checks as any other.
MLflow documents its formats in https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/, Azure ML its own under "Input
structure" in https://learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

from risk_serving.http.problems import FieldError
from risk_serving.scoring.request_errors import MAX_NAME, REPEATED, find_repeated

RECORDS = "records"
DATAFRAME_RECORDS, DATAFRAME_SPLIT, INPUTS, INPUT_DATA, COLUMNS = "dataframe_records", "dataframe_split", "inputs", "input_data", "columns"
FORMATS = (DATAFRAME_RECORDS, DATAFRAME_SPLIT, INPUTS, INPUT_DATA, COLUMNS)

_SPLIT_RULE = "must be an object with the lists columns (names) and data (rows), and index if it is sent"
_COLUMNS_RULE = "must be an object of columns, each a list of values: values without names are not accepted"

Record: TypeAlias = Mapping[str, Raw] | Raw


class FormatError(Exception):
    """A body whose format is known and whose records cannot be found; `errors` are the errors."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(errors[0].rule)
        self.errors = errors


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: list[list[Raw]]
    index: list[Raw] | UnsetType = UNSET


_read_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_read_list = msgspec.json.Decoder(list[Raw]).decode
_read_split = msgspec.json.Decoder(_Split).decode
_read_columns = msgspec.json.Decoder(dict[str, list[Raw]]).decode


def to_records(body: bytes, most_values: int) -> bytes | None:
    """Return a body in one of `FORMATS` with its records as `records`, or None for any other body.

    A body is not read if it has more than `most_values` commas and opening brackets.

    Raises
    ------
    FormatError
        If the records of a body in one of `FORMATS` cannot be found.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > most_values:
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
    if body.count(b":") != len(fields) + sum(bytes(value).count(b":") for value in fields.values()):  # an unknown name may have a colon
        raise FormatError([*find_repeated(body)] or [FieldError(None, None, "has a field whose name has a colon")])
    name = given[0]
    records = _READERS[name](name, bytes(fields.pop(name)))
    return msgspec.json.encode({**fields, RECORDS: records})


def _from_records(name: str, table: bytes) -> Sequence[Record]:
    """Return the records of a list."""
    try:
        return _read_list(table)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FormatError([FieldError(None, name, "must be a list of objects")]) from None


def _from_split(name: str, table: bytes) -> Sequence[Record]:
    """Return the records of a table with its names beside its rows."""
    try:
        split = _read_split(table)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FormatError([FieldError(None, name, _SPLIT_RULE)]) from None
    if errors := list(_split_errors(split)):
        raise FormatError(errors)
    return [dict(zip(split.columns, row, strict=True)) for row in split.data]


def _split_errors(split: _Split) -> Iterator[FieldError]:
    width = len(split.columns)
    yield from (FieldError(None, column[:MAX_NAME], REPEATED) for column, times in Counter(split.columns).items() if times > 1)
    for position, row in enumerate(split.data):
        if len(row) != width:
            yield FieldError(position, None, f"must have {width} values, one for each of columns")
    if split.index is not UNSET and len(split.index) != len(split.data):
        yield FieldError(None, "index", "must have one value for each row of data")


def _from_columns(name: str, table: bytes) -> Sequence[Record]:
    """Return the records of an object of columns."""
    try:
        columns = _read_columns(table)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FormatError([FieldError(None, name, _COLUMNS_RULE)]) from None
    if table.count(b":") != len(columns) and (repeated := [*find_repeated(table)]):  # texts may have colons too
        raise FormatError(repeated)
    most = max(map(len, columns.values()), default=0)
    short = [column for column, values in columns.items() if len(values) < most]
    if short:
        raise FormatError([FieldError(None, column[:MAX_NAME], f"must have {most} values, as another column has") for column in short])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _from_either(name: str, table: bytes) -> Sequence[Record]:
    """Return the records of a table in one of Azure ML's two forms."""
    try:
        is_split = {"columns", "data"} <= _read_fields(table).keys()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        is_split = False
    return _from_split(name, table) if is_split else _from_columns(name, table)


_READERS: dict[str, Callable[[str, bytes], Sequence[Record]]] = {
    DATAFRAME_RECORDS: _from_records,
    DATAFRAME_SPLIT: _from_split,
    INPUTS: _from_columns,
    INPUT_DATA: _from_either,
    COLUMNS: _from_columns,
}
