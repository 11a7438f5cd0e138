"""The identity of a process, whether it still exists on this host, and signals that ask this one to end."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

RUNNING = "running"  # the folder, in that of the run history, with a file for each run that a process of this host executes
READ_BYTES = 4096  # a signal is one
_PROC = Path("/proc")
_ENDED = ("Z", "X")  # zombie and dead, in /proc/PID/stat


class Process(msgspec.Struct, frozen=True):
    """A process: its host, the boot of the host, its namespace of process ids, its id and its start.

    A host that starts again, a container and a process with a reused id differ in one of them.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str


def this_process() -> Process:
    """Return the identity of this process."""
    pid = os.getpid()
    return Process(socket.gethostname(), _boot(), _namespace(), pid, _start_of(pid) or "")


def is_gone(process: Process) -> bool | None:
    """Return whether a process has ended; None if it is not known, as on another host, in another container, or if it is hidden."""
    here = this_process()
    if process.host != here.host:
        return None
    if process.boot != here.boot:
        return True
    if process.namespace != here.namespace:
        return None
    started = _start_of(process.pid)
    return None if started is None and _is_hidden(process.pid) else started != process.started


@contextmanager
def under_way(folder: Path, name: str) -> Iterator[None]:
    """Keep a file with the identity of this process in a folder while the block runs; a killed process leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_bytes(msgspec.json.encode(this_process()))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def abandoned(folder: Path) -> tuple[Path, ...]:
    """Return the files of `under_way` whose processes have ended, and those that cannot be read."""
    return tuple(path for path in sorted(folder.glob("*.json")) if _is_abandoned(path))


@contextmanager
def noted_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C or SIGTERM arrived in the block so far, whoever handled or ignored it.

    Only the main thread gets signals: in another one the answer is no. SIGTERM is not ignored after the block if it was not before:
    Dagster handles it as Ctrl-C, which commands ignore that a shell has started in the background.
    """
    noted: set[int] = set()
    read, write = socket.socketpair()

    def arrived() -> bool:
        with suppress(OSError):  # no signal was noted, or the block has ended
            noted.update(read.recv(READ_BYTES))
        return not noted.isdisjoint((signal.SIGINT, signal.SIGTERM))

    with read, write:
        read.setblocking(False)
        write.setblocking(False)
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False) if is_main else -1
        on_term = signal.getsignal(signal.SIGTERM)
        try:
            yield arrived
        finally:
            if is_main:
                signal.set_wakeup_fd(before)
                if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN and on_term is not None:
                    signal.signal(signal.SIGTERM, on_term)
            arrived()


def _is_abandoned(path: Path) -> bool:
    try:
        return bool(is_gone(msgspec.json.decode(path.read_bytes(), type=Process)))
    except FileNotFoundError:
        return False
    except msgspec.MsgspecError:
        return True


def _boot() -> str:
    """Return an id of the host's boot; empty on systems without `/proc`."""
    path = _PROC / "sys/kernel/random/boot_id"
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _is_hidden(pid: int) -> bool:
    """Return whether a process exists that the system shows only to its own user."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _start_of(pid: int) -> str | None:
    """Return when a process started, as the system counts it; "" if it has ended and waits for its parent, None if none is found."""
    if not (_PROC / "self/stat").exists():
        shown = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603
        return shown.stdout.strip() or None
    try:
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in _ENDED else fields[19]
