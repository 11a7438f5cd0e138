"""Tests of Arrow streams: the same results, errors and log as for JSON records with the same values; hostile streams are bounded."""

import io
import json
import random
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import polars as pl
import pyarrow as pa
import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Term, VersionedScorecard
from risk_assets.lake.store import Store
from risk_serving import scoring
from risk_serving.http.media import ARROW, ArrowMedia, JsonMedia
from risk_serving.http.problems import Problem
from risk_serving.scoring import arrow
from risk_serving.scoring.wire import InvalidRequest, RequestDecoder
from tests.serving.conftest import Service

Records: TypeAlias = Sequence[dict[str, Any]]
HEADERS = {"content-type": ARROW.decode()}
MARKER = "zq-73519-marker"


def table(records: Records) -> pa.Table:
    return pa.table({name: [record[name] for record in records] for name in records[0]})


def stream(sent: pa.Table, batch: int | None = None, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, sent.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(sent, batch)
    return bytes(sink.getvalue())


def with_types(sent: pa.Table, old: pa.DataType, new: pa.DataType) -> pa.Table:
    return sent.cast(pa.schema([field.with_type(new) if field.type == old else field for field in sent.schema]))


def from_polars(records: Records) -> bytes:
    written = io.BytesIO()
    pl.DataFrame(records, infer_schema_length=None).write_ipc_stream(written)
    return written.getvalue()


MAKERS: dict[str, Callable[[Records], bytes]] = {
    "texts": lambda records: stream(table(records)),
    "large texts": lambda records: stream(with_types(table(records), pa.string(), pa.large_string())),
    "views": lambda records: stream(with_types(table(records), pa.string(), pa.string_view())),
    "dictionaries": lambda records: stream(with_types(table(records), pa.string(), pa.dictionary(pa.uint8(), pa.string()))),
    "batches": lambda records: stream(with_types(table(records), pa.string(), pa.dictionary(pa.int32(), pa.string())), 7),
    "polars": from_polars,
    "other columns' order": lambda records: stream(table(records).select(sorted(records[0]))),
}
EACH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
SIZES = pytest.mark.parametrize("size", [1, 40], ids=["few", "many"])


def ask(service: Service, body: bytes) -> httpx.Response:
    return service.client.post("/predict", content=body, headers=HEADERS)


def results(answer: httpx.Response) -> pa.Table:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ARROW.decode()
    return pa.ipc.open_stream(answer.content).read_all()


def columns(service: Service, records: Records, **options: Any) -> dict[str, Any]:
    """Return the results of records that are sent as JSON."""
    answer = service.client.post("/predict", json={"records": records, "answer": "columns", **options})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["columns"]
    return found


def errors(answer: httpx.Response) -> list[tuple[Any, Any, Any]]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert MARKER not in answer.text
    return [(error["record"], error["field"], error["rule"]) for error in answer.json()["errors"]]


@SIZES
@EACH
def test_results_equal_those_of_records(service: Service, records: Records, make: Callable[[Records], bytes], size: int) -> None:
    sent = [*({**record, "channel": None, "id": None} for record in records[:1]), *records[1 : size - 1], records[0] | {"channel": " ü\t"}]
    answer = results(ask(service, make(sent)))
    assert answer.to_pydict() == columns(service, sent)
    assert answer.schema.metadata == {b"model_version": b"model_v001"}


def test_whole_numbers_and_missing_columns_are_read(service: Service, records: Records) -> None:
    names = [name for name in records[0] if name not in {"channel", "months_since_missed"}]
    sent = [{name: record[name] for name in names} for record in records[:40]]
    for record in sent:
        record["months_on_book"] = round(record["months_on_book"])
    whole = table(sent)
    for kind in (pa.int16(), pa.uint32(), pa.int64(), pa.float32(), pa.float64()):
        typed = whole.set_column(whole.schema.get_field_index("months_on_book"), "months_on_book", whole["months_on_book"].cast(kind))
        assert results(ask(service, stream(typed))).to_pydict() == columns(service, sent)


def test_nan_is_missing(service: Service, records: Records) -> None:
    sent = [record | {"months_since_missed": None} for record in records[:20]]
    names = table(sent)
    missing = names.set_column(names.schema.get_field_index("months_since_missed"), "months_since_missed", pa.array([float("nan")] * 20))
    assert results(ask(service, stream(missing))).to_pydict() == columns(service, sent)


@SIZES
@EACH
@pytest.mark.parametrize(
    "change",
    [{"balance": -1.0, "region": None}, {"region": "a\0"}, {"id": "a\nb"}, {"id": " NA "}, {"id": "x" * 257}, {"colour": 1.0}],
    ids=["range", "control", "line end", "missing id", "long id", "unknown"],
)
def test_errors_equal_those_of_records(
    service: Service, records: Records, make: Callable[[Records], bytes], change: dict[str, Any], size: int
) -> None:
    sent = [record | (change if at % 3 == 0 else dict.fromkeys(change.keys() - record.keys())) for at, record in enumerate(records[:size])]
    expected = errors(service.predict(sent))
    assert errors(ask(service, make(sent))) == expected
    assert expected


@pytest.mark.parametrize(
    ("name", "values", "rule"),
    [
        ("balance", [MARKER], "must be a number or null"),
        ("balance", [True], "must be a number or null"),
        ("balance", [float("inf")], "unreadable"),
        ("region", [7], "must be text or null"),
        ("region", [False], "must be text or null"),
        ("id", [1.5], "must be text or null"),
    ],
)
def test_column_of_another_type_is_reported(service: Service, records: Records, name: str, values: list[Any], rule: str) -> None:
    for size in (1, 20):
        sent = table(records[:size])
        other = sent.set_column(sent.schema.get_field_index(name), name, pa.array(values * size))
        assert errors(ask(service, stream(other))) == [(at, name, rule) for at in range(size)]


def test_invalid_records_are_skipped_on_request(service: Service, records: Records) -> None:
    sent = [records[0], records[1] | {"balance": -1.0, "region": None}, *records[2:30]]
    skipping = table(sent).replace_schema_metadata({"on_error": "skip"})
    assert results(ask(service, stream(skipping))).to_pydict() == columns(service, sent, on_error="skip")
    for option in ({"on_error": "no"}, {"explain": "true"}, {"answer": "records"}):
        ((record, field, _),) = errors(ask(service, stream(table(sent[:1]).replace_schema_metadata(option))))
        assert (record, [field]) == (None, list(option))


@pytest.mark.parametrize("size", [1, 30])
def test_log_has_the_records(serve: Callable[..., Service], lake: Store, records: Records, size: int) -> None:
    own = serve(lake)
    assert ask(own, stream(table(records[:size]))).status_code == 200
    own.stop()
    (path,) = lake.list("logs/online/model_inputs/")
    assert json.loads(lake.get(path))["data"] == records[:size]


def test_pyarrow_is_imported_by_the_first_stream(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    own = serve(lake)
    maps = Path(f"/proc/{own.process.pid}/maps")
    assert own.scored(records[:40])
    assert "libarrow" not in maps.read_text(encoding="utf-8")
    assert ask(own, stream(table(records[:40]))).status_code == 200
    assert "libarrow" in maps.read_text(encoding="utf-8")


CONTRACT = Contract.model_validate(
    {
        "id": "account",
        "target": {"column": "outcome", "bad": "1"},
        "features": {"x": {"type": "number", "reason": "why"}, "k": {"type": "category", "reason": "why"}},
    }
)
TERMS = (Term("x", Line(1.0, 0.0, 0.0), 0.0, 0.0, "why"), Term("k", Levels(("a",), (0.1,), 0.2, 0.3), 0.0, 0.0, "why"))
DECODER = RequestDecoder(CONTRACT, Arms(VersionedScorecard("model_v001", Scorecard("logistic", 0.0, TERMS))), 1000)
VALID = stream(pa.table({"id": ["A1", "A2"], "x": [1.0, None], "k": ["a", None]}))
STREAM_RULE = "is not a valid Arrow IPC stream"


def rule(body: bytes) -> str:
    """Return the rule that a whole stream breaks."""
    with pytest.raises(InvalidRequest):
        ArrowMedia().read(DECODER, body)
    with pytest.raises(Problem) as caught:
        ArrowMedia().reread(DECODER, body)
    ((record, text),) = [(error.record, error.rule) for error in caught.value.errors]
    assert record is None
    return text


def dictionary_bomb() -> pa.Table:
    return pa.table({"k": pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int8()), pa.array(["x" * 1_000_000]))})


