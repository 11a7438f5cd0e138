"""Tests of the background writer: offering never waits, items below the limit arrive, losses are counted."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from risk_assets.errors import LakeError
from risk_serving.observability.background_writer import BackgroundWriter

SECONDS = 0.02
NEVER = 3600.0
PATIENCE = 5.0


class Sink:
    """Keeps the batches it gets; raises `error` if it is set, and blocks while `open` is not set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.failed: list[list[int]] = []
        self.error: Exception | None = None
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, items: Sequence[int]) -> None:
        self.entered.set()
        assert self.open.wait(PATIENCE)
        if self.error:
            self.failed.append(list(items))
            raise self.error
        self.batches.append(list(items))

    @property
    def items(self) -> list[int]:
        return [item for batch in self.batches for item in batch]


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.open.set()


def started(sink: Sink, limit: int = 100, seconds: float = SECONDS) -> BackgroundWriter[int]:
    writer = BackgroundWriter(sink, "the log", limit, seconds)
    writer.start()
    return writer


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def test_items_are_written_in_order(sink: Sink) -> None:
    writer = started(sink)
    assert all(writer.offer(item) for item in range(20))
    assert soon(lambda: len(sink.items) == 20)
    assert sink.items == list(range(20))
    assert soon(lambda: writer.pending == 0)
    writer.close(PATIENCE)
    assert (writer.dropped, writer.failures, writer.problem) == (0, 0, None)


def test_half_full_buffer_is_written_early(sink: Sink) -> None:
    writer = started(sink, limit=10, seconds=NEVER)
    assert all(writer.offer(item) for item in range(4))
    assert not sink.entered.wait(0.05)
    assert writer.offer(4)
    assert soon(lambda: sink.items == [0, 1, 2, 3, 4])
    writer.close(PATIENCE)


def test_full_buffer_drops_and_counts_without_waiting(sink: Sink) -> None:
    sink.open.clear()
    writer = started(sink, limit=10, seconds=SECONDS)
    assert writer.offer(0, weight=4, count=3)
    assert sink.entered.wait(PATIENCE)
    start = time.perf_counter()
    accepted = [writer.offer(item, weight=4, count=3) for item in range(1, 1001)]
    assert time.perf_counter() - start < 1
    assert accepted == [True] + [False] * 999
    assert (writer.dropped, writer.pending) == (3 * 999, 6)
    sink.open.set()
    writer.close(PATIENCE)
    assert sink.items == [0, 1]
    assert (writer.dropped, writer.pending) == (3 * 999, 0)


