"""Calls of Spark in a thread of their own: the thread that waits for one notices signals, and that a cluster has no executor."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, TypeVar

from risk_assets.errors import EngineError

T = TypeVar("T")
POLL_SECONDS = 0.2
LOOK_SECONDS = 1.0  # between two looks at a cluster
NOTICE_SECONDS = 15.0  # without an executor, until a line says so
CANCEL_SECONDS = 5.0  # for a call to end after it was cancelled

log = logging.getLogger(__name__)


def watched(call: Callable[[], T], look: Callable[[], None], cancel: Callable[[], None]) -> T:
    """Return what a call returns, or raise what it raises; meanwhile look at the cluster, again and again.

    If `look` raises, or a signal ends the wait (Ctrl-C, SIGTERM), the call is cancelled, and what it does then is ignored. Python
    does not react to a signal while it reads the answer of Java, and the connection of a thread that was interrupted is of no use.

    Parameters
    ----------
    cancel
        Ends the call from another thread. It is not waited for longer than `CANCEL_SECONDS`, nor is the call.
    """
    result: Future[T] = Future()
    Thread(target=_resolve, args=(result, call), name="spark", daemon=True).start()
    try:
        while not wait([result], POLL_SECONDS).done:
            look()
    except BaseException:
        cancelled: Future[Any] = Future()
        Thread(target=_resolve, args=(cancelled, cancel), name="cancel-spark", daemon=True).start()
        both: list[Future[Any]] = [result, cancelled]
        wait(both, CANCEL_SECONDS)
        raise
    return result.result()


def _resolve(result: "Future[T]", call: Callable[[], T]) -> None:
    try:
        found = call()
    except BaseException as error:  # noqa: BLE001 - it is for the thread that waits
        result.set_exception(error)
    else:
        result.set_result(found)


@dataclass
class Patience:
    """How long a call waits while a cluster has no executor.

    Attributes
    ----------
    name
        The address of Spark as it may be shown.
    has_executor
        Whether an executor is there, whatever it does; raises if the cluster cannot be asked.
    wait_seconds
        The longest wait.
    problem
        The message if there was no executor for so long.
    """

    name: str
    has_executor: Callable[[], bool]
    wait_seconds: float
    problem: str
    _since: float | None = field(default=None, init=False)
    _next: float = field(default=0.0, init=False)
    _noticed: bool = field(default=False, init=False)

    def look(self) -> None:
        """Look for an executor; say so once if there has been none for some time, and raise `EngineError` at the end of patience."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LOOK_SECONDS
        if self.has_executor():
            self._since, self._noticed = None, False
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= self.wait_seconds:
            raise EngineError(self.problem)
        if now - self._since >= NOTICE_SECONDS and not self._noticed:
            self._noticed = True
            log.warning("%s", self._notice)

    @property
    def _notice(self) -> str:
        limit = f"; the run ends if there is none after {self.wait_seconds:.0f} s" if self.wait_seconds < float("inf") else ""
        return f"waiting for executors of {self.name}{limit}"
