"""The limit: an ASGI application that reads the body and answers at once."""

from collections.abc import Awaitable, Callable
from typing import Any

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")]}
BODY = {"type": "http.response.body", "body": b"{}"}


async def app(_: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Answer any request with an empty object."""
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)
