"""What must hold under load: nobody notices a promotion, nobody suffers from others, and nothing grows."""

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

from risk_assets.lake.store import Store
from tests.serving.conftest import LOGISTIC, SCORECARD, Service, promote, roll_back
from tests.serving.test_faults import logged, open_request

Records = list[dict[str, Any]]
FOLLOWED = 2.0
SLOWEST = 1.0
GROWTH_MB = 8
MB = 1024
BATCH = 50


@dataclass(frozen=True)
class RequestLog:
    """What a client saw of one answer, and the seconds it took."""

    status: int
    content: Any
    seconds: float


@contextmanager
def load(service: Service, send: Callable[[httpx.Client, int], httpx.Response], clients: int = 4) -> Iterator[list[RequestLog]]:
    """Send requests from some clients all the while; what they saw is whole after the block."""
    seen: list[RequestLog] = []
    stop = threading.Event()

    def run() -> None:
        with httpx.Client(base_url=service.url, timeout=10, trust_env=False) as client:
            number = 0
            while not stop.is_set():
                started = time.perf_counter()
                answer = send(client, number)
                seen.append(RequestLog(answer.status_code, answer.json(), time.perf_counter() - started))
                number += 1

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(run) for _ in range(clients)]
        try:
            yield seen
        finally:
            stop.set()
    for client in running:
        client.result()


def version(service: Service) -> str:
    told: str = service.client.get("/model").json()["model_version"]
    return told


def test_under_load_a_promotion_and_a_rollback_are_followed_within_two_seconds_and_nobody_notices(
    serve: Callable[..., Service], lake: Store, records: Records
) -> None:
    service = serve(lake)
    sent = records[:3]
    with load(service, lambda client, _: client.post("/predict", json={"records": sent})) as seen:
        service.until(lambda: len(seen) > 20)
        promote(lake, SCORECARD)
        assert service.until(lambda: service.scored(sent)[0]["model_version"] == SCORECARD) < FOLLOWED
        between = len(seen)
        service.until(lambda: len(seen) > between + 20)
        roll_back(lake)
        assert service.until(lambda: service.scored(sent)[0]["model_version"] == LOGISTIC) < FOLLOWED
        after = len(seen)
        service.until(lambda: len(seen) > after + 20)
    assert {answer.status for answer in seen} == {200}
    assert max(answer.seconds for answer in seen) < SLOWEST
    by_version: dict[str, set[tuple[float, ...]]] = {LOGISTIC: set(), SCORECARD: set()}
    for answer in seen:
        results = answer.content["results"]
        assert [result["id"] for result in results] == [record["id"] for record in sent]
        assert {result["model_version"] for result in results} == {answer.content["model_version"]}
        by_version[answer.content["model_version"]].add(tuple(result["probability"] for result in results))
    assert [len(answers) for answers in by_version.values()] == [1, 1]


