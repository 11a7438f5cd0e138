"""Tests of `"on_error": "skip"`: records that are not valid have their issues as results, and the others are scored."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from risk_assets.lake.store import Store
from risk_serving.app import create_app
from risk_serving.http import predict
from risk_serving.settings import ServingSettings
from tests.serving.conftest import LOGISTIC, Service

MARKER = "zq-73519-marker"
SIZES = pytest.mark.parametrize("size", [2, 40], ids=["few", "many"])
# Changes to a record, and its issues.
CHANGES: dict[str, tuple[dict[str, object], list[str]]] = {
    "out of range": ({"balance": -1, "utilisation": 9.5}, ["utilisation: above 5", "balance: below 0"]),
    "missing": ({"region": None, "balance": None}, ["balance: missing", "region: missing"]),
    "type": ({"balance": MARKER}, ["balance: must be a number or null"]),
    "nested": ({"channel": [[MARKER]]}, ["channel: must be text or null"]),
    "unknown": ({"colour": MARKER}, ["colour: is not in the contract"]),
}


def skipped(service: Service, records: object, **others: object) -> httpx.Response:
    return service.client.post("/predict", json={"on_error": "skip", "records": records, **others})


def results(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert MARKER not in answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def with_issues(account: str | None, *issues: str) -> dict[str, Any]:
    return {"status": "issue", "id": account, "issues": list(issues), "arm": "champion", "model_version": LOGISTIC}


@SIZES
@pytest.mark.parametrize(("change", "issues"), CHANGES.values(), ids=CHANGES)
def test_invalid_record_has_its_issues(
    service: Service, records: list[dict[str, Any]], change: dict[str, object], issues: list[str], size: int
) -> None:
    scored = service.scored(records[:size])
    sent = [records[0] | change, *records[1:size], records[0] | change]
    invalid = with_issues(records[0]["id"], *issues)
    assert results(skipped(service, sent)) == [invalid, *scored[1:], invalid]


@SIZES
def test_valid_records_are_scored_as_without_skip(service: Service, records: list[dict[str, Any]], size: int) -> None:
    expected = service.scored(records[:size])
    assert results(skipped(service, records[:size])) == expected
    assert results(service.client.post("/predict", json={"records": records[:size], "on_error": "fail"})) == expected


@pytest.mark.parametrize("record", [None, 7, MARKER, [MARKER]])
def test_record_that_is_not_an_object_is_skipped(service: Service, records: list[dict[str, Any]], record: object) -> None:
    assert results(skipped(service, [record, records[0]])) == [with_issues(None, "must be an object"), *service.scored(records[:1])]


def test_all_records_may_be_invalid(service: Service, records: list[dict[str, Any]]) -> None:
    sent = [record | {"balance": -1} for record in records[:3]]
    assert results(skipped(service, sent)) == [with_issues(record["id"], "balance: below 0") for record in sent]


def test_id_that_is_not_valid_is_not_returned(service: Service, records: list[dict[str, Any]]) -> None:
    sent = [records[0] | {"id": account} for account in (7, MARKER * 20, " NA ")]
    rules = ["must be text or null", "longer than 256 characters", "missing"]
    assert results(skipped(service, sent)) == [with_issues(None, f"id: {rule}") for rule in rules]


def test_repeated_field_is_an_issue_of_its_record(service: Service, records: list[dict[str, Any]]) -> None:
    body = json.dumps({"on_error": "skip", "records": [records[0], records[1]]}).replace('"balance":', '"balance": -1, "balance":', 1)
    answer = service.client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert results(answer) == [with_issues(records[0]["id"], "balance: is repeated"), *service.scored(records[1:2])]


def test_more_issues_than_a_problem_document_lists_are_returned(service: Service) -> None:
    answer = results(skipped(service, [{f"unknown_{number}": 1 for number in range(12_000)}, {}]))
    assert [len(result["issues"]) for result in answer] == [12_010, 10]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"on_error": "skip"}, {"record": None, "field": "records", "rule": "must be a list of objects"}),
        ({"on_error": "skip", "records": []}, {"record": None, "field": "records", "rule": "must have 1 to 1000 records"}),
        ({"on_error": "skip", "records": [{}], "x": 1}, {"record": None, "field": "x", "rule": None}),
        ({"on_error": MARKER, "records": []}, {"record": None, "field": "on_error", "rule": "must be fail or skip"}),
        ({"on_error": None, "records": []}, {"record": None, "field": "on_error", "rule": "must be fail or skip"}),
    ],
)
def test_error_of_the_whole_request_rejects_it(service: Service, body: dict[str, Any], error: dict[str, Any]) -> None:
    answer = service.client.post("/predict", json=body)
    assert answer.status_code == 422
    assert MARKER not in answer.text
    found = answer.json()["errors"][0]
    assert found == error | {"rule": error["rule"] or found["rule"]}


@pytest.mark.parametrize("body", ['{"on_error": "skip", "records": [{', '{"on_error": "fail", "on_error": "skip", "records": [{}]}'])
def test_request_that_cannot_be_read_is_rejected(service: Service, body: str) -> None:
    assert service.client.post("/predict", content=body, headers={"content-type": "application/json"}).status_code == 422


def test_log_has_issues_and_only_readable_values(serve: Callable[..., Service], lake: Store, records: list[dict[str, Any]]) -> None:
    own = serve(lake)
    sent = [records[0] | {"channel": [MARKER], "colour": MARKER, "balance": -1}, records[1], MARKER]
    answer = results(skipped(own, sent))
    metrics = own.client.get("/metrics").text
    own.stop()
    assert f'risk_serving_with_issues_total{{version="{LOGISTIC}"}} 2.0' in metrics
    inputs, outputs = (_only_event(lake, collection)["data"] for collection in ("model_inputs", "model_outputs"))
    assert inputs == [{name: value for name, value in sent[0].items() if name not in {"channel", "colour"}}, records[1], {}]
    assert outputs == answer
    assert [row.get("issues") for row in outputs] == [
        ["colour: is not in the contract", "balance: below 0", "channel: must be text or null"],
        None,
        ["must be an object"],
    ]


def _only_event(lake: Store, collection: str) -> dict[str, Any]:
    (path,) = lake.list(f"logs/online/{collection}/")
    event: dict[str, Any] = json.loads(lake.get(path))
    return event


@pytest.mark.parametrize(("on_error", "status"), [("skip", 503), ("fail", 422)])
def test_skipping_is_refused_for_a_moment_while_too_many_invalid_requests_are_read(
    lake: Store, records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, on_error: str, status: int
) -> None:
    monkeypatch.setattr(predict, "MAX_EXPLAINING", 0)
    app = create_app(ServingSettings(lake=lake.url, serve_log_share=0, _env_file=None))

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5))
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post("/predict", json={"on_error": on_error, "records": [{**records[0], "balance": MARKER}]})

    answer = asyncio.run(post())
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)
    assert MARKER not in answer.text
