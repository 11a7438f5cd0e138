"""What must hold of what is written off the request's path: offering never waits, nothing is lost below the bound, losses count."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from risk_assets.errors import LakeError
from risk_serving.observability.background_writer import Background

SECONDS = 0.02
NEVER = 3600.0
PATIENCE = 5.0


class Sink:
    """Takes what it is handed; refuses with `error` while there is one, and holds on while it is `blocked`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.refused: list[list[int]] = []
        self.error: Exception | None = None
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, items: Sequence[int]) -> None:
        self.entered.set()
        assert self.open.wait(PATIENCE)
        if self.error:
            self.refused.append(list(items))
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


def started(sink: Sink, limit: int = 100, seconds: float = SECONDS) -> Background[int]:
    background = Background(sink, "the log", limit, seconds)
    background.start()
    return background


def soon(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.002)
    return holds()


def test_what_is_offered_arrives_in_order(sink: Sink) -> None:
    background = started(sink)
    assert all(background.offer(item) for item in range(20))
    assert soon(lambda: len(sink.items) == 20)
    assert sink.items == list(range(20))
    assert soon(lambda: background.pending == 0)
    background.close(PATIENCE)
    assert (background.dropped, background.failures, background.problem) == (0, 0, None)


def test_a_half_full_buffer_does_not_wait_for_its_time(sink: Sink) -> None:
    background = started(sink, limit=10, seconds=NEVER)
    assert all(background.offer(item) for item in range(4))
    assert not sink.entered.wait(0.05)
    assert background.offer(4)
    assert soon(lambda: sink.items == [0, 1, 2, 3, 4])
    background.close(PATIENCE)


def test_a_full_buffer_drops_counts_and_never_waits(sink: Sink) -> None:
    sink.open.clear()
    background = started(sink, limit=10, seconds=SECONDS)
    assert background.offer(0, weight=4)
    assert sink.entered.wait(PATIENCE)
    start = time.perf_counter()
    taken = [background.offer(item, weight=4) for item in range(1, 1001)]
    assert time.perf_counter() - start < 1
    assert taken == [True] + [False] * 999
    assert (background.dropped, background.pending) == (4 * 999, 8)
    sink.open.set()
    background.close(PATIENCE)
    assert sink.items == [0, 1]
    assert (background.dropped, background.pending) == (4 * 999, 0)


def test_what_still_fits_is_taken_after_something_heavy_was_dropped(sink: Sink) -> None:
    background = started(sink, limit=10, seconds=NEVER)
    assert [background.offer(item, weight=weight) for item, weight in ((1, 2), (2, 11), (3, 2))] == [True, False, True]
    background.close(PATIENCE)
    assert (sink.items, background.dropped) == ([1, 3], 11)


def test_what_is_heavier_than_the_limit_is_taken_where_nothing_else_waits(sink: Sink) -> None:
    sink.open.clear()
    background = started(sink, limit=10, seconds=NEVER)
    assert background.offer(1, weight=11)
    assert sink.entered.wait(PATIENCE)
    assert [background.offer(2, weight=11), background.pending] == [False, 11]
    sink.open.set()
    assert soon(lambda: background.pending == 0)
    assert background.offer(3, weight=11)
    background.close(PATIENCE)
    assert (sink.items, background.dropped) == ([1, 3], 11)


