"""Many small requests at the same time: each waits for the disk or the network most of the time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 8

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return the results of a function for each item, in order; raises the first error, and begins no further call then."""
    listed = list(items)
    if len(listed) < 2:
        return [function(item) for item in listed]
    with ThreadPoolExecutor(min(THREADS, len(listed)), "lake") as pool:
        try:
            return list(pool.map(function, listed))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
