"""Answers a scoring request that has arrived as a whole in the protocol itself: a task and ASGI messages take longer than scoring.

`connections` offers each such request here first. One that is not admitted at once or is not valid is passed on to `middleware`.
"""

import time
from collections.abc import Sequence
from functools import lru_cache

from starlette.types import Scope

from risk_serving.auth.access import Access
from risk_serving.http.caller_limits import CallerLimits
from risk_serving.http.middleware import ANSWER_HEADERS, HSTS, log_unexpected, new_request_log
from risk_serving.http.predict import PredictEndpoint
from risk_serving.http.problems import Problem
from risk_serving.observability.metrics import Metrics
from risk_serving.observability.tracing import Tracing
from risk_serving.scoring.wire import InvalidRequest
from risk_serving.settings import SCORE


@lru_cache(16)
def header_lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return headers as they are sent."""
    return b"".join(b"%s: %s\r\n" % header for header in headers)


_LINES = header_lines(ANSWER_HEADERS)
_LINES_HTTPS = _LINES + header_lines((HSTS,))


class WholeRequests:
    """Answers `POST /predict`, once its body has arrived, with what the middleware uses."""

    def __init__(
        self,
        predict: PredictEndpoint,
        access: Access,
        limits: CallerLimits | None,
        metrics: Metrics,
        tracing: Tracing,
        routes: Sequence[str],
    ) -> None:
        self._predict, self._access, self._limits = predict, access, limits
        self._metrics, self._tracing = metrics, tracing
        self._routes = {route.encode(): route for route in routes}

    def __contains__(self, path: bytes) -> bool:
        """Return whether requests to a path can be answered here."""
        return path in self._routes

    def answer(self, scope: Scope, path: bytes, body: bytes) -> bytes | None:
        """Return the headers and the body of the answer to a request, which has been logged; None if it must be passed on."""
        started = time.perf_counter()
        log = scope["request_log"] = new_request_log(scope["headers"])
        caller = self._access.admit_now(scope, SCORE)
        if caller is None:
            return None
        try:
            media = self._predict.media_at_once(log.headers, body)
            if media is None:
                return None
            if self._limits is not None:
                self._limits.admit_name(caller.name)
            log.caller = caller.name
            content = self._predict.answer_at_once(media, scope, body)
        except (Problem, InvalidRequest):
            return None
        except Exception as error:  # noqa: BLE001 - the middleware answers the request, or fails in the same way
            log_unexpected(error, log)
            return None
        log.status, log.bytes_out = 200, len(content)
        seconds = time.perf_counter() - started
        line = log.line("POST", self._routes[path], seconds)
        self._metrics.record_request(line)
        self._tracing.record(line, log.received_at, seconds, log.headers.get(b"traceparent", b""))
        lines = _LINES_HTTPS if scope["scheme"] == "https" else _LINES
        sent = b"" if log.client_request_id is None else b"x-client-request-id: %s\r\n" % log.client_request_id.encode()
        own = (lines, media.name, len(content), log.request_id.encode(), sent, content)
        return b"%scontent-type: %s\r\ncontent-length: %d\r\nx-request-id: %s\r\n%s\r\n%s" % own
