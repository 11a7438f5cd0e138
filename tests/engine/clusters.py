"""Run a Spark standalone master with workers, or a Spark Connect server, on 127.0.0.1.

The programs are those of the package pyspark; they need Java. Ports are free ones that the programs choose, files are in the given
folder, and every process ends with the one that started it::

    with standalone(folder) as cluster:
        ...  # cluster.address is spark://127.0.0.1:PORT; a driver needs cluster.environment
        cluster.kill_worker()
    with connect_server(folder) as server:
        ...  # server.address is sc://127.0.0.1:PORT

An application takes all cores of a cluster until it ends, so two drivers at once wait for each other: each process that tests has
clusters of its own.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.deploy.processes import ending_with_parent
from tests.npm import tail
from tests.process_tree import descendants

HOST = "127.0.0.1"
START_SECONDS = 90.0  # a few seconds on an idle machine
STOP_SECONDS = 30.0
MASTER = "org.apache.spark.deploy.master.Master"
WORKER = "org.apache.spark.deploy.worker.Worker"
SUBMIT = "org.apache.spark.deploy.SparkSubmit"
CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
NO_JAVA = "Java is missing: install it (apt-get install default-jre-headless), or set JAVA_HOME to a Java 17 or newer"
NO_PYSPARK = "the package pyspark is missing: install it (make spark)"
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # programs that live for seconds: less time for the compiler, fewer threads
# Drivers and executors of tests: small, without UIs, and with addresses of this machine only.
DEFAULTS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": HOST,
    "spark.driver.bindAddress": HOST,
    "spark.driver.memory": "512m",
    "spark.driver.extraJavaOptions": QUICK,
    "spark.executor.extraJavaOptions": QUICK,
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.sql.shuffle.partitions": "2",
    "spark.connect.grpc.binding.address": HOST,
    "spark.connect.grpc.binding.port": "0",
}


class ClusterError(RuntimeError):
    """A program of Spark is missing, did not start, or is not in the state that a test waits for."""


@dataclass(frozen=True)
class Server:
    """A program of Spark that this process started."""

    name: str
    process: subprocess.Popen[bytes] = field(repr=False)
    log: Path

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def wait_for(self, pattern: str) -> str:
        """Return the first group of a pattern in the log as soon as it is there."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log.read_text(encoding="utf-8", errors="replace")):
                return found.group(1)
            if not self.is_alive:
                raise ClusterError(f"the {self.name} ended with status {self.process.returncode}\n{tail(self.log)}")
            time.sleep(0.05)
        raise ClusterError(f"the {self.name} did not start within {START_SECONDS:.0f} s\n{tail(self.log)}")

    def children(self) -> list[int]:
        """Return the ids of its processes below it: executors, and their Python processes."""
        return descendants(self.process.pid)

    def kill(self) -> None:
        """Kill it and all processes below it, as if its machine had lost power."""
        with held(self.children()) as below:
            self.process.kill()
            for handle in below:
                _kill(handle)
            self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """Ask it to end, and kill what has not ended in time: itself, and what was below it."""
        if not self.is_alive:
            return
        with held(self.children()) as below:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_SECONDS)
            if not have_ended(below, STOP_SECONDS):
                for handle in below:
                    _kill(handle)


@dataclass(frozen=True)
class Address:
    """What a driver needs: the value of `RISK_ENGINE`, and its environment."""

    address: str
    environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class ConnectServer(Address):
    """A Spark Connect server."""

    server: Server


