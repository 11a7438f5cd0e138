"""`/desk` as an ASGI app beside FastAPI. What only the desk needs is imported at its first request, in a thread."""

import asyncio
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from risk_serving.auth.access import Access
from risk_serving.http.body import BodyReader
from risk_serving.http.caller_limits import CallerLimits
from risk_serving.settings import ServingSettings

if TYPE_CHECKING:
    from risk_serving.desk.process import AnswerProcess
    from risk_serving.desk.site import Site


class DeskEndpoint:
    """Answers every request to the desk."""

    def __init__(self, settings: ServingSettings, access: Access, limits: CallerLimits | None, bodies: BodyReader) -> None:
        self._settings, self._access, self._limits, self._bodies = settings, access, limits, bodies
        self._opening: asyncio.Task[Site] | None = None
        self._process: AnswerProcess | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        site = await asyncio.shield(self._opening)
        await (await site.respond(scope, receive))(scope, receive, send)

    async def close(self) -> None:
        """End the process of the desk."""
        if self._process is not None:
            await self._process.close()

    async def _open(self) -> "Site":
        site, self._process = await asyncio.to_thread(self._make)
        return site

    def _make(self) -> "tuple[Site, AnswerProcess]":
        from risk_serving.desk.process import AnswerProcess
        from risk_serving.desk.site import Site

        process = AnswerProcess(self._settings.serve_stale_seconds)
        return Site(self._settings, self._access, self._limits, self._bodies, process), process
