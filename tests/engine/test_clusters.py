"""The clusters that tests use: they listen on this machine only, and end with the process that started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.engine import clusters
from tests.engine.clusters import Address, ClusterError, Standalone, standalone
from tests.process_tree import descendants

SECONDS = 120
LOOPBACK = {"0000000000000000FFFF00000100007F", "0100007F"}  # of JVMs, and of Python
STARTER = """
import sys, time
from pathlib import Path
from tests.engine.clusters import standalone
with standalone(Path(sys.argv[1]), workers=1) as cluster:
    print(cluster.master.process.pid, cluster.workers[0].process.pid, flush=True)
    time.sleep(600)
"""


@contextmanager
def started(engine: Address, tasks: int, seconds: float = 0) -> Iterator[subprocess.Popen[str]]:
    """Start a job whose tasks last so many seconds; it is killed if it has not ended."""
    command = [sys.executable, "-m", "tests.engine.job", engine.address, str(tasks), str(seconds)]
    environment = {**os.environ, **engine.environment}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        try:
            yield job
        finally:
            job.kill()


def result(job: subprocess.Popen[str]) -> str:
    out, err = job.communicate(timeout=SECONDS)
    assert job.returncode == 0, err[-4000:]
    return out


def wait_for_executors(cluster: Standalone) -> list[int]:
    """Return the processes below the workers when both have launched an executor."""
    cluster.master.wait_for(r"(?s)(Launching executor.*Launching executor)")
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and not all(worker.children() for worker in cluster.workers):
        time.sleep(0.05)
    return cluster.executors()


def listening(pids: list[int]) -> set[str]:
    """Return the addresses on which processes listen, as the kernel has them."""
    sockets: set[str] = set()
    for pid in pids:
        with suppress(FileNotFoundError):  # it has ended meanwhile
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):  # it was closed meanwhile
                    sockets.add(str(link.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].partition(":")[0])
    return found


@pytest.mark.long
def test_clusters_listen_on_this_machine_only(breakable: Standalone) -> None:
    with started(breakable, 4, seconds=4) as job:
        wait_for_executors(breakable)
        time.sleep(4)
        servers = [server.process.pid for server in (breakable.master, *breakable.workers)]
        found = listening([*servers, *breakable.executors(), job.pid, *descendants(job.pid)])
        assert found == LOOPBACK
        assert result(job) == "4 rows, sum 6"


@pytest.mark.long
def test_a_cluster_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        pids = [int(pid) for pid in output.readline().split()]
    assert len(pids) == 2
    with clusters.held(pids) as handles:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(handles) == 2 and clusters.have_ended(handles, 60)


@pytest.mark.long
def test_a_cluster_ends_with_its_executors(tmp_path: Path) -> None:
    with ExitStack() as leaving:
        cluster = leaving.enter_context(standalone(tmp_path))
        leaving.enter_context(started(cluster, 2, seconds=60))
        handles = leaving.enter_context(clusters.held(wait_for_executors(cluster)))
        began = time.monotonic()
        for server in (*cluster.workers, cluster.master):
            server.stop()
        assert len(handles) >= 2 and clusters.have_ended(handles, 10)
        assert time.monotonic() - began < 3 * clusters.STOP_SECONDS


def test_without_java_a_cluster_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = ModuleSpec("pyspark", None, origin=str(tmp_path / "pyspark/__init__.py"))
    monkeypatch.setattr("tests.engine.clusters.find_spec", lambda _: installed)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ClusterError, match="apt-get install default-jre-headless"), standalone(tmp_path):
        pass


def test_without_pyspark_a_cluster_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.engine.clusters.find_spec", lambda _: None)
    with pytest.raises(ClusterError, match="make spark"), standalone(tmp_path):
        pass
