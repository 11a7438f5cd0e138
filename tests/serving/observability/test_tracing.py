"""Tests of OpenTelemetry: what is sent to an OTLP collector and to Azure Monitor, received by local servers."""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
from opentelemetry import metrics, trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from risk_assets.errors import RiskError
from risk_serving.observability.request_log import LogLine
from risk_serving.observability.tracing import CLOSE_SECONDS, CONNECTION_STRING, RECORDS, REQUEST_ID, SCORED, VERSION, Tracing, open_tracing
from tests.serving.conftest import Service

KEY = "00000000-0000-4000-8000-000000000001"
STARTED = 1_700_000_000.25
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "of-the-collector"
SWITCHES = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)
QUICKLY = {"OTEL_METRIC_EXPORT_INTERVAL": "50", "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BLRP_SCHEDULE_DELAY": "50"}
PREFIXES = ("OTEL_", "APPLICATIONINSIGHTS_", "APPINSIGHTS_")


class Sent(NamedTuple):
    path: str
    headers: Mapping[str, str]
    body: bytes


@pytest.fixture(autouse=True)
def clean_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's telemetry settings, and restore those that the code under test changes."""
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        monkeypatch.delenv(name)
    for name in SWITCHES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@contextmanager
def server(answer: Callable[[Sent], tuple[int, bytes]]) -> Iterator[tuple[str, list[Sent]]]:
    """Serve POST on 127.0.0.1; yield the address and the requests so far."""
    received: list[Sent] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sent = Sent(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            received.append(sent)
            status, content = answer(sent)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}", received
        finally:
            running.shutdown()
            thread.join()


def accepted(sent: Sent) -> tuple[int, bytes]:
    count = len(json.loads(sent.body)) if sent.path.endswith("/track") else 0
    return 200, json.dumps({"itemsReceived": count, "itemsAccepted": count, "errors": []}).encode()


@pytest.fixture
def otlp(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sent]]:
    with server(lambda sent: (200, b"")) as (address, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={SECRET}")
        yield received


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sent]]:
    with server(accepted) as (address, received):
        monkeypatch.setenv(CONNECTION_STRING, f"InstrumentationKey={KEY};IngestionEndpoint={address}/")
        yield received


def line(status: int = 200, method: str = "POST", records: int = 3) -> LogLine:
    return LogLine("", "request-7", method, "/predict", status, 0.0, 0, 0, version="v1", records=records)


def record(tracing: Tracing, status: int = 200, method: str = "POST", traceparent: str = "", seconds: float = 0.125) -> None:
    tracing.record(line(status, method), STARTED, seconds, traceparent.encode())


def spans_in(received: list[Sent]) -> list[Span]:
    exports = [ExportTraceServiceRequest.FromString(sent.body) for sent in received if sent.path == "/v1/traces"]
    return [span for export in exports for spans in export.resource_spans for scope in spans.scope_spans for span in scope.spans]


def metrics_in(received: list[Sent]) -> dict[str, Any]:
    exports = [ExportMetricsServiceRequest.FromString(sent.body) for sent in received if sent.path == "/v1/metrics"]
    return {
        metric.name: metric
        for export in exports
        for of in export.resource_metrics
        for scope in of.scope_metrics
        for metric in scope.metrics
    }


def plain(attributes: Any) -> dict[str, str | int]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


def resource_in(received: list[Sent]) -> dict[str, str | int]:
    sent = next(sent for sent in received if sent.path == "/v1/traces")
    return plain(ExportTraceServiceRequest.FromString(sent.body).resource_spans[0].resource.attributes)


def envelopes_in(received: list[Sent], kind: str) -> list[dict[str, Any]]:
    envelopes = [envelope for sent in received for envelope in json.loads(sent.body)]
    return [envelope for envelope in envelopes if envelope["data"]["baseType"] == kind]