@dataclass(frozen=True)
class Standalone(Address):
    """A master with workers."""

    master: Server
    workers: Sequence[Server]

    def executors(self) -> list[int]:
        """Return the ids of the processes below all workers."""
        return [pid for worker in self.workers if worker.is_alive for pid in worker.children()]

    def kill_worker(self, seconds: float = START_SECONDS) -> Server:
        """Kill a worker that has an executor, with the executor; wait so long for one. The worker does not come back."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for worker in self.workers:
                if worker.is_alive and worker.children():
                    worker.kill()
                    return worker
            time.sleep(0.05)
        raise ClusterError(f"no worker had an executor within {seconds:.0f} s: is the driver connected to {self.address}?")


@contextmanager
def standalone(
    folder: Path, workers: int = 2, environment: Mapping[str, str] | None = None, conf: Mapping[str, str] | None = None
) -> Iterator[Standalone]:
    """Run a master and workers with one core each; executors have the environment of the workers.

    Raises:
        ClusterError: pyspark or Java is missing, or a program did not start.
    """
    own = _environment(folder, conf or {})
    with ExitStack() as running:
        address = ["--host", HOST, "--port", "0", "--webui-port", "0"]
        master = running.enter_context(_server("master", folder, own, MASTER, *address))
        url = master.wait_for(r"Starting Spark master at (spark://\S+)")
        size = ["--cores", "1", "--memory", "1g", "--work-dir", str(folder / "work")]
        started = [
            running.enter_context(_server(f"worker-{number}", folder, own | (environment or {}), WORKER, *address, *size, url))
            for number in range(workers)
        ]
        for worker in started:
            worker.wait_for(r"(Successfully registered with master)")
        yield Standalone(url, own, master, tuple(started))


@contextmanager
def connect_server(
    folder: Path, master: str = "local[2]", environment: Mapping[str, str] | None = None, conf: Mapping[str, str] | None = None
) -> Iterator[ConnectServer]:
    """Run a Spark Connect server whose executors are its own threads, or those of a master.

    Raises:
        ClusterError: pyspark or Java is missing, or the server did not start.
    """
    own = _environment(folder, conf or {})
    command = (SUBMIT, "--class", CONNECT, "--name", "connect", "--master", master, "spark-internal")
    with _server("connect server", folder, own | (environment or {}), *command) as server:
        port = server.wait_for(r"Spark Connect server started at: \S+:(\d+)")
        yield ConnectServer(f"sc://{HOST}:{port}", {}, server)


def _environment(folder: Path, conf: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of drivers, and of the programs besides the test's own; their settings are in a file of the folder."""
    package = find_spec("pyspark")
    if package is None or package.origin is None:
        raise ClusterError(NO_PYSPARK)
    if not _has_java():
        raise ClusterError(NO_JAVA)
    settings = folder / "conf"
    settings.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} {value}\n" for name, value in {**DEFAULTS, "spark.local.dir": str(folder / "local"), **conf}.items()]
    (settings / "spark-defaults.conf").write_text("".join(lines), encoding="utf-8")
    return {
        "SPARK_HOME": str(Path(package.origin).parent),
        "SPARK_CONF_DIR": str(settings),
        "SPARK_LOCAL_IP": HOST,
        "PYSPARK_PYTHON": sys.executable,
    }


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return Path(home, "bin", "java").is_file() if home else shutil.which("java") is not None


@contextmanager
def _server(name: str, folder: Path, environment: Mapping[str, str], main: str, *arguments: str) -> Iterator[Server]:
    log = folder / f"{name.replace(' ', '-')}.log"
    programs = {
        "SPARK_DAEMON_MEMORY": "1g" if main == SUBMIT else "256m",
        "SPARK_DAEMON_JAVA_OPTS": QUICK,
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
        "SPARK_CONNECT_MODE": "0",
    }
    script = Path(environment["SPARK_HOME"], "bin", "spark-class")
    with log.open("wb") as output:
        process = subprocess.Popen(
            ending_with_parent(["bash", script, main, *arguments]),
            cwd=folder,
            env={**os.environ, **programs, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(name, process, log)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def held(pids: Sequence[int]) -> Iterator[list[int]]:
    """Yield descriptors of those processes that have not ended: another process cannot take their place."""
    with ExitStack() as opened:
        handles = []
        for pid in pids:
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                opened.callback(os.close, handle)
                handles.append(handle)
        yield handles


def _kill(handle: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)


def have_ended(handles: Sequence[int], seconds: float) -> bool:
    """Return whether processes have ended within so many seconds."""
    deadline = time.monotonic() + seconds
    return all(select.select([handle], [], [], max(0.0, deadline - time.monotonic()))[0] for handle in handles)
