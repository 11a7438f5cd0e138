"""Tests of requests that arrive as a whole, which the protocol answers, next to those that the app answers: nobody can tell them apart."""

import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from risk_serving.http.connections import REST_SECONDS
from tests.serving.conftest import Service, serving, token_entry
from tests.serving.http.test_connections import LIVE, connect, request

Records = list[dict[str, Any]]
PIPELINED = 100
TOKEN = "a-token-of-a-shop"
_OWN = re.compile(rb"(date|x-request-id): [^\r]*\r\n")


@pytest.fixture(scope="module")
def plain(served_book: Path) -> Iterator[Service]:
    """A service of these tests alone, so that its counters are theirs."""
    with serving(served_book / "lake", RISK_SERVE_LOG_SHARE="0") as running:
        yield running


def answers(connection: socket.socket, count: int) -> list[tuple[bytes, bytes]]:
    """Return the heads, without the date and the request's id, and the bodies of some answers with a content length."""
    received, found = b"", []
    while len(found) < count:
        while b"\r\n\r\n" not in received:
            received += _more(connection)
        head, _, received = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: ([0-9]+)", head)
        assert length is not None, head
        size = int(length[1])
        while len(received) < size:
            received += _more(connection)
        found.append((_OWN.sub(b"", head + b"\r\n"), received[:size]))
        received = received[size:]
    assert received == b""
    return found


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the service has closed the connection"
    return data


