"""A proxy in front of Azurite that injects faults: error statuses, resets, stalls, truncated and lost responses, downtime.

::

    with proxied(azurite) as proxy:
        proxy.fail(503, times=3, method="PUT", path=r"comp=block&")
        store = open_store("az://lake/x", AzureCredential(azurite.account, proxy.endpoint, key=azurite.key))
        ...
        assert proxy.faults == 3

Each fault applies to the requests that match `method` and `path` (a regular expression that is searched in the path with
its query), after the first `skip` of them, `times` times (None: always). Faults are tried in the order in which they were
added; one request meets at most one. Copies name their source in a header, so `path` matches the target only.
"""

import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.azurite.server import HOST, Azurite

HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length"}
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
UPSTREAM_SECONDS = 120
CODES = {429: "TooManyRequests", 500: "InternalError", 503: "ServerBusy"}

Kind = Literal["status", "reset", "stall", "truncate", "lose", "down", "call"]


@dataclass
class Fault:
    """What happens to the requests that match."""

    kind: Kind
    times: int | None = 1
    method: str | None = None
    path: str = ""
    skip: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    seconds: float = 0.0
    after: int | None = None
    action: Callable[[], object] | None = None

    def applies(self, method: str, path: str) -> bool:
        """Return whether a request meets this fault, and count it."""
        if self.times == 0 or (self.method and self.method != method) or not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times:
            self.times -= 1
        return True


