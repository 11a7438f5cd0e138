"""OpenTelemetry: one span and two metrics for each request, sent in the background over OTLP or to Azure Monitor."""

import os
import time
from http import HTTPMethod
from threading import Thread
from typing import TYPE_CHECKING, Literal, TypeAlias

from risk_assets.errors import RiskError
from risk_serving.observability.request_log import LogLine

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Kind: TypeAlias = Literal["off", "otlp", "azure-monitor"]

SERVICE = "risk-serving"
DURATION = "http.server.request.duration"
RECORDS = "risk.records"
VERSION = "risk.version"
SCORED = "risk.serving.records"
REQUEST_ID = "risk.request_id"
CONNECTION_STRING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
CLOSE_SECONDS = 5.0

_BOUNDARIES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_SEND_SECONDS = 5
_RETRIES = 2
_EXPORTER_STATISTICS_OFF = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)


class Tracing:
    """No-op tracer, and the interface of the others."""

    def record(self, line: LogLine, started: float, seconds: float, traceparent: bytes) -> None:
        """Record an answered request; never waits, and never raises because of the destination.

        Parameters
        ----------
        line : LogLine
            The request. A status of 500 or above makes the span an error. The request id is in the span, not in the metrics.
        started : float
            When the request was received, in seconds since 1970, UTC.
        seconds : float
            The time taken to answer it.
        traceparent : bytes
            The request's W3C header, which gives the span's parent; an empty or malformed header gives none.
        """

    def close(self) -> None:
        """Send pending spans and metrics, for at most `CLOSE_SECONDS`, and stop."""


class _OpenTelemetry(Tracing):
    """Records spans and metrics with its own providers, so that the global ones stay unchanged."""

    def __init__(self, spans: "TracerProvider", metrics: "MeterProvider") -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._spans = spans
        self._metrics = metrics
        self._tracer = spans.get_tracer(SERVICE)
        meter = metrics.get_meter(SERVICE)
        self._duration = meter.create_histogram(
            DURATION, "s", "Duration of HTTP server requests.", explicit_bucket_boundaries_advisory=_BOUNDARIES
        )
        self._records = meter.create_counter(SCORED, "{record}", "Records scored.")
        self._propagator = TraceContextTextMapPropagator()
        self._root_context = Context()
        self._server = SpanKind.SERVER
        self._error = StatusCode.ERROR

    def record(self, line: LogLine, started: float, seconds: float, traceparent: bytes) -> None:
        method = line.method if line.method in HTTPMethod.__members__ else "_OTHER"
        http: dict[str, str | int] = {"http.request.method": method, "http.route": line.route, "http.response.status_code": line.status}
        if line.status >= 500:
            http["error.type"] = str(line.status)
        self._record_span(line, method, http, started, seconds, traceparent)
        self._duration.record(seconds, http, self._root_context)
        if line.version and line.records:
            self._records.add(line.records, {"http.route": line.route}, self._root_context)

    def close(self) -> None:
        threads = [Thread(target=provider.shutdown, daemon=True) for provider in (self._spans, self._metrics)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _record_span(
        self, line: LogLine, method: str, http: dict[str, str | int], started: float, seconds: float, traceparent: bytes
    ) -> None:
        context = self._root_context
        if traceparent:
            context = self._propagator.extract({"traceparent": traceparent.decode("latin-1")}, context)
        scored: dict[str, str | int] = {VERSION: line.version, RECORDS: line.records or 0} if line.version else {}
        start = round(started * 1e6) * 1000
        span = self._tracer.start_span(
            f"{'HTTP' if method == '_OTHER' else method} {line.route}",
            context=context,
            kind=self._server,
            attributes={**scored, **http, REQUEST_ID: line.request_id},
            start_time=start,
        )
        if line.status >= 500:
            span.set_status(self._error)
        span.end(start + round(seconds * 1e9))


def open_tracing(kind: Kind) -> Tracing:
    """Return the tracer for a destination: none, an OTLP collector over HTTP, or Azure Monitor.

    The standard variables `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_EXPORTER_OTLP_HEADERS`, or
    `APPLICATIONINSIGHTS_CONNECTION_STRING`, give its address. `OTEL_SERVICE_NAME` replaces the service's name, risk-serving.

    Raises
    ------
    RiskError
        If the packages are not installed, or a variable is missing or not valid.
    """
    if kind == "off":
        return Tracing()
    if kind == "azure-monitor" and not os.environ.get(CONNECTION_STRING):
        raise RiskError(
            f"Telemetry to Azure Monitor requires the variable {CONNECTION_STRING}. Copy it from the Application Insights resource."
        )
    try:
        return _open(kind)
    except ImportError as error:
        raise RiskError(f"Telemetry to {kind} requires more packages: pip install 'risk-lakehouse[telemetry]'") from error
    except ValueError as error:
        variable = CONNECTION_STRING if kind == "azure-monitor" else "A variable OTEL_..."
        raise RiskError(f"{variable} is not valid, so telemetry to {kind} cannot start. Check its spelling.") from error


def _open(kind: Literal["otlp", "azure-monitor"]) -> Tracing:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = _resource()
    spans = TracerProvider(resource=resource, shutdown_on_exit=False)
    span_exporter, metric_exporter = _otlp_exporters() if kind == "otlp" else _azure_monitor_exporters(spans)
    metrics = MeterProvider([PeriodicExportingMetricReader(metric_exporter)], resource, shutdown_on_exit=False)
    spans.add_span_processor(BatchSpanProcessor(span_exporter, meter_provider=metrics))
    return _OpenTelemetry(spans, metrics)


def _resource() -> "Resource":
    """Return the service's name, or the attributes that the environment sets."""
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource

    return Resource.create({SERVICE_NAME: SERVICE}).merge(OTELResourceDetector().detect())


def _otlp_exporters() -> tuple["SpanExporter", "MetricExporter"]:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(), OTLPMetricExporter()


def _azure_monitor_exporters(spans: "TracerProvider") -> tuple["SpanExporter", "MetricExporter"]:
    """Return Microsoft's exporters, without their own usage statistics and without a folder of unsent data on disk."""
    for name in _EXPORTER_STATISTICS_OFF:
        os.environ.setdefault(name, "true")
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

    limits = {"disable_offline_storage": True, "timeout": _SEND_SECONDS, "read_timeout": _SEND_SECONDS, "retry_total": _RETRIES}
    return AzureMonitorTraceExporter(tracer_provider=spans, **limits), AzureMonitorMetricExporter(**limits)
