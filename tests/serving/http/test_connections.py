"""Attacks on connections: silent ones, slow heads, clients that do not read, data that is not HTTP. Each has its own small limits."""

import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import httpx
import msgspec
import pytest

from risk_assets.lake.store import Store
from tests.serving.conftest import LOGISTIC, SCORECARD, Service, promote, serving
from tests.serving.test_faults import logged

Records = list[dict[str, Any]]
HEAD_SECONDS = 0.6
PATIENCE = 5.0
HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def limited(served_book: Path) -> Iterator[Service]:
    """A service with a short time for a request's head."""
    with serving(served_book / "lake", RISK_SERVE_HEAD_SECONDS=str(HEAD_SECONDS), RISK_SERVE_LOG_SHARE="0") as running:
        yield running


def connect(service: Service, receive_buffer: int | None = None) -> socket.socket:
    """Return a new connection to a service."""
    address = urlparse(service.url)
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(PATIENCE)
    connection.connect((address.hostname, address.port))
    return connection


def received(connection: socket.socket) -> bytes:
    """Return everything until the service closes the connection."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def receive_live(connection: socket.socket) -> None:
    """Receive an answer of /health/live."""
    received = b""
    while not received.endswith(b'{"status":"live"}'):
        received += connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 200 ")


def request(records: Records) -> bytes:
    body = msgspec.json.encode({"records": records})
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


@contextmanager
def descriptors(limit: int) -> Iterator[None]:
    """Let processes that are started meanwhile open fewer files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_silent_connections_lock_nobody_out(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    with descriptors(256):
        service = serve(lake, RISK_SERVE_LOG_SECONDS="0.1")
    with ExitStack() as attack:
        for number in range(300):
            silent = attack.enter_context(connect(service))
            with suppress(ConnectionError):  # it may have been closed for a newer one
                silent.sendall(HEAD if number % 2 else b"")
        service.client.close()
        service.client = attack.enter_context(httpx.Client(base_url=service.url, timeout=PATIENCE, trust_env=False))
        assert service.scored(records[:1])[0]["model_version"] == LOGISTIC
        promote(lake, SCORECARD)
        service.until(lambda: service.scored(records[:1])[0]["model_version"] == SCORECARD)
        service.until(lambda: len(logged(lake)) > 1)
        assert service.metric("risk_serving_closed_connections_total", reason="too many") > 200
    assert "ulimit -n" in service.errors


def test_idle_connections_lock_nobody_out(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    service = serve(served_book / "lake", RISK_SERVE_MAX_CONNECTIONS="10", RISK_SERVE_LOG_SHARE="0")
    with ExitStack() as attack:
        idle = [attack.enter_context(connect(service)) for _ in range(9)]
        for connection in idle:
            connection.sendall(LIVE)
            receive_live(connection)
        with connect(service) as another:
            another.sendall(request(records[:1]))
            assert another.recv(65536).startswith(b"HTTP/1.1 200 ")
        idle[-1].sendall(LIVE)
        receive_live(idle[-1])


@pytest.mark.parametrize("start", [b"", b"\r\n", b"POST /pre", HEAD], ids=["silent", "empty line", "half a line", "half a head"])
def test_slow_head_is_closed(limited: Service, start: bytes) -> None:
    connection = connect(limited)
    connection.sendall(start)
    answer = received(connection)
    assert (answer.startswith(b"HTTP/1.1 408 ") and b'"urn:risk-serving:slow-head"' in answer) if start.strip() else answer == b""


def test_dripped_head_is_closed(limited: Service) -> None:
    connection = connect(limited)
    connection.sendall(HEAD)
    end = time.monotonic() + PATIENCE
    with pytest.raises(OSError, match=r"."):
        while time.monotonic() < end:
            connection.sendall(b"X-A: 1\r\n")
            time.sleep(HEAD_SECONDS / 6)
    connection.close()


def test_dripped_body_of_an_answered_request_is_closed(limited: Service) -> None:
    connection = connect(limited)
    connection.sendall(b"PUT /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 405 ")
    end = time.monotonic() + PATIENCE
    with pytest.raises(OSError, match=r"."):
        while time.monotonic() < end:
            connection.sendall(b"x")
            time.sleep(HEAD_SECONDS / 6)
    connection.close()


def test_kept_connection_outlives_the_time_for_a_head(limited: Service, records: Records) -> None:
    with httpx.Client(base_url=limited.url, trust_env=False) as client:
        streams = set()
        for _ in range(2):
            answer = client.post("/predict", json={"records": records[:1]})
            streams.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            time.sleep(2 * HEAD_SECONDS)
    assert len(streams) == 1


@pytest.mark.parametrize("headers", [b"X-A: " + b"a" * 1_000_000, b"X-A: a\r\n" * 100_000], ids=["long", "many"])
def test_large_head_is_refused(limited: Service, headers: bytes) -> None:
    connection = connect(limited)
    with pytest.raises(OSError, match=r"."):
        while True:
            connection.sendall(HEAD)
            connection.sendall(headers)
    connection.close()
    assert limited.metric("risk_serving_requests_total", route="unparsed", status="431") >= 1


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9\r\n\r\n", b"GET /a b HTTP/1.1\r\n\r\n", b"{}\r\n\r\n"])
def test_data_that_is_not_http_is_counted(limited: Service, sent: bytes) -> None:
    before = limited.metric("risk_serving_requests_total", route="unparsed", status="400")
    connection = connect(limited)
    connection.sendall(sent)
    head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    document = json.loads(body)
    assert document["type"] == "urn:risk-serving:malformed-request"
    assert limited.metric("risk_serving_requests_total", route="unparsed", status="400") == before + 1
    limited.until(lambda: document["request_id"] in limited.output)
    assert "Invalid HTTP request" not in limited.errors


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_upgrade_is_answered_and_counted(limited: Service, protocol: str) -> None:
    before = limited.metric("risk_serving_requests_total", route="/predict", status="405")
    headers = {"Connection": "Upgrade", "Upgrade": protocol, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a" * 22 + "=="}
    with httpx.Client(base_url=limited.url, trust_env=False) as client:
        assert client.get("/predict", headers=headers).status_code == 405
    assert limited.metric("risk_serving_requests_total", route="/predict", status="405") == before + 1
    assert "upgrade" not in limited.errors.lower()


def test_many_requests_without_waiting_are_refused(limited: Service) -> None:
    connection = connect(limited)
    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 2000)
    assert received(connection).startswith(b"HTTP/1.1 400 ")


def test_clients_that_do_not_read_hold_no_slot(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    variables = {"RISK_SERVE_MAX_IN_FLIGHT": "2", "RISK_SERVE_WRITE_SECONDS": "3", "RISK_SERVE_LOG_SHARE": "0"}
    service = serve(served_book / "lake", **variables)
    many = request((records * 10)[:1000])
    with ExitStack() as attack:
        deaf = [attack.enter_context(connect(service, 4096)) for _ in range(4)]
        for connection in deaf:
            fill(connection, many)
        assert len(service.scored(records[:1])) == 1
        service.until(lambda: service.metric("risk_serving_closed_connections_total", reason="slow reader") == len(deaf), 10)
        assert service.metric("risk_serving_in_flight") == 0
        assert "ERROR" not in service.errors


def test_answers_that_wait_are_limited_in_bytes(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    service = serve(served_book / "lake", RISK_SERVE_MAX_UNREAD_BYTES="200000", RISK_SERVE_LOG_SHARE="0")
    many = request((records * 10)[:1000])
    with ExitStack() as attack:
        for _ in range(3):
            fill(attack.enter_context(connect(service, 4096)), many)
        service.until(lambda: service.metric("risk_serving_closed_connections_total", reason="unread bytes") >= 1)
        assert len(service.scored(records[:1])) == 1


def fill(connection: socket.socket, sent: bytes) -> None:
    """Send a request again and again, without reading, until the service stops to read."""
    connection.settimeout(0.5)
    end = time.monotonic() + PATIENCE
    with suppress(OSError):  # a send that waits, or a connection that the service has closed
        while time.monotonic() < end:
            connection.sendall(sent)


def test_sigterm_does_not_wait_for_clients_that_do_not_read(serve: Callable[..., Service], served_book: Path, records: Records) -> None:
    service = serve(served_book / "lake", RISK_SERVE_WRITE_SECONDS="1", RISK_SERVE_LOG_SHARE="0")
    with connect(service, 4096) as deaf:
        fill(deaf, request((records * 10)[:1000]))
        started = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - started < 10
