"""Tests of `POST /predict` over HTTP: the same results as batch, and the limits of a request."""

import itertools
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import httpx
import polars as pl
import pytest

from risk_assets.domain.batch.predictions import prediction_schema
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ISSUES
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from tests.defs.conftest import NEXT
from tests.serving.conftest import Service, token_entry

NEAR = 1e-12
SIZES = (1, 31, 32, 200)
JSON = {"content-type": "application/json"}
TEN_MEGABYTES = 10_000_000
SAFE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


@pytest.fixture
def curated(served_book: Path, policy: Policy) -> list[dict[str, Any]]:
    """The scored date's predictions for the accounts without issues."""
    table = pl.read_csv(served_book / "lake" / layout.predictions(NEXT), schema=prediction_schema(policy))
    return table.filter(pl.col(ISSUES).is_null()).to_dicts()


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Return the problem document of an answer, which must follow RFC 9457."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:risk-serving:{kind}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


def test_whole_partition_gets_the_results_of_batch(service: Service, records: list[dict[str, Any]], curated: list[dict[str, Any]]) -> None:
    rest, results = iter(records), []
    for size in itertools.cycle(SIZES):
        part = list(itertools.islice(rest, size))
        if not part:
            break
        results += service.scored(part)
    assert len(results) == len(curated) > sum(SIZES)
    for online, batch in zip(results, curated, strict=True):
        assert abs(online["probability"] - batch["probability"]) <= NEAR
        reasons = [batch[name] for name in batch if name.startswith("reason_") and batch[name] is not None]
        same = {name: batch[name] for name in ("status", "prediction", "points", "band", "arm", "model_version")}
        assert online == {"id": batch["account_id"], "probability": online["probability"], "reasons": reasons} | same
    assert any(result["reasons"] for result in results)


def test_score_answers_like_predict(service: Service, records: list[dict[str, Any]]) -> None:
    content = {"records": records[:40]}
    assert service.client.post("/score", json=content).content == service.client.post("/predict", json=content).content


@pytest.mark.parametrize("size", [3, 60])
def test_missing_value_may_be_null_absent_or_a_code(service: Service, records: list[dict[str, Any]], size: int) -> None:
    null = [{**record, "months_employed": None, "channel": None} for record in records[:size]]
    absent = [{name: value for name, value in record.items() if value is not None} for record in null]
    coded = [{**record, "months_employed": -9, "channel": " NA\t"} for record in null]
    assert service.scored(null) == service.scored(absent) == service.scored(coded)


def test_content_length_over_the_limit_is_413(service: Service) -> None:
    problem(service.client.post("/predict", content=b"[" * TEN_MEGABYTES, headers=JSON), 413, "body-too-large")


def test_chunked_body_over_the_limit_is_413(service: Service) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"[" * 100_000 for _ in range(TEN_MEGABYTES // 100_000))

    problem(service.client.post("/predict", content=chunks(), headers=JSON), 413, "body-too-large")


def test_chunked_body_within_the_limit_is_scored(service: Service, records: list[dict[str, Any]]) -> None:
    body = json.dumps({"records": records[:50]}).encode()
    chunks = iter([body[:1], body[1:5000], body[5000:]])
    answer = service.client.post("/predict", content=chunks, headers=JSON)
    assert answer.json()["results"] == service.scored(records[:50])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/x-www-form-urlencoded"},
        {**JSON, "content-encoding": "gzip"},
    ],
)
def test_body_that_is_not_plain_json_is_415(service: Service, headers: dict[str, str]) -> None:
    problem(service.client.post("/predict", content=b'{"records": []}', headers=headers), 415, "unsupported-media-type")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON ;charset=UTF-8"])
def test_content_type_may_have_a_charset(service: Service, records: list[dict[str, Any]], media_type: str) -> None:
    body = json.dumps({"records": records[:1]}).encode()
    assert service.client.post("/predict", content=body, headers={"content-type": media_type}).status_code == 200


