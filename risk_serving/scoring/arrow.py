"""Requests and answers as Arrow IPC streams. pyarrow takes memory and time to import: import this module only when it is used.

A stream is checked before it is read. Its batches have no compression, because a small compressed batch may have any size; its
columns have numbers, truth values or texts; it has as many records as a request may have.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute
from msgspec import UNSET

from risk_assets.domain.contract.schema import SCORED
from risk_assets.domain.scorecard.arrays import Integers
from risk_assets.domain.scorecard.many_rows import Codes
from risk_serving.http.problems import FieldError
from risk_serving.scoring.answers import ResultColumns
from risk_serving.scoring.columns import stripped
from risk_serving.scoring.fields import MAX_ID
from risk_serving.scoring.options import ANSWER, EXPLAIN, FAIL, ON_ERROR
from risk_serving.scoring.records import Columns, Records, Sent
from risk_serving.scoring.request_errors import MAX_NAME, REPEATED
from risk_serving.scoring.scored import ManyScored, Scored
from risk_serving.scoring.wire import InvalidRequest, RequestDecoder

BATCH, DICTIONARY = "record batch", "dictionary"  # the types of messages, besides the schema
MAX_MESSAGES = 1000
MAX_DICTIONARY = 100_000  # values of all dictionaries, times the messages
MAX_SCHEMA_BYTES = 262_144
MAX_UNKNOWN = 100  # columns that are not in the contract
MAX_TEXT_BYTES = 4_194_304  # of all texts, with those that dictionaries repeat
_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)
_UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, IndexError, struct.error)
_HEADER, _DICTIONARY_DATA, _BATCH_ROWS, _BATCH_COMPRESSION = 2, 1, 0, 3  # places in the tables of Arrow's Message.fbs
_CONTROLS = ("\0",)  # not allowed in any text
_ID_CONTROLS = ("\0", "\n", "\r")  # not allowed in the id of an account
_ENDS = (b"", b"\xff\xff\xff\xff\0\0\0\0", b"\0\0\0\0")  # what follows the last message: nothing, or an end of either format


class _InvalidStream(Exception):
    """A stream that cannot be read."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__()
        self.errors = errors


def read(decoder: RequestDecoder, body: bytes) -> Columns:
    """Return the records of a stream; raises `InvalidRequest` if the stream or any record is not valid."""
    try:
        table = _read_table(decoder, body)
        records = _records(decoder, table)
    except _InvalidStream:
        raise InvalidRequest from None
    if records is None:
        raise InvalidRequest
    sent = Sent(lambda: _structs(decoder, table), is_rewritten=True)
    return msgspec.structs.replace(records, sent=sent)


def reread(decoder: RequestDecoder, body: bytes) -> Records:
    """Return the records of a stream that `read` rejects.

    Raises
    ------
    Problem
        422, unless the errors are those of single records and the stream's `on_error` is `skip`.
    """
    try:
        table = _read_table(decoder, body)
    except _InvalidStream as invalid:
        raise decoder.problem(invalid.errors) from None
    columns = _values(table)
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return decoder.read_document({**_stated_options(table.schema), "records": records})


def write(version: str, scored: Scored) -> bytes:
    """Return the results as a stream of one batch; the metadata of its schema has the live version."""
    columns = _many_columns(scored) if isinstance(scored, ManyScored) else _columns(scored.columns())
    schema = _ANSWER.with_metadata({"model_version": version})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    return bytes(sink.getvalue())


_NAME = pa.dictionary(pa.int32(), pa.string())
_TEXTS = pa.list_(pa.string())
_ANSWER = pa.schema(
    {
        "status": _NAME,
        "id": pa.string(),
        "prediction": pa.int8(),
        "probability": pa.float64(),
        "points": pa.int64(),
        "band": _NAME,
        "reasons": _TEXTS,
        "excluded": _NAME,
        "issues": _TEXTS,
        "arm": _NAME,
        "model_version": _NAME,
    }
)


def _columns(columns: ResultColumns) -> list[pa.Array]:
    return [pa.array(getattr(columns, field.name), field.type) for field in _ANSWER]


