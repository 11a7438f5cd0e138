"""Tests under load: promotions, bad requests and dying workers do not affect other requests, and memory does not grow."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from risk_assets.lake.store import Store
from tests.process_tree import children
from tests.serving.conftest import LOGISTIC, SCORECARD, Service, promote, roll_back
from tests.serving.test_faults import HalfRequest, logged, open_request

pytestmark = pytest.mark.long

Records = list[dict[str, Any]]
FOLLOWED = 2.0
SLOWEST = 1.0
GROWTH_MB = 8
MB = 1024
BATCH = 50


@dataclass(frozen=True)
class TimedAnswer:
    """One answer as a client received it, and the seconds it took."""

    status: int
    content: Any
    seconds: float


@contextmanager
def load(service: Service, send: Callable[[httpx.Client, int], httpx.Response], clients: int = 4) -> Iterator[list[TimedAnswer]]:
    """Send requests from several clients during the block; the list of answers is complete after it."""
    answers: list[TimedAnswer] = []
    stop = threading.Event()

    def run() -> None:
        with httpx.Client(base_url=service.url, timeout=10, trust_env=False) as client:
            number = 0
            while not stop.is_set():
                started = time.perf_counter()
                answer = send(client, number)
                answers.append(TimedAnswer(answer.status_code, answer.json(), time.perf_counter() - started))
                number += 1

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(run) for _ in range(clients)]
        try:
            yield answers
        finally:
            stop.set()
    for client in running:
        client.result()


def version(service: Service) -> str:
    found: str = service.client.get("/model").json()["model_version"]
    return found


def test_promotion_under_load_is_followed_without_an_error(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake)
    sent = records[:3]
    with load(service, lambda client, _: client.post("/predict", json={"records": sent})) as answers:
        service.until(lambda: len(answers) > 20)
        promote(lake, SCORECARD)
        assert service.until(lambda: service.scored(sent)[0]["model_version"] == SCORECARD) < FOLLOWED
        between = len(answers)
        service.until(lambda: len(answers) > between + 20)
        roll_back(lake)
        assert service.until(lambda: service.scored(sent)[0]["model_version"] == LOGISTIC) < FOLLOWED
        after = len(answers)
        service.until(lambda: len(answers) > after + 20)
    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < SLOWEST
    by_version: dict[str, set[tuple[float, ...]]] = {LOGISTIC: set(), SCORECARD: set()}
    for answer in answers:
        results = answer.content["results"]
        assert [result["id"] for result in results] == [record["id"] for record in sent]
        assert {result["model_version"] for result in results} == {answer.content["model_version"]}
        by_version[answer.content["model_version"]].add(tuple(result["probability"] for result in results))
    assert [len(scores) for scores in by_version.values()] == [1, 1]


def test_request_over_the_in_flight_limit_is_503_at_once(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    service = serve(served_book / "lake", RISK_SERVE_MAX_IN_FLIGHT="2")
    content = {"records": records[:1]}
    with open_request(service, content) as first, open_request(service, content) as second:
        started = time.perf_counter()
        with HalfRequest(service, content) as third:
            rejected = third.answer()
        assert time.perf_counter() - started < 0.5
        assert rejected.startswith(b"HTTP/1.1 503 ")
        assert b"content-type: application/problem+json\r\n" in rejected
        assert b"retry-after: 1\r\n" in rejected
        assert b'"urn:risk-serving:busy"' in rejected
        assert service.client.get("/health/ready").status_code == 200
        assert service.predict(records[:1]).status_code == 200  # a whole request waits for nothing, so it needs no slot
        assert first.finish().startswith(b"HTTP/1.1 200 ")
        assert service.predict(records[:1]).status_code == 200
        assert second.finish().startswith(b"HTTP/1.1 200 ")
    assert service.predict(records[:1]).status_code == 200
    assert service.metric("risk_serving_in_flight") == 0


def test_bodies_that_arrive_are_limited_in_bytes(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    variables = {"RISK_SERVE_MAX_BODY_BYTES": "200000", "RISK_SERVE_MAX_RECEIVED_BYTES": "1", "RISK_SERVE_LOG_SHARE": "0"}
    service = serve(served_book / "lake", **variables)
    large = {"records": [{**records[0], "id": " " * 200 + records[0]["id"]}] * 250}
    assert 150_000 < len(msgspec.json.encode(large)) < 200_000
    with open_request(service, large) as first:
        with open_request(service, large), HalfRequest(service, large) as third:
            rejected = third.answer()
            assert service.predict(records[:1]).status_code == 200
        assert rejected.startswith(b"HTTP/1.1 503 ")
        assert b'"urn:risk-serving:busy"' in rejected
        service.until(lambda: service.metric("risk_serving_in_flight") == 1)
        assert first.finish().startswith(b"HTTP/1.1 200 ")
    with open_request(service, large) as again:
        assert again.finish().startswith(b"HTTP/1.1 200 ")


def bad_bodies(record: dict[str, Any]) -> Sequence[tuple[int, bytes]]:
    """Return invalid bodies, each with its expected status."""
    return (
        (422, b"{"),
        (422, b'{"records":' + b"[" * 20_000),
        (422, msgspec.json.encode({"records": [{**record, "utilisation": "high"}] * 500})),
        (422, msgspec.json.encode({"records": [{**record, "balance": 1e308}]})),
        (422, msgspec.json.encode({"records": [record] * 1001})),
        (422, b'{"records":[{"utilisation":NaN}]}'),
        (413, b" " * (4 * 1024 * 1024 + 1)),
    )


def test_invalid_requests_do_not_affect_valid_ones(service: Service, records: Records) -> None:
    bad, good = bad_bodies(records[0]), service.scored(records[:3])
    json = {"Content-Type": "application/json"}

    def send_bad(client: httpx.Client, number: int) -> httpx.Response:
        status, body = bad[number % len(bad)]
        answer = client.post("/predict", content=body, headers=json)
        assert answer.status_code == status
        return answer

    with load(service, send_bad, clients=3) as rejected:
        service.until(lambda: len(rejected) > 3)
        answers = [service.scored(records[:3]) for _ in range(60)]
        service.until(lambda: len(rejected) > 3 * len(bad))
    assert answers == [good] * 60
    assert {answer.status for answer in rejected} == {422, 413}


def test_padded_requests_hold_no_memory(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, RISK_SERVE_LOG_SECONDS="60")
    padded = msgspec.json.encode({"records": records[:1]}) + b" " * 4_000_000
    before = service.kilobytes("VmRSS")
    for _ in range(60):
        service.client.post("/predict", content=padded, headers={"Content-Type": "application/json"}).raise_for_status()
    assert service.kilobytes("VmRSS") - before < 60 * MB
    assert service.stop() == 0
    assert len(logged(lake)) == 60


def test_hostile_bodies_do_not_delay_valid_requests(service: Service, records: Records) -> None:
    hostile = (b'{"x":[' + b"[]," * 1_300_000 + b"[]]}", b'{"records":[' + b"{}," * 1_300_000 + b"{}]}")
    json, good = {"Content-Type": "application/json"}, service.scored(records[:3])
    with load(service, lambda client, number: client.post("/predict", content=hostile[number % 2], headers=json)) as rejected:
        service.until(lambda: len(rejected) > 3)
        seconds = []
        for _ in range(30):
            started = time.perf_counter()
            assert service.scored(records[:3]) == good
            seconds.append(time.perf_counter() - started)
    assert {answer.status for answer in rejected} == {422}
    assert max(seconds) < SLOWEST


def test_workers_share_metrics_and_follow_a_promotion(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, "--workers", "2")
    service.until(lambda: len(workers(service)) == 2)
    first, second = workers(service)
    service.until(lambda: all_ready(service, first, second), seconds=10)
    before = service.metric("risk_serving_requests_total", route="/predict", status="200")
    for other in (first, second):
        with paused(other), httpx.Client(base_url=service.url, timeout=5, trust_env=False) as client:
            for _ in range(7):
                assert client.post("/predict", json={"records": records[:2]}).json()["model_version"] == LOGISTIC
    assert fresh_metric(service, "risk_serving_requests_total", route="/predict", status="200") == before + 14
    assert fresh_metric(service, "risk_serving_scores_total", version=LOGISTIC) >= 28
    assert fresh_metric(service, "risk_serving_stale") == 0
    promote(lake, SCORECARD)
    time.sleep(FOLLOWED)
    for other in (first, second):
        with paused(other), httpx.Client(base_url=service.url, timeout=5, trust_env=False) as client:
            assert client.get("/model").json()["model_version"] == SCORECARD
    assert service.stop() == 0
    assert len(logged(lake)) == 14


def test_dead_worker_is_replaced_and_its_counters_remain(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    service = serve(served_book / "lake", "--workers", "2")
    service.until(lambda: len(workers(service)) == 2)
    first, second = workers(service)
    service.until(lambda: all_ready(service, first, second), seconds=10)
    service.client.close()
    with paused(first):
        service.client = httpx.Client(base_url=service.url, timeout=5, trust_env=False)
        service.scored(records[:1])
        counted = service.metric("risk_serving_requests_total", route="/predict", status="200")
        with open_request(service, {"records": records[:1]}):
            assert service.metric("risk_serving_in_flight") == 1
            os.kill(second, signal.SIGKILL)
    service.until(lambda: second not in workers(service) and len(workers(service)) == 2, seconds=15)
    assert fresh_metric(service, "risk_serving_in_flight") == 0
    assert fresh_metric(service, "risk_serving_requests_total", route="/predict", status="200") == counted


def fresh_metric(service: Service, name: str, **labels: str) -> float:
    """Return a metric, read over a new connection."""
    service.client.close()
    service.client = httpx.Client(base_url=service.url, timeout=10, trust_env=False)
    return service.metric(name, **labels)


def workers(service: Service) -> list[int]:
    """Return the worker processes."""
    found = []
    for child in children(service.process.pid):
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def all_ready(service: Service, *processes: int) -> bool:
    """Whether each of two workers answers while the other is paused."""
    for other in processes:
        with paused(other), httpx.Client(base_url=service.url, timeout=0.2, trust_env=False) as client:
            try:
                client.get("/health/ready").raise_for_status()
            except httpx.HTTPError:
                return False
    return True


@contextmanager
def paused(process: int) -> Iterator[None]:
    """Pause a process."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_memory_does_not_grow_with_requests(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, RISK_SERVE_LOG_BYTES="4000000", RISK_SERVE_LOG_SECONDS="0.5")
    one, many = {"records": records[:1]}, {"records": (records * 4)[:1000]}
    send_many(service, one, 4000)
    send_many(service, many, 50)
    warm = service.kilobytes("VmRSS")
    send_many(service, one, 20_000)
    send_many(service, many, 200)
    assert service.kilobytes("VmRSS") - warm < GROWTH_MB * MB
    assert service.metric("risk_serving_request_records_count") == 24_250
    assert service.metric("risk_serving_request_records_sum") == 24_000 + 250_000


def send_many(service: Service, content: object, requests: int) -> None:
    """Send a request many times over one connection, in batches; each answer must have status 200."""
    url = httpx.URL(service.url)
    body = msgspec.json.encode(content)
    head = f"POST /predict HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    at_once = BATCH if len(request) < 10_000 else 1
    with socket.create_connection((url.host, url.port or 0), timeout=10) as connection, connection.makefile("rb") as answers:
        for _ in range(requests // at_once):
            connection.sendall(request * at_once)
            for _ in range(at_once):
                assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
                headers = iter(answers.readline, b"\r\n")
                length = next(int(line.split(b":")[1]) for line in [*headers] if line.lower().startswith(b"content-length:"))
                answers.read(length)