class Proxy:
    """A running proxy. `requests` are the method and path of every request; `faults` is the number of faults so far."""

    def __init__(self, azurite: Azurite) -> None:
        self.requests: list[tuple[str, str]] = []
        self.faults = 0
        self._target = azurite
        self._rules: list[Fault] = []
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._server: _Server | None = None
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]

    @property
    def azurite(self) -> Azurite:
        """The server as seen through the proxy."""
        return replace(Azurite(self.port), account=self._target.account, key=self._target.key)

    @property
    def endpoint(self) -> str:
        """The blob endpoint through the proxy."""
        return self.azurite.endpoint

    @property
    def connection_string(self) -> str:
        """The value for `AZURE_STORAGE_CONNECTION_STRING`."""
        return self.azurite.connection_string

    def fail(self, status: int = 503, *, headers: dict[str, str] | None = None, body: bytes | None = None, **matching: Any) -> None:
        """Answer with a status instead of forwarding; `headers` such as `{"Retry-After": "1"}`."""
        self._add(Fault("status", status=status, headers=headers or {}, body=body, **matching))

    def reset(self, **matching: Any) -> None:
        """Reset the connection instead of forwarding."""
        self._add(Fault("reset", **matching))

    def stall(self, seconds: float = 3600.0, *, after: int | None = None, **matching: Any) -> None:
        """Send nothing for some time, then reset; with `after`, once that many bytes of the response's body were sent."""
        self._add(Fault("stall", seconds=seconds, after=after, **matching))

    def truncate(self, *, after: int | None = None, **matching: Any) -> None:
        """Forward, send `after` bytes of the response's body (default: half of them), then reset."""
        self._add(Fault("truncate", after=after, **matching))

    def lose_response(self, **matching: Any) -> None:
        """Forward, then reset instead of answering."""
        self._add(Fault("lose", **matching))

    def before(self, action: Callable[[], object], **matching: Any) -> None:
        """Call a function, then forward: something else happens between two requests of a client."""
        self._add(Fault("call", action=action, **matching))

    def go_down(self, seconds: float, **matching: Any) -> None:
        """Refuse all connections for some time, from the next matching request on."""
        self._add(Fault("down", seconds=seconds, **matching))

    def down(self, seconds: float | None = None) -> None:
        """Refuse all connections from now on: for some time, or until `up()`."""
        with self._lock:
            server, self._server = self._server, None
            for connection in self._connections:
                _abort(connection)
        if server is not None:
            server.stop()
        if seconds is not None:
            threading.Thread(target=self._up_later, args=(seconds,), daemon=True).start()

    def up(self) -> None:
        """Accept connections again."""
        with self._lock:
            if self._server is None and not self._closing.is_set():
                self._server = _Server(self)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._rules.clear()

    def count(self, method: str, path: str = "") -> int:
        """Return the number of requests that match."""
        return sum(each == method and re.search(path, found) is not None for each, found in self.requests)

    def close(self) -> None:
        """Stop, and end all stalls."""
        self._closing.set()
        self.down()
        self._reserved.close()

    def forward(self, handler: "_Handler") -> None:
        """Answer one request."""
        content = _read_body(handler)
        with self._lock:
            self.requests.append((handler.command, handler.path))
            fault = next((rule for rule in self._rules if rule.applies(handler.command, handler.path)), None)
            self.faults += fault is not None
        if fault is not None and fault.action is not None:
            fault.action()
        if fault is None or fault.kind == "call":
            handler.answer(*self._ask(handler, content))
        elif fault.kind == "status":
            handler.answer(fault.status, {"Content-Type": "application/xml", **fault.headers}, _error_body(fault))
        elif fault.kind == "down":
            self.down(fault.seconds)
        elif fault.kind == "stall" and fault.after is None:
            self._closing.wait(fault.seconds)
            handler.abort()
        elif fault.kind in {"truncate", "stall"}:
            status, headers, body = self._ask(handler, content)
            handler.answer(status, headers, body, len(body) // 2 if fault.after is None else fault.after)
            self._closing.wait(fault.seconds)
            handler.abort()
        else:
            if fault.kind == "lose":
                self._ask(handler, content)
            handler.abort()

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, to reset it when the proxy goes down."""
        with self._lock:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._connections.discard(connection)

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._rules.append(fault)

    def _up_later(self, seconds: float) -> None:
        self._closing.wait(seconds)
        self.up()

    def _ask(self, handler: "_Handler", content: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection(HOST, self._target.port, timeout=UPSTREAM_SECONDS)
        try:
            upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in HOP_HEADERS:
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(content)))
            upstream.endheaders(content)
            response = upstream.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            upstream.close()


@contextmanager
def proxied(azurite: Azurite) -> Iterator[Proxy]:
    """Run a proxy in front of Azurite on a free port of 127.0.0.1."""
    with ExitStack() as leaving:
        proxy = Proxy(azurite)
        leaving.callback(proxy.close)
        proxy.up()
        yield proxy


class _Server(ThreadingHTTPServer):
    """Listens on the proxy's port, from its start until `stop`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__((HOST, proxy.port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Ignore clients that leave: that is what the tests are about."""

    def shutdown_request(self, request: Any) -> None:
        self.proxy.closed(request)
        request.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.proxy.opened(self.connection)

    def handle(self) -> None:
        with suppress(OSError, http.client.HTTPException):
            super().handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()

    def answer(self, status: int, headers: dict[str, str], body: bytes, length: int | None = None) -> None:
        """Send a response, with only the first `length` bytes of its body."""
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in HOP_HEADERS:
                self.send_header(name, value)
        given = {name.lower(): value for name, value in headers.items()}
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", given.get("content-length", "0") if is_head else str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if is_head else body[:length])
        self.wfile.flush()

    def abort(self) -> None:
        """Close the connection with a reset."""
        self.close_connection = True
        _abort(self.connection)

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _forward(self) -> None:
        self.server.proxy.forward(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward


def _read_body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    pieces = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        pieces.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(pieces)


def _error_body(fault: Fault) -> bytes:
    if fault.body is not None:
        return fault.body
    code = CODES.get(fault.status, "Error")
    return f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()


def _bound(port: int) -> socket.socket:
    """Return a socket that is bound and does not listen: it keeps the port, and connections to it are refused."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, port))
    return holder


def _abort(connection: socket.socket) -> None:
    """Reset a connection: whoever waits for it gets an error at once."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.shutdown(socket.SHUT_RD)
