"""Connections: limits of their number, of the time and size of a request's head, and of answers that the client does not read.

uvicorn has none of these limits. `Connections` is in the lifespan state, which uvicorn passes to the protocol of each connection.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from risk_serving.http.problems import MEDIA_TYPE, Problem
from risk_serving.http.whole_requests import WholeRequests, header_lines
from risk_serving.observability.metrics import Metrics
from risk_serving.observability.request_log import RequestLog, new_request_id
from risk_serving.settings import ServingSettings

try:
    import resource
except ImportError:  # Windows has no limit of descriptors
    resource = None  # type: ignore[assignment]

STATE, WHOLE_REQUESTS = "connections", "whole requests"  # keys in the lifespan state
BACKLOG = 128  # connections that the system accepts before the service does
RESERVED_DESCRIPTORS = BACKLOG + 64  # for accepted connections that are about to be refused, and for the lake, the logs and the issuer
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 500
MAX_PIPELINED = 64
LINGER_SECONDS = 1.0
REST_SECONDS = 0.05
MAX_WAITED_DIGITS = 5  # of the content length of a body for whose rest the protocol waits
_OK = STATUS_LINE[HTTPStatus.OK]
UNPARSED = "unparsed"  # the route of a request that is not valid HTTP

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConnectionLimits:
    """The most connections; the time for a request's head and for an answer to be read; the most bytes that wait to be read."""

    connections: int
    head_seconds: float
    write_seconds: float
    unread_bytes: int

    @staticmethod
    def of(settings: ServingSettings) -> "ConnectionLimits":
        """Return the limits of the settings, with fewer connections if the process may not open as many descriptors."""
        connections = min(settings.serve_max_connections, max(1, _descriptors() - RESERVED_DESCRIPTORS))
        if connections < settings.serve_max_connections:
            logger.warning(
                "%d connections are accepted at once and not %d: the process may open %d files. Raise the limit: ulimit -n %d.",
                *(connections, settings.serve_max_connections, _descriptors(), settings.serve_max_connections + RESERVED_DESCRIPTORS),
            )
        return ConnectionLimits(connections, settings.serve_head_seconds, settings.serve_write_seconds, settings.serve_max_unread_bytes)