def view_bomb() -> pa.Table:
    text = b"x" * 1_000_000
    view = struct.pack("<i4sii", len(text), text[:4], 0, 0)
    return pa.table({"k": pa.Array.from_buffers(pa.string_view(), 1000, [None, pa.py_buffer(view * 1000), pa.py_buffer(text)])})


def patched(column: pa.Array, old: bytes, new: bytes, most: int = -1) -> bytes:
    """Return a stream of a column in which some bytes are replaced."""
    body = stream(pa.table({"k": column}))
    assert old in body
    return body.replace(old, new, most)


def node_of(rows: int) -> bytes:
    """Return a stream of 7 nulls whose column claims to have other rows than its batch."""
    start, _, end = patched(pa.nulls(7), b"", b"").rpartition(struct.pack("<qq", 7, 7))
    return start + struct.pack("<qq", rows, rows) + end


TOO_MANY = "has too many batches, or too large dictionaries: send one batch"
NESTED = "must be a column of integers, floats, truth values or texts"
COUNT = "must have 1 to 1000 records"
TRAILING = "has data after its end: send one stream"
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", COUNT),
    "not Arrow": (lambda: b'{"records": []}' * 100, STREAM_RULE),
    "a file": (lambda: b"ARROW1\0\0" + VALID, STREAM_RULE),
    "cut schema": (lambda: VALID[:100], STREAM_RULE),
    "cut batch": (lambda: VALID[:-40], STREAM_RULE),
    "two streams": (lambda: VALID * 2, TRAILING),
    "text after the end": (lambda: VALID + b"x", TRAILING),
    "text after a short end": (lambda: VALID[:-8] + b"\0" * 4 + b"{}", TRAILING),
    "no batch": (lambda: stream(pa.table({"x": pa.array([], pa.float64())})), COUNT),
    "many records": (lambda: stream(pa.table({"x": [1.0] * 1001})), COUNT),
    "many null records": (lambda: patched(pa.nulls(5000), struct.pack("<q", 5000), struct.pack("<q", 2**40)), COUNT),
    "other rows": (lambda: node_of(2**40), STREAM_RULE),
    "many batches": (lambda: stream(pa.table({"x": [1.0] * 1000}), 1), TOO_MANY),
    "compressed": (
        lambda: stream(pa.table({"x": [0.0] * 1000}), compression="zstd"),
        "has compressed batches: write them without compression",
    ),
    "compressed dictionary": (
        lambda: stream(pa.table({"k": pa.array(["a" * 1000]).dictionary_encode()}), compression="lz4"),
        "has compressed batches: write them without compression",
    ),
    "dictionary bomb": (lambda: stream(dictionary_bomb()), "has dictionaries that stand for more than 4194304 bytes"),
    "view bomb": (lambda: stream(view_bomb()), "has dictionaries that stand for more than 4194304 bytes"),
    "large dictionary": (
        lambda: stream(pa.table({"k": pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([""] * 200_000))})),
        TOO_MANY,
    ),
    "nested": (lambda: stream(pa.table({"x": [[1.0]]})), NESTED),
    "deeply nested": (lambda: stream(pa.table({"x": pa.nulls(1, deep(40))})), NESTED),
    "dates": (lambda: stream(pa.table({"x": pa.array([1], pa.date32())})), NESTED),
    "bytes": (lambda: stream(pa.table({"k": [b"a"]})), NESTED),
    "dictionary of numbers": (lambda: stream(pa.table({"x": pa.array([1.0]).dictionary_encode()})), NESTED),
    "repeated column": (lambda: stream(pa.Table.from_arrays([pa.array([1.0])] * 2, ["x", "x"])), "is repeated"),
    "many columns": (
        lambda: stream(pa.table({f"c{at}": [1] for at in range(300)})),
        "has too many columns that are not in the contract",
    ),
    "large schema": (
        lambda: stream(pa.table({"x": [1.0]}).replace_schema_metadata({"pandas": "x" * 300_000})),
        "has a schema of more than 262144 bytes",
    ),
    "invalid UTF-8": (lambda: patched(pa.array(["abcd"]), b"abcd", b"ab\xff\xfe"), STREAM_RULE),
    "offsets outside": (lambda: patched(pa.array(["abcd"]), struct.pack("<ii", 0, 4), struct.pack("<ii", 0, 2**30)), STREAM_RULE),
    "offsets backwards": (
        lambda: patched(pa.array(["ab", "cd"]), struct.pack("<iii", 0, 2, 4), struct.pack("<iii", 0, 2, -5)),
        STREAM_RULE,
    ),
    "index outside": (
        lambda: stream(pa.table({"k": pa.DictionaryArray.from_arrays(pa.array([9], pa.int8()), pa.array(["a"]), safe=False)})),
        STREAM_RULE,
    ),
}


