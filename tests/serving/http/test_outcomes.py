"""Tests of `POST /outcomes` over HTTP: stored once, by account or by request, durable before the answer, and by the role `label`."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance import bindings
from risk_assets.lake import binding_log, document_archive, layout, registry
from risk_assets.lake.posted_outcomes import posted_shards, read_shard
from risk_assets.lake.store import Store, open_store
from tests.azurite.server import Azurite
from tests.conftest import CONTRACT, make_settings
from tests.faults.proxy import proxied
from tests.serving.conftest import Service, serving, token_entry
from tests.serving.http.test_predict import JSON, SAFE, problem

DATE = "2026-01-03"
ROW = {"id": "AC000001", "date": DATE, "outcome": "1"}
LABEL, SCORE, BOTH = "label-1", "score-1", "both-1"
TOKENS = ",".join(
    (token_entry("collections", LABEL, "label"), token_entry("shop", SCORE, "score"), token_entry("boss", BOTH, "score", "label"))
)
SOON = {"RISK_SERVE_LOG_SECONDS": "0.05"}


@dataclass(frozen=True)
class Labelled:
    """A service and its lake."""

    service: Service
    lake: Store


@pytest.fixture(scope="module")
def labelled(served_book: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labelled]:
    """A service on a lake of its own; each test sends outcomes of a date of its own."""
    lake = tmp_path_factory.mktemp("labelled") / "lake"
    shutil.copytree(served_book / "lake", lake, ignore=shutil.ignore_patterns("online", "posted", ".tmp"))
    with serving(lake, **SOON) as running:
        yield Labelled(running, open_store(str(lake)))


def send(service: Service, outcomes: object, token: str | None = None, **more: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return service.client.post("/outcomes", json={"outcomes": outcomes, **more}, headers=headers)


def stored(answer: httpx.Response) -> list[tuple[str, int, str]]:
    """Return date, outcomes and status of what was stored; the request must have succeeded."""
    assert answer.status_code == 200, answer.text
    return [(each["date"], each["outcomes"], each["status"]) for each in answer.json()["stored"]]


def logged(labelled: Labelled, records: list[dict[str, Any]]) -> str:
    """Score records and return the request's id, when it is in the prediction log."""
    answer, lake = labelled.service.predict(records), labelled.lake
    assert answer.status_code == 200
    request_id: str = answer.headers["x-request-id"]
    both = 2  # inputs and outputs
    labelled.service.until(lambda: sum(request_id.encode() in lake.get(path) for path in lake.list(f"{layout.ONLINE_LOG}/")) == both)
    return request_id


def shards(lake: Store, date: str) -> list[tuple[tuple[str | None, ...], ...]]:
    """Return the rows of each shard of a date."""
    return [read_shard(lake, path).rows for path in posted_shards(lake).get(date, ())]


def test_outcomes_are_stored_once_by_date(labelled: Labelled) -> None:
    rows = [{**ROW, "id": "AC000002", "outcome": 0}, ROW, {**ROW, "date": "2026-01-04", "outcome": None}]
    first = send(labelled.service, rows)
    assert stored(first) == [(DATE, 2, "stored"), ("2026-01-04", 1, "stored")]
    lake = labelled.lake
    assert shards(lake, DATE) == [(("AC000001", "1"), ("AC000002", "0"))]
    (path,) = posted_shards(lake)[DATE]
    shard, content = read_shard(lake, path), lake.get(path)
    assert (shard.columns, shard.caller, shard.request_id) == (("account_id", "defaulted"), "local", first.headers["x-request-id"])
    again = send(labelled.service, rows[::-1])
    assert stored(again) == [(DATE, 2, "already stored"), ("2026-01-04", 1, "already stored")]
    assert lake.get(path) == content
    assert stored(send(labelled.service, [*rows, {**ROW, "date": "2026-01-05"}]))[-2:] == [
        ("2026-01-04", 1, "already stored"),
        ("2026-01-05", 1, "stored"),
    ]
    assert first.headers["content-type"] == "application/json" and SAFE.items() <= dict(first.headers).items()