def test_request_is_one_finished_server_span(otlp: list[Sent]) -> None:
    tracing = open_tracing("otlp")
    record(tracing, traceparent=f"00-{TRACE}-{PARENT}-01")
    tracing.close()
    (span,) = spans_in(otlp)
    assert (span.name, span.kind) == ("POST /predict", Span.SPAN_KIND_SERVER)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1_700_000_000_250_000_000, 1_700_000_000_375_000_000)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert plain(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        REQUEST_ID: "request-7",
        RECORDS: 3,
        VERSION: "v1",
    }


@pytest.mark.parametrize("header", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", "0" * 9000])
def test_missing_or_malformed_traceparent_starts_a_trace(otlp: list[Sent], header: str) -> None:
    tracing = open_tracing("otlp")
    record(tracing, traceparent=header)
    tracing.close()
    (span,) = spans_in(otlp)
    assert span.parent_span_id == b""
    assert len(span.trace_id) == 16
    assert span.trace_id.hex() != TRACE
    assert not [sent for sent in otlp if header and header.encode() in sent.body]


def test_request_without_scored_records_adds_no_record_count(otlp: list[Sent]) -> None:
    tracing = open_tracing("otlp")
    tracing.record(line(records=0), STARTED, 0.001, b"")
    tracing.close()
    assert set(metrics_in(otlp)) == {"http.server.request.duration"}


def test_current_span_is_not_the_parent(otlp: list[Sent]) -> None:
    around = trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=False, trace_flags=trace.TraceFlags(1)))
    tracing = open_tracing("otlp")
    with trace.use_span(around):
        record(tracing)
    tracing.close()
    assert spans_in(otlp)[0].parent_span_id == b""


def test_unsampled_caller_has_no_span_but_is_counted(otlp: list[Sent]) -> None:
    tracing = open_tracing("otlp")
    record(tracing, traceparent=f"00-{TRACE}-{PARENT}-00")
    tracing.close()
    assert spans_in(otlp) == []
    assert metrics_in(otlp)[SCORED].sum.data_points[0].as_int == 3


@pytest.mark.parametrize(("status", "is_error"), [(200, False), (422, False), (499, False), (500, True), (503, True)])
def test_only_status_500_and_above_is_an_error(otlp: list[Sent], status: int, is_error: bool) -> None:
    tracing = open_tracing("otlp")
    record(tracing, status)
    tracing.close()
    (span,) = spans_in(otlp)
    assert span.status.code == (Status.STATUS_CODE_ERROR if is_error else Status.STATUS_CODE_UNSET)
    assert plain(span.attributes).get("error.type") == (str(status) if is_error else None)


def test_duration_and_records_are_metrics_without_request_id(otlp: list[Sent]) -> None:
    tracing = open_tracing("otlp")
    record(tracing, seconds=0.125)
    record(tracing, seconds=0.5)
    record(tracing, status=503, seconds=2.0)
    tracing.close()
    found = metrics_in(otlp)
    assert set(found) == {"http.server.request.duration", "risk.serving.records"}
    duration = found["http.server.request.duration"]
    assert duration.unit == "s"
    points = {plain(point.attributes)["http.response.status_code"]: point for point in duration.histogram.data_points}
    assert {status: (point.count, point.sum) for status, point in points.items()} == {200: (2, 0.625), 503: (1, 2.0)}
    assert plain(points[200].attributes) == {"http.request.method": "POST", "http.route": "/predict", "http.response.status_code": 200}
    assert points[200].explicit_bounds[0] < 0.001
    (records,) = found["risk.serving.records"].sum.data_points
    assert (records.as_int, plain(records.attributes)) == (9, {"http.route": "/predict"})


def test_unknown_method_is_not_sent(otlp: list[Sent]) -> None:
    tracing = open_tracing("otlp")
    record(tracing, method="MADEUP")
    tracing.close()
    (span,) = spans_in(otlp)
    assert (span.name, plain(span.attributes)["http.request.method"]) == ("HTTP /predict", "_OTHER")
    assert not [sent for sent in otlp if b"MADEUP" in sent.body]


