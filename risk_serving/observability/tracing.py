"""What OpenTelemetry is told of a request: one span and two metrics, sent in the background over OTLP or to Azure Monitor."""

import os
import time
from collections.abc import Mapping
from http import HTTPMethod
from threading import Thread
from typing import TYPE_CHECKING, Literal, TypeAlias

from risk_assets.errors import RiskError

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
SCORED = "risk.serving.records"
REQUEST_ID = "risk.request_id"
CONNECTION_STRING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
CLOSE_SECONDS = 5.0

_BOUNDARIES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_SEND_SECONDS = 5
_RETRIES = 2
_MICROSOFTS_OWN = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)


class Tracing:
    """Tells nobody of a request: what is used while telemetry is off."""

    def record(  # noqa: PLR0913, PLR0917 - all that is told of a request, in one call
        self,
        started: float,
        seconds: float,
        route: str,
        method: str,
        status: int,
        request_id: str,
        traceparent: str | None,
        attributes: Mapping[str, str | int],
    ) -> None:
        """Tell of a request that was answered; never waits and never fails on account of where it is sent.

        Parameters
        ----------
        started : float
            When the request came, in seconds since 1970 (`time.time`).
        seconds : float
            How long it took.
        route, method : str
            The route's template, as "/predict", never the path that was sent; and the method, as "POST".
        status : int
            The answer's status; from 500 on, the span is an error.
        request_id : str
            Stands in the span, not in the metrics.
        traceparent : str or None
            The request's W3C header, by which the span finds its parent; one that can't be read counts as none.
        attributes : mapping
            More for the span. The number under `RECORDS` counts as records scored.
        """

    def close(self) -> None:
        """Send what waits, for at most `CLOSE_SECONDS`, and stop; nothing may be recorded after."""


class _OpenTelemetry(Tracing):
    """Makes spans and metrics with providers of its own, so that none of the process is changed."""

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
        self._parent = TraceContextTextMapPropagator()
        self._nowhere = Context()
        self._server = SpanKind.SERVER
        self._error = StatusCode.ERROR

    def record(  # noqa: PLR0913, PLR0917 - as above
        self,
        started: float,
        seconds: float,
        route: str,
        method: str,
        status: int,
        request_id: str,
        traceparent: str | None,
        attributes: Mapping[str, str | int],
    ) -> None:
        known = method if method in HTTPMethod.__members__ else "_OTHER"
        http: dict[str, str | int] = {"http.request.method": known, "http.route": route, "http.response.status_code": status}
        if status >= 500:
            http["error.type"] = str(status)
        start = round(started * 1e6) * 1000
        span = self._tracer.start_span(
            f"{'HTTP' if known == '_OTHER' else known} {route}",
            context=self._parent.extract({"traceparent": traceparent}, self._nowhere) if traceparent else self._nowhere,
            kind=self._server,
            attributes={**attributes, **http, REQUEST_ID: request_id},
            start_time=start,
        )
        if status >= 500:
            span.set_status(self._error)
        span.end(start + round(seconds * 1e9))
        self._duration.record(seconds, http, self._nowhere)
        records = attributes.get(RECORDS)
        if isinstance(records, int) and records > 0:
            self._records.add(records, {"http.route": route}, self._nowhere)

    def close(self) -> None:
        threads = [Thread(target=provider.shutdown, daemon=True) for provider in (self._spans, self._metrics)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def open_tracing(kind: Kind) -> Tracing:
    """Return where requests are told of: nowhere, an OTLP collector over HTTP, or Azure Monitor.

    Where that is stands in the standard variables `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_EXPORTER_OTLP_HEADERS`, or in
    `APPLICATIONINSIGHTS_CONNECTION_STRING`. The service is named risk-serving, unless `OTEL_SERVICE_NAME` names it.

    Raises
    ------
    RiskError
        When the packages are not installed, or a variable is missing or can't be used.
    """
    if kind == "off":
        return Tracing()
    if kind == "azure-monitor" and not os.environ.get(CONNECTION_STRING):
        raise RiskError(
            f"Telemetry to Azure Monitor needs the variable {CONNECTION_STRING}. Copy it from the Application Insights resource."
        )
    try:
        return _opened(kind)
    except ImportError as error:
        raise RiskError(f"Telemetry by {kind} needs more packages: pip install 'risk-lakehouse[telemetry]'") from error
    except ValueError as error:
        variables = CONNECTION_STRING if kind == "azure-monitor" else "A variable OTEL_..."
        raise RiskError(f"{variables} can't be used for telemetry by {kind}. Look for what is misspelt in it.") from error


def _opened(kind: Literal["otlp", "azure-monitor"]) -> Tracing:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = _resource()
    spans = TracerProvider(resource=resource, shutdown_on_exit=False)
    to_spans, to_metrics = _otlp() if kind == "otlp" else _azure_monitor(spans)
    metrics = MeterProvider([PeriodicExportingMetricReader(to_metrics)], resource, shutdown_on_exit=False)
    spans.add_span_processor(BatchSpanProcessor(to_spans, meter_provider=metrics))
    return _OpenTelemetry(spans, metrics)


def _resource() -> "Resource":
    """Return what the service is called; what the environment says of it wins."""
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource

    return Resource.create({SERVICE_NAME: SERVICE}).merge(OTELResourceDetector().detect())


def _otlp() -> tuple["SpanExporter", "MetricExporter"]:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(), OTLPMetricExporter()


def _azure_monitor(spans: "TracerProvider") -> tuple["SpanExporter", "MetricExporter"]:
    """Return Microsoft's exporters, without what they tell Microsoft of themselves and without files of what was not sent."""
    for name in _MICROSOFTS_OWN:
        os.environ.setdefault(name, "true")
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

    limits = {"disable_offline_storage": True, "timeout": _SEND_SECONDS, "read_timeout": _SEND_SECONDS, "retry_total": _RETRIES}
    return AzureMonitorTraceExporter(tracer_provider=spans, **limits), AzureMonitorMetricExporter(**limits)
