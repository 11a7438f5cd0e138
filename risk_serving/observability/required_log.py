"""The prediction log of `RISK_SERVE_LOG=required`: an answer is sent when the lake has it."""

import asyncio
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import ParamSpec

import msgspec

from risk_assets.errors import RiskError
from risk_assets.lake.store import Store
from risk_serving.observability.background_writer import BackgroundWriter
from risk_serving.observability.event_lines import Entry
from risk_serving.observability.prediction_log import NAME, EntryFiles, NotStoredError, PredictionLog, weight

P = ParamSpec("P")

COMMIT_SECONDS = 0.01  # between the starts of two writes, so that the lake does not get a pair of files for each answer
RETRY_SECONDS = 1.0


class _Waiting(msgspec.Struct):
    """An entry, and the result for which its request waits: whether it is stored. `written` if a file has it or may have it."""

    entry: Entry
    stored: Future[bool]
    written: bool = False


class RequiredLog(PredictionLog):
    """Logs each request before it is answered: all requests that arrive during a write wait for the next one together.

    If a write fails, all of them fail, and while the batch waits to be written again, further requests fail at once. A batch is
    never given up, because one of its files may exist: so the log can have a request that was not answered, and never lacks one
    that was.

    Parameters
    ----------
    store, source, limit
        As for `BufferedLog`.
    seconds
        The longest that a request waits.
    """

    def __init__(self, store: Store, source: str, limit: int, seconds: float) -> None:
        writer: BackgroundWriter[_Waiting] = BackgroundWriter(self._commit, NAME, limit, RETRY_SECONDS)
        super().__init__(writer)
        self._files = EntryFiles(store, source)
        self._seconds = seconds
        self._refused = 0
        self._is_failing = False
        self._waiting: set[Future[bool]] = set()
        self._next_commit = 0.0
        self._is_scheduled = False
        self._loop: AbstractEventLoop | None = None

    @property
    def dropped(self) -> int:
        """The number of records whose answers were not sent, because they were not stored."""
        return self._refused

    def has(self, request_id: str) -> bool:
        """Return true: every request is logged."""
        return True

    async def add(self, entry: Entry) -> None:
        """Store an entry; raises `NotStoredError` if it was not stored in time."""
        if not await self._is_stored(entry):
            self._refused += entry.records
            raise NotStoredError

    async def _is_stored(self, entry: Entry) -> bool:
        self._loop = asyncio.get_running_loop()
        stored: Future[bool] = self._loop.create_future()
        if self._is_failing or not self._writer.offer(_Waiting(entry, stored), weight(entry), entry.records):
            return False
        self._schedule_commit(self._loop)
        self._waiting.add(stored)
        try:
            async with asyncio.timeout(self._seconds):
                return await stored
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(stored)

    def _schedule_commit(self, loop: AbstractEventLoop) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_at(max(loop.time(), self._next_commit), self._start_commit, loop)

    def _start_commit(self, loop: AbstractEventLoop) -> None:
        self._is_scheduled = False
        self._next_commit = loop.time() + COMMIT_SECONDS
        self._writer.flush()

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        """Write a batch in the writer's thread, without the entries whose requests no longer wait and of which no file exists."""
        wanted = [waiting for waiting in batch if waiting.written or not waiting.stored.done()]
        for waiting in wanted:
            waiting.written = True
        try:
            self._files.write([waiting.entry for waiting in wanted])
        except (RiskError, OSError):
            self._is_failing = True  # before the report, so that no request is accepted after it
            self._call_in_loop(self._refuse_all)
            raise
        except BaseException:
            self._call_in_loop(_settle, [waiting.stored for waiting in wanted], False)
            raise
        self._is_failing = False
        self._call_in_loop(_settle, [waiting.stored for waiting in wanted], True)

    def _refuse_all(self) -> None:
        _settle(self._waiting, False)

    def _call_in_loop(self, call: Callable[P, None], *arguments: P.args, **options: P.kwargs) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed: no request waits any more
            self._loop.call_soon_threadsafe(partial(call, *arguments, **options))


def _settle(requests: Iterable[Future[bool]], stored: bool) -> None:
    for request in requests:
        if not request.done():
            request.set_result(stored)
