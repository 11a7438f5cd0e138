"""Tests of metrics and request lines: each request counts once, and no value is logged."""

import asyncio
import json
import logging
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from risk_assets.lake.store import Store
from risk_serving.app import create_app
from risk_serving.observability.metrics import Metrics
from risk_serving.scoring.answers import NotEligible, Result
from risk_serving.settings import ServingSettings
from tests.conftest import ROOT
from tests.serving.conftest import LOGISTIC, Service, token_entry

Records = list[dict[str, Any]]
SECRET = "Secret-value-1"


def lines_of(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.output.splitlines()]


def test_metrics_count_requests_and_results(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    service = serve(served_book / "lake")
    before = service.metric("risk_serving_requests_total", route="/health", status="200")
    requests = [records[:1], records[1:2], records[2:5], records[:200]]
    answers = [service.predict(sent) for sent in requests]
    assert service.predict([{}]).status_code == 422
    assert service.client.post("/score", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert service.client.get("/predict").status_code == 405
    assert service.client.get("/nowhere/at/all").status_code == 404
    assert service.client.get("/health/ready").status_code == 200

    expected = {("/predict", "200"): 4, ("/predict", "422"): 1, ("/score", "415"): 1, ("/predict", "405"): 1, ("other", "404"): 1}
    for (route, status), count in expected.items():
        assert service.metric("risk_serving_requests_total", route=route, status=status) == count
    assert service.metric("risk_serving_requests_total", route="/health", status="200") == before + 1
    assert service.metric("risk_serving_request_seconds_count", route="/predict") == 6
    assert 0 < service.metric("risk_serving_request_seconds_sum", route="/predict") < 5
    assert service.metric("risk_serving_request_records_count") == 4
    assert service.metric("risk_serving_request_records_sum") == 1 + 1 + 3 + 200
    assert service.metric("risk_serving_request_records_bucket", le="1.0") == 2
    assert service.metric("risk_serving_request_records_bucket", le="5.0") == 3
    assert service.metric("risk_serving_request_bytes_sum") == sum(len(answer.request.content) for answer in answers)
    assert service.metric("risk_serving_response_bytes_sum") == sum(len(answer.content) for answer in answers)
    assert service.metric("risk_serving_in_flight") == 0
    results = [result for answer in answers for result in answer.json()["results"]]
    bins = Counter(f"{math.floor(result['probability'] * 20) * 5 / 100:.2f}" for result in results)
    assert len(bins) > 5
    for low, count in bins.items():
        assert service.metric("risk_serving_scores_total", version=LOGISTIC, arm="champion", bin=low) == count
    assert service.metric("risk_serving_scores_total") == len(results)


def test_metrics_describe_the_live_version(service: Service) -> None:
    since = datetime.fromisoformat(service.client.get("/model").json()["binding"]["effective_from"])
    age = timedelta(seconds=service.metric("risk_serving_version_age_seconds"))
    assert abs(datetime.now(UTC) - age - since) < timedelta(seconds=3)
    names = {family.name for family in text_string_to_metric_families(service.client.get("/metrics").text)}
    assert names >= {"risk_serving_stale", "risk_serving_reload_failures", "risk_serving_dropped"}
    assert service.metric("risk_serving_stale") == 0
    assert service.metric("risk_serving_reload_failures_total") == 0
    for what in ("predictions", "log_lines"):
        assert service.metric("risk_serving_dropped_total", what=what) == 0


def test_dropped_predictions_and_failed_writes_are_counted(
    serve: Callable[..., Service], lake: Store, tmp_path: Path, records: Records
) -> None:
    service = serve(lake, RISK_SERVE_LOG_BYTES="10000", RISK_SERVE_LOG_SECONDS="0.1")
    service.scored(records[:1])
    (tmp_path / "lake").rename(tmp_path / "away")
    service.scored(records[:8])
    service.until(lambda: service.metric("risk_serving_log_failures_total") >= 2)
    service.scored(records[:8])
    service.until(lambda: service.metric("risk_serving_dropped_total", what="predictions") == 8)


def test_probabilities_are_counted_in_bins_from_0_to_1() -> None:
    metrics = Metrics()
    probabilities = [0.0, 0.0499, 0.05, 0.949, 0.95, 0.9999, 1.0, 1.0]
    metrics.record_results([Result(None, 0, probability, 0, "A", (), "champion", LOGISTIC) for probability in probabilities])
    metrics.record_results([Result(None, 1, 1.0, 0, "F", (), "challenger", "model_v002")])
    found = [
        (sample.labels["version"], sample.labels["arm"], sample.labels["bin"], sample.value)
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        if sample.name == "risk_serving_scores_total"
    ]
    champion = [(LOGISTIC, "champion", low, count) for low, count in (("0.00", 2), ("0.05", 1), ("0.90", 1), ("0.95", 4))]
    assert sorted(found) == [*champion, ("model_v002", "challenger", "0.95", 1)]


def test_records_that_are_not_eligible_are_counted_by_reason() -> None:
    metrics = Metrics()
    closed = NotEligible("A1", "closed", "champion", LOGISTIC)
    metrics.record_results([closed, closed, NotEligible(None, "late", "champion", LOGISTIC)])
    found = metrics.exposition().decode()
    assert f'risk_serving_not_eligible_total{{reason="closed",version="{LOGISTIC}"}} 2.0' in found
    assert f'risk_serving_not_eligible_total{{reason="late",version="{LOGISTIC}"}} 1.0' in found
    assert "risk_serving_scores_total{" not in found


def test_each_request_is_one_line_without_values(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    service = serve(served_book / "lake", RISK_SERVE_TOKENS=token_entry("shop", SECRET, "score"))
    bearer = {"Authorization": f"Bearer {SECRET}"}
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    scored = service.predict(records[:3], **{**bearer, "X-Request-ID": "order-7"})
    wrong = service.predict([{**records[0], "region": 7, "product": "gold-plated", "balance": -4242.5}], **bearer)
    denied = service.predict(records[:1])
    odd = service.client.get(f"/nowhere/{records[0]['id']}?region=south", headers={"X-Request-ID": "two words"})
    answers = {answer.headers["x-request-id"]: answer for answer in (scored, wrong, denied, odd)}
    assert scored.headers["x-client-request-id"] == "order-7"
    assert len(answers) == 4
    assert "two words" not in answers
    service.until(lambda: all(name in service.output for name in answers))
    lines = {line["request_id"]: line for line in lines_of(service) if line["request_id"] in answers}
    assert len([line for line in lines_of(service) if line["request_id"] in answers]) == 4
    assert {name: line["status"] for name, line in lines.items()} == {name: answer.status_code for name, answer in answers.items()}
    line = lines[scored.headers["x-request-id"]]
    assert line["client_request_id"] == "order-7"
    assert (line["caller"], line["version"], line["records"], line["method"], line["route"]) == ("shop", LOGISTIC, 3, "POST", "/predict")
    assert (line["bytes_in"], line["bytes_out"]) == (len(scored.request.content), len(scored.content))
    assert 0 < line["milliseconds"] < 1000
    assert before <= datetime.fromisoformat(line["time"]) <= datetime.now(UTC)
    line = lines[wrong.headers["x-request-id"]]
    assert (line["problem"], line["caller"]) == ("invalid-request", "shop")
    assert not {"version", "records"} & line.keys()
    assert "caller" not in lines[denied.headers["x-request-id"]]
    logged = service.output + service.errors
    values = [
        str(records[0]["id"]),
        "gold-plated",
        "4242.5",
        "south",
        SECRET,
        *(str(result["probability"]) for result in scored.json()["results"]),
    ]
    assert [value for value in values if value in logged] == []


def test_log_share_of_zero_writes_nothing(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, RISK_SERVE_LOG_SHARE="0")
    service.scored(records[:3])
    service.stop()
    assert not any(path.startswith("logs/online") for path in lake.list("logs/"))


@pytest.mark.parametrize("started", [False, True], ids=["before the answer", "within the answer"])
def test_unexpected_error_is_a_500_and_its_message_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture, started: bool) -> None:
    app = create_app(ServingSettings(lake=str(tmp_path / "lake"), _env_file=None))

    class Started(Response):
        async def __call__(self, _: Any, __: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise ValueError(f"could not use {SECRET}")

    async def broken(_: Request) -> Response:
        if started:
            return Started()
        raise ValueError(f"could not use {SECRET}")

    app.router.routes.insert(0, Route("/model", broken))

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/model", headers={"X-Request-ID": "r-1"})

    if started:
        with pytest.raises(AssertionError):  # raised by the transport, because the answer is not complete
            asyncio.run(get())
    else:
        answer = asyncio.run(get())
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert answer.headers["x-client-request-id"] == "r-1"
        assert SECRET not in answer.text
        assert "ValueError" not in answer.text
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert started or answer.headers["x-request-id"] in record.getMessage()
    assert "ValueError" in record.getMessage()
    assert Path(__file__).name in record.getMessage()
    assert record.exc_info is None
    assert SECRET not in caplog.text


SCORING = """
import asyncio, json, sys
import httpx
from risk_assets.settings import load_settings
from risk_serving.app import create_app
from risk_serving.settings import ServingSettings

async def main():
    app = create_app(load_settings(ServingSettings))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for path in ("/docs", "/openapi.json", "/model", "/metrics"):
                (await client.get(path)).raise_for_status()
            (await client.post("/predict", json={"records": json.load(sys.stdin)})).raise_for_status()

asyncio.run(main())
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def test_scoring_imports_no_batch_libraries(served_book: Path, records: Records) -> None:
    variables = {
        "RISK_LAKE": str(served_book / "lake"),
        "RISK_CONTRACT": str(ROOT / "data/contract.yml"),
        "RISK_POLICY": str(ROOT / "data/policy.yml"),
        "RISK_SERVE_LOG_SHARE": "0",
    }
    command = [sys.executable, "-c", SCORING]
    finished = subprocess.run(
        command, input=json.dumps(records[:40]), env=variables, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert finished.returncode == 0, finished.stderr
    loaded = set(json.loads(finished.stderr.splitlines()[-1]))
    assert "risk_serving.app" in loaded
    assert loaded & {"dagster", "sklearn", "pandas", "matplotlib", "joblib", "scipy"} == set()
