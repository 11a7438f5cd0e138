"""Tests of start and stop: wrong settings fail once, in one line; SIGTERM drains without a reset; any number of workers."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from risk_assets.lake.store import Store
from tests.serving.conftest import Service, serving
from tests.serving.http.test_connections import receive_live
from tests.serving.test_faults import logged
from tests.serving.test_load import all_ready, workers

Records = list[dict[str, Any]]
CLIENTS = 8


def fail(folder: Path, *arguments: str, **variables: str) -> str:
    """Start the service, which must fail, and return its line of stderr."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_"))}
    command = [sys.executable, "-m", "risk_serving", *arguments]
    settings = environment | {"RISK_LAKE": str(folder / "lake")} | variables
    finished = subprocess.run(command, env=settings, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert (finished.returncode, finished.stdout) == (1, "")
    (line,) = finished.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("workers", ["1", "3"])
def test_wrong_setting_fails_once_in_one_line(tmp_path: Path, workers: str) -> None:
    assert "RISK_SERVE_MAX_RECORDS" in fail(tmp_path, "--workers", workers, RISK_SERVE_MAX_RECORDS="0")


@pytest.mark.parametrize(
    ("arguments", "variables", "named"),
    [
        (("--port", "70000"), {}, "--port 70000"),
        (("--port", "-1"), {}, "--port -1"),
        (("--workers", "0"), {}, "--workers 0"),
        (("--ssl-keyfile", "key.pem"), {}, "--ssl-certfile"),
        (("--ssl-certfile", "nothing.pem"), {}, "nothing.pem"),
        (("--workers", "2", "--ssl-certfile", "nothing.pem"), {}, "nothing.pem"),
        (("--workers", "2"), {"RISK_LAKE": "az://lake"}, "AZURE_STORAGE"),
        (("--workers", "2"), {"RISK_SERVE_TELEMETRY": "azure-monitor"}, "APPLICATIONINSIGHTS_CONNECTION_STRING"),
    ],
)
def test_wrong_argument_fails_once_in_one_line(tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str], named: str) -> None:
    assert named in fail(tmp_path, *arguments, **variables)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_port_in_use_fails_once_in_one_line(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port}" in fail(tmp_path, "--port", port, "--workers", workers)


@pytest.mark.parametrize("number", [1, 2])
def test_no_client_sees_a_reset_at_sigterm(lake: Store, records: Records, number: int) -> None:
    with serving(lake, "--workers", str(number), RISK_SERVE_DRAIN_SECONDS="1.5") as service:
        if number > 1:
            service.until(lambda: len(workers(service)) == number and all_ready(service, *workers(service)), seconds=20)
        started, stopped, ready = threading.Barrier(CLIENTS + 1), threading.Event(), []
        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(client_until_closed, service.url, records[:1], started, stopped) for _ in range(CLIENTS)]
            started.wait(10)
            time.sleep(0.3)
            service.client.close()
            service.process.send_signal(signal.SIGTERM)
            stopped.set()
            end = time.monotonic() + 1.2
            with httpx.Client(base_url=service.url, trust_env=False) as client:
                while time.monotonic() < end:
                    answer = client.get("/health/ready")
                    ready.append((answer.status_code, answer.json()["status"]))
                    time.sleep(0.1)
            answered = sum(each.result(20) for each in running)
        assert service.process.wait(20) == 0
    assert (503, "stopping") in ready
    assert ready[-1] == (503, "stopping")
    assert len(logged(lake)) == answered > CLIENTS


def client_until_closed(url: str, records: Records, started: threading.Barrier, stopped: threading.Event) -> int:
    """Send requests over a kept connection until an answer closes it, once the service has been stopped; return their number."""
    answered = 0
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        while True:
            answer = client.post("/predict", json={"records": records})
            assert answer.status_code == 200
            answered += 1
            if answered == 1:
                started.wait(10)
            if answer.headers.get("connection") == "close":
                assert stopped.is_set()
                return answered


def test_request_of_an_idle_client_at_the_end_gets_no_reset(serve: Callable[..., Service], served_book: Path) -> None:
    service = serve(served_book / "lake")
    address = httpx.URL(service.url)
    with socket.create_connection((address.host, address.port or 0), timeout=5) as idle:
        live = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        idle.sendall(live)
        receive_live(idle)
        service.client.close()
        service.process.send_signal(signal.SIGTERM)
        assert idle.recv(65536) == b""
        idle.sendall(live)
        assert idle.recv(65536) == b""
    assert service.process.wait(20) == 0


def test_idle_connection_is_closed_after_the_keep_alive_time(serve: Callable[..., Service], served_book: Path) -> None:
    service = serve(served_book / "lake", RISK_SERVE_KEEP_ALIVE_SECONDS="1")
    with socket.create_connection((httpx.URL(service.url).host, httpx.URL(service.url).port or 0), timeout=3) as idle:
        idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        receive_live(idle)
        assert idle.recv(65536) == b""