def test_single_chunk_over_the_limit_is_413(serve: Callable[..., Service], lake: Store, records: list[dict[str, Any]]) -> None:
    body = json.dumps({"records": records[:1]}).encode()
    small = serve(lake, RISK_SERVE_MAX_BODY_BYTES=str(len(body) - 1))
    problem(small.client.post("/predict", content=iter([body]), headers=JSON), 413, "body-too-large")
    assert (
        serve(lake, RISK_SERVE_MAX_BODY_BYTES=str(len(body))).client.post("/predict", content=iter([body]), headers=JSON).status_code == 200
    )


def test_slow_body_is_408_and_closes_the_connection(serve: Callable[..., Service], lake: Store, records: list[dict[str, Any]]) -> None:
    slow = serve(lake, RISK_SERVE_BODY_SECONDS="0.3")
    address = urlparse(slow.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(b'POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"rec')
        started = time.monotonic()
        answer = b"".join(iter(partial(client.recv, 65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert 0.2 < time.monotonic() - started < 3
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["type"] == "urn:risk-serving:slow-body"
    assert len(slow.scored(records[:1])) == 1


@pytest.mark.parametrize("path", ["/predict", "/score"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_method_than_post_is_405(service: Service, path: str, method: str) -> None:
    answer = service.client.request(method, path)
    assert answer.headers["allow"] == "POST"
    if method == "HEAD":
        assert (answer.status_code, answer.content) == (405, b"")
    else:
        problem(answer, 405, "method-not-allowed")


@pytest.mark.parametrize("path", ["/", "/nothing", "/predict/more", "/docs/static/nothing.js", "/docs/static/../../settings.py"])
def test_unknown_path_is_404(service: Service, path: str) -> None:
    problem(service.client.get(path), 404, "not-found")


@pytest.mark.parametrize("sent", ["a", "0b1c:A.b_c-9", "x" * 64])
def test_callers_request_id_is_returned_beside_the_services(service: Service, records: list[dict[str, Any]], sent: str) -> None:
    scored, rejected = service.predict(records[:1], **{"x-request-id": sent}), service.predict([], **{"x-request-id": sent})
    problem(rejected, 422, "invalid-request")
    assert [answer.headers["x-client-request-id"] for answer in (scored, rejected)] == [sent] * 2
    ids = {answer.headers["x-request-id"] for answer in (scored, rejected)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in ids)


@pytest.mark.parametrize("sent", ["", "two words", "x" * 65, "a/b", 'a"b', "<script>", "\xe4"])
def test_invalid_request_id_is_ignored(service: Service, records: list[dict[str, Any]], sent: str) -> None:
    headers = {b"x-request-id": sent.encode("latin-1")}
    answer = service.client.post("/predict", json={"records": records[:1]}, headers=headers)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert "x-client-request-id" not in answer.headers


def test_every_answer_has_security_headers_and_no_server_name(
    service: Service, serve: Callable[..., Service], served_book: Path, records: list[dict[str, Any]]
) -> None:
    guarded = serve(served_book / "lake", RISK_SERVE_TOKENS=token_entry("ann", "secret", "score"), RISK_SERVE_LOG_SHARE="0")
    client = service.client
    answers = [
        service.predict(records[:1]),
        service.predict([]),
        guarded.predict(records[:1]),
        guarded.client.get("/metrics", headers={"authorization": "Bearer secret"}),
        client.post("/predict", content=b"[" * TEN_MEGABYTES, headers=JSON),
        client.post("/predict", content=b"{}"),
        *(client.get(path) for path in ("/predict", "/nothing", "/health/live", "/health/ready", "/model", "/models/model_v999")),
        client.get(f"/models/model_v{'1' * 250}"),
        *(client.get(path) for path in ("/metrics", "/openapi.json", "/docs", "/docs/start.js", "/docs/static/swagger-ui.css")),
    ]
    codes = [answer.status_code for answer in answers]
    assert codes == [200, 422, 401, 403, 413, 415, 405, 404, 200, 200, 200, 404, 404, *[200] * 5]
    assert [answer.headers["cache-control"] for answer in answers] == ["no-store"] * 14 + ["no-cache"] * 4
    for answer in answers:
        assert {name: answer.headers.get(name) for name in SAFE} == SAFE
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "default-src '" in answer.headers["content-security-policy"]
        assert answer.headers["x-request-id"]
        assert not {"server", "x-powered-by"} & set(answer.headers)
        assert len(answer.headers.get_list("content-security-policy")) == 1