def test_first_of_several_drops_is_logged(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    writer = started(sink, limit=2, seconds=NEVER)
    sink.open.clear()
    for _ in range(2):
        assert [writer.offer(item, weight=2) for item in range(3)] == [True, False, False]
        sink.open.set()
        assert soon(lambda: writer.pending == 0)
        sink.open.clear()
    sink.open.set()
    writer.close(PATIENCE)
    message = "the buffer of the log is full: entries are dropped, and counted in risk_serving_dropped_total"
    assert [record.getMessage() for record in caplog.records] == [message] * 2


def test_light_item_is_accepted_after_a_heavy_one_is_dropped(sink: Sink) -> None:
    writer = started(sink, limit=10, seconds=NEVER)
    assert [writer.offer(item, weight=weight) for item, weight in ((1, 2), (2, 11), (3, 2))] == [True, False, True]
    writer.close(PATIENCE)
    assert (sink.items, writer.dropped) == ([1, 3], 1)


def test_item_over_the_limit_is_accepted_by_an_empty_buffer(sink: Sink) -> None:
    sink.open.clear()
    writer = started(sink, limit=10, seconds=NEVER)
    assert writer.offer(1, weight=11)
    assert sink.entered.wait(PATIENCE)
    assert [writer.offer(2, weight=11), writer.pending] == [False, 1]
    sink.open.set()
    assert soon(lambda: writer.pending == 0)
    assert writer.offer(3, weight=11)
    writer.close(PATIENCE)
    assert (sink.items, writer.dropped) == ([1, 3], 1)


def test_first_of_several_failures_is_logged(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    sink.error = LakeError("storage cannot be reached")
    writer = started(sink)
    writer.offer(1)
    assert soon(lambda: writer.failures >= 3)
    sink.error = None
    assert soon(lambda: sink.items == [1])
    sink.error = OSError("disk is full")
    writer.offer(2)
    assert soon(lambda: writer.failures >= 5 and writer.problem == "disk is full")
    writer.close(PATIENCE)
    assert [record.getMessage() for record in caplog.records] == [
        "cannot write the log: storage cannot be reached",
        "cannot write the log: disk is full",
    ]


@pytest.mark.parametrize("error", [LakeError("storage cannot be reached"), OSError("disk is full")])
def test_failed_batch_is_retried_unchanged_before_newer_items(sink: Sink, error: Exception) -> None:
    sink.error = error
    writer = started(sink)
    writer.offer(1)
    writer.offer(2)
    assert soon(lambda: writer.failures >= 2)
    assert writer.problem == str(error)
    writer.offer(3)
    assert soon(lambda: writer.failures >= 4)
    first = sink.failed[0]
    assert all(batch == first for batch in sink.failed)
    sink.error = None
    assert soon(lambda: sink.items == [1, 2, 3])
    assert sink.batches[0] == first
    assert soon(lambda: writer.problem is None)
    writer.close(PATIENCE)
    assert (writer.dropped, writer.pending) == (0, 0)


@pytest.mark.parametrize("error", [ValueError("41.5 of Zürich"), TypeError("41.5 of Zürich"), RuntimeError("41.5 of Zürich")])
def test_unexpected_error_drops_one_batch_only(sink: Sink, error: Exception) -> None:
    sink.error = error
    writer = started(sink)
    writer.offer(1, count=3)
    assert soon(lambda: writer.dropped == 3)
    assert (writer.failures, writer.pending, sink.failed) == (1, 0, [[1]])
    assert writer.problem and type(error).__name__ in writer.problem and "Zürich" not in writer.problem
    sink.error = None
    assert writer.offer(2)
    assert soon(lambda: sink.items == [2])
    assert soon(lambda: writer.problem is None)
    writer.close(PATIENCE)
    assert (writer.dropped, writer.failures, writer.pending) == (3, 1, 0)


def test_half_full_buffer_is_written_early_after_a_drop(sink: Sink) -> None:
    sink.error = ValueError("no")
    writer = started(sink, limit=4, seconds=NEVER)
    assert all(writer.offer(item) for item in (1, 2))
    assert soon(lambda: writer.dropped == 2)
    sink.error = None
    assert all(writer.offer(item) for item in (3, 4))
    assert soon(lambda: sink.items == [3, 4])
    writer.close(PATIENCE)


def test_unexpected_error_while_closing_counts_once(sink: Sink) -> None:
    sink.error = ValueError("no")
    writer = started(sink, seconds=NEVER)
    writer.offer(1, count=5)
    writer.close(PATIENCE)
    assert (writer.dropped, writer.failures, writer.pending) == (5, 1, 0)


def test_half_full_buffer_does_not_shorten_the_retry_pause(sink: Sink) -> None:
    sink.error = LakeError("gone")
    writer = started(sink, limit=20, seconds=0.4)
    writer.offer(0)
    assert soon(lambda: writer.failures == 1)
    for item in range(1, 15):
        assert writer.offer(item)
        time.sleep(0.005)
    assert writer.failures == 1
    sink.error = None
    writer.close(PATIENCE)
    assert sink.items == list(range(15))


def test_closing_writes_pending_items_and_accepts_no_more(sink: Sink) -> None:
    writer = started(sink, seconds=NEVER)
    writer.offer(1)
    writer.close(PATIENCE)
    assert sink.items == [1]
    assert not writer.offer(2, count=7)
    assert (writer.dropped, writer.pending) == (7, 0)


def test_failure_while_closing_counts_as_dropped(sink: Sink) -> None:
    sink.error = LakeError("gone")
    writer = started(sink, seconds=NEVER)
    writer.offer(1, count=3)
    writer.offer(2, count=2)
    writer.close(PATIENCE)
    assert (writer.dropped, writer.pending, writer.problem) == (5, 0, "gone")


def test_closing_has_a_timeout(sink: Sink) -> None:
    sink.open.clear()
    writer = started(sink)
    writer.offer(1)
    assert sink.entered.wait(PATIENCE)
    start = time.perf_counter()
    writer.close(0.05)
    assert time.perf_counter() - start < 1
    assert writer.pending == 1


def test_items_from_many_threads_are_written_once(sink: Sink) -> None:
    writer = started(sink, limit=10_000, seconds=0.001)
    threads = [threading.Thread(target=lambda n=n: [writer.offer(n * 1000 + i) for i in range(1000)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close(PATIENCE)
    assert sorted(sink.items) == list(range(4000))
    assert writer.dropped == 0


def test_offer_takes_less_than_five_microseconds(sink: Sink) -> None:
    writer = started(sink, limit=10_000_000, seconds=NEVER)
    best = min(timed(lambda: [writer.offer(item) for item in range(10_000)]) for _ in range(5))
    assert best / 10_000 < 5e-6
    writer.close(PATIENCE)


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