def send_in_parts(connection: socket.socket, sent: bytes, seconds: float) -> None:
    """Send a request so that its body arrives some seconds after its head."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head, _, body = sent.partition(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n" + body[:10])
    time.sleep(seconds)
    connection.sendall(body[10:])


def with_headers(sent: bytes, *lines: bytes) -> bytes:
    line, _, rest = sent.partition(b"\r\n")
    return b"\r\n".join((line, *lines, rest))


@pytest.mark.parametrize("extra", [(), (b"X-Request-ID: mine-1",), (b"X-Request-ID: not valid",), (b"Content-Type: application/json",)])
@pytest.mark.parametrize("size", [1, 40])
def test_answer_is_the_same_as_the_apps(plain: Service, records: Records, size: int, extra: tuple[bytes, ...]) -> None:
    sent = with_headers(request(records[:size]), *extra)
    with connect(plain) as whole, connect(plain) as soon, connect(plain) as late:
        whole.sendall(sent)
        send_in_parts(soon, sent, REST_SECONDS / 10)
        send_in_parts(late, sent, 2 * REST_SECONDS)
        (first,), (second,), (third,) = (answers(connection, 1) for connection in (whole, soon, late))
    assert sorted(first[0].splitlines()) == sorted(second[0].splitlines()) == sorted(third[0].splitlines())
    assert first[1] == second[1] == third[1]
    assert first[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert (b"x-client-request-id: mine-1" in first[0]) == (extra == (b"X-Request-ID: mine-1",))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"POST /score HTTP/1.1", b"200"),
        (b"POST /predict?a=1 HTTP/1.1", b"200"),
        (b"POST /predict HTTP/1.0", b"200"),
        (b"PUT /predict HTTP/1.1", b"405"),
        (b"POST /Predict HTTP/1.1", b"404"),
        (b"POST //predict HTTP/1.1", b"404"),
    ],
)
def test_other_request_lines_are_answered_as_before(plain: Service, records: Records, line: bytes, status: bytes) -> None:
    with connect(plain) as connection:
        connection.sendall(line + request(records[:1])[len(b"POST /predict HTTP/1.1") :])
        ((head, _),) = answers(connection, 1)
    assert head.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        (lambda sent: sent.replace(b"application/json", b"text/plain"), b"unsupported-media-type"),
        (lambda sent: sent.replace(b"Host: 127.0.0.1", b"Host: bank.example"), b"forbidden"),
        (lambda sent: with_headers(sent, b"Via: 1.1 proxy"), b"forbidden"),
        (lambda sent: with_headers(sent, b"Content-Encoding: gzip"), b"unsupported-media-type"),
        (lambda sent: sent.replace(b'"records"', b'"recordz"'), b"invalid-request"),
    ],
    ids=["media type", "host", "proxy", "encoding", "field"],
)
def test_rejected_requests_get_their_problem(plain: Service, records: Records, changed: Any, kind: bytes) -> None:
    with connect(plain) as connection:
        connection.sendall(changed(request(records[:1])))
        ((head, body),) = answers(connection, 1)
    assert head.startswith(b"HTTP/1.1 4")
    assert b"urn:risk-serving:" + kind in body


def test_requests_without_waiting_are_answered_in_order(plain: Service, records: Records) -> None:
    sent = [request([{**records[0], "id": f"A{number}"}]) for number in range(PIPELINED)]
    with connect(plain) as connection:
        connection.sendall(b"".join([*sent[:2], LIVE, *sent[2:40], LIVE]))
        found = [body for _, body in answers(connection, 42)]
        connection.sendall(b"".join(sent[:64]))
        assert len(answers(connection, 64)) == 64
    assert found[2] == found[41] == b'{"status":"live"}'
    ids = [msgspec.json.decode(body)["results"][0]["id"] for body in (*found[:2], *found[3:41])]
    assert ids == [f"A{number}" for number in range(40)]


def test_too_many_requests_without_waiting_are_refused(plain: Service, records: Records) -> None:
    def counted(route: str, status: str) -> float:
        return plain.metric("risk_serving_requests_total", route=route, status=status)

    answered, refused = counted("/predict", "200"), counted("unparsed", "400")
    with connect(plain) as connection:
        connection.sendall(request(records[:1]) * 400)
        with suppress(ConnectionResetError):  # it is closed while more requests arrive
            while connection.recv(1 << 20):
                pass
    assert 64 <= counted("/predict", "200") - answered < 400
    assert counted("unparsed", "400") - refused == 1


def test_malformed_data_after_a_whole_request_is_refused(plain: Service, records: Records) -> None:
    with connect(plain) as connection:
        connection.sendall(request(records[:1]) + b"\x00\x01\r\n\r\n")
        received = b""
        while data := connection.recv(65536):
            received += data
    assert [received.count(status) for status in (b"HTTP/1.1 200 ", b"HTTP/1.1 400 ")] == [1, 1]


def test_request_in_parts_is_answered_while_the_service_stops(served_book: Path, records: Records) -> None:
    with serving(served_book / "lake", RISK_SERVE_LOG_SHARE="0") as service, connect(service) as connection:
        head, _, body = request(records[:1]).partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n" + body[:10])
        service.process.send_signal(signal.SIGTERM)
        time.sleep(4 * REST_SECONDS)
        connection.sendall(body[10:])
        ((head, _),) = answers(connection, 1)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close\r\n" in head


def test_requests_are_measured_and_logged(served_book: Path, records: Records) -> None:
    with serving(served_book / "lake", RISK_SERVE_LOG_SHARE="0") as service:
        with connect(service) as connection:
            connection.sendall(with_headers(request(records[:3]), b"X-Request-ID: mine-7"))
            ((_, body),) = answers(connection, 1)
        service.until(lambda: "mine-7" in service.output)
        (line,) = [msgspec.json.decode(line) for line in service.output.splitlines() if "mine-7" in line]
        expected = {"method": "POST", "route": "/predict", "status": 200, "caller": "local", "records": 3, "client_request_id": "mine-7"}
        assert expected.items() <= line.items()
        assert line["bytes_out"] == len(body)
        assert line["bytes_in"] == len(request(records[:3]).partition(b"\r\n\r\n")[2])
        assert service.metric("risk_serving_requests_total", route="/predict", status="200") == 1
        assert service.metric("risk_serving_request_records_sum") == 3
        assert service.metric("risk_serving_response_bytes_sum") == len(body)
        assert service.metric("risk_serving_scores_total") == 3


def test_rejected_request_counts_once_against_the_callers_limit(served_book: Path, records: Records) -> None:
    entry = token_entry("shop", TOKEN, "score")
    variables = {"RISK_SERVE_CALLER_RATE": "0.001", "RISK_SERVE_CALLER_BURST": "2", "RISK_SERVE_LOG_SHARE": "0"}
    with serving(served_book / "lake", RISK_SERVE_TOKENS=entry, **variables) as service, connect(service) as connection:
        sent = with_headers(request(records[:1]), b"Authorization: Bearer " + TOKEN.encode())
        statuses = []
        for each in (sent.replace(b'"records"', b'"recordz"'), sent, sent):
            connection.sendall(each)
            statuses.append(answers(connection, 1)[0][0][:12])
    assert statuses == [b"HTTP/1.1 422", b"HTTP/1.1 200", b"HTTP/1.1 429"]


INNER = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
APART = pytest.mark.parametrize("apart", [False, True], ids=["whole", "apart"])


def send(connection: socket.socket, head: bytes, body: bytes, apart: bool) -> None:
    """Send a request as a whole, or its body a moment after its head."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if apart:
        connection.sendall(head)
        time.sleep(2 * REST_SECONDS)
        connection.sendall(body)
    else:
        connection.sendall(head + body)