class Connections:
    """The open connections of this process.

    `stopping` is set when the process is about to stop: further answers then close their connections.
    """

    def __init__(self, limits: ConnectionLimits, metrics: Metrics) -> None:
        self.limits = limits
        self.stopping = False
        self._metrics = metrics
        self._open: set[BoundedProtocol] = set()
        self._silent: dict[BoundedProtocol, None] = {}  # without a complete request so far, the oldest first
        self._unread: dict[BoundedProtocol, None] = {}  # with an answer that the client does not read, the oldest first

    def add(self, connection: "BoundedProtocol") -> None:
        """Add a new connection; if there are too many, close one that waits for a request: a silent one, or else the idlest."""
        self._open.add(connection)
        self._silent[connection] = None
        if len(self._open) > self.limits.connections:
            self._metrics.record_closed_connection("too many")
            closed = self._least_useful(connection)
            self.remove(closed)  # before the loop reports its end: further connections may arrive until then
            closed.abort()

    def remove(self, connection: "BoundedProtocol") -> None:
        """Remove a connection that has been closed."""
        self._open.discard(connection)
        self._silent.pop(connection, None)
        self._unread.pop(connection, None)

    def request_arrived(self, connection: "BoundedProtocol") -> None:
        """Record that a connection has sent its first complete head."""
        self._silent.pop(connection, None)

    def writing_paused(self, connection: "BoundedProtocol") -> None:
        """Record that a client does not read; if too many bytes wait, close the connections that have waited longest."""
        self._unread[connection] = None
        waiting = sum(each.unread for each in self._unread)
        for each in tuple(self._unread):
            if waiting <= self.limits.unread_bytes:
                return
            waiting -= each.unread
            self._metrics.record_closed_connection("unread bytes")
            each.abort()

    def writing_resumed(self, connection: "BoundedProtocol") -> None:
        """Record that a client has read enough."""
        self._unread.pop(connection, None)

    def timed_out(self, what: str) -> None:
        """Count a connection that is closed because of a time limit."""
        self._metrics.record_closed_connection(what)

    def refuse(self, problem: Problem) -> bytes:
        """Count and log a request that never reached the app, and return its answer, which closes the connection."""
        log = RequestLog(new_request_id(), {})
        content = problem.content(log.request_id)
        log.status, log.problem, log.bytes_out = int(problem.status), problem.kind, len(content)
        self._metrics.record_request(log.line("-", UNPARSED, 0.0))
        head = (
            b"content-type: " + MEDIA_TYPE,
            b"content-length: %d" % len(content),
            b"x-request-id: " + log.request_id.encode(),
            b"connection: close",
        )
        return STATUS_LINE[problem.status] + b"\r\n".join((*head, b"", content))

    def _least_useful(self, new: "BoundedProtocol") -> "BoundedProtocol":
        oldest = next(iter(self._silent))
        if oldest is not new:
            return oldest
        idle = (each for each in self._open if each is not new and each.idle_until is not None)
        return min(idle, key=_idle_until, default=new)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with the limits of `Connections`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._all: Connections = self.app_state[STATE]
        self._limits = self._all.limits
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._is_silent = True
        self._in_head = False
        self._head_bytes = 0
        self._lingers = False
        self._whole: WholeRequests = self.app_state[WHOLE_REQUESTS]
        self._parts: list[bytes] | None = None  # of a body that may arrive as a whole
        self._rest_timer: asyncio.TimerHandle | None = None
        self._answered = self._received = 0  # requests, and bytes, since data arrived

    @property
    def unread(self) -> int:
        """The bytes that wait to be read by the client."""
        return self.transport.get_write_buffer_size()

    @property
    def idle_until(self) -> float | None:
        """When the connection is closed if no further request arrives, or None if a request is being answered."""
        timer = self.timeout_keep_alive_task or self._head_timer
        return None if timer is None else timer.when()

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self._limits.head_seconds, self._end_head)
        self._all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel_head_timer()
        self._cancel_write_timer()
        self._end_wait()
        self._all.remove(self)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Parse data, and limit the head of a request that is not complete yet."""
        if self._lingers:
            return
        self._answered, self._received = 0, len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._parts is not None:
            self._wait_for_rest()
            return
        if self.cycle is None or self.cycle.response_complete:
            self._limit_head(len(data))

    def on_message_begin(self) -> None:
        """Start a head."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; the trailers of a chunked body are left out."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to answer, or queue the request."""
        if self.parser.should_upgrade():  # `_parse` parses the head again, without that
            return
        if len(self.headers) > MAX_HEADERS or (self._received + self._head_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES):
            self._refuse_head()
            raise ValueError("the head is too large")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests are sent without waiting for an answer")  # the parser turns it into status 400
        self._in_head = False
        if self._head_timer is not None:
            self._cancel_head_timer()
        if self._is_silent:
            self._is_silent = False
            self._all.request_arrived(self)
        if self._may_be_answered_at_once():
            self._parts = []
        else:
            self._start_answer()

    def on_body(self, body: bytes) -> None:
        """Add to the body."""
        if self._parts is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Answer a whole request, or end the body of another."""
        if self.parser.should_upgrade():
            return
        if self._parts is not None:
            if self._answer_at_once(b"".join(self._parts)):
                self._end_wait()
                return
            self._pass_on()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the client to read the answer before the connection is closed."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._limit_write("slow reader")

    def timeout_keep_alive_handler(self) -> None:
        """Close the idle connection."""
        self._close()

    def pause_writing(self) -> None:
        """Limit the time in which the client must read."""
        super().pause_writing()
        self._limit_write("slow reader")
        self._all.writing_paused(self)

    def resume_writing(self) -> None:
        """Write on."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._cancel_write_timer()
        self._all.writing_resumed(self)

    def send_400_response(self, msg: str) -> None:
        """Answer data that is not valid HTTP, unless an answer has started."""
        self._refuse(HTTPStatus.BAD_REQUEST, "malformed-request", "The request is not valid HTTP, or has too many headers.")

    def shutdown(self) -> None:
        """Close the connection after its answer; if it is idle, read on for a moment: a request on its way then gets no reset."""
        if self._parts is not None:
            self._pass_on()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self.transport.can_write_eof() and not self.transport.is_closing():
            self._lingers = True
            self._unset_keepalive_if_required()
            self.transport.write_eof()
            self._limit_write("", LINGER_SECONDS)
        else:
            self._close()

    def _parse(self, data: bytes) -> None:
        """Parse data. A request that asks for another protocol is parsed again without that: the parser would not read its body."""
        for _ in range(MAX_PIPELINED):
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self.parser.get_method() == b"CONNECT":
                    break
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
            except httptools.HttpParserError:
                break
            else:
                return
        self.send_400_response("")

    def _head_without_upgrade(self) -> bytes:
        kept = tuple(header for header in self.headers if header[0] != b"upgrade")
        line = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        return b"".join((line, *(b"%s: %s\r\n" % header for header in kept), b"\r\n"))

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)

    def _refuse_head(self) -> None:
        detail = f"The request's line and headers are larger than {MAX_HEAD_BYTES} bytes, or there are more than {MAX_HEADERS} headers."
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail)

    def _may_be_answered_at_once(self) -> bool:
        """Return whether a request can be answered without the app, if its body has arrived with its head."""
        return (
            self.url in self._whole
            and (self.cycle is None or self.cycle.response_complete)
            and self._answered < MAX_PIPELINED
            and not (self.flow.write_paused or self.expect_100_continue or self._all.stopping)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
        )

    def _answer_at_once(self, body: bytes) -> bool:
        """Answer a whole request; return whether it is answered."""
        answer = self._whole.answer(cast(Scope, self.scope), self.url, body)
        if answer is None:
            return False
        self._answered += 1
        if self.transport.is_closing():
            return True
        self.transport.write(b"".join((_OK, header_lines(tuple(self.server_state.default_headers)), answer)))
        self.on_response_complete()
        return True

    def _wait_for_rest(self) -> None:
        """Wait a moment for the rest of a small body: many clients send it in a segment of its own."""
        if self._rest_timer is None:
            length = next((value for name, value in self.headers if name == b"content-length"), b"")
            if 0 < len(length) <= MAX_WAITED_DIGITS and not self.transport.is_closing():
                self._rest_timer = self.loop.call_later(REST_SECONDS, self._pass_on)
            else:
                self._pass_on()

    def _pass_on(self) -> None:
        """Answer a request by the app, with the parts of its body that have arrived."""
        parts = self._end_wait()
        if not self.transport.is_closing():
            self._start_answer()
            for part in parts:
                super().on_body(part)

    def _end_wait(self) -> Sequence[bytes]:
        """Stop to wait for the rest of a body, and return the parts that have arrived."""
        parts, self._parts = self._parts or (), None
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None
        return parts

    def _start_answer(self) -> None:
        super().on_headers_complete()
        self.cycle.transport = cast(asyncio.Transport, _OpenTransport(self.transport))
        if self._all.stopping:
            self.cycle.keep_alive = False

    def _limit_head(self, received: int) -> None:
        """Limit the time and the size of a head that has begun, or of what is left of a request that has been answered."""
        if self.transport.is_closing():
            return
        if self._head_timer is None and self.timeout_keep_alive_task is None:
            self._head_timer = self.loop.call_later(self._limits.head_seconds, self._end_head)
        if self._in_head:
            self._head_bytes += received
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()

    def _end_head(self) -> None:
        """Close a connection whose request has not arrived in time; a client that has sent a part of it gets status 408."""
        self._head_timer = None
        self._all.timed_out("slow head")
        if self._in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "slow-head", f"The headers did not arrive within {self._limits.head_seconds:g} s.")
        self._close()

    def _refuse(self, status: HTTPStatus, kind: str, detail: str) -> None:
        if self.transport.is_closing():
            return
        answer = self._all.refuse(Problem(status, kind, detail))
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(answer)
        self._close()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
            self._limit_write("slow reader")

    def _limit_write(self, reason: str, seconds: float | None = None) -> None:
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._limits.write_seconds if seconds is None else seconds, self._end_write, reason)

    def _end_write(self, reason: str) -> None:
        self._write_timer = None
        if reason:
            self._all.timed_out(reason)
        self.transport.abort()

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


class _OpenTransport:
    """A transport that ignores what is written after the client has gone, which uvloop takes for an error."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.close, self.is_closing = transport.close, transport.is_closing

    def write(self, data: bytes) -> None:
        """Write data, unless the connection is closed."""
        if not self._transport.is_closing():
            self._transport.write(data)


def _descriptors() -> int:
    """Return how many descriptors the process may open, at least; 2**31 if there is no limit."""
    if resource is None:
        return 2**31
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft


def _idle_until(connection: BoundedProtocol) -> float:
    return connection.idle_until or 0.0
