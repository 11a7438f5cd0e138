"""The reader of the prediction log: files and lines have partners, damaged ones are named, and requests are found by id."""

import json
from typing import Any

import pytest

from risk_assets.errors import LakeError
from risk_assets.lake import layout, online_log
from risk_assets.lake.online_files import dates, files
from risk_assets.lake.online_log import LoggedRequest, find_requests, read_file
from risk_assets.lake.store import Store

DATE, NEXT = "2026-03-01", "2026-03-02"
MARKER = "Zürich"


def path(date: str, collection: str, name: int = 0, hour: str = "08") -> str:
    return layout.online_log(date, collection, hour, "0123456789abcdef", name)


def event(request: str, data: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"correlationid": request, "xrequestid": request, "time": f"{DATE}T08:00:00Z", "data": data, **more}


def answer(**changes: Any) -> dict[str, Any]:
    scored = {"status": "scored", "id": "A1", "prediction": 0, "probability": 0.25, "points": 612, "band": "A", "reasons": []}
    return {**scored, "arm": "champion", "model_version": "model_v001", **changes}


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for each in events)


def outputs(request: str, *answers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return event(request, list(answers), caller="loans", binding=7, contract="c", policy="p", **more)


def write(store: Store, date: str, *requests: str, name: int = 0, **more: Any) -> None:
    """Log requests of one record each in one pair of files."""
    records = [event(request, [{"id": "A1", "age": 41, "city": MARKER}]) for request in requests]
    store.put(path(date, layout.ONLINE_INPUTS, name), lines(*records))
    store.put(path(date, layout.ONLINE_OUTPUTS, name), lines(*(outputs(request, answer(), **more) for request in requests)))


def read(store: Store, date: str = DATE) -> tuple[list[LoggedRequest], list[str]]:
    """Return the requests and the messages of a date."""
    found = [each for file in files(store, date) for each in read_file(store, file)]
    return [each for each in found if isinstance(each, LoggedRequest)], [each for each in found if isinstance(each, str)]


def change(store: Store, collection: str, old: bytes, new: bytes) -> None:
    content = store.get(path(DATE, collection))
    assert old in content
    store.put(path(DATE, collection), content.replace(old, new, 1))


def test_requests_have_their_records_and_answers(store: Store) -> None:
    write(store, DATE, "r1", "r2")
    write(store, NEXT, "r3")
    (first, second), problems = read(store)
    assert problems == []
    assert (first.id, second.id, first.records) == ("r1", "r2", [{"id": "A1", "age": 41.0, "city": MARKER}])
    assert (first.caller, first.binding, first.contract, first.policy) == ("loans", 7, "c", "p")
    assert (second.path, second.line) == (path(DATE, layout.ONLINE_OUTPUTS), 2)
    assert list(dates(store)) == [NEXT, DATE]


@pytest.mark.parametrize(
    ("collection", "old", "new", "message"),
    [
        ("model_outputs", b'"probability":0.25', b'"probability":"%s"' % MARKER.encode(), "is not valid at `$.data[0].probability`"),
        ("model_outputs", b'"status":"scored"', b'"status":"%s"' % MARKER.encode(), "is not valid at `$.data[0].status`"),
        ("model_outputs", b'"points":612,', b"", "is not valid at `$.data[0]`"),
        ("model_outputs", b'"binding":7,', b"", "line 1 is not valid at $"),
        ("model_outputs", b'"data":[', b'"data"[', "line 1 is not JSON"),
        ("model_inputs", b'"age":41', b'"age":[41]', "is not valid at `$.data[0][...]`"),
        ("model_inputs", b"Z\xc3\xbc", b"Z\xc3", "line 1 is not"),
        ("model_inputs", b'"correlationid":"r1"', b'"correlationid":"r9"', "line 1: the request has no line in"),
        ("model_inputs", b'"correlationid":"r1"', b'"correlationid":"r2"', "the request is also in line 1"),
        ("model_inputs", b'"data":[', b'"data":[{},', "has 2 records and 1 results"),
    ],
)
def test_damaged_line_is_named_without_its_values(disk_store: Store, collection: str, old: bytes, new: bytes, message: str) -> None:
    write(disk_store, DATE, "r1", "r2")
    change(disk_store, collection, old, new)
    requests, problems = read(disk_store)
    assert [request.id for request in requests] == ["r2"]
    assert any(message in problem for problem in problems)
    assert all(path(DATE, layout.ONLINE_INPUTS) in problem or path(DATE, layout.ONLINE_OUTPUTS) in problem for problem in problems)
    assert MARKER not in "".join(problems)


@pytest.mark.parametrize("lost", ["model_inputs", "model_outputs"])
def test_file_without_a_partner_is_named(disk_store: Store, lost: str) -> None:
    write(disk_store, DATE, "r1")
    write(disk_store, DATE, "r2", name=1)
    disk_store.delete(path(DATE, lost))
    requests, problems = read(disk_store)
    assert [request.id for request in requests] == ["r2"]
    kept = layout.online_partner(path(DATE, lost))
    assert problems == [f"{kept} has no partner: {path(DATE, lost)} is missing. Restore the file from a backup."]


def test_request_is_found_on_the_newest_dates(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, DATE, "r1", "r2")
    write(store, NEXT, "r3")
    (found,) = find_requests(store, "r2")
    assert (found.id, found.path) == ("r2", path(DATE, layout.ONLINE_OUTPUTS))
    assert find_requests(store, "r1", DATE)[0].id == "r1"
    with pytest.raises(LakeError, match=f"no request with this id on {NEXT}"):
        find_requests(store, "r1", NEXT)
    monkeypatch.setattr(online_log, "SEARCHED_DATES", 1)
    with pytest.raises(LakeError, match=r"on the newest 1 dates\. .* --date DATE"):
        find_requests(store, "r1")


def test_callers_id_can_belong_to_several_requests(store: Store) -> None:
    write(store, DATE, "r1", xrequestid="order-7")
    write(store, NEXT, "r2", "r3", xrequestid="order-7")
    write(store, NEXT, "r4", name=1, xrequestid="order-7")
    assert [request.id for request in find_requests(store, "order-7")] == ["r4", "r2", "r3"]
    assert [request.id for request in find_requests(store, "order-7", DATE)] == ["r1"]


def test_own_id_is_preferred_to_the_same_id_of_a_caller(disk_store: Store) -> None:
    own = "0123456789abcdef" * 2
    write(disk_store, DATE, own)
    write(disk_store, NEXT, "r2", xrequestid=own)
    assert [request.id for request in find_requests(disk_store, own)] == [own]
    assert [request.id for request in find_requests(disk_store, own, NEXT)] == ["r2"]


def test_damaged_line_of_the_wanted_request_is_an_error(disk_store: Store) -> None:
    write(disk_store, DATE, "r1", "r2")
    change(disk_store, layout.ONLINE_OUTPUTS, b'"points":612,', b"")
    with pytest.raises(LakeError, match="line 1 is not valid"):
        find_requests(disk_store, "r1")
    assert find_requests(disk_store, "r2")[0].id == "r2"
