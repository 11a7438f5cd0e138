"""Faults at the writes of a command: count them, kill the process at one of them, pause at one, shift the clock, shorten leases.

Only names are known here: the methods of `Store` that write, and the public functions of `risk_assets.lake.append` if there
is such a module. A method or a module that does not exist is skipped.
"""

import importlib
import inspect
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatch
from functools import partial, wraps
from pathlib import Path
from typing import Any

METHODS = ("put", "create", "write", "copy", "delete", "table_target")
INTERRUPTIBLE = ("write", "table_target")
APPEND_MODULE = "risk_assets.lake.append"
LEASES = "leases/"

BEFORE, MIDDLE, AFTER = "before", "middle", "after"
KILL, PAUSE, STOP = "kill", "pause", "stop"
PAUSED, RESUME = "paused", "resume"
MAX_PAUSE_SECONDS = 120


@dataclass(frozen=True)
class Fault:
    """What happens at the writes of a command.

    Attributes
    ----------
    at
        The number of the write, from 1 on; 0 for any write.
    path
        A pattern of the path that is written; the first match counts. Empty for every path.
    when
        `before` or `after` the write, or in the `middle` of its bytes.
    action
        `kill`: SIGKILL to this process. `pause`: create the file `paused` in `folder` and wait for the file `resume`; other
        threads, such as the heartbeat of a lease, continue. `stop`: create `paused`, then SIGSTOP: nothing continues.
    folder
        The folder of `writes.jsonl`, in which each write is noted before it begins, and of `paused` and `resume`.
    clock_days
        The number of days that the product's clock is ahead.
    lease_seconds
        How long the command waits for a lease that is not renewed; 0 for the product's own time.
    """

    at: int = 0
    path: str = ""
    when: str = BEFORE
    action: str = KILL
    folder: str = ""
    clock_days: float = 0
    lease_seconds: float = 0


@dataclass(frozen=True)
class Write:
    """A write of a command: its number, the method and the path."""

    number: int
    method: str
    path: str

    @property
    def moments(self) -> tuple[str, ...]:
        """When the write can be interrupted."""
        return (BEFORE, MIDDLE, AFTER) if self.method in INTERRUPTIBLE else (BEFORE, AFTER)


def arm(fault: Fault) -> None:
    """Patch the product in this process so that the fault occurs."""
    from risk_assets.lake.store import Store

    writes = _Writes(fault)
    for name in METHODS:
        original = getattr(Store, name, None)
        if original is not None:
            patched = _target(original, writes) if name == "table_target" else _method(name, original, writes)
            setattr(Store, name, patched)
    for name, function in _append_functions().items():
        _replace_everywhere(function, _method(name, function, writes))
    if fault.clock_days:
        _shift_clock(timedelta(days=fault.clock_days))
    if fault.lease_seconds:
        _shorten_leases(fault.lease_seconds)


def read_writes(folder: Path) -> list[Write]:
    """Return the writes that a command noted in its folder."""
    path = folder / "writes.jsonl"
    return [Write(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


class _Writes:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._numbers = itertools.count(1)
        self._done = False

    def begin(self, method: str, path: str) -> Write | None:
        """Number and note a write; None for the heartbeat of a lease, whose number would depend on time."""
        if path.startswith(LEASES) and threading.current_thread() is not threading.main_thread():
            return None
        write = Write(next(self._numbers), method, path)
        if self._fault.folder:
            line = json.dumps({"number": write.number, "method": method, "path": path}) + "\n"
            file = os.open(Path(self._fault.folder) / "writes.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, line.encode())
            os.close(file)
        return write

    def is_at(self, write: Write | None, when: str) -> bool:
        fault = self._fault
        if write is None or self._done or not (fault.at or fault.path) or fault.when != when:
            return False
        return fault.at in (0, write.number) and (not fault.path or fnmatch(write.path, fault.path))

    def reach(self, write: Write | None, when: str) -> None:
        if not self.is_at(write, when):
            return
        self._done = True
        if self._fault.action == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        _pause(Path(self._fault.folder), self._fault.action)


def _pause(folder: Path, action: str) -> None:
    (folder / PAUSED).touch()
    if action == STOP:
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    until = time.monotonic() + MAX_PAUSE_SECONDS
    while not (folder / RESUME).exists():
        if time.monotonic() > until:
            os._exit(70)
        time.sleep(0.01)


def _method(name: str, original: Callable[..., Any], writes: _Writes) -> Callable[..., Any]:
    @wraps(original)
    def patched(*arguments: Any, **named: Any) -> Any:
        write = writes.begin(name, _path(name, arguments))
        writes.reach(write, BEFORE)
        if name == "write" and writes.is_at(write, MIDDLE):
            store, path, chunks, *guard = arguments
            arguments = (store, path, _half(chunks, partial(writes.reach, write, MIDDLE)), *guard)
        result = original(*arguments, **named)
        writes.reach(write, AFTER)
        return result

    return patched


def _path(name: str, arguments: tuple[Any, ...]) -> str:
    """Return the path that a call writes: the last text of a copy, else the first."""
    texts = [argument for argument in arguments if isinstance(argument, str)]
    return (texts[-1] if name == "copy" else texts[0]) if texts else ""


def _target(original: Callable[..., Any], writes: _Writes) -> Callable[..., Any]:
    @contextmanager
    def patched(store: Any, path: str, *guard: Any) -> Iterator[Any]:
        write = writes.begin("table_target", path)
        writes.reach(write, BEFORE)
        with original(store, path, *guard) as target:
            try:
                yield target
            finally:  # also of a table that is given up and written in another way
                if writes.is_at(write, MIDDLE):
                    _truncate(target.file)
                writes.reach(write, MIDDLE)
        writes.reach(write, AFTER)

    return patched


def _truncate(file: Any) -> None:
    """Cut a file on disk to half of its bytes, as if the process had died while it wrote; blocks on Azure are not committed."""
    if hasattr(file, "truncate"):
        file.flush()
        file.truncate(file.tell() // 2)


def _half(chunks: Iterable[bytes], stop: Callable[[], None]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[: len(chunk) // 2]
        stop()


def _append_functions() -> dict[str, Callable[..., Any]]:
    try:
        module = importlib.import_module(APPEND_MODULE)
    except ModuleNotFoundError:
        return {}
    found = inspect.getmembers(module, inspect.isfunction)
    return {name: function for name, function in found if function.__module__ == APPEND_MODULE and not name.startswith("_")}


def _replace_everywhere(function: Callable[..., Any], other: Callable[..., Any]) -> None:
    """Replace a function in every module of the product that has it."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "risk_assets":
            for attribute, value in list(vars(module).items()):
                if value is function:
                    setattr(module, attribute, other)


def _shift_clock(ahead: timedelta) -> None:
    from risk_assets import clock

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + ahead

    clock.datetime = Shifted  # type: ignore[misc]


def _shorten_leases(seconds: float) -> None:
    from risk_assets.lake import leases

    leases.TTL_SECONDS = seconds