def test_collector_key_is_only_in_the_header(otlp: list[Sent]) -> None:
    tracing = open_tracing("otlp")
    record(tracing)
    tracing.close()
    assert {sent.headers["x-key"] for sent in otlp} == {SECRET}
    assert not [sent for sent in otlp if SECRET.encode() in sent.body]


def test_resource_does_not_describe_the_process(otlp: list[Sent]) -> None:
    tracing = open_tracing("otlp")
    record(tracing)
    tracing.close()
    assert {name.partition(".")[0] for name in resource_in(otlp)} <= {"service", "telemetry"}


def test_environment_overrides_the_service_name(otlp: list[Sent], monkeypatch: pytest.MonkeyPatch) -> None:
    tracing = open_tracing("otlp")
    record(tracing)
    tracing.close()
    assert resource_in(otlp)["service.name"] == "risk-serving"
    otlp.clear()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "risk-blue")
    tracing = open_tracing("otlp")
    record(tracing)
    tracing.close()
    assert resource_in(otlp)["service.name"] == "risk-blue"


@pytest.mark.usefixtures("otlp", "azure")
@pytest.mark.parametrize("kind", ["otlp", "azure-monitor"])
def test_global_providers_are_unchanged(kind: Any) -> None:
    before = trace.get_tracer_provider(), metrics.get_meter_provider()
    tracing = open_tracing(kind)
    record(tracing)
    tracing.close()
    assert (trace.get_tracer_provider(), metrics.get_meter_provider()) == before


def test_azure_monitor_receives_requests(azure: list[Sent]) -> None:
    tracing = open_tracing("azure-monitor")
    record(tracing, traceparent=f"00-{TRACE}-{PARENT}-01")
    record(tracing, status=503, seconds=2.0)
    tracing.close()
    assert {sent.path for sent in azure} == {"/v2.1/track"}
    good, bad = sorted(envelopes_in(azure, "RequestData"), key=lambda envelope: envelope["data"]["baseData"]["responseCode"])
    assert {envelope["iKey"] for envelope in (good, bad)} == {KEY}
    assert datetime.fromisoformat(good["time"]) == datetime.fromtimestamp(STARTED, UTC)
    assert (good["tags"]["ai.operation.id"], good["tags"]["ai.operation.parentId"]) == (TRACE, PARENT)
    assert (good["tags"]["ai.cloud.role"], good["tags"]["ai.operation.name"]) == ("risk-serving", "POST /predict")
    details = good["data"]["baseData"]
    assert (details["name"], details["responseCode"], details["success"], details["duration"]) == (
        "POST /predict",
        "200",
        True,
        "0.00:00:00.125",
    )
    assert details["properties"][REQUEST_ID] == "request-7"
    failed = bad["data"]["baseData"]
    assert (failed["responseCode"], failed["success"], failed["duration"]) == ("503", False, "0.00:00:02.000")


def test_azure_monitor_receives_metrics(azure: list[Sent]) -> None:
    tracing = open_tracing("azure-monitor")
    record(tracing, seconds=0.125)
    record(tracing, seconds=0.5)
    tracing.close()
    points = {envelope["data"]["baseData"]["metrics"][0]["name"]: envelope for envelope in envelopes_in(azure, "MetricData")}
    assert set(points) == {"http.server.request.duration", "risk.serving.records", "_OTELRESOURCE_"}
    duration = points["http.server.request.duration"]["data"]["baseData"]
    assert (duration["metrics"][0]["value"], duration["metrics"][0]["count"]) == (0.625, 2)
    assert duration["properties"]["request/resultCode"] == "200"
    assert points["risk.serving.records"]["data"]["baseData"]["metrics"][0]["value"] == 6


