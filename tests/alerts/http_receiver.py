"""A webhook on 127.0.0.1 that answers as it is told: with a status, never, or not at all."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

STALL, RESET = "stall", "reset"
LONGEST_STALL_SECONDS = 30


@dataclass(frozen=True)
class Request:
    """A request that arrived."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found


@dataclass
class HttpReceiver:
    """What arrived, and what is answered: the next answers first, then `status`."""

    url: str = ""
    status: int = 204
    answers: list[int | str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        return [request.headers["Risk-Alert-Id"] for request in self.requests]

    @property
    def causes(self) -> list[str]:
        return [request.message["cause"] for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: HttpReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.requests.append(Request(dict(self.headers), body))
        self.receiver.arrived.set()
        answer = self.receiver.answers.pop(0) if self.receiver.answers else self.receiver.status
        if answer == STALL:
            self.receiver.go_on.wait(LONGEST_STALL_SECONDS)
        if answer in (STALL, RESET):
            self.close_connection = True
            return
        self.send_response(int(answer))
        for name, value in self.receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    """Run a receiver until the block ends."""
    receiver = HttpReceiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/alerts"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.go_on.set()
            server.shutdown()
            thread.join()
