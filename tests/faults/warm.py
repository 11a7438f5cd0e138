"""Runs `risk` commands in forked children of a process that has imported everything, which saves the imports of each.

The parent uses nothing that starts a thread: the pools of polars, obstore and OpenBLAS start at their first use, in the child.
Each child is a process of its own, so it can be killed for real, and it ends as a command does. What a command has imported
beyond that, such as the drivers of a database, the parent imports before it starts the next one. `first_use.py` saves a tenth more.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from tests.faults.first_use import use_everything
from tests.faults.writes import Fault
from tests.history import quicken, read_ahead

MAX_COMMAND_SECONDS = 300
KILLED = -signal.SIGKILL
IMPORTED = ".imported"
IMPORTS = (
    "dagster_azure.blob",
    "risk_assets.cli.main",
    "risk_assets.cli.report.audit",
    "risk_assets.cli.report.governance",
    "risk_assets.cli.report.run_log",
    "risk_assets.cli.report.runs",
    "risk_assets.definitions",
    "risk_assets.domain.training.dataset",
    "risk_assets.domain.training.train",
    "risk_assets.runner",
    "sqlalchemy",
)


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit code, negative if a signal ended it, and everything it printed."""

    code: int
    output: str

    @property
    def text(self) -> str:
        """The output as one line."""
        return " ".join(self.output.replace("│", " ").split())


@dataclass(frozen=True)
class Started:
    """A command that runs."""

    pid: int
    output: Path


class Warm:
    """The client of the warm process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Send requests to a process."""
        self._process = process

    def start(self, folder: Path, arguments: tuple[str, ...], settings: Mapping[str, str], fault: Fault, output: Path) -> Started:
        """Start `risk` with arguments in a folder."""
        environment = without_settings() | settings
        request = {"folder": str(folder), "arguments": arguments, "environment": environment, "output": str(output), "fault": asdict(fault)}
        return Started(self._ask({"start": request}), output)

    def wait(self, started: Started) -> Done:
        """Wait until a command has ended."""
        return Done(self._ask({"wait": started.pid}), started.output.read_text(encoding="utf-8", errors="replace"))

    def has_ended(self, started: Started) -> bool:
        """Return whether a command has ended."""
        return bool(self._ask({"ended": started.pid}))

    def _ask(self, request: dict[str, Any]) -> int:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline()))


def without_settings() -> dict[str, str]:
    """Return the environment without settings of the project and without measuring coverage."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_", "DAGSTER_", "COV"))}


@contextmanager
def warm_process() -> Iterator[Warm]:
    """Yield a client; the process ends with the block, or with this process."""
    environment = without_settings() | {"OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "tests.faults.warm"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Warm(process)
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(timeout=MAX_COMMAND_SECONDS)


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more; a child returns from here to run its command."""
    codes: dict[int, int] = {}
    outputs: dict[int, Path] = {}
    for line in requests:
        ((kind, given),) = json.loads(line).items()
        if kind == "start":
            answer = os.fork()
            if answer == 0:
                _run(given)
            outputs[answer] = Path(given["output"])
        elif kind == "ended":
            answer = int(_has_ended(given, codes, os.WNOHANG))
        else:
            _has_ended(given, codes, 0)
            answer = codes.pop(given)
            _import_the_same(outputs.pop(given).with_suffix(IMPORTED))
        answers.write(f"{answer}\n")
        answers.flush()


def _has_ended(pid: int, codes: dict[int, int], options: int) -> bool:
    """Return whether a child has ended, and note its exit code."""
    if pid not in codes:
        ended, status = os.waitpid(pid, options)
        if ended:
            codes[pid] = os.waitstatus_to_exitcode(status)
    return pid in codes


def _run(request: dict[str, Any]) -> None:
    """Run a command in a child, and exit."""
    from tests.faults.kill import run

    signal.alarm(MAX_COMMAND_SECONDS)
    before = set(sys.modules)
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    try:
        run(["risk", *request["arguments"]], Fault(**request["fault"]))
        code: object = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    Path(request["output"]).with_suffix(IMPORTED).write_text("\n".join(sys.modules.keys() - before), encoding="utf-8")
    _exit(code if isinstance(code, int) else 1)


def _exit(code: int) -> None:
    """End a child as the interpreter does, but leave the imported modules: to free them costs more than most commands."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _import_the_same(names: Path) -> None:
    """Import the modules that a command has imported, if it was not killed."""
    import importlib

    if not names.exists():
        return
    before = _threads()
    for name in names.read_text(encoding="utf-8").split():
        with suppress(ImportError):  # of modules that are no files, and those that only their package can import
            importlib.import_module(name)
    names.unlink()
    gc.freeze()
    assert _threads() == before, "an import has started a thread, which a fork would lose"


def _threads() -> int:
    """Return the number of threads without those of polars' memory allocator, which come and go."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            found += not (task / "comm").read_text().startswith("jemalloc")
    return found


def _import_everything() -> None:
    """Import what commands use, and let SQLite and the lake skip fsync: a killed process loses nothing that it has written."""
    import importlib

    os.fsync = lambda _: None  # type: ignore[assignment]
    quicken()
    for name in IMPORTS:
        importlib.import_module(name)
    for name, attribute in (("numpy", "ndarray"), ("pandas", "DataFrame"), ("pyarrow", "Table")):
        getattr(getattr(importlib.import_module("polars._dependencies"), name), attribute)  # two threads cannot do it at once
    read_ahead()
    before = _threads()
    use_everything()
    assert _threads() == before, "a command has started a thread, which a fork would lose"


if __name__ == "__main__":
    _import_everything()
    gc.freeze()
    serve(sys.stdin, sys.stdout)
