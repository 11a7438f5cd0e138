"""Reads the body of a request within the limits of size and time."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import Receive

from risk_serving.http.problems import Problem

JSON = b"application/json"


async def read_json_body(headers: Mapping[bytes, bytes], receive: Receive, max_bytes: int, seconds: float) -> bytes:
    """Return a body of uncompressed JSON; raises `Problem` if it is another one, too large, or too slow."""
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != JSON or b"content-encoding" in headers:
        detail = "The body must be uncompressed JSON, with the header Content-Type: application/json."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, close_connection=True)
    if int(headers.get(b"content-length", b"0")) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(seconds):
            return await _receive(receive, max_bytes)
    except TimeoutError:
        detail = f"The body did not arrive within {seconds:g} s. Send it without a pause."
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "slow-body", detail, close_connection=True) from None


async def _receive(receive: Receive, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(HTTPStatus.BAD_REQUEST, "disconnected", "The connection was closed before the end of the body.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_bytes:
            raise _too_large(max_bytes)
        more = message.get("more_body", False)
    return b"".join(parts)


def _too_large(max_bytes: int) -> Problem:
    detail = f"The body is larger than {max_bytes} bytes. Send fewer records in one request."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail, close_connection=True)
