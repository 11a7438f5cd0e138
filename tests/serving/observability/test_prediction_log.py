"""Tests of the prediction log: the data collector's format, joinable inputs and outputs, and no losses below the limit."""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from msgspec.structs import replace

from risk_assets.domain.governance.bindings import Binding
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from risk_serving.observability.event_lines import Entry, sent_records
from risk_serving.observability.prediction_log import BufferedLog
from risk_serving.scoring.answers import Answer, NotEligible, RecordResult, Result, WithIssues
from tests.documents import BOUND

# Two batched requests, from "Data collector batching" in Azure ML's documentation of its data collector.
DOCUMENTED = """{"specversion":"1.0","id":"dddddddd-3333-4444-5555-eeeeeeeeeeee","source":"/subscriptions/cccc/deployments/main2",
"type":"azureml.inference.model_inputs","datacontenttype":"application/json","time":"2024-03-05T18:16:25Z",
"data":[{"LIMIT_BAL":502970,"AGE":54},{"LIMIT_BAL":293458,"AGE":35}],"contentrange":"bytes 0-6794/6795","correlationid":"test",
"xrequestid":"test","modelversion":"default","collectdatatype":"pandas.core.frame.DataFrame","agent":"azureml-ai-monitoring/0.1.0b4"}"""
# What azureml-ai-monitoring 1.0.0 sends to the collector as `ce-type`, `ce-collect-data-type` (as pandas 2 names it) and `ce-agent`.
SENT = {"type": "azureml.inference.model_inputs", "collectdatatype": "pandas.core.frame.DataFrame", "agent": "azureml-ai-monitoring/1.0.0"}

