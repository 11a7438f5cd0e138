"""Calls of Spark without Spark: they end with a signal, or when no executor was there for too long."""

import os
import signal
import threading

import pytest

from risk_assets.engine import calls
from risk_assets.engine.calls import Patience, watched
from risk_assets.engine.queries import _Progress
from risk_assets.errors import EngineError


class Cluster:
    """A cluster whose executors come and go, and a clock that moves when somebody looks."""

    def __init__(self) -> None:
        self.now, self.present = 100.0, True

    def monotonic(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()
    monkeypatch.setattr(calls, "time", found)
    return found


def patience(cluster: Cluster, seconds: float = 60) -> Patience:
    return Patience("spark://host:1", lambda: cluster.present, seconds, "no executor")


def nothing() -> None:
    pass


def test_a_call_returns_its_result() -> None:
    assert watched(lambda: 7, nothing, nothing) == 7


def test_a_call_raises_its_error() -> None:
    def fail() -> None:
        raise EngineError("a task failed")

    with pytest.raises(EngineError, match="a task failed"):
        watched(fail, nothing, nothing)


def test_a_signal_ends_a_call_at_once() -> None:
    cancelled = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        watched(lambda: cancelled.wait(60), lambda: os.kill(os.getpid(), signal.SIGINT), cancelled.set)
    assert cancelled.is_set()


def test_a_cancellation_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "CANCEL_SECONDS", 0.1)
    hanging = threading.Event()

    def look() -> None:
        raise EngineError("no executor")

    with pytest.raises(EngineError, match="no executor"):
        watched(lambda: hanging.wait(60), look, lambda: hanging.wait(60))
    hanging.set()


def test_without_executors_a_line_says_so_and_the_call_ends(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    waiting, looks = patience(cluster), 0
    cluster.present = False
    with pytest.raises(EngineError, match=r"^no executor$"):
        while looks < 100:
            waiting.look()
            looks += 1
    assert looks == 60
    assert caplog.messages == ["waiting for executors of spark://host:1; the run ends if there is none after 60 s"]


def test_an_executor_that_comes_back_in_time_is_enough(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    waiting = patience(cluster)
    for cluster.present in [*[False] * 50, True, *[False] * 50, True]:
        waiting.look()
    assert len(caplog.messages) == 2


def test_a_busy_cluster_is_never_given_up(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    waiting = patience(cluster, 10)
    for _ in range(1000):
        waiting.look()
    assert caplog.messages == []


def test_a_connect_query_without_tasks_is_noticed_and_waits(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    progress = _Progress()
    waiting = Patience("sc://host", progress.was_made, float("inf"), "")
    waiting.look()
    progress([], 0, None, done=False)
    for _ in range(1000):
        waiting.look()
    assert caplog.messages == ["waiting for executors of sc://host"]