def _many_columns(scored: ManyScored) -> list[pa.Array]:
    """Return the same as `_columns`, without a Python object for each value."""
    scores, size = scored.scores, len(scored.ids)
    counts = np.zeros(size, dtype=np.int32)
    counts[scores.flagged] = scores.counts
    shown = scores.texts[np.arange(scores.texts.shape[1]) < scores.counts[:, np.newaxis]]
    offsets = np.concatenate([np.zeros(1, dtype=np.int32), counts.cumsum(dtype=np.int32)])
    return [
        _repeated(SCORED, size),
        pa.array(scored.ids, pa.string()),
        pa.array(scores.prediction.astype(np.int8)),
        pa.array(scores.probability),
        pa.array(scores.points),
        pa.DictionaryArray.from_arrays(scores.band.astype(np.int32), pa.array(scored.bands, pa.string())),
        pa.ListArray.from_arrays(offsets, pa.array(scored.texts, pa.string()).take(pa.array(shown)), _TEXTS),
        pa.nulls(size, _NAME),
        pa.nulls(size, _TEXTS),
        _repeated(scored.arm, size),
        _repeated(scored.version, size),
    ]


def _repeated(text: str, size: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(size, dtype=np.int32), pa.array([text]))


def _read_table(decoder: RequestDecoder, body: bytes) -> pa.Table:
    """Return the table of a stream, whose memory is valid; raises `_InvalidStream`."""
    try:
        _require_rows(_check_messages(body), decoder.max_records)
        with pa.ipc.open_stream(body, options=_OPTIONS) as reader:
            _check_schema(reader.schema, decoder)
            table = reader.read_all()
        table.validate(full=True)
    except _UNREADABLE:
        raise _InvalidStream([FieldError(None, None, "is not a valid Arrow IPC stream")]) from None
    _require_rows(table.num_rows, decoder.max_records)
    if _text_bytes(table) > MAX_TEXT_BYTES:
        raise _InvalidStream([FieldError(None, None, f"has dictionaries that stand for more than {MAX_TEXT_BYTES} bytes")])
    return table


def _check_messages(body: bytes) -> int:
    """Return the number of records in a stream; raises `_InvalidStream` if its messages are too many, too large, or compressed."""
    sizes = Counter[str]()
    for message in _messages(body):
        sizes["messages"] += 1
        if message.type == "schema" and message.metadata.size > MAX_SCHEMA_BYTES:
            raise _InvalidStream([FieldError(None, None, f"has a schema of more than {MAX_SCHEMA_BYTES} bytes")])
        if message.type in (BATCH, DICTIONARY):
            table, size = _batch(message)
            if _place(memoryview(message.metadata), table, _BATCH_COMPRESSION):
                raise _InvalidStream([FieldError(None, None, "has compressed batches: write them without compression")])
            sizes[message.type] += size
        if sizes["messages"] > MAX_MESSAGES or sizes["messages"] * sizes[DICTIONARY] > MAX_DICTIONARY:
            raise _InvalidStream([FieldError(None, None, "has too many batches, or too large dictionaries: send one batch")])
    return sizes[BATCH]


def _messages(body: bytes) -> Iterator[pa.ipc.Message]:
    """Yield the messages of a stream; raises `_InvalidStream` if data follows its end."""
    content = pa.BufferReader(body)
    reader = pa.ipc.MessageReader.open_stream(content)
    while True:
        end = content.tell()
        try:
            yield reader.read_next_message()
        except StopIteration:
            break
    if body[end : end + len(_ENDS[1]) + 1] not in _ENDS:
        raise _InvalidStream([FieldError(None, None, "has data after its end: send one stream")])


def _batch(message: pa.ipc.Message) -> tuple[int, int]:
    """Return the place of a batch in its message, and its rows."""
    content = memoryview(message.metadata)
    (root,) = struct.unpack_from("<I", content)
    table = _pointed(content, _place(content, root, _HEADER))
    if message.type == DICTIONARY:
        table = _pointed(content, _place(content, table, _DICTIONARY_DATA))
    place = _place(content, table, _BATCH_ROWS)
    rows: int = struct.unpack_from("<q", content, place)[0] if place else 0
    if rows < 0:
        raise ValueError("negative")
    return table, rows


