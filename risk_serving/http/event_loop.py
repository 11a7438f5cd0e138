"""uvicorn's event loop with a limit of the time for a TLS handshake, which uvicorn leaves at a minute."""

import asyncio
from typing import Any

try:
    from uvloop import Loop as _Loop
except ImportError:  # Windows
    from asyncio import SelectorEventLoop as _Loop  # type: ignore[assignment]

HANDSHAKE_SECONDS = 10.0


class _HandshakeLoop(_Loop):
    async def create_server(  # type: ignore[override]
        self, *arguments: Any, ssl: Any = None, **options: Any
    ) -> asyncio.AbstractServer:
        """Create a server as the base class does."""
        if ssl is not None:
            options["ssl_handshake_timeout"] = HANDSHAKE_SECONDS
        return await super().create_server(*arguments, ssl=ssl, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop."""
    return _HandshakeLoop()
