"""Reads the bodies of requests within the limits of size, of time, and of all bodies together."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import Receive

from risk_serving.http.problems import Problem
from risk_serving.settings import ServingSettings


class BodyReader:
    """Reads bodies; `max_bytes` is the size of the largest."""

    def __init__(self, settings: ServingSettings) -> None:
        self.max_bytes, self._seconds = settings.serve_max_body_bytes, settings.serve_body_seconds
        self._max_received = max(settings.serve_max_received_bytes, self.max_bytes)  # one body must be able to arrive
        self._received = 0

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """Return a body; raises `Problem` if it is too large or too slow, or if too many bytes are arriving."""
        if int(headers.get(b"content-length", b"0")) > self.max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._receive(receive)
        except TimeoutError:
            detail = f"The body did not arrive within {self._seconds:g} s. Send it without a pause."
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "slow-body", detail, close_connection=True) from None

    async def _receive(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(HTTPStatus.BAD_REQUEST, "disconnected", "The connection was closed before the end of the body.")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                self._received += len(parts[-1])
                if size > self.max_bytes:
                    raise self._too_large()
                if self._received > self._max_received:
                    raise busy(f"{self._max_received} bytes of other requests are arriving, which is the limit.", close_connection=True)
                more = message.get("more_body", False)
        finally:
            self._received -= size
        return b"".join(parts)

    def _too_large(self) -> Problem:
        detail = f"The body is larger than {self.max_bytes} bytes. Send fewer records in one request."
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail, close_connection=True)


def busy(cause: str, *, close_connection: bool = False) -> Problem:
    """Return the problem (503) of a request that would exceed a limit of all requests."""
    retry_after = ((b"retry-after", b"1"),)
    detail = f"{cause} Try again in a second."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=retry_after, close_connection=close_connection)