def _place(content: memoryview, table: int, field: int) -> int:
    """Return the place of a field of a FlatBuffers table, 0 if the table does not have it."""
    (back,) = struct.unpack_from("<i", content, table)
    fields = table - back
    (size,) = struct.unpack_from("<H", content, fields)
    entry = 4 + 2 * field
    (offset,) = struct.unpack_from("<H", content, fields + entry) if entry < size else (0,)
    return table + int(offset) if offset else 0


def _pointed(content: memoryview, place: int) -> int:
    (offset,) = struct.unpack_from("<I", content, place)
    return place + int(offset)


def _require_rows(rows: int, most: int) -> None:
    if not 0 < rows <= most:
        raise _InvalidStream([FieldError(None, "records", f"must have 1 to {most} records")])


def _check_schema(schema: pa.Schema, decoder: RequestDecoder) -> None:
    names = Counter(schema.names)
    errors = [FieldError(None, name[:MAX_NAME], REPEATED) for name, times in names.items() if times > 1]
    errors += [
        FieldError(None, field.name[:MAX_NAME], "must be a column of integers, floats, truth values or texts")
        for field in schema
        if _kind(field.type) is _Kind.OTHER
    ]
    if len(names) > len(decoder.names) + MAX_UNKNOWN:
        errors = [FieldError(None, None, "has too many columns that are not in the contract")]
    stated = _stated_options(schema)
    if stated.get(ON_ERROR, FAIL) not in ("fail", "skip"):
        errors.append(FieldError(None, ON_ERROR, "must be fail or skip"))
    errors += [FieldError(None, name, "is not available in Arrow: send JSON") for name in (EXPLAIN, ANSWER) if name in stated]
    if errors:
        raise _InvalidStream(errors)


def _stated_options(schema: pa.Schema) -> dict[str, str]:
    """Return the options in the metadata of a schema."""
    metadata: Mapping[bytes, bytes] = schema.metadata or {}
    sent = ((name, metadata.get(name.encode())) for name in (ON_ERROR, EXPLAIN, ANSWER))
    return {name: value.decode(errors="replace") for name, value in sent if value is not None}


class _Kind(Enum):
    """What the columns of a type of Arrow have."""

    NULL, NUMBER, FLOAT, FLAG, TEXT, VIEW, DICTIONARY, OTHER = range(8)