def test_when_full_the_next_is_told_at_once_to_come_back(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    service = serve(served_book / "lake", RISK_SERVE_MAX_IN_FLIGHT="2")
    content = {"records": records[:1]}
    with open_request(service, content) as first, open_request(service, content) as second:
        started = time.perf_counter()
        refused = service.predict(records[:1])
        assert time.perf_counter() - started < 0.5
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["type"] == "urn:risk-serving:busy"
        assert int(refused.headers["retry-after"]) == 1
        assert service.client.get("/health/ready").status_code == 200
        assert first.finish().startswith(b"HTTP/1.1 200 ")
        assert service.predict(records[:1]).status_code == 200
        assert second.finish().startswith(b"HTTP/1.1 200 ")
    assert service.predict(records[:1]).status_code == 200
    assert service.metric("risk_serving_in_flight") == 0


def bad_bodies(record: dict[str, Any]) -> Sequence[tuple[int, bytes]]:
    """Bodies that are refused, each with the status that says so."""
    return (
        (422, b"{"),
        (422, b'{"records":' + b"[" * 20_000),
        (422, msgspec.json.encode({"records": [{**record, "utilisation": "high"}] * 500})),
        (422, msgspec.json.encode({"records": [{**record, "balance": 1e308}]})),
        (422, msgspec.json.encode({"records": [record] * 1001})),
        (422, b'{"records":[{"utilisation":NaN}]}'),
        (413, b" " * (4 * 1024 * 1024 + 1)),
    )


def test_a_storm_of_bad_requests_does_not_harm_the_good_ones(service: Service, records: Records) -> None:
    bad, good = bad_bodies(records[0]), service.scored(records[:3])
    json = {"Content-Type": "application/json"}

    def storm(client: httpx.Client, number: int) -> httpx.Response:
        status, body = bad[number % len(bad)]
        answer = client.post("/predict", content=body, headers=json)
        assert answer.status_code == status
        return answer

    with load(service, storm, clients=3) as refused:
        service.until(lambda: len(refused) > 3)
        answers = [service.scored(records[:3]) for _ in range(60)]
        service.until(lambda: len(refused) > 3 * len(bad))
    assert answers == [good] * 60
    assert {answer.status for answer in refused} == {422, 413}


def test_several_workers_answer_count_together_and_follow_a_promotion(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, "--workers", "2")
    service.until(lambda: len(workers(service)) == 2)
    first, second = workers(service)
    service.until(lambda: all_ready(service, first, second), seconds=10)
    before = service.metric("risk_serving_requests_total", route="/predict", status="200")
    for other in (first, second):
        with stopped(other), httpx.Client(base_url=service.url, timeout=5, trust_env=False) as client:
            for _ in range(7):
                assert client.post("/predict", json={"records": records[:2]}).json()["model_version"] == LOGISTIC
    assert fresh_metric(service, "risk_serving_requests_total", route="/predict", status="200") == before + 14
    assert fresh_metric(service, "risk_serving_scores_total", version=LOGISTIC) >= 28
    assert fresh_metric(service, "risk_serving_stale") == 0
    promote(lake, SCORECARD)
    time.sleep(FOLLOWED)
    for other in (first, second):
        with stopped(other), httpx.Client(base_url=service.url, timeout=5, trust_env=False) as client:
            assert client.get("/model").json()["model_version"] == SCORECARD
    assert service.stop() == 0
    assert len(logged(lake)) == 14


def test_a_worker_that_dies_is_replaced_and_its_requests_stay_counted_while_what_it_had_in_flight_does_not(
    serve: Callable[..., Service], served_book: Path, records: Records
) -> None:
    service = serve(served_book / "lake", "--workers", "2")
    service.until(lambda: len(workers(service)) == 2)
    first, second = workers(service)
    service.until(lambda: all_ready(service, first, second), seconds=10)
    service.client.close()
    with stopped(first):
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
    """Return a metric, asked for over a new connection."""
    service.client.close()
    service.client = httpx.Client(base_url=service.url, timeout=10, trust_env=False)
    return service.metric(name, **labels)


def workers(service: Service) -> list[int]:
    """Return the processes that answer."""
    process = service.process.pid
    children = map(int, Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split())
    found = []
    for child in children:
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def all_ready(service: Service, *processes: int) -> bool:
    """Whether each of two workers answers alone."""
    for other in processes:
        with stopped(other), httpx.Client(base_url=service.url, timeout=0.2, trust_env=False) as client:
            try:
                client.get("/health/ready").raise_for_status()
            except httpx.HTTPError:
                return False
    return True


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """Let a process stand still."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_memory_does_not_grow_with_the_requests(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, RISK_SERVE_LOG_RECORDS="2000", RISK_SERVE_LOG_SECONDS="0.5")
    one, many = {"records": records[:1]}, {"records": (records * 4)[:1000]}
    pour(service, one, 4000)
    pour(service, many, 50)
    warm = service.kilobytes("VmRSS")
    pour(service, one, 20_000)
    pour(service, many, 200)
    assert service.kilobytes("VmRSS") - warm < GROWTH_MB * MB
    assert service.metric("risk_serving_request_records_count") == 24_250
    assert service.metric("risk_serving_request_records_sum") == 24_000 + 250_000


def pour(service: Service, content: object, requests: int) -> None:
    """Send a request again and again over one connection, some at a time; each must be answered 200."""
    url = httpx.URL(service.url)
    body = msgspec.json.encode(content)
    head = f"POST /predict HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    one = head.encode() + body
    at_once = BATCH if len(one) < 10_000 else 1
    with socket.create_connection((url.host, url.port or 0), timeout=10) as connection, connection.makefile("rb") as answers:
        for _ in range(requests // at_once):
            connection.sendall(one * at_once)
            for _ in range(at_once):
                assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
                headers = iter(answers.readline, b"\r\n")
                length = next(int(line.split(b":")[1]) for line in [*headers] if line.lower().startswith(b"content-length:"))
                answers.read(length)
