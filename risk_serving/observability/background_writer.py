"""What is written off the request's path: gathered in a bounded buffer, handed over by a thread of its own, tried again."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from risk_assets.errors import RiskError

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Background(Generic[T]):
    """Hands what it is offered to a sink, in order, from a thread of its own.

    A batch that the sink refuses with `RiskError` or `OSError` is kept, and offered to it again as it was, before anything
    newer: a sink that remembers how far it came with a batch does nothing twice. A batch that fails in any other way would
    fail again: it is dropped and counted, and what comes later is handed over. What the sink has not yet taken counts
    against the limit.

    Parameters
    ----------
    sink
        Takes all that has gathered.
    what
        What is handed over, for people: the first refusal of several is told in the log.
    limit
        The weight of what may wait. A thing that weighs more is taken where nothing else waits.
    seconds
        How long things gather, unless half of the limit is reached before; after a failure, how long to the next try.
    """

    def __init__(self, sink: Callable[[Sequence[T]], None], what: str, limit: int, seconds: float) -> None:
        self._sink = sink
        self._what = what
        self._limit = limit
        self._seconds = seconds
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._offered: list[T] = []
        self._weight = 0
        self._batch: list[T] = []
        self._batch_weight = 0
        self._dropped = 0
        self._failures = 0
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    @property
    def dropped(self) -> int:
        """The weight of what was not taken, or given up: at the end, or because the sink can't take it at all."""
        return self._dropped

    @property
    def failures(self) -> int:
        """How often the sink refused or failed."""
        return self._failures

    @property
    def problem(self) -> str | None:
        """What the sink last said when it refused, or the kind of error when it failed; None once it takes things again."""
        return self._problem

    @property
    def pending(self) -> int:
        """The weight of what the sink has not yet taken."""
        with self._lock:
            return self._weight + self._batch_weight

    def start(self) -> None:
        """Start handing over."""
        self._thread.start()

    def offer(self, item: T, weight: int = 1) -> bool:
        """Take an item to be handed over, without waiting; return False, and count it as dropped, when there is no room."""
        with self._lock:
            weighs, waits = self._weight + weight, self._weight + self._batch_weight
            if (waits and waits + weight > self._limit) or self._stop.is_set():
                self._dropped += weight
                return False
            self._weight = weighs
            self._offered.append(item)
        if 2 * weighs >= self._limit and not self._wake.is_set():
            self._wake.set()
        return True

    def close(self, timeout: float) -> None:
        """Hand over what waits and stop, within `timeout` seconds; what the sink then refuses counts as dropped."""
        with self._lock:
            self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            # A full buffer wakes the thread, but must not hurry it while the sink refuses.
            (self._stop if self._batch else self._wake).wait(self._seconds)
            stopping = self._stop.is_set()
            self._wake.clear()
            if self._handed_over():
                self._gather()
                self._handed_over()
        self._give_up()

    def _gather(self) -> None:
        with self._lock:
            self._batch, self._batch_weight = self._offered, self._weight
            self._offered, self._weight = [], 0

    def _handed_over(self) -> bool:
        if not self._batch:
            return True
        try:
            self._sink(self._batch)
        except (RiskError, OSError) as error:
            self._failed(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a batch that can't be handed over at all must not end the thread
            self._failed(f"{type(error).__name__} in what hands it over")
            self._give_up_batch()
            return True
        with self._lock:
            self._batch, self._batch_weight = [], 0
        self._problem = None
        return True

    def _failed(self, problem: str) -> None:
        self._failures += 1
        if self._problem is None:
            logger.warning("%s can't be written: %s", self._what, problem)
        self._problem = problem

    def _give_up(self) -> None:
        """Count what the sink did not take to the end."""
        self._gather_rest()
        self._give_up_batch()

    def _give_up_batch(self) -> None:
        with self._lock:
            self._dropped += self._batch_weight
            self._batch, self._batch_weight = [], 0

    def _gather_rest(self) -> None:
        with self._lock:
            self._batch_weight += self._weight
            self._offered, self._weight = [], 0