_KINDS = {
    pa.null().id: _Kind.NULL,
    pa.bool_().id: _Kind.FLAG,
    **{getattr(pa, f"{sign}int{bits}")().id: _Kind.NUMBER for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{getattr(pa, f"float{bits}")().id: _Kind.FLOAT for bits in (16, 32, 64)},
    **{kind.id: _Kind.TEXT for kind in (pa.string(), pa.large_string())},
    pa.string_view().id: _Kind.VIEW,
}
_DICTIONARY_ID = _NAME.id
_NUMBERS, _TEXT_KINDS = (_Kind.NUMBER, _Kind.FLOAT), (_Kind.TEXT, _Kind.VIEW)


def _kind(of: pa.DataType) -> _Kind:
    if of.id == _DICTIONARY_ID:
        return _Kind.DICTIONARY if _KINDS.get(of.value_type.id) in _TEXT_KINDS else _Kind.OTHER
    return _KINDS.get(of.id, _Kind.OTHER)


def _text_bytes(table: pa.Table) -> int:
    """Return an upper bound of the bytes of the texts in columns that can repeat a text without its bytes."""
    kinds = ((at, _kind(field.type)) for at, field in enumerate(table.schema))
    return sum(_column_bytes(table.column(at), kind) for at, kind in kinds if kind in (_Kind.DICTIONARY, _Kind.VIEW))


def _column_bytes(column: pa.ChunkedArray, kind: _Kind) -> int:
    if kind is _Kind.DICTIONARY:
        longest = (max((4 * len(text) for text in chunk.dictionary.to_pylist() if text), default=0) for chunk in column.chunks)
        return sum(len(chunk) * most for chunk, most in zip(column.chunks, longest, strict=True))
    return sum(_view_bytes(chunk) for chunk in column.chunks)


def _view_bytes(chunk: pa.Array) -> int:
    views = np.frombuffer(chunk.buffers()[1], np.int32)  # four numbers for each text, the first is its length
    return int(views[4 * chunk.offset :: 4][: len(chunk)].sum(dtype=np.int64))


def _records(decoder: RequestDecoder, table: pa.Table) -> Columns | None:
    """Return the records of a table, or None if any is not valid."""
    rules, size = decoder.columns, table.num_rows
    columns = dict(zip(table.schema.names, table.columns, strict=True))
    if not columns.keys() <= set(decoder.names):
        return None
    numbers = np.full((len(rules.numbers), size), np.nan)
    if not all(_fill(row, columns.get(field.name)) for row, field in zip(numbers, rules.numbers, strict=True)):
        return None
    found = [_codes(columns.get(field.name), size) for field in rules.categories]
    ids = _ids(columns.get(decoder.names[0]), size, _ID_CONTROLS)
    groups = _ids(columns.get(decoder.contract.group), size, _CONTROLS)
    if ids is None or groups is None or any(codes is None for codes in found):
        return None
    categories = [rules.normalized(field, codes) for field, codes in zip(rules.categories, found, strict=True) if codes]
    return rules.validated(stripped(ids), numbers, categories, [rules.group(each) for each in groups] if decoder.contract.group else ())


def _fill(row: Any, column: pa.ChunkedArray | None) -> bool:
    """Write a column of numbers into an array of NaN; return whether it has only numbers."""
    if column is None or column.null_count == len(column):
        return True
    if _kind(column.type) not in _NUMBERS:
        return False
    start = 0
    for chunk in column.chunks:
        row[start : start + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
        start += len(chunk)
    return True


def _codes(column: pa.ChunkedArray | None, size: int) -> Codes | None:
    """Return a column of texts by position, as they were sent; None if it has other values, or characters that are not allowed."""
    if column is None or column.null_count == size:
        return Codes((None,), np.zeros(size, dtype=np.int64))
    kind = _kind(column.type)
    if kind not in (*_TEXT_KINDS, _Kind.DICTIONARY):
        return None
    levels: list[str | None] = [None]
    positions = []
    for chunk in column.chunks:
        encoded = chunk if kind is _Kind.DICTIONARY else chunk.dictionary_encode()
        positions.append(_indices(encoded, len(levels)))
        levels += encoded.dictionary.to_pylist()
    codes = _used(levels, np.concatenate(positions))
    return None if any("\0" in level for level in codes.levels if level is not None) else codes


def _indices(encoded: pa.DictionaryArray, start: int) -> Integers:
    """Return the position of each value of a chunk among the levels, if those of the chunk begin at `start` and 0 is null."""
    sent = encoded.indices.to_numpy(zero_copy_only=False)
    if encoded.indices.null_count:
        sent = np.where(np.isnan(sent), -start, sent)
    indices: Integers = sent.astype(np.int64) + start
    return indices


def _used(levels: Sequence[str | None], positions: Integers) -> Codes:
    """Return a column without the levels that no record has."""
    used = np.flatnonzero(np.bincount(positions, minlength=len(levels)))
    new = np.zeros(len(levels), dtype=np.int64)
    new[used] = np.arange(len(used))
    return Codes(tuple(levels[position] for position in used.tolist()), new[positions])


def _ids(column: pa.ChunkedArray | None, size: int, controls: Sequence[str]) -> list[str | None] | None:
    """Return a column of ids of accounts or customers, or None if it has other values, or ids that may not be allowed."""
    if column is None:
        return [None] * size
    if _kind(column.type) not in (_Kind.NULL, *_TEXT_KINDS, _Kind.DICTIONARY):
        return None
    ids: list[str | None] = column.to_pylist()
    known = [text for text in ids if text is not None]
    joined = "".join(known)
    return None if max(map(len, known), default=0) > MAX_ID or any(mark in joined for mark in controls) else ids


def _values(table: pa.Table) -> dict[str, list[Any]]:
    """Return the values of each column; NaN is None, as null."""
    return {name: _listed(table.column(name)) for name in table.schema.names}


def _listed(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    has_nan = _kind(column.type) is _Kind.FLOAT and np.count_nonzero(np.isnan(column.to_numpy())) > column.null_count
    return [None if value is None or math.isnan(value) else value for value in values] if has_nan else values


def _structs(decoder: RequestDecoder, table: pa.Table) -> list[msgspec.Struct]:
    values = _values(table)
    return list(map(decoder.record, *(values.get(name, repeat(UNSET, table.num_rows)) for name in decoder.names)))