def test_a_reference_makes_the_same_outcomes_others(labelled: Labelled) -> None:
    row = {**ROW, "date": "2026-02-01"}
    for label, reference, status in (
        ("1", None, "stored"),
        ("0", None, "stored"),
        ("1", None, "already stored"),
        ("1", "case 17", "stored"),
    ):
        more = {"reference": reference} if reference else {}
        ((_, _, found),) = stored(send(labelled.service, [{**row, "outcome": label}], **more))
        assert found == status
    assert len(shards(labelled.lake, "2026-02-01")) == 3


def test_outcomes_of_scored_requests(labelled: Labelled, records: list[dict[str, Any]]) -> None:
    one, several = logged(labelled, records[:1]), logged(labelled, [records[1], {**records[2], "id": None}, records[3]])
    today = read_date(labelled.lake, one)
    sent = [
        {"request_id": one, "outcome": "1"},
        {"request_id": several, "record": 2, "outcome": "0"},
        {"request_id": several, "id": records[1]["id"], "date": today, "outcome": "0"},
    ]
    assert stored(send(labelled.service, sent)) == [(today, 3, "stored")]
    labels = {records[0]["id"]: "1", records[3]["id"]: "0", records[1]["id"]: "0"}
    assert shards(labelled.lake, today) == [tuple(sorted(labels.items()))]
    wrong = [
        {"request_id": several, "outcome": "0"},
        {"request_id": several, "record": 1, "outcome": "0"},
        {"request_id": several, "record": 3, "outcome": "0"},
        {"request_id": several, "id": "AC-UNKNOWN", "outcome": "0"},
        {"request_id": "0" * 32, "outcome": "0"},
        {"request_id": one, "date": "2026-01-01", "outcome": "0"},
        {"request_id": one, "outcome": "0"},
        {"id": records[0]["id"], "date": today, "outcome": "0"},
    ]
    errors = problem(send(labelled.service, wrong), 422, "invalid-request")["errors"]
    assert [(error["record"], error["field"]) for error in errors] == [
        *((0, "record"), (1, "record"), (2, "record"), (3, "id"), (4, "request_id"), (5, "request_id")),
        (7, None),
    ]
    rules = [error["rule"] for error in errors]
    assert "several records" in rules[0] and "has no id" in rules[1] and "not the index" in rules[2]
    assert rules[4].startswith("is not in the prediction log;") and rules[5].startswith("is not in the prediction log of the date (UTC)")
    assert "same account and date" in rules[6]
    assert "AC" not in json.dumps(errors)


def read_date(lake: Store, request_id: str) -> str:
    """Return the date (UTC) of a request by the path of its file in the prediction log."""
    path = next(path for path in lake.list(f"{layout.ONLINE_LOG}/model_outputs/") if request_id.encode() in lake.get(path))
    return "-".join(path.split("/")[3:6])


def test_an_invalid_outcome_rejects_the_whole_request(labelled: Labelled) -> None:
    rows = [{**ROW, "date": "2026-02-02"}, {**ROW, "date": "2026-02-02", "id": "Secret-1", "outcome": "Secret-2"}]
    answer = send(labelled.service, rows)
    (error,) = problem(answer, 422, "invalid-request")["errors"]
    assert (error["record"], error["field"]) == (1, "outcome")
    assert "Secret" not in answer.text + labelled.service.output + labelled.service.errors
    assert shards(labelled.lake, "2026-02-02") == []
    problem(send(labelled.service, [{**ROW, "date": "2999-01-01"}]), 422, "invalid-request")