@APART
@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
def test_body_of_a_request_to_upgrade_is_its_body(plain: Service, records: Records, protocol: bytes, apart: bool) -> None:
    head, _, body = with_headers(request(records[:1]), b"Connection: Upgrade", b"Upgrade: " + protocol).partition(b"\r\n\r\n")
    with connect(plain) as connection:
        send(connection, head + b"\r\n\r\n", body, apart)
        ((answer, content),) = answers(connection, 1)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert len(msgspec.json.decode(content)["results"]) == 1
        connection.sendall(LIVE)  # no other answer has come
        assert answers(connection, 1)[0][1] == b'{"status":"live"}'


@APART
def test_body_of_a_request_to_upgrade_is_not_the_next_request(plain: Service, apart: bool) -> None:
    before = plain.metric("risk_serving_requests_total", route="/health")
    head = b"PUT /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(INNER)
    with connect(plain) as connection:
        send(connection, head, INNER, apart)
        ((answer, _),) = answers(connection, 1)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert plain.metric("risk_serving_requests_total", route="/health") == before


def test_many_requests_to_upgrade_are_refused(plain: Service) -> None:
    with connect(plain) as connection, suppress(ConnectionResetError):
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" * 2000)
        while connection.recv(1 << 20):
            pass
    assert plain.client.get("/health/live").status_code == 200


@APART
@pytest.mark.parametrize(
    ("left_out", "trailer", "status"),
    [
        (b"Content-Type", b"Content-Type: application/json", b"415"),
        (b"Host", b"Host: 127.0.0.1", b"403"),
        (b"", b"Content-Encoding: gzip", b"200"),
        (b"", b"X-Real-IP: 203.0.113.9", b"200"),
        (b"", b"\r\n".join([b"X-A: a"] * 1000), b"200"),
    ],
    ids=["content type", "host", "encoding", "proxy", "many"],
)
def test_trailers_are_not_headers(plain: Service, records: Records, left_out: bytes, trailer: bytes, status: bytes, apart: bool) -> None:
    lines = [b"Host: 127.0.0.1", b"Content-Type: application/json", b"Transfer-Encoding: chunked"]
    kept = [line for line in lines if not left_out or not line.startswith(left_out)]
    body = msgspec.json.encode({"records": records[:1]})
    chunked = b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(body), body, trailer)
    with connect(plain) as connection:
        send(connection, b"\r\n".join((b"POST /predict HTTP/1.1", *kept, b"", b"")), chunked, apart)
        ((head, _),) = answers(connection, 1)
    assert head.startswith(b"HTTP/1.1 " + status)


@APART
@pytest.mark.parametrize("lines", [[b"X-A: " + b"a" * 66_000], [b"X-A: a"] * 501], ids=["large", "many"])
def test_heads_have_limits_however_they_arrive(plain: Service, records: Records, lines: list[bytes], apart: bool) -> None:
    head, _, body = with_headers(request(records[:1]), *lines).partition(b"\r\n\r\n")
    with connect(plain) as connection, suppress(BrokenPipeError):
        send(connection, head + b"\r\n\r\n", body, apart)
        ((answer, _),) = answers(connection, 1)
        assert answer.startswith(b"HTTP/1.1 431 ")
