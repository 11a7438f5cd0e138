"""The gate that every request passes: who asks, what came out, how long it took; nothing unforeseen gets past it."""

import logging
import random
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from risk_serving.auth.access import Access, Denied
from risk_serving.http.problems import MEDIA_TYPE, Problem
from risk_serving.observability.metrics import Line, Telemetry
from risk_serving.observability.tracing import RECORDS, Tracing
from risk_serving.settings import OPERATE, SCORE

ROLES: dict[str, str | None] = {
    "/predict": SCORE,
    "/score": SCORE,
    "/model": OPERATE,
    "/models": OPERATE,
    "/metrics": OPERATE,
    "/health": None,
    "/openapi.json": None,
    "/docs": None,
}
UNKNOWN = "other"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
HSTS = (b"strict-transport-security", b"max-age=31536000")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class RequestLog:
    """What is known of a request while it is answered."""

    request_id: str
    headers: Mapping[bytes, bytes]
    at: float = field(default_factory=time.time)
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    caller: str | None = None
    version: str | None = None
    records: int | None = None
    problem: str | None = None


class RequestMiddleware:
    """Lets a request through to the app when its caller may, and measures and logs it.

    What is `direct`, by method and path, is answered beneath the app: its own routing costs more than scoring a record.
    """

    def __init__(
        self, app: ASGIApp, direct: Mapping[tuple[str, str], ASGIApp], access: Access, telemetry: Telemetry, tracing: Tracing
    ) -> None:
        self._app, self._direct = app, direct
        self._access, self._telemetry, self._tracing = access, telemetry, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        seen = RequestLog(_request_id(headers.get(b"x-request-id", b"")), headers)
        scope["seen"] = seen
        route = _route(scope["path"])
        answer = _answering(send, seen, scope["scheme"])
        try:
            role = ROLES.get(route, OPERATE)
            if role:
                seen.caller = (await self._access.admit(scope, role)).name
            await self._direct.get((scope["method"], scope["path"]), self._app)(scope, receive, answer)
        except Denied as denied:
            await _refuse(_denial(denied), seen, answer)
        except Problem as problem:
            await _refuse(problem, seen, answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a problem, and no values get into the log
            logger.error("request %s failed: %s", seen.request_id, _where(error))  # noqa: TRY400 - a message may hold values
            detail = "Something went wrong here, not with the request. The log has its request_id."
            await _refuse(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail), seen, answer)
        finally:
            self._record(scope["method"], seen, route, time.perf_counter() - started)

    def _record(self, method: str, seen: RequestLog, route: str, seconds: float) -> None:
        line = Line(
            time=datetime.fromtimestamp(seen.at, UTC).isoformat(timespec="milliseconds"),
            request_id=seen.request_id,
            method=method,
            route=route,
            status=seen.status,
            milliseconds=round(1000 * seconds, 3),
            bytes_in=seen.bytes_in,
            bytes_out=seen.bytes_out,
            caller=seen.caller,
            version=seen.version,
            records=seen.records,
            problem=seen.problem,
        )
        self._telemetry.request(line)
        self._tracing.record(
            started=seen.at,
            seconds=seconds,
            route=route,
            method=line.method,
            status=line.status,
            request_id=line.request_id,
            traceparent=seen.headers.get(b"traceparent", b"").decode("latin-1") or None,
            attributes={"risk.version": line.version, RECORDS: line.records or 0} if line.version else {},
        )


def _answering(send: Send, seen: RequestLog, scheme: str) -> Callable[[Message], Awaitable[None]]:
    """Return a `send` that adds the headers every answer has, and remembers what was answered."""

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen.status = message["status"]
            own = [*message.get("headers", ()), *HEADERS, (b"x-request-id", seen.request_id.encode())]
            own += [POLICY] if all(name != POLICY[0] for name, _ in own) else []
            own += [HSTS] if scheme == "https" else []
            message = {**message, "headers": own}
        else:
            seen.bytes_out += len(message.get("body", b""))
        await send(message)

    return answer


async def _refuse(problem: Problem, seen: RequestLog, send: Callable[[Message], Awaitable[None]]) -> None:
    """Answer with a problem, unless an answer has begun."""
    seen.problem = problem.kind
    if seen.status:
        return
    content = problem.content(seen.request_id)
    headers = [(b"content-type", MEDIA_TYPE), (b"content-length", str(len(content)).encode()), *problem.headers]
    await send({"type": "http.response.start", "status": int(problem.status), "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _denial(denied: Denied) -> Problem:
    kind = "forbidden" if denied.status == HTTPStatus.FORBIDDEN else "unauthorized"
    headers = ((b"www-authenticate", denied.challenge.encode()),) if denied.challenge else ()
    return Problem(denied.status, kind, denied.detail, headers=headers)


def _route(path: str) -> str:
    """Return the noun that a path begins with, for roles and metrics."""
    route = "/" + path.split("/", 2)[1] if path.startswith("/") else path
    return route if route in ROLES else UNKNOWN


def _request_id(given: bytes) -> str:
    return given.decode() if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"


def _where(error: Exception) -> str:
    """Return what an error is and where it was raised, without its message."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at " + " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