def test_the_first_refusal_of_several_is_told_in_the_log(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    sink.error = LakeError("storage can't be reached")
    background = started(sink)
    background.offer(1)
    assert soon(lambda: background.failures >= 3)
    sink.error = None
    assert soon(lambda: sink.items == [1])
    sink.error = OSError("disk is full")
    background.offer(2)
    assert soon(lambda: background.failures >= 5 and background.problem == "disk is full")
    background.close(PATIENCE)
    assert [record.getMessage() for record in caplog.records] == [
        "the log can't be written: storage can't be reached",
        "the log can't be written: disk is full",
    ]


@pytest.mark.parametrize("error", [LakeError("storage can't be reached"), OSError("disk is full")])
def test_a_batch_that_is_refused_is_tried_again_as_it_was_and_before_anything_newer(sink: Sink, error: Exception) -> None:
    sink.error = error
    background = started(sink)
    background.offer(1)
    background.offer(2)
    assert soon(lambda: background.failures >= 2)
    assert background.problem == str(error)
    background.offer(3)
    assert soon(lambda: background.failures >= 4)
    first = sink.refused[0]
    assert all(batch == first for batch in sink.refused)
    sink.error = None
    assert soon(lambda: sink.items == [1, 2, 3])
    assert sink.batches[0] == first
    assert soon(lambda: background.problem is None)
    background.close(PATIENCE)
    assert (background.dropped, background.pending) == (0, 0)


@pytest.mark.parametrize("error", [ValueError("41.5 of Zürich"), TypeError("41.5 of Zürich"), RuntimeError("41.5 of Zürich")])
def test_a_batch_that_fails_otherwise_is_dropped_and_counted_and_what_comes_later_arrives(sink: Sink, error: Exception) -> None:
    sink.error = error
    background = started(sink)
    background.offer(1, weight=3)
    assert soon(lambda: background.dropped == 3)
    assert (background.failures, background.pending, sink.refused) == (1, 0, [[1]])
    assert background.problem and type(error).__name__ in background.problem and "Zürich" not in background.problem
    sink.error = None
    assert background.offer(2)
    assert soon(lambda: sink.items == [2])
    assert soon(lambda: background.problem is None)
    background.close(PATIENCE)
    assert (background.dropped, background.failures, background.pending) == (3, 1, 0)


def test_after_a_batch_was_dropped_a_half_full_buffer_does_not_wait_for_its_time(sink: Sink) -> None:
    sink.error = ValueError("no")
    background = started(sink, limit=4, seconds=NEVER)
    assert all(background.offer(item) for item in (1, 2))
    assert soon(lambda: background.dropped == 2)
    sink.error = None
    assert all(background.offer(item) for item in (3, 4))
    assert soon(lambda: sink.items == [3, 4])
    background.close(PATIENCE)


def test_a_batch_that_fails_otherwise_at_the_end_counts_once(sink: Sink) -> None:
    sink.error = ValueError("no")
    background = started(sink, seconds=NEVER)
    background.offer(1, weight=5)
    background.close(PATIENCE)
    assert (background.dropped, background.failures, background.pending) == (5, 1, 0)


def test_while_the_sink_refuses_a_half_full_buffer_does_not_hurry_it(sink: Sink) -> None:
    sink.error = LakeError("gone")
    background = started(sink, limit=20, seconds=0.4)
    background.offer(0)
    assert soon(lambda: background.failures == 1)
    for item in range(1, 15):
        assert background.offer(item)
        time.sleep(0.005)
    assert background.failures == 1
    sink.error = None
    background.close(PATIENCE)
    assert sink.items == list(range(15))


def test_closing_hands_over_what_waits_and_takes_no_more(sink: Sink) -> None:
    background = started(sink, seconds=NEVER)
    background.offer(1)
    background.close(PATIENCE)
    assert sink.items == [1]
    assert not background.offer(2, weight=7)
    assert (background.dropped, background.pending) == (7, 0)


def test_what_is_refused_at_the_end_counts_as_dropped(sink: Sink) -> None:
    sink.error = LakeError("gone")
    background = started(sink, seconds=NEVER)
    background.offer(1, weight=3)
    background.offer(2, weight=2)
    background.close(PATIENCE)
    assert (background.dropped, background.pending, background.problem) == (5, 0, "gone")


def test_closing_waits_no_longer_than_it_may(sink: Sink) -> None:
    sink.open.clear()
    background = started(sink)
    background.offer(1)
    assert sink.entered.wait(PATIENCE)
    start = time.perf_counter()
    background.close(0.05)
    assert time.perf_counter() - start < 1
    assert background.pending == 1


def test_many_threads_lose_nothing_and_repeat_nothing(sink: Sink) -> None:
    background = started(sink, limit=10_000, seconds=0.001)
    threads = [threading.Thread(target=lambda n=n: [background.offer(n * 1000 + i) for i in range(1000)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    background.close(PATIENCE)
    assert sorted(sink.items) == list(range(4000))
    assert background.dropped == 0


def test_an_offer_costs_next_to_nothing(sink: Sink) -> None:
    background = started(sink, limit=10_000_000, seconds=NEVER)
    best = min(timed(lambda: [background.offer(item) for item in range(10_000)]) for _ in range(5))
    assert best / 10_000 < 5e-6
    background.close(PATIENCE)


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