def test_azure_exporter_sends_no_statistics_of_its_own(azure: list[Sent]) -> None:
    """Run in a separate process, because the exporter would start threads that outlive it."""
    program = (
        "import sys, threading\n"
        "hosts = set()\n"
        "sys.addaudithook(lambda event, args: hosts.add(args[0]) if event == 'socket.getaddrinfo' else None)\n"
        "from risk_serving.observability.request_log import LogLine\n"
        "from risk_serving.observability.tracing import open_tracing\n"
        "tracing = open_tracing('azure-monitor')\n"
        "tracing.record(LogLine('', 'r', 'POST', '/predict', 200, 0.0, 0, 0), 1.0, 0.1, b'')\n"
        "tracing.close()\n"
        "print(hosts, [thread.name for thread in threading.enumerate()])\n"
    )
    assert run(program) == "{'127.0.0.1'} ['MainThread']\n"
    assert len(envelopes_in(azure, "RequestData")) == 1


@pytest.mark.parametrize("status", [400, 401, 503])
@pytest.mark.parametrize("kind", ["otlp", "azure-monitor"])
def test_rejecting_collector_raises_and_logs_no_secret(
    kind: Any, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={SECRET}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    with server(lambda sent: (status, b"")) as (address, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv(CONNECTION_STRING, f"InstrumentationKey={KEY};IngestionEndpoint={address}/")
        tracing = open_tracing(kind)
        record(tracing)
        tracing.close()
    assert received
    assert SECRET not in caplog.text
    assert KEY not in caplog.text


def test_hanging_collector_delays_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "32")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        tracing = open_tracing("otlp")
        before = time.monotonic()
        for _ in range(500):
            record(tracing)
        recorded = time.monotonic()
        tracing.close()
        closed = time.monotonic()
    assert recorded - before < 1
    assert closed - recorded < CLOSE_SECONDS + 1


def test_fastapis_own_telemetry_is_off(serve: Callable[..., Service], served_book: Path) -> None:
    with server(accepted) as (url, received):
        service = serve(served_book / "lake", FASTAPI_OTEL_AUTO_CONFIGURE="true", OTEL_EXPORTER_OTLP_ENDPOINT=url, **QUICKLY)
        assert service.client.get("/model").status_code == 200
        assert service.predict([{"balance": "wrong"}]).status_code == 422
        service.stop()
    assert received == []


def test_off_imports_no_opentelemetry() -> None:
    program = (
        "import sys\n"
        "from risk_serving.observability.request_log import LogLine\n"
        "from risk_serving.observability.tracing import open_tracing\n"
        "tracing = open_tracing('off')\n"
        "tracing.record(LogLine('', 'r', 'POST', '/predict', 200, 0.0, 0, 0), 1.0, 0.1, b'')\n"
        "tracing.close()\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'azure', 'requests'))])\n"
    )
    assert run(program).strip() == "[]"


@pytest.mark.parametrize(
    ("kind", "missing"), [("otlp", "opentelemetry.exporter.otlp"), ("azure-monitor", "azure.monitor"), ("otlp", "opentelemetry.sdk")]
)
def test_missing_packages_are_reported_with_the_command(kind: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONNECTION_STRING, f"InstrumentationKey={KEY}")
    program = (
        f"import sys\nsys.modules[{missing!r}] = None\n"
        "from risk_assets.errors import RiskError\n"
        "from risk_serving.observability.tracing import open_tracing\n"
        f"try:\n    open_tracing({kind!r})\nexcept RiskError as error:\n    print(error)\n"
    )
    assert "pip install 'risk-lakehouse[telemetry]'" in run(program)


@pytest.mark.parametrize("value", [None, ""])
def test_missing_connection_string_is_reported(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv(CONNECTION_STRING, value)
    with pytest.raises(RiskError, match=CONNECTION_STRING):
        open_tracing("azure-monitor")


@pytest.mark.parametrize("value", ["of-the-customer", "InstrumentationKey=of-the-customer", "IngestionEndpoint=http://of-the-customer/"])
def test_invalid_connection_string_is_reported_and_not_shown(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONNECTION_STRING, value)
    with pytest.raises(RiskError, match=CONNECTION_STRING) as caught:
        open_tracing("azure-monitor")
    assert "of-the-customer" not in f"{caught.value}{caught.value.__cause__}"


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, text=True, timeout=60).stdout
