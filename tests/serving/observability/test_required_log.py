"""Tests of the required log: an answer that is sent is in the lake, and one that cannot be stored is not sent."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from risk_serving.observability.event_lines import Entry
from risk_serving.observability.prediction_log import NotStoredError
from risk_serving.observability.required_log import RequiredLog
from tests.serving.observability.test_prediction_log import ENTRY, SOURCE, lines

T = TypeVar("T")
PATIENCE = 10.0


@pytest.fixture
def store(disk_settings: Settings) -> Store:
    Path(disk_settings.lake.removeprefix("file://")).mkdir()
    return disk_settings.connect_lake()


@pytest.fixture
def start(store: Store) -> Iterator[Callable[..., RequiredLog]]:
    """Start a log that is closed after the test."""
    logs = []

    def started(limit: int = 2_000_000, seconds: float = PATIENCE) -> RequiredLog:
        log = RequiredLog(store, SOURCE, limit, seconds)
        log.start()
        logs.append(log)
        return log

    yield started
    for log in logs:
        log.close(PATIENCE)


def entry(name: str) -> Entry:
    return replace(ENTRY, request_id=name)


def logged(store: Store) -> Counter[str]:
    """Return how often each request is in the log; it must be as often in both collections."""
    inputs, outputs = (Counter(line["correlationid"] for line in lines(store, name)) for name in ("model_inputs", "model_outputs"))
    assert inputs == outputs
    return inputs


def run(call: Coroutine[Any, Any, T]) -> T:
    async def within() -> T:
        async with asyncio.timeout(PATIENCE):
            return await call

    return asyncio.run(within())


async def refused(call: Awaitable[None]) -> None:
    with pytest.raises(NotStoredError):
        await call


@contextmanager
def slow_lake(patch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let writes wait for the end of the block; the event is set when one has begun."""
    begun, end, create = threading.Event(), threading.Event(), Store.create

    def wait(self: Store, path: str, content: bytes) -> bool:
        begun.set()
        assert end.wait(PATIENCE)
        return create(self, path, content)

    with patch.context() as slow:
        slow.setattr(Store, "create", wait)
        try:
            yield begun
        finally:
            end.set()


def test_entry_is_in_the_lake_when_it_was_added(store: Store, start: Callable[..., RequiredLog]) -> None:
    log = start()

    async def add_some() -> None:
        for number in range(5):
            await log.add(entry(str(number)))
            assert logged(store) == Counter(map(str, range(number + 1)))

    run(add_some())
    assert (log.dropped, log.failures, log.problem) == (0, 0, None)


def test_entries_that_wait_together_share_files(store: Store, start: Callable[..., RequiredLog]) -> None:
    log = start()

    async def add_many() -> None:
        await asyncio.gather(*(log.add(entry(str(number))) for number in range(200)))

    run(add_many())
    assert logged(store) == Counter(map(str, range(200)))
    assert len(store.list("logs/online/model_inputs/")) <= 3


def test_failed_write_refuses_and_recovers(store: Store, start: Callable[..., RequiredLog]) -> None:
    log = start()

    async def add_around_an_outage() -> None:
        await log.add(entry("before"))
        break_away(store)
        await refused(log.add(entry("during")))
        await refused(log.add(entry("at once")))
        while not log.problem:
            await asyncio.sleep(0.01)
        assert "cannot be written" in log.problem
        bring_back(store)
        while log.problem:
            await asyncio.sleep(0.05)
        await log.add(entry("after"))

    run(add_around_an_outage())
    assert logged(store) == Counter(["before", "during", "after"])  # one of the files of "during" could have existed
    assert log.dropped == 4


def test_unexpected_error_refuses_only_its_batch(store: Store, start: Callable[..., RequiredLog], monkeypatch: pytest.MonkeyPatch) -> None:
    log = start()

    def fail(*_: object) -> bool:
        raise ValueError("41.5 of Zürich")

    async def add_both() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(Store, "create", fail)
            await refused(log.add(entry("broken")))
        await log.add(entry("whole"))
        while log.problem:
            await asyncio.sleep(0.01)

    run(add_both())
    assert logged(store) == Counter(["whole"])


def test_entry_that_waits_too_long_is_withdrawn(store: Store, start: Callable[..., RequiredLog], monkeypatch: pytest.MonkeyPatch) -> None:
    log = start(seconds=0.2)

    async def add_three() -> None:
        with slow_lake(monkeypatch) as begun:
            first = asyncio.create_task(refused(log.add(entry("begun"))))
            while not begun.is_set():
                await asyncio.sleep(0.01)
            await refused(log.add(entry("withdrawn")))
            await first
        while log.pending:
            await asyncio.sleep(0.01)
        await log.add(entry("later"))

    run(add_three())
    assert logged(store) == Counter(["begun", "later"])
    assert log.dropped == 4


def test_entry_beyond_the_limit_is_refused(store: Store, start: Callable[..., RequiredLog], monkeypatch: pytest.MonkeyPatch) -> None:
    log = start(limit=3000)

    async def add_two() -> None:
        with slow_lake(monkeypatch):
            first = asyncio.create_task(log.add(entry("first")))
            await asyncio.sleep(0)
            await refused(log.add(replace(entry("second"), sent=b"[" + b" " * 3000 + b"]")))
        await first

    run(add_two())
    assert logged(store) == Counter(["first"])


def test_closed_log_refuses(store: Store, start: Callable[..., RequiredLog]) -> None:
    log = start()
    log.close(PATIENCE)
    run(refused(log.add(ENTRY)))
    assert (log.dropped, json.dumps(logged(store))) == (2, "{}")


def break_away(store: Store) -> None:
    assert store.folder
    store.folder.rename(store.folder.with_name("away"))
    store.folder.write_text("a file instead of the folder")


def bring_back(store: Store) -> None:
    assert store.folder
    store.folder.unlink()
    store.folder.with_name("away").rename(store.folder)
