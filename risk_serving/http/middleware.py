"""The middleware around every request: access control, security headers, logging, and problem documents for errors."""

import logging
import re
import time
import traceback
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from risk_serving.auth.access import Access
from risk_serving.auth.bearer import Denied
from risk_serving.http.caller_limits import CallerLimits
from risk_serving.http.problems import MEDIA_TYPE, Problem
from risk_serving.observability.metrics import Metrics
from risk_serving.observability.request_log import RequestLog, new_request_id
from risk_serving.observability.tracing import Tracing
from risk_serving.settings import DESK_PATH, LABEL, OPERATE, SCORE

ROUTE_ROLES: dict[str, str | None] = {
    "/predict": SCORE,
    "/score": SCORE,
    "/outcomes": LABEL,
    "/model": OPERATE,
    "/models": OPERATE,
    "/metrics": OPERATE,
    "/health": None,
    "/openapi.json": None,
    "/docs": None,
    DESK_PATH: None,
}
OTHER_ROUTE = "other"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
ANSWER_HEADERS = (
    *HEADERS,
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
DOCS_POLICY = b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
# Documentation has no values: browsers may keep it, and ask with its ETag whether it has changed.
DOCS_HEADERS = (*HEADERS, (b"cache-control", b"no-cache"), (b"content-security-policy", DOCS_POLICY))
# Forms need an origin, which browsers send to the same site only if they may send the address of the page.
DESK_HEADERS = (
    *HEADERS[:2],
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
)
ROUTE_HEADERS = {"/docs": DOCS_HEADERS, "/openapi.json": DOCS_HEADERS, DESK_PATH: DESK_HEADERS}
HSTS = (b"strict-transport-security", b"max-age=31536000")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")

logger = logging.getLogger(__name__)


class RequestMiddleware:
    """Passes admitted requests to the app, and measures and logs every request.

    The routes in `direct`, by method and path, bypass the app: its routing takes longer than scoring one record. The desk admits its
    requests itself, because it has sessions.
    """

    def __init__(
        self,
        app: ASGIApp,
        direct: Mapping[tuple[str, str], ASGIApp],
        desk: ASGIApp,
        access: Access,
        limits: CallerLimits | None,
        metrics: Metrics,
        tracing: Tracing,
    ) -> None:
        self._app, self._direct, self._desk = app, direct, desk
        self._access, self._limits, self._metrics, self._tracing = access, limits, metrics, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; never raises: an unexpected error becomes a problem document with status 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        log: RequestLog | None = scope.get("request_log")  # of a request that `whole_requests` has passed on
        if log is None:
            log = scope["request_log"] = new_request_log(scope["headers"])
        route = _route(scope["path"])
        respond = _logged(send, log, ROUTE_HEADERS.get(route, ANSWER_HEADERS), scope["scheme"])
        try:
            if log.caller is None and route != DESK_PATH:
                await self._admit(scope, route, log)
            await self._find_app(scope, route)(scope, receive, respond)
        except Denied as denied:
            await _send_problem(self._denied_problem(denied, scope), log, respond)
        except Problem as problem:
            await _send_problem(problem, log, respond)
        except Exception as error:  # noqa: BLE001 - the caller gets a problem document whatever the error is
            await _send_problem(_unexpected_problem(error, log), log, respond)
        finally:
            self._record(log, scope["method"], route, time.perf_counter() - started)

    def _find_app(self, scope: Scope, route: str) -> ASGIApp:
        return self._desk if route == DESK_PATH else self._direct.get((scope["method"], scope["path"]), self._app)

    async def _admit(self, scope: Scope, route: str, log: RequestLog) -> None:
        """Find the caller and count the request; raises `Denied`, or `Problem` (429)."""
        role = ROUTE_ROLES.get(route, OPERATE)
        if role:
            log.caller = (await self._access.admit(scope, role)).name
        if self._limits is not None:
            self._limit(self._limits, scope, route, log.caller)

    @staticmethod
    def _limit(limits: CallerLimits, scope: Scope, route: str, caller: str | None) -> None:
        """Count a request of a caller; raises `Problem` (429) if there are too many. Health has no limit: load balancers ask for it."""
        if caller is not None:
            limits.admit_name(caller)
        elif route != "/health":
            limits.admit_address(scope)

    def _denied_problem(self, denied: Denied, scope: Scope) -> Problem:
        """Return the problem of a request that is not admitted: 429 if its address has sent too many."""
        try:
            if self._limits is not None:
                self._limits.admit_address(scope)
        except Problem as too_many:
            return too_many
        return _denied_problem(denied)

    def _record(self, log: RequestLog, method: str, route: str, seconds: float) -> None:
        line = log.line(method, route, seconds)
        self._metrics.record_request(line)
        self._tracing.record(line, log.received_at, seconds, log.headers.get(b"traceparent", b""))


def _logged(send: Send, log: RequestLog, always: tuple[tuple[bytes, bytes], ...], scheme: str) -> Send:
    """Return a `send` that adds the headers of every answer, and logs its status and size."""

    async def respond(message: Message) -> None:
        if message["type"] == "http.response.start":
            log.status = message["status"]
            headers = [*message.get("headers", ()), *always, (b"x-request-id", log.request_id.encode())]
            if log.client_request_id is not None:
                headers.append((b"x-client-request-id", log.client_request_id.encode()))
            if scheme == "https":
                headers.append(HSTS)
            message = {**message, "headers": headers}
        else:
            log.bytes_out += len(message.get("body", b""))
        await send(message)

    return respond


async def _send_problem(problem: Problem, log: RequestLog, send: Send) -> None:
    """Send a problem document, unless the answer has already started."""
    log.problem = problem.kind
    if log.status:
        return
    content = problem.content(log.request_id)
    headers = [(b"content-type", MEDIA_TYPE), (b"content-length", str(len(content)).encode()), *problem.headers]
    await send({"type": "http.response.start", "status": int(problem.status), "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _denied_problem(denied: Denied) -> Problem:
    kind = "forbidden" if denied.status == HTTPStatus.FORBIDDEN else "unauthorized"
    headers = ((b"www-authenticate", denied.challenge.encode()),) if denied.challenge else ()
    return Problem(denied.status, kind, denied.detail, headers=headers)


def _unexpected_problem(error: Exception, log: RequestLog) -> Problem:
    """Log an unexpected error, and return its problem."""
    log_unexpected(error, log)
    detail = "An unexpected error occurred in the service. Its log has the details under this request_id."
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail)


def _route(path: str) -> str:
    """Return the first segment of a path, for roles and metrics, or `OTHER_ROUTE`."""
    route = "/" + path.split("/", 2)[1] if path.startswith("/") else path
    return route if route in ROUTE_ROLES else OTHER_ROUTE


def new_request_log(headers: Iterable[tuple[bytes, bytes]]) -> RequestLog:
    """Return the record of a request that has arrived, with an id of its own."""
    log = RequestLog(new_request_id(), dict(headers))
    sent = log.headers.get(b"x-request-id")
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        log.client_request_id = sent.decode()
    return log


def log_unexpected(error: Exception, log: RequestLog) -> None:
    """Log an unexpected error without its message, which may contain a customer's values."""
    logger.error("request %s failed: %s", log.request_id, _location(error))


def _location(error: Exception) -> str:
    """Return an error's type and the lines that raised it, innermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at " + " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