def test_outcomes_of_dates_that_are_not_scored_are_rejected(
    serve: Callable[..., Service], lake: Store, records: list[dict[str, Any]]
) -> None:
    service = serve(lake, RISK_START_DATE="2026-01-03", RISK_END_DATE="2026-01-04", **SOON)
    one = logged(Labelled(service, lake), records[:1])
    dates = ("2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05", "0001-01-01")
    errors = problem(send(service, [{**ROW, "date": date} for date in dates]), 422, "invalid-request")["errors"]
    rule = "is not one of the dates that are scored, 2026-01-03 to 2026-01-04"
    assert errors == [{"record": record, "field": "date", "rule": rule} for record in (0, 3, 4)]
    errors = problem(send(service, [{"request_id": one, "outcome": "1"}]), 422, "invalid-request")["errors"]
    assert errors == [{"record": 0, "field": "request_id", "rule": f"its date {rule}"}]
    assert posted_shards(lake) == {}


def test_limits_of_a_request(serve: Callable[..., Service], lake: Store) -> None:
    service = serve(lake, RISK_SERVE_MAX_RECORDS="2", RISK_SERVE_MAX_BODY_BYTES="1000")
    assert problem(send(service, [ROW] * 3), 422, "invalid-request")["errors"][0]["rule"] == "must have 1 to 2 outcomes"
    problem(service.client.post("/outcomes", content=b" " * 1001, headers=JSON), 413, "body-too-large")
    problem(service.client.post("/outcomes", content=b"{}"), 415, "unsupported-media-type")
    assert service.client.get("/outcomes").status_code == 405
    assert posted_shards(lake) == {}


def test_received_outcomes_are_logged_and_counted(labelled: Labelled) -> None:
    row = {**ROW, "date": "2026-02-03"}
    before = labelled.service.metric("risk_serving_outcomes_total", status="stored")
    request_id = send(labelled.service, [row]).headers["x-request-id"]
    send(labelled.service, [row])
    labelled.service.until(lambda: labelled.service.metric("risk_serving_outcomes_total", status="already stored") > 0)
    assert labelled.service.metric("risk_serving_outcomes_total", status="stored") == before + 1
    assert labelled.service.metric("risk_serving_requests_total", route="/outcomes", status="200") >= 2
    labelled.service.until(lambda: request_id in labelled.service.output)
    (line,) = [json.loads(line) for line in labelled.service.output.splitlines() if request_id in line]
    assert (line["route"], line["caller"], line["status"]) == ("/outcomes", "local", 200)


def test_outcomes_require_the_role_label(serve: Callable[..., Service], lake: Store) -> None:
    service = serve(lake, RISK_SERVE_TOKENS=TOKENS)
    assert [send(service, [ROW], token).status_code for token in (LABEL, BOTH, SCORE, "other", None)] == [200, 200, 403, 401, 401]
    (path,) = posted_shards(lake)[DATE]
    assert read_shard(lake, path).caller == "collections"
    headers = {"Authorization": f"Bearer {LABEL}"}
    assert service.client.post("/predict", json={}, headers=headers).status_code == 403


def test_the_same_outcomes_sent_at_once_are_stored_once(labelled: Labelled) -> None:
    rows = [{**ROW, "id": f"AC{number:06d}", "date": "2026-02-04"} for number in range(500)]
    with ThreadPoolExecutor(8) as pool:
        found = [stored(answer) for answer in pool.map(lambda _: send(labelled.service, rows), range(8))]
    assert sorted(status for ((_, _, status),) in found) == ["already stored"] * 7 + ["stored"]
    assert len(shards(labelled.lake, "2026-02-04")) == 1


def test_a_lake_that_is_gone_is_503_and_sending_again_stores_once(serve: Callable[..., Service], lake: Store) -> None:
    service = serve(lake)
    moved = Path(f"{lake.url}-moved")
    Path(lake.url).rename(moved)
    refused = send(service, [ROW])
    detail = problem(refused, 503, "outcomes-not-stored")["detail"]
    assert "cannot be read or written at present. Send the same request again" in detail
    assert "raw/" not in detail and lake.url.removeprefix("file://") not in detail
    service.until(lambda: f"request {refused.headers['x-request-id']}: " in service.errors)
    assert "raw/posted" in service.errors
    assert int(refused.headers["retry-after"]) > 0
    assert ROW["id"] not in refused.text
    moved.rename(lake.url)
    assert [stored(send(service, [ROW]))[0][2] for _ in range(2)] == ["stored", "already stored"]
    assert len(shards(lake, DATE)) == 1


