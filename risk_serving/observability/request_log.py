"""One request as it is logged: collected while it is answered, written to stdout as one JSON line."""

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

import msgspec


class LogLine(msgspec.Struct, omit_defaults=True):
    """The JSON line of one request."""

    time: str
    request_id: str
    method: str
    route: str
    status: int
    milliseconds: float
    bytes_in: int
    bytes_out: int
    caller: str | None = None
    version: str | None = None
    records: int | None = None
    problem: str | None = None
    client_request_id: str | None = None


class RequestLog(msgspec.Struct):
    """The facts about a request, in the ASGI scope under `request_log` while it is answered.

    `request_id` is the service's own id, which is unique; `client_request_id` is the caller's, if the caller has sent one.
    `received_at` is in seconds since 1970, UTC; `problem` is the kind of a problem document.
    """

    request_id: str
    headers: Mapping[bytes, bytes]
    received_at: float = msgspec.field(default_factory=time.time)
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    caller: str | None = None
    version: str | None = None
    records: int | None = None
    problem: str | None = None
    client_request_id: str | None = None

    def line(self, method: str, route: str, seconds: float) -> LogLine:
        """Return the line of a request that took `seconds`; `route` is the route's name, never the path that was sent."""
        return LogLine(
            time=_time(self.received_at),
            request_id=self.request_id,
            method=method,
            route=route,
            status=self.status,
            milliseconds=round(1000 * seconds, 3),
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            caller=self.caller,
            version=self.version,
            records=self.records,
            problem=self.problem,
            client_request_id=self.client_request_id,
        )


def _time(seconds: float) -> str:
    """Return seconds since 1970 as an ISO 8601 time in UTC, with milliseconds."""
    whole = int(seconds)
    return f"{_second(whole)}.{int(1000 * (seconds - whole)):03d}+00:00"


@lru_cache(4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def new_request_id() -> str:
    """Return a new id: 32 hexadecimal digits."""
    return f"{random.getrandbits(128):032x}"