def deep(levels: int) -> pa.DataType:
    kind: pa.DataType = pa.float64()
    for _ in range(levels):
        kind = pa.list_(kind)
    return kind


@pytest.mark.parametrize("end", [b"", b"\0" * 4])
def test_stream_may_end_without_a_mark_or_with_the_old_one(end: bytes) -> None:
    assert len(ArrowMedia().read(DECODER, VALID[:-8] + end).ids) == 2


@pytest.mark.parametrize(("make", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_stream_is_rejected(make: Callable[[], bytes], expected: str) -> None:
    assert rule(make()) == expected


def test_changed_bytes_are_answered() -> None:
    """A stream with any bytes changed is read or rejected, and never ends the process."""
    drawn = random.Random(7)
    dictionaries = with_types(
        pa.table({"id": ["A1", "A2"], "x": [1.0, None], "k": ["a", None]}), pa.string(), pa.dictionary(pa.int8(), pa.string())
    )
    for original in (VALID, stream(dictionaries)):
        for _ in range(500):
            body = bytearray(original)
            for _ in range(drawn.randint(1, 4)):
                body[drawn.randrange(len(body))] = drawn.choice([0, 1, 127, 128, 255, drawn.randrange(256)])
            if drawn.random() < 0.2:
                del body[drawn.randrange(len(body)) :]
            try:
                ArrowMedia().read(DECODER, bytes(body))
            except InvalidRequest:
                with pytest.raises(Problem):
                    ArrowMedia().reread(DECODER, bytes(body))


def test_large_bodies_are_read_in_a_thread(records: Records) -> None:
    json_media, arrow_media = JsonMedia(), ArrowMedia()
    many = [records[at % len(records)] for at in range(1000)]
    assert json_media.is_quick(json.dumps({"records": many}).encode())
    assert not json_media.is_quick(json.dumps({"columns": {f"c{at}": [1] * 1000 for at in range(60)}}).encode())
    assert not json_media.is_quick(b'{"records": [' + b" " * 2_000_000 + b"]}")
    assert arrow_media.is_quick(stream(table(many)))
    assert not arrow_media.is_quick(stream(pa.table({f"c{at}": [1.0] * 1000 for at in range(100)})))


def test_first_stream_is_read_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    ArrowMedia().read(DECODER, VALID)
    assert ArrowMedia().is_quick(VALID)
    monkeypatch.delitem(sys.modules, "risk_serving.scoring.arrow")
    assert not ArrowMedia().is_quick(VALID)


def test_stream_without_pyarrow_is_rejected_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(scoring, "arrow", raising=False)
    monkeypatch.setitem(sys.modules, "risk_serving.scoring.arrow", None)
    with pytest.raises(Problem, match="Send JSON, or install it") as caught:
        ArrowMedia().read(DECODER, VALID)
    assert caught.value.status == 415


def test_the_text_of_a_customer_may_have_line_ends_as_in_json() -> None:
    customers = pa.chunked_array([["\r", "a\nb"]])
    assert arrow._ids(customers, 2, arrow._CONTROLS) == ["\r", "a\nb"]
    assert arrow._ids(customers, 2, arrow._ID_CONTROLS) is None
    assert arrow._ids(pa.chunked_array([["a\0"]]), 1, arrow._CONTROLS) is None
