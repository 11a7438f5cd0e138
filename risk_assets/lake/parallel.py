"""Work on many items at the same time, with the results in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from risk_assets.lake.objects import Guard

SMALL_REQUESTS = 8
BATCH_ITEMS = 500

T = TypeVar("T")
R = TypeVar("R")


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Generator[R, None, None]:
    """Yield the results of a function for each item, in order; `workers` threads are at most one result ahead each.

    An error of the function is raised at its turn, and the items after it are not begun. Give the function only work that waits or
    releases Python's lock.
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_threads(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return the results of a function that waits for the disk or the network, for each item in order; one item needs no thread."""
    listed = list(items)
    if len(listed) < 2:
        return [function(item) for item in listed]
    return list(in_order(function, listed, SMALL_REQUESTS))


def in_guarded_batches(function: Callable[[T], object], items: Sequence[T], guard: Guard) -> None:
    """Call a function for each item in threads, `BATCH_ITEMS` at a time in a guarded block; the guard raises if another has taken over."""
    for start in range(0, len(items), BATCH_ITEMS):
        with guard():
            in_threads(function, items[start : start + BATCH_ITEMS])
