"""What is measured: Prometheus metrics, and one JSON line for each request."""

import os
import sys
from collections import Counter as Count
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from risk_assets.domain.governance.arms import CHALLENGER, CHAMPION
from risk_assets.domain.scorecard.scoring import HISTOGRAM_BINS
from risk_serving.observability.background_writer import Background
from risk_serving.scoring.wire import Result

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
RECORDS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
BYTES = tuple(4**power for power in range(3, 13))
LINES = 10_000
LINE_SECONDS = 0.2
CLOSE_SECONDS = 5.0
WORKERS = "PROMETHEUS_MULTIPROC_DIR"


class Line(msgspec.Struct, omit_defaults=True):
    """One request, as it stands in the log."""

    time: str
    request_id: str
    method: str
    route: str
    status: int
    milliseconds: float
    bytes_in: int
    bytes_out: int
    caller: str | None = None
    version: str | None = None
    records: int | None = None
    problem: str | None = None


class Log(Protocol):
    """What counts the things that it could not keep, and the tries that failed."""

    @property
    def dropped(self) -> int:
        """How many things it did not keep."""

    @property
    def failures(self) -> int:
        """How often it could not write."""


class Telemetry:
    """The metrics of one process; with several workers, `/metrics` tells of all of them."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._registry = own
        if WORKERS in os.environ:
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        self._requests = Counter("risk_serving_requests", "Requests by route and status.", ["route", "status"], registry=own)
        self._seconds = Histogram("risk_serving_request_seconds", "Time to answer.", ["route"], buckets=SECONDS, registry=own)
        self._records = Histogram("risk_serving_request_records", "Records in a scored request.", buckets=RECORDS, registry=own)
        self._bytes_in = Histogram("risk_serving_request_bytes", "Size of a scored request.", buckets=BYTES, registry=own)
        self._bytes_out = Histogram("risk_serving_response_bytes", "Size of its answer.", buckets=BYTES, registry=own)
        self.in_flight = Gauge("risk_serving_in_flight", "Requests being scored.", registry=own, multiprocess_mode="livesum")
        self._scores = Counter(
            "risk_serving_scores",
            "Scored records by version, arm and the lower end of the probability's bin.",
            ["version", "arm", "bin"],
            registry=own,
        )
        self._age = Gauge(
            "risk_serving_version_age_seconds", "Since when the live version is live.", registry=own, multiprocess_mode="livemax"
        )
        self._stale = Gauge("risk_serving_stale", "1 while the live version can't be loaded.", registry=own, multiprocess_mode="livemax")
        self._failures = Counter("risk_serving_reload_failures", "Looks for the live version that failed.", registry=own)
        self._log_failures = Counter("risk_serving_log_failures", "Tries to write the prediction log that failed.", registry=own)
        self._dropped = Counter("risk_serving_dropped", "What was not kept because a buffer was full.", ["what"], registry=own)
        self._lines: Background[Line] = Background(_write, "request lines", LINES, LINE_SECONDS)
        self._told: Count[str] = Count()

    def start(self) -> None:
        """Begin to write lines."""
        self._lines.start()

    def close(self) -> None:
        """Write the lines that are left."""
        self._lines.close(CLOSE_SECONDS)

    def request(self, line: Line) -> None:
        """Count and log a request."""
        self._requests.labels(line.route, line.status).inc()
        self._seconds.labels(line.route).observe(line.milliseconds / 1000)
        if line.records is not None:
            self._records.observe(line.records)
            self._bytes_in.observe(line.bytes_in)
            self._bytes_out.observe(line.bytes_out)
        self._lines.offer(line)

    def scored(self, results: Sequence[Result]) -> None:
        """Count the probabilities of a request's results."""
        for arm in (CHAMPION, CHALLENGER):
            theirs = [result for result in results if result.arm == arm]
            bins = [0] * (HISTOGRAM_BINS + 1)
            for result in theirs:
                bins[int(result.probability * HISTOGRAM_BINS)] += 1
            certain = bins.pop()
            bins[-1] += certain
            for place in (place for place, records in enumerate(bins) if records):
                self._scores.labels(theirs[0].model_version, arm, f"{place / HISTOGRAM_BINS:.2f}").inc(bins[place])

    def live(self, age: float | None, stale: bool, failures: int, predictions: Log) -> None:
        """Tell how the live version stands, and what was dropped."""
        if age is not None:
            self._age.set(age)
        self._stale.set(stale)
        self._up_to(self._failures, "failures", failures)
        self._up_to(self._log_failures, "log_failures", predictions.failures)
        self._up_to(self._dropped.labels("predictions"), "predictions", predictions.dropped)
        self._up_to(self._dropped.labels("log_lines"), "log_lines", self._lines.dropped)

    def page(self) -> bytes:
        """Return the metrics as Prometheus reads them."""
        if WORKERS in os.environ:
            _forget_dead_workers(Path(os.environ[WORKERS]))
        return generate_latest(self._registry)

    def _up_to(self, counter: Counter, name: str, total: int) -> None:
        counter.inc(total - self._told[name])
        self._told[name] = total


def _forget_dead_workers(folder: Path) -> None:
    """Drop what workers that have ended last said of themselves: their counts stay, their gauges would stand forever."""
    for process in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*.db")}:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):
                mark_process_dead(process)  # type: ignore[no-untyped-call]


def _write(lines: Sequence[Line]) -> None:
    encode = msgspec.json.encode
    sys.stdout.buffer.write(b"".join(encode(line) + b"\n" for line in lines))
    sys.stdout.buffer.flush()
