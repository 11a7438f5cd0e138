"""Runs whole child processes in turns and tells their wall seconds and peak memory.

Only the standard library is imported here and in the modules that start children: a child's peak counts from what its
parent held when it was started, so the parent must stay small.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
SHOWN_ERROR = 4000


class BenchError(Exception):
    """A child that did not do its work."""


@dataclass(frozen=True)
class Run:
    """What one process took (wall and processor seconds, peak), and what it wrote to standard output."""

    seconds: float
    cpu: float
    megabytes: float
    output: str


@dataclass(frozen=True)
class Task:
    """A process to measure; `prepare` is called before each of its runs and is not timed."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Figures:
    """Medians over the runs of a task, and the spread of their seconds."""

    seconds: float
    cpu: float
    fastest: float
    slowest: float
    megabytes: float

    @staticmethod
    def of(runs: Sequence[Run]) -> "Figures":
        """Sum up runs of one task."""
        seconds = [run.seconds for run in runs]
        cpu, peak = (statistics.median(found) for found in ([run.cpu for run in runs], [run.megabytes for run in runs]))
        return Figures(statistics.median(seconds), cpu, min(seconds), max(seconds), peak)

    @property
    def spread(self) -> str:
        """The fastest and the slowest run."""
        return f"{self.fastest:.1f} to {self.slowest:.1f}"


def module(name: str, *arguments: object) -> tuple[str, ...]:
    """Return the command that runs one of the benchmark's own modules."""
    return (sys.executable, "-m", f"tests.bench.{name}", *map(str, arguments))


def interleaved(tasks: Sequence[Task], rounds: int) -> dict[str, list[Run]]:
    """Run all tasks once, then all of them again, and so on: what else the machine does falls on each alike."""
    runs: dict[str, list[Run]] = {task.name: [] for task in tasks}
    for turn in range(rounds):
        for task in tasks:
            run = measure(task)
            runs[task.name].append(run)
            say(f"round {turn + 1} of {rounds}: {task.name}: {run.seconds:.2f} s, {run.megabytes:,.0f} MB")
    return runs


def measure(task: Task) -> Run:
    """Run a task's process; raises `BenchError` with the end of its standard error when it fails."""
    task.prepare()
    os.sync()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(task.command, stdout=out, stderr=err, env={**os.environ, **task.env})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise BenchError(f"{task.name} ended with {process.returncode}:\n{_text(out)}{_text(err)[-SHOWN_ERROR:]}")
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * PEAK_UNIT / 1e6, _text(out))


def set_up(name: str, command: tuple[str, ...], env: Mapping[str, str] | None = None) -> str:
    """Run a process that only prepares and return what it wrote to standard output."""
    say(f"set-up: {name}")
    return measure(Task(name, command, env or {})).output


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows)) + "\n"


def say(text: str) -> None:
    """Tell the person who waits how far it has come."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def show(text: str) -> None:
    """Write a piece of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