SOURCE = "https://risk.example/predict"
BEFORE_NINE = 1772355599.9  # 2026-03-01T08:59:59.9Z
NEVER = 3600.0
PATIENCE = 5.0


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record of a contract with the features age and city."""

    id: str | None = None
    age: float | None = None
    city: str | None = None


BINDING = Binding(
    seq=7,
    action="challenge",
    champion="model_v003",
    challenger="model_v004",
    challenger_share=0.5,
    mode="ab",
    salt="pepper",
    actor="ann",
    reason="a test",
    overrides=(),
    **BOUND,
    effective_from="2026-01-01T00:00:00Z",
    recorded_at="2026-01-01T00:00:00Z",
    previous=None,
    seal="",
)
SHADOW = replace(BINDING, challenger="model_v005", challenger_share=None, mode="shadow")
RESULTS = (
    Result("A1", 0, 0.1234567890123456, 612, "A", (), "champion", "model_v003"),
    Result(None, 1, 1.0, 300, "E", ("Income is low",), "challenger", "model_v004"),
)


def sent(*records: Record) -> bytes:
    """Return the records of a request as JSON."""
    return msgspec.json.encode(records)


def answered(results: Sequence[RecordResult], **changes: Any) -> Entry:
    """Return the entry of a request with these results."""
    return replace(ENTRY, answer=msgspec.json.encode(Answer("model_v003", list(results))), records=len(results), **changes)


ENTRY = Entry(
    request_id="request-1",
    received_at=BEFORE_NINE,
    sent=sent(Record("A1", 41.5, "Zürich"), Record()),
    answer=msgspec.json.encode(Answer("model_v003", list(RESULTS))),
    records=2,
    binding=BINDING,
    caller="loans",
)


@pytest.fixture
def store(disk_settings: Settings) -> Store:
    Path(disk_settings.lake.removeprefix("file://")).mkdir()
    return disk_settings.connect_lake()


@pytest.fixture
def start(store: Store) -> Iterator[Callable[..., BufferedLog]]:
    """Start a log that is closed after the test."""
    logs = []

    def started(share: float = 1.0, limit: int = 2_000_000, seconds: float = NEVER) -> BufferedLog:
        log = BufferedLog(store, SOURCE, share, limit, seconds)
        log.start()
        logs.append(log)
        return log

    yield started
    for log in logs:
        log.close(PATIENCE)


def lines(store: Store, collection: str) -> list[dict[str, Any]]:
    paths = [path for path in store.list("logs/online/") if f"/{collection}/" in path]
    return [json.loads(line) for path in paths for line in store.get(path).splitlines()]


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def logged(store: Store, log: BufferedLog, *entries: Entry) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    for entry in entries:
        log.offer(entry)
    log.close(PATIENCE)
    return lines(store, "model_inputs"), lines(store, "model_outputs")


def test_line_has_the_collectors_keys_and_types(store: Store, start: Callable[..., BufferedLog]) -> None:
    documented = json.loads(DOCUMENTED)
    (inputs,), (outputs,) = logged(store, start(), ENTRY)
    for line, own in ((inputs, {}), (outputs, {"caller": str, "binding": int, "contract": str, "policy": str})):
        assert {key: type(value) for key, value in line.items()} == {key: type(value) for key, value in documented.items()} | own
        fixed = ("specversion", "datacontenttype", "collectdatatype")
        assert [line[key] for key in fixed] == [documented[key] for key in fixed]
        assert str(uuid.UUID(line["id"])) == line["id"]


def test_line_has_the_collectors_values(store: Store, start: Callable[..., BufferedLog]) -> None:
    (inputs,), (outputs,) = logged(store, start(), ENTRY)
    assert {key: inputs[key] for key in SENT} == SENT
    assert outputs["type"] == "azureml.inference.model_outputs"
    assert inputs["id"] != outputs["id"]
    for line in (inputs, outputs):
        assert line["source"] == SOURCE
        assert line["time"] == "2026-03-01T08:59:59Z"
        assert line["modelversion"] == "model_v003,model_v004"
        size = len(json.dumps(line["data"], separators=(",", ":"), ensure_ascii=False).encode())
        assert line["contentrange"] == f"bytes 0-{size - 1}/{size}"


def test_inputs_and_outputs_join_by_request_and_index(store: Store, start: Callable[..., BufferedLog]) -> None:
    records = sent(Record("A1", 41.5, "Zürich"), Record(), Record("A3"), Record("A4"))
    unscored = (NotEligible("A3", "closed", "champion", "model_v003"), WithIssues("A4", ("age: missing",), "champion", "model_v003"))
    (inputs,), (outputs,) = logged(store, start(), answered((*RESULTS, *unscored), sent=records))
    assert (
        {inputs[key] for key in ("correlationid", "xrequestid")}
        == {outputs[key] for key in ("correlationid", "xrequestid")}
        == {"request-1"}
    )
    unknown = {"age": None, "city": None}
    assert inputs["data"] == [
        {"id": "A1", "age": 41.5, "city": "Zürich"},
        {"id": None, **unknown},
        {"id": "A3", **unknown},
        {"id": "A4", **unknown},
    ]
    assert outputs["data"] == json.loads(msgspec.json.encode((*RESULTS, *unscored)))


def test_outputs_name_who_asked_and_what_decided(store: Store, start: Callable[..., BufferedLog]) -> None:
    quoted = 'a "b" \u2028'
    other = replace(BINDING, seq=8, policy="f" * 64)
    entries = (
        ENTRY,
        replace(ENTRY, request_id="request-2", caller=quoted),
        replace(ENTRY, request_id="request-3", binding=other, caller=None),
    )
    _, outputs = logged(store, start(), *entries)
    keys = ("caller", "binding", "contract", "policy")
    assert [tuple(line.get(key) for key in keys) for line in outputs] == [
        ("loans", 7, BOUND["contract"], BOUND["policy"]),
        (quoted, 7, BOUND["contract"], BOUND["policy"]),
        (None, 8, BOUND["contract"], "f" * 64),
    ]


def test_event_ids_are_unique(store: Store, start: Callable[..., BufferedLog]) -> None:
    first, second = start(seconds=0.01), start()
    for log in (first, second):
        for number in range(20):
            log.offer(replace(ENTRY, request_id=str(number)))
    assert soon(lambda: first.pending == 0)
    first.offer(ENTRY)
    first.close(PATIENCE)
    second.close(PATIENCE)
    found = [line["id"] for collection in ("model_inputs", "model_outputs") for line in lines(store, collection)]
    assert len(set(found)) == len(found) == 82


def test_callers_id_is_logged_beside_the_services(store: Store, start: Callable[..., BufferedLog]) -> None:
    entries = [replace(ENTRY, request_id=name, client_request_id="order-7") for name in ("request-1", "request-2")]
    for collection in logged(store, start(), *entries):
        assert [(line["correlationid"], line["xrequestid"]) for line in collection] == [("request-1", "order-7"), ("request-2", "order-7")]


def test_records_are_logged_as_they_were_sent(store: Store, start: Callable[..., BufferedLog]) -> None:
    body = b'{"records":\r\n [{"id":"007",\n"age":-9,"city":" n/a "},\n{"city":"\\u00e9\\"\\n\\u2028"}]}'
    (inputs,), _ = logged(store, start(), replace(ENTRY, sent=sent_records(body)))
    assert inputs["data"] == [{"id": "007", "age": -9, "city": " n/a "}, {"city": 'é"\n\u2028'}]


@pytest.mark.parametrize("city", ["a [b]", "]", "["])
def test_text_with_brackets_is_logged(store: Store, start: Callable[..., BufferedLog], city: str) -> None:
    body = msgspec.json.encode({"records": [Record("007", 1.0, city)], "on_error": "skip"})
    (inputs,), _ = logged(store, start(), replace(ENTRY, sent=sent_records(body)))
    assert inputs["data"] == [{"id": "007", "age": 1.0, "city": city}]


def test_thousand_records_are_one_line_per_collection(store: Store, start: Callable[..., BufferedLog]) -> None:
    records = sent(*[Record(f"A{number}", float(number)) for number in range(1000)])
    results = [Result(f"A{number}", 0, number / 1000, 600, "A", (), "champion", "model_v003") for number in range(1000)]
    (inputs,), (outputs,) = logged(store, start(), answered(results, sent=records))
    assert [row["age"] for row in inputs["data"]] == [float(number) for number in range(1000)]
    assert [row["probability"] for row in outputs["data"]] == [number / 1000 for number in range(1000)]


def test_shadow_probabilities_are_logged_with_the_results(store: Store, start: Callable[..., BufferedLog]) -> None:
    _, (outputs,) = logged(store, start(), answered(RESULTS, binding=SHADOW, shadow=(0.25, None)))
    assert [row.pop("challenger_probability") for row in outputs["data"]] == [0.25, None]
    assert [row.pop("challenger_version") for row in outputs["data"]] == ["model_v005"] * 2
    assert outputs["data"] == json.loads(msgspec.json.encode(RESULTS))
    assert outputs["modelversion"] == "model_v003"


def test_hours_and_days_have_separate_files(store: Store, start: Callable[..., BufferedLog]) -> None:
    at = {"late": BEFORE_NINE, "nine": BEFORE_NINE + 0.1, "also late": BEFORE_NINE - 60, "next day": BEFORE_NINE + 15.5 * 3600}
    logged(store, start(), *(replace(ENTRY, request_id=name, received_at=time) for name, time in at.items()))
    found: dict[str, list[str]] = {}
    for path in store.list("logs/online/"):
        named = re.fullmatch(r"logs/online/(\S+)/[0-9a-f]{16}-000000\.jsonl", path)
        assert named
        found[named[1]] = [json.loads(line)["correlationid"] for line in store.get(path).splitlines()]
    hours = {"{}/2026/03/01/08": ["late", "also late"], "{}/2026/03/01/09": ["nine"], "{}/2026/03/02/00": ["next day"]}
    assert found == {hour.format(name): ids for hour, ids in hours.items() for name in ("model_inputs", "model_outputs")}


def test_writers_and_batches_have_separate_files(store: Store, start: Callable[..., BufferedLog]) -> None:
    first, second = start(seconds=0.01), start()
    first.offer(ENTRY)
    assert soon(lambda: len(lines(store, "model_outputs")) == 1)
    first.offer(ENTRY)
    second.offer(ENTRY)
    first.close(PATIENCE)
    second.close(PATIENCE)
    names = [path.rpartition("/")[2] for path in store.list("logs/online/model_inputs/2026/03/01/08/")]
    assert sorted(name.partition("-")[2] for name in names) == ["000000.jsonl", "000000.jsonl", "000001.jsonl"]
    assert len({name.partition("-")[0] for name in names}) == 2


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_request_ids_hash_decides_what_is_logged(store: Store, start: Callable[..., BufferedLog], share: float) -> None:
    names = [f"request-{number}" for number in range(1000)]
    expected = {name for name in names if int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 2**64 < share}
    assert abs(len(expected) - 1000 * share) < 50
    for _ in range(2):
        log = start(share=share, limit=10_000_000)
        for name in filter(log.has, names):
            log.offer(replace(ENTRY, request_id=name))
        log.close(PATIENCE)
        assert log.dropped == 0
    for collection in ("model_inputs", "model_outputs"):
        found = [line["correlationid"] for line in lines(store, collection)]
        assert sorted(found) == sorted([*expected, *expected])


def test_records_over_the_limit_are_dropped_and_counted(store: Store, start: Callable[..., BufferedLog]) -> None:
    log = start(limit=5000, seconds=0.01)
    break_lake(store)
    for number in range(10):
        log.offer(replace(ENTRY, request_id=str(number)))
    assert (log.pending, log.dropped) == (4, 16)
    restore_lake(store)
    log.close(PATIENCE)
    assert [line["correlationid"] for line in lines(store, "model_inputs")] == ["0", "1"]


def test_space_around_the_records_is_not_kept() -> None:
    space, records = b" " * 1_000_000, b'[{"city":"a [b] c"}]'
    assert sent_records(space + b'{"explain":true,"records":' + space + records + space + b"}" + space) == records


def test_records_are_limited_in_bytes(store: Store, start: Callable[..., BufferedLog]) -> None:
    break_lake(store)  # so that nothing leaves the buffer
    log = start()
    for number in range(20):
        log.offer(replace(ENTRY, request_id=str(number), sent=b"[" + b" " * 1_000_000 + b"]"))
    assert (log.pending, log.dropped) == (2, 38)
    restore_lake(store)


def test_entries_are_written_once_after_the_lake_returns(store: Store, start: Callable[..., BufferedLog]) -> None:
    break_lake(store)
    log = start(seconds=0.01)
    for number in range(50):
        log.offer(replace(ENTRY, request_id=str(number)))
    assert soon(lambda: log.failures >= 3)
    assert log.problem and "cannot be written" in log.problem and "Zürich" not in log.problem
    restore_lake(store)
    assert soon(lambda: log.pending == 0)
    assert soon(lambda: log.problem is None)
    assert log.dropped == 0
    for collection in ("model_inputs", "model_outputs"):
        assert [line["correlationid"] for line in lines(store, collection)] == [str(number) for number in range(50)]


def test_half_written_batch_is_completed_without_duplicates(store: Store, start: Callable[..., BufferedLog]) -> None:
    outputs = folder(store) / "logs/online/model_outputs"
    outputs.parent.mkdir(parents=True)
    outputs.write_text("in the way")
    log = start(seconds=0.01)
    log.offer(ENTRY)
    assert soon(lambda: log.failures >= 2)
    log.offer(replace(ENTRY, request_id="request-2"))
    assert len(lines(store, "model_inputs")) == 1
    outputs.unlink()
    assert soon(lambda: log.pending == 0)
    for collection in ("model_inputs", "model_outputs"):
        assert [line["correlationid"] for line in lines(store, collection)] == ["request-1", "request-2"]


def test_unexpected_error_drops_one_batch_only(store: Store, start: Callable[..., BufferedLog], monkeypatch: pytest.MonkeyPatch) -> None:
    create = Store.create

    def half(self: Store, path: str, content: bytes) -> bool:
        if "/model_outputs/" in path:
            raise ValueError("41.5 of Zürich")
        return create(self, path, content)

    log = start(seconds=0.01)
    with monkeypatch.context() as broken:
        broken.setattr(Store, "create", half)
        log.offer(replace(ENTRY, request_id="broken"))
        assert soon(lambda: log.dropped == 2)
    assert (log.failures, log.pending) == (1, 0)
    assert log.problem and "Zürich" not in log.problem
    log.offer(replace(ENTRY, request_id="whole"))
    assert soon(lambda: log.pending == 0)
    assert soon(lambda: log.problem is None)
    assert log.dropped == 2
    found = [[line["correlationid"] for line in lines(store, collection)] for collection in ("model_inputs", "model_outputs")]
    assert [sorted(names) for names in found] == [["broken", "whole"], ["whole"]]


def test_failure_while_closing_counts_as_dropped(store: Store, start: Callable[..., BufferedLog]) -> None:
    log = start()
    break_lake(store)
    log.offer(ENTRY)
    log.close(PATIENCE)
    assert (log.dropped, log.failures, log.pending) == (2, 1, 0)
    restore_lake(store)


def test_polars_reads_and_joins_the_log(store: Store, start: Callable[..., BufferedLog]) -> None:
    logged(store, start(), ENTRY, replace(ENTRY, request_id="request-2", binding=SHADOW, shadow=(0.25, 0.5)))
    keys = ["correlationid", "index"]
    inputs, outputs = (
        pl.read_ndjson(folder(store) / f"logs/online/{name}/2026/03/01/08/*.jsonl")
        .select("correlationid", "data", index=pl.int_ranges(pl.col("data").list.len()))
        .explode("data", "index")
        .unnest("data")
        for name in ("model_inputs", "model_outputs")
    )
    joined = inputs.join(outputs, on=keys, how="inner", validate="1:1").sort(keys)
    assert joined["age"].to_list() == [41.5, None] * 2
    assert joined["probability"].to_list() == [0.1234567890123456, 1.0] * 2
    assert joined["challenger_probability"].to_list() == [None, None, 0.25, 0.5]
    assert (joined["id"].is_null() == joined["id_right"].is_null()).all()


def folder(store: Store) -> Path:
    assert store.folder
    return store.folder


def break_lake(store: Store) -> None:
    folder(store).rmdir()
    folder(store).write_text("a file instead of the folder")


def restore_lake(store: Store) -> None:
    folder(store).unlink()
    folder(store).mkdir()
