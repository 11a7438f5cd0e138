"""A soak of valid and hostile requests: memory and descriptors stay constant, valid requests are quick, each answer is logged once.

`SOAK_SECONDS=300` runs it for five minutes.
"""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from risk_assets.lake.store import Store
from tests.serving.conftest import SCORECARD, Service, promote, roll_back
from tests.serving.http.test_connections import HEAD, connect, descriptors
from tests.serving.test_faults import logged

Records = list[dict[str, Any]]
SECONDS = float(os.environ.get("SOAK_SECONDS", "40"))
SLOWEST = 1.0
GROWTH_KB = 24 * 1024
LIMITS = {
    "RISK_SERVE_HEAD_SECONDS": "1",
    "RISK_SERVE_WRITE_SECONDS": "1",
    "RISK_SERVE_MAX_CONNECTIONS": "100",
    "RISK_SERVE_LOG_SECONDS": "0.5",
}
PAUSE = 0.05


def silent(service: Service) -> None:
    """Open connections, some with half a head, and leave them."""
    with ExitStack() as opened:
        for number in range(60):
            connection = opened.enter_context(connect(service))
            connection.sendall(HEAD if number % 2 else b"")
        time.sleep(0.5)


def dripping(service: Service) -> None:
    """Send a head line by line."""
    with connect(service) as connection:
        connection.sendall(HEAD)
        for _ in range(20):
            time.sleep(PAUSE)
            connection.sendall(b"X-A: 1\r\n")


def deaf(service: Service) -> None:
    """Ask for large answers and do not read them."""
    with connect(service, 4096) as connection:
        connection.sendall(b"GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 10)
        time.sleep(0.5)


def garbage(service: Service) -> None:
    """Send what is not HTTP, and a head that is too large."""
    for sent in (b"\x16\x03\x01\x02\x00" * 10, HEAD + b"X-A: " + b"a" * 200_000, b"GET / HTTP/1.1\r\n" * 100):
        with connect(service) as connection:
            connection.sendall(sent)
            connection.recv(65536)


def hostile_bodies(service: Service) -> None:
    """Send bodies that would take long to decode."""
    bodies = (
        b'{"x":[' + b"[]," * 1_300_000 + b"[]]}",
        b'{"records":[' + b"{}," * 1_300_000 + b"{}]}",
        b"{" + b",".join(b'"%x":1' % number for number in range(300_000)) + b"}",
        b'{"records":[{"balance":1,"balance":2}]}',
    )
    with httpx.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        for body in bodies:
            assert client.post("/predict", content=body, headers={"Content-Type": "application/json"}).status_code in (408, 422)


def broken_off(service: Service) -> None:
    """Close the connection in the middle of a body."""
    for _ in range(10):
        with connect(service) as connection:
            connection.sendall(HEAD + b"Content-Length: 4000000\r\n\r\n" + b" " * 500_000)


def documents(service: Service) -> None:
    """Ask for the schema again and again."""
    with httpx.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        for _ in range(50):
            assert client.get("/openapi.json").status_code == 200


ATTACKS = (silent, dripping, deaf, garbage, hostile_bodies, broken_off, documents)


@contextmanager
def attacked(service: Service) -> Iterator[threading.Event]:
    """Run all attacks again and again during the block."""
    stop = threading.Event()

    def repeat(attack: Callable[[Service], None]) -> int:
        rounds = 0
        while not stop.is_set():
            with suppress(OSError, httpx.TransportError):  # the service closes connections
                attack(service)
            rounds += 1
            time.sleep(PAUSE)
        return rounds

    with ThreadPoolExecutor(len(ATTACKS)) as pool:
        running = [pool.submit(repeat, attack) for attack in ATTACKS]
        try:
            yield stop
        finally:
            stop.set()
    assert all(each.result() > 1 for each in running)


def send_valid(service: Service, records: Records, stop: threading.Event, name: str) -> tuple[list[str], float]:
    """Send valid requests, all with the same id; return the service's ids of the answers, and the slowest answer's seconds."""
    ids, slowest, number = [], 0.0, 0
    with httpx.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        while not stop.is_set():
            sent = [{**records[number % len(records)], "id": f"{name}-{number}"}]
            padding = b" " * 1_000_000 if number % 100 == 0 else b""
            started = time.perf_counter()
            body, headers = msgspec.json.encode({"records": sent}) + padding, {"Content-Type": "application/json", "X-Request-ID": "same"}
            answer = client.post("/predict", content=body, headers=headers)
            slowest = max(slowest, time.perf_counter() - started)
            assert answer.status_code == 200, answer.text
            assert answer.json()["results"][0]["id"] == sent[0]["id"]
            ids.append(answer.headers["x-request-id"])
            number += 1
            time.sleep(0.005)
    return ids, slowest


def open_files(service: Service) -> int:
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))


@pytest.mark.long
def test_soak_under_attack(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    with descriptors(512):
        service = serve(lake, **LIMITS)
    memory, files = [], []
    end = time.monotonic() + SECONDS
    with attacked(service) as stop, ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(send_valid, service, records, stop, f"client{number}") for number in range(3)]
        try:
            change = promote
            while time.monotonic() < end and not any(client.done() for client in clients):
                time.sleep(1)
                memory.append(service.kilobytes("VmRSS"))
                files.append(open_files(service))
                promote(lake, SCORECARD) if change is promote else roll_back(lake)
                change = roll_back if change is promote else promote
        finally:
            stop.set()
    answered = [client.result() for client in clients]
    service.until(lambda: open_files(service) < 60, seconds=10)
    third = len(memory) // 3
    report = {
        "answers": sum(len(ids) for ids, _ in answered),
        "slowest seconds": max(slowest for _, slowest in answered),
        "MB": (max(memory[:third]) // 1024, max(memory[third : 2 * third]) // 1024, max(memory[-third:]) // 1024),
        "files": (max(files[:third]), max(files[-third:]), open_files(service)),
    }
    print(json.dumps(report))  # noqa: T201
    dropped, scored = service.metric("risk_serving_dropped_total"), service.metric("risk_serving_request_records_count")
    service.client.close()
    assert service.stop() == 0
    assert "Traceback" not in service.errors
    assert dropped == 0
    logged_ids = Counter(line["correlationid"] for line in logged(lake))
    assert set(logged_ids.values()) == {1}
    assert set(logged_ids) == {answer for ids, _ in answered for answer in ids}
    assert len(logged_ids) == scored
    assert max(memory[-third:]) - max(memory[third : 2 * third]) < GROWTH_KB, report
    assert max(files) < 250, report
    assert report["slowest seconds"] < SLOWEST, report