def test_a_request_that_was_stored_in_part_can_be_sent_again(serve: Callable[..., Service], lake: Store) -> None:
    service = serve(lake)
    second = Path(lake.url) / layout.posted_folder("2026-01-04").rstrip("/")
    second.parent.mkdir(parents=True)
    second.touch()  # a file in the place of the folder: the shard of the second date cannot be written
    rows = [ROW, {**ROW, "date": "2026-01-04"}]
    problem(send(service, rows), 503, "outcomes-not-stored")
    assert list(posted_shards(lake)) == [DATE]
    second.unlink()
    assert stored(send(service, rows)) == [(DATE, 1, "already stored"), ("2026-01-04", 1, "stored")]


def test_a_damaged_shard_is_not_taken_for_a_stored_one(serve: Callable[..., Service], lake: Store) -> None:
    service = serve(lake)
    assert stored(send(service, [ROW]))
    (path,) = posted_shards(lake)[DATE]
    lake.put(path, lake.get(path)[:-5])
    answer = send(service, [ROW])
    assert "does not help" in problem(answer, 500, "outcomes-damaged")["detail"]
    assert "retry-after" not in answer.headers
    assert path not in answer.text
    service.until(lambda: f"request {answer.headers['x-request-id']}: " in service.errors)
    assert f"{path} was changed since it was written" in service.errors


def test_outcomes_on_azurite_while_it_does_not_answer(
    serve: Callable[..., Service], lake: Store, azurite: Azurite, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = make_settings(request, tmp_path, "azurite")
    target = settings.open_lake()
    for path in lake.list(""):
        target.put(path, lake.get(path))
    with proxied(azurite) as proxy:
        seconds = {"RISK_STORAGE_RETRY_SECONDS": "3", "RISK_SERVE_STALE_SECONDS": "0.5"}
        service = serve(settings.lake, AZURE_STORAGE_CONNECTION_STRING=proxy.connection_string, **seconds)
        service.until(lambda: service.client.get("/model").status_code == 200, 20)
        proxy.stall(method="PUT", path="raw/posted")
        assert "has not answered within 0.5 s" in problem(send(service, [ROW]), 503, "outcomes-not-stored")["detail"]
        proxy.clear()
        service.until(lambda: send(service, [ROW]).status_code == 200, 20)
        assert stored(send(service, [ROW])) == [(DATE, 1, "already stored")]
        proxy.lose_response(method="PUT", path="raw/posted")
        service.until(lambda: send(service, [{**ROW, "outcome": "0"}]).status_code == 200, 20)
    assert sorted(shards(target, DATE)) == [(("AC000001", "0"),), (("AC000001", "1"),)]


def test_a_service_without_a_model_receives_no_outcomes(serve: Callable[..., Service], tmp_path: Path) -> None:
    refused = send(serve(tmp_path / "lake"), [ROW])
    assert "risk land FILE --outcomes" in problem(refused, 503, "no-model")["detail"]
    assert "retry-after" in refused.headers


def test_a_contract_that_derives_outcomes_receives_none(serve: Callable[..., Service], lake: Store) -> None:
    rule = "{derived: {bad_when: {column: days_past_due, at_least: 90}, within_days: 30, when_gone: unknown}}"
    text = CONTRACT.read_text(encoding="utf-8")
    target = text[text.index("\ntarget:") : text.index("\n\n", text.index("\ntarget:"))]
    derived = Contract.parse(text.replace(target, f"\ntarget: {rule}"), "contract.yml")
    document_archive.archive(lake, derived)
    registry.bind(lake, bindings.adopt_contract(binding_log.read(lake), derived.digest, "ann", "a test"))
    assert "target.derived" in problem(send(serve(lake), [ROW]), 409, "derived-outcomes")["detail"]
    assert posted_shards(lake) == {}
