"""Queries of a session: one that is interrupted, or whose executors are lost, is cancelled."""

import math
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from risk_assets.engine.calls import CANCEL_SECONDS, POLL_SECONDS, Patience, watched
from risk_assets.engine.session import has_executor, is_classic

KILL_SECONDS = 4.0  # in which an executor kills a task that was cancelled: Spark looks every two seconds, and waits as long

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.connect.shell.progress import StageInfo


def collected(session: "SparkSession", plan: "Callable[[SparkSession], DataFrame]", name: str, wait_seconds: float) -> list[str]:
    """Return the first column of what a plan makes.

    Parameters
    ----------
    name
        The address of Spark as it may be shown.
    wait_seconds
        How long the query waits while no executor is there. A server of Spark Connect does not say whether it has executors: of its
        queries, a line says that none of their tasks runs, and they wait.

    Raises
    ------
    EngineError
        If no executor was there for so long.
    """
    from pyspark import inheritable_thread_target

    tag = f"risk-{uuid.uuid4().hex}"

    def call() -> list[str]:
        session.addTag(tag)  # of this thread: a session of a notebook may have other queries
        return [row[0] for row in plan(session).collect()]

    # a notebook's session has properties for each thread, such as who works there
    inheriting: Callable[[], list[str]] = inheritable_thread_target(session)(call)
    if is_classic(session):
        problem = (
            f"{name} has had no executor for {wait_seconds:.0f} s: its workers were lost, or others have all of their cores. Look at its "
            "page, start its master and workers if they are gone, then run again."
        )
        patience = Patience(name, lambda: has_executor(session.sparkContext), wait_seconds, problem)
        return watched(inheriting, patience.look, lambda: _cancel(session, tag))
    progress = _Progress()
    patience = Patience(name, progress.was_made, math.inf, "")
    session.registerProgressHandler(progress)
    try:
        return watched(inheriting, patience.look, lambda: _interrupt(session, tag))
    finally:
        session.removeProgressHandler(progress)


class _Progress:
    """What a server of Spark Connect reports of the tasks of a query."""

    def __init__(self) -> None:
        self._running, self._completed, self._seen = 1, 0, 0

    def __call__(self, stages: "Iterable[StageInfo] | None", inflight_tasks: int, operation_id: str | None, done: bool) -> None:
        self._running = inflight_tasks
        self._completed = sum(stage.num_completed_tasks for stage in stages or ())

    def was_made(self) -> bool:
        """Return whether a task runs, or has ended since the last call."""
        before, self._seen = self._seen, self._completed
        return self._running > 0 or self._completed > before


def _cancel(session: "SparkSession", tag: str) -> None:
    """Cancel a query, and wait until none of its tasks runs, so that they write nothing any more."""
    session.interruptTag(tag)
    tracker, end = session.sparkContext._jsc.sc().statusTracker(), time.monotonic() + CANCEL_SECONDS
    while any(info.numRunningTasks() for info in tracker.getExecutorInfos()) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)


def _interrupt(session: "SparkSession", tag: str) -> None:
    """Cancel a query of a server of Spark Connect, which does not say when its tasks have ended."""
    session.interruptTag(tag)
    time.sleep(KILL_SECONDS)
