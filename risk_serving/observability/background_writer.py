"""Background writer: bounded buffer, one thread, retries."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from risk_assets.errors import RiskError

T = TypeVar("T")

RELEASED = 200  # items freed at once: freeing a large batch would keep other threads from running
PAUSE_SECONDS = 0.0001

logger = logging.getLogger(__name__)


class BackgroundWriter(Generic[T]):
    """Passes items to a sink in batches, in order, from a thread of its own.

    If the sink raises `RiskError` or `OSError`, the same batch is passed again later, before any newer item, so that a sink
    that remembers its progress within a batch writes nothing twice. If it raises anything else, a retry would fail too: the
    batch is dropped and counted, and the next batch is passed. Items count against the limit until the sink has written them.

    Parameters
    ----------
    sink
        Writes a batch: all items that have been offered since the last one.
    name
        The destination as it appears in the log. The first of several consecutive failures is logged.
    limit
        The largest total weight of the items that wait. A heavier item is accepted if no other item waits. The first item that is
        dropped since the last successful write is logged.
    seconds
        The interval between batches, and the pause after a failure. A batch is passed early if half the limit is reached.
    """

    def __init__(self, sink: Callable[[Sequence[T]], None], name: str, limit: int, seconds: float) -> None:
        self._sink = sink
        self._name = name
        self._limit = limit
        self._seconds = seconds
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._offered: list[T] = []
        self._weight = self._count = 0
        self._batch: list[T] = []
        self._batch_weight = self._batch_count = 0
        self._dropped = 0
        self._drops = False
        self._failures = 0
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    @property
    def dropped(self) -> int:
        """The count of the items that were not accepted, or that could not be written."""
        return self._dropped

    @property
    def failures(self) -> int:
        """The number of failed attempts to write a batch."""
        return self._failures

    @property
    def problem(self) -> str | None:
        """The message of the last failure, or None if the last attempt succeeded."""
        return self._problem

    @property
    def pending(self) -> int:
        """The count of the items that are not yet written."""
        with self._lock:
            return self._count + self._batch_count

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, item: T, weight: int = 1, count: int = 1) -> bool:
        """Accept an item without waiting; return False, and add its count to `dropped`, if the buffer is full or closed."""
        with self._lock:
            offered, pending = self._weight + weight, self._weight + self._batch_weight
            accepted = not ((pending and pending + weight > self._limit) or self._stop.is_set())
            if accepted:
                self._weight = offered
                self._count += count
                self._offered.append(item)
            else:
                self._dropped += count
        if not accepted:
            self._log_drop()
            return False
        if 2 * offered >= self._limit and not self._wake.is_set():
            self._wake.set()
        return True

    def flush(self) -> None:
        """Write the items that wait now; after a failure, at the end of the pause."""
        self._wake.set()

    def close(self, timeout: float) -> None:
        """Write the pending items and stop, within `timeout` seconds; items that cannot be written count as dropped."""
        with self._lock:
            self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            # A half-full buffer wakes the thread early, but must not shorten the pause after a failure.
            (self._stop if self._batch else self._wake).wait(self._seconds)
            stopping = self._stop.is_set()
            self._wake.clear()
            if self._write_batch():
                self._take_batch()
                self._write_batch()
        self._take_rest()
        self._drop_batch()

    def _take_batch(self) -> None:
        with self._lock:
            self._batch, self._batch_weight, self._batch_count = self._offered, self._weight, self._count
            self._offered, self._weight, self._count = [], 0, 0

    def _write_batch(self) -> bool:
        """Write the current batch; return False if it must be written again."""
        if not self._batch:
            return True
        try:
            self._sink(self._batch)
        except (RiskError, OSError) as error:
            self._record_failure(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a batch that can never be written must not end the thread
            self._record_failure(f"{type(error).__name__} while writing")
            self._drop_batch()
            return True
        written = self._batch
        with self._lock:
            self._batch, self._batch_weight, self._batch_count = [], 0, 0
        self._problem, self._drops = None, False
        _release(written)
        return True

    def _log_drop(self) -> None:
        if not self._drops:
            self._drops = True
            logger.warning("the buffer of %s is full: entries are dropped, and counted in risk_serving_dropped_total", self._name)

    def _record_failure(self, problem: str) -> None:
        self._failures += 1
        if self._problem is None:
            logger.warning("cannot write %s: %s", self._name, problem)
        self._problem = problem

    def _take_rest(self) -> None:
        """Add the items that were offered since the last batch to its count."""
        with self._lock:
            self._batch_count += self._count
            self._offered, self._weight, self._count = [], 0, 0

    def _drop_batch(self) -> None:
        with self._lock:
            self._dropped += self._batch_count
            self._batch, self._batch_weight, self._batch_count = [], 0, 0


def _release(items: list[T]) -> None:
    """Free written items, with pauses in which other threads run."""
    while len(items) > RELEASED:
        del items[-RELEASED:]
        time.sleep(PAUSE_SECONDS)
