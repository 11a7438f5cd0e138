"""Prometheus metrics, and the JSON line of each request on stdout."""

import os
import sys
from collections import Counter as Count
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from risk_serving.observability.background_writer import BackgroundWriter
from risk_serving.observability.prediction_log import PredictionLog
from risk_serving.observability.request_log import LogLine
from risk_serving.scoring.answers import NotEligible, Result, WithIssues
from risk_serving.scoring.live_model import LiveModel
from risk_serving.scoring.scored import Scored

T = TypeVar("T", Counter, Histogram)

SECONDS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
RECORDS_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
BYTES_BUCKETS = tuple(4**power for power in range(3, 13))
MAX_PENDING_LINES = 10_000
LINE_SECONDS = 0.2
CLOSE_SECONDS = 5.0
WORKERS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own variable: workers share their metrics in this folder


class _Labelled(dict[tuple[str | int, ...], T], Generic[T]):
    """The parts of a metric by the values of its labels: finding one again is faster than `labels`."""

    def __init__(self, metric: T) -> None:
        super().__init__()
        self._metric: T = metric

    def __missing__(self, labels: tuple[str | int, ...]) -> T:
        part: T = self._metric.labels(*labels)
        self[labels] = part
        return part


class Metrics:
    """The metrics of this process; with several workers, `/metrics` adds up those of all workers."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._registry = own
        if WORKERS_FOLDER in os.environ:
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        self._add_request_metrics(own)
        self._add_model_metrics(own)
        self._lines: BackgroundWriter[LogLine] = BackgroundWriter(_write_lines, "request lines", MAX_PENDING_LINES, LINE_SECONDS)
        self._reported: Count[str] = Count()

    def _add_request_metrics(self, own: CollectorRegistry) -> None:
        requests = Counter("risk_serving_requests", "Requests by route and status.", ["route", "status"], registry=own)
        seconds = Histogram("risk_serving_request_seconds", "Time to answer a request.", ["route"], buckets=SECONDS_BUCKETS, registry=own)
        self._requests, self._seconds = _Labelled(requests), _Labelled(seconds)
        self._records = Histogram("risk_serving_request_records", "Records in a scored request.", buckets=RECORDS_BUCKETS, registry=own)
        self._bytes_in = Histogram("risk_serving_request_bytes", "Body size of a scored request.", buckets=BYTES_BUCKETS, registry=own)
        self._bytes_out = Histogram("risk_serving_response_bytes", "Body size of its answer.", buckets=BYTES_BUCKETS, registry=own)
        self.in_flight = Gauge("risk_serving_in_flight", "Requests being scored.", registry=own, multiprocess_mode="livesum")
        scores = Counter(
            "risk_serving_scores",
            "Scored records by version, arm and the lower bound of the probability's bin.",
            ["version", "arm", "bin"],
            registry=own,
        )
        not_eligible = Counter(
            "risk_serving_not_eligible", "Records that are not eligible by version and reason.", ["version", "reason"], registry=own
        )
        with_issues = Counter(
            "risk_serving_with_issues", "Records that were skipped because of issues, by version.", ["version"], registry=own
        )
        self._results = {Result: _Labelled(scores), NotEligible: _Labelled(not_eligible), WithIssues: _Labelled(with_issues)}
        self._outcomes = Counter("risk_serving_outcomes", "Outcomes received, by whether they are new.", ["status"], registry=own)
        self._closed = Counter(
            "risk_serving_closed_connections", "Connections that were closed because of a limit.", ["reason"], registry=own
        )

    def _add_model_metrics(self, own: CollectorRegistry) -> None:
        self._age = Gauge(
            "risk_serving_version_age_seconds", "Time since the live version went live.", registry=own, multiprocess_mode="livemax"
        )
        self._stale = Gauge("risk_serving_stale", "1 while the live version cannot be loaded.", registry=own, multiprocess_mode="livemax")
        self._failures = Counter("risk_serving_reload_failures", "Failed attempts to load the live version.", registry=own)
        self._log_failures = Counter("risk_serving_log_failures", "Failed writes of the prediction log.", registry=own)
        self._dropped = Counter("risk_serving_dropped", "Predictions and request lines that were not logged.", ["what"], registry=own)

    def start(self) -> None:
        """Start to write request lines."""
        self._lines.start()

    def close(self) -> None:
        """Write the pending request lines and stop."""
        self._lines.close(CLOSE_SECONDS)

    def record_request(self, line: LogLine) -> None:
        """Count and log an answered request."""
        self._requests[line.route, line.status].inc()
        self._seconds[(line.route,)].observe(line.milliseconds / 1000)
        if line.records is not None:
            self._records.observe(line.records)
            self._bytes_in.observe(line.bytes_in)
            self._bytes_out.observe(line.bytes_out)
        self._lines.offer(line)

    def record_closed_connection(self, reason: str) -> None:
        """Count a connection that was closed because of a limit."""
        self._closed.labels(reason).inc()

    def record_outcomes(self, status: str, outcomes: int) -> None:
        """Count received outcomes that were stored, or that had been stored already."""
        self._outcomes.labels(status).inc(outcomes)

    def record_scores(self, scored: Scored) -> None:
        """Count scored records by version, arm and bin of the probability, and the others by version, those not eligible also by reason."""
        for (kind, *labels), records in scored.counts().items():
            self._results[kind][tuple(labels)].inc(records)

    def record_state(self, live: LiveModel, log: PredictionLog) -> None:
        """Update the metrics of the live version and of the logs."""
        if live.current is not None:
            self._age.set(live.current.age)
        self._stale.set(live.problem is not None)
        self._raise_to(self._failures, "failures", live.failures)
        self._raise_to(self._log_failures, "log_failures", log.failures)
        self._raise_to(self._dropped.labels("predictions"), "predictions", log.dropped)
        self._raise_to(self._dropped.labels("log_lines"), "log_lines", self._lines.dropped)

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        if WORKERS_FOLDER in os.environ:
            _forget_dead_workers(Path(os.environ[WORKERS_FOLDER]))
        return generate_latest(self._registry)

    def _raise_to(self, counter: Counter, name: str, total: int) -> None:
        counter.inc(total - self._reported[name])
        self._reported[name] = total


def _forget_dead_workers(folder: Path) -> None:
    """Remove the gauges of workers that have ended, which would otherwise keep their last value; counters remain."""
    for process in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*.db")}:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):
                mark_process_dead(process)  # type: ignore[no-untyped-call]


def _write_lines(lines: Sequence[LogLine]) -> None:
    encode = msgspec.json.encode
    sys.stdout.buffer.write(b"".join(encode(line) + b"\n" for line in lines))
    sys.stdout.buffer.flush()
