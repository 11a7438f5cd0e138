"""Limits of the requests of each caller: a token bucket for each name of a token, and for each address of an unknown caller."""

import math
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from time import monotonic

from starlette.types import Scope

from risk_serving.http.problems import Problem

MAX_CALLERS = 10_000  # the caller that was seen longest ago is forgotten: its bucket is full again
IPV6_PREFIX = 64  # an IPv6 client has a whole network of this size


class CallerLimits:
    """Admits `rate` requests per second of each caller, and up to `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: dict[str, tuple[float, float]] = {}  # requests that are left, and when they were; the latest caller last

    def admit_name(self, name: str) -> None:
        """Count a request of an authenticated caller; raises `Problem` (429) if there are too many."""
        self._admit(f"name {name}")

    def admit_address(self, scope: Scope) -> None:
        """Count a request of an unknown caller; raises `Problem` (429) if there are too many."""
        client = scope.get("client")
        self._admit(f"address {_network(client[0]) if client else ''}")

    def _admit(self, caller: str) -> None:
        now = monotonic()
        left, then = self._buckets.pop(caller, (float(self._burst), now))
        left = min(self._burst, left + (now - then) * self._rate)
        admitted = left >= 1
        self._buckets[caller] = (left - admitted, now)
        if len(self._buckets) > MAX_CALLERS:
            del self._buckets[next(iter(self._buckets))]
        if not admitted:
            raise self._too_many((1 - left) / self._rate)

    def _too_many(self, seconds: float) -> Problem:
        detail = f"A caller may send {self._rate:g} requests per second, and {self._burst} at once. Send more records in one request."
        retry_after = ((b"retry-after", str(math.ceil(seconds)).encode()),)
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, headers=retry_after)


def _network(address: str) -> str:
    """Return an address, or the network of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((int(parsed), IPV6_PREFIX), strict=False))
    return address
