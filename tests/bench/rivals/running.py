"""A server that runs: its log, its processes, what they cost, and its end. Reads Linux's /proc."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import BenchError
from tests.bench.rivals.servers import HOST, Place, Server, last_line

PORTS = 3  # MLServer wants three in a row
PATIENCE = 120.0
GRACE = 10.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
OK = 200


@dataclass(frozen=True)
class Process:
    """One process as /proc tells it; a process is the same as another when number and start agree."""

    pid: int
    parent: int
    session: int
    cpu: float
    started: int
    megabytes: float


class Running:
    """A started server; use it with `with`, so that its processes end whatever happens."""

    def __init__(self, server: Server, place: Place) -> None:
        """Start it; it may not answer yet."""
        self.server, self.port = server, _free_ports()
        self._log = place.root / f"{server.name.replace(' ', '_')}.log"
        env = {**os.environ, **server.env(place, self.port)}
        with self._log.open("wb") as log:
            command = server.command(place, self.port)
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env, start_new_session=True)

    def ask(self, body: bytes) -> bytes:
        """Send one request; raises `BenchError` unless it is answered with 200, `OSError` when nobody listens."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        try:
            connection.request("POST", self.server.path, body, self._headers())
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != OK:
            raise BenchError(f"answered with {response.status}: {answer[:300].decode(errors='replace')}")
        return answer

    def request(self, body: bytes) -> str:
        """Return a whole HTTP request as the client reads it: a character for each byte."""
        lines = (f"{name}: {value}\r\n" for name, value in {**self._headers(), "Content-Length": str(len(body))}.items())
        return f"POST {self.server.path} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\n{''.join(lines)}\r\n{body.decode('latin-1')}"

    def first_answer(self, body: bytes) -> float:
        """Wait for the first answer; return the processor seconds until then. Raises `BenchError` with the reason when there is none."""
        failure, until = "no answer", time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise BenchError(f"ended with {self._process.returncode}: {self._last_words()}")
            try:
                self.ask(body)
            except (OSError, http.client.HTTPException, BenchError) as error:
                failure = str(error)
                time.sleep(0.05)
            else:
                return self.cpu()
        raise BenchError(f"{failure}, {PATIENCE:.0f} s after the start; its log ends with: {self._last_words()}")

    def cpu(self) -> float:
        """Return the processor seconds of its processes so far."""
        return sum(each.cpu for each in self._family())

    def megabytes(self) -> float:
        """Return the resident memory of its processes."""
        return sum(each.megabytes for each in self._family())

    def stop(self) -> None:
        """End its processes: first by asking, then, what is still there, by force."""
        family = self._family()
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for each in family:
            if (now := _processes().get(each.pid)) and now.started == each.started:
                os.kill(each.pid, signal.SIGKILL)

    def __enter__(self) -> "Running":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", **self.server.headers}

    def _family(self) -> list[Process]:
        found, leader = _processes(), self._process.pid
        family = [each for each in found.values() if leader in (each.pid, each.session)]
        for member in family:
            family.extend(each for each in found.values() if each.parent == member.pid and each not in family)
        return family

    def _last_words(self) -> str:
        return last_line(self._log.read_text(encoding="utf-8", errors="replace"))


def _processes() -> Mapping[int, Process]:
    found = (_process(path) for path in Path("/proc").glob("[0-9]*"))
    return {each.pid: each for each in found if each}


def _process(path: Path) -> Process | None:
    try:
        fields = (path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    cpu = sum(map(int, fields[11:15])) / TICKS
    return Process(int(path.name), int(fields[1]), int(fields[3]), cpu, int(fields[19]), int(fields[21]) * PAGE / 1e6)


def _free_ports() -> int:
    while True:
        with socket.socket() as first:
            first.bind((HOST, 0))
            port = first.getsockname()[1]
        if all(_free(port + offset) for offset in range(PORTS)):
            return port


def _free(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex((HOST, port)) != 0
