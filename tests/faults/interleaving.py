"""Two commands at once: one is paused at a write, the other one runs, then the first one continues."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from risk_assets.lake import layout
from risk_assets.lake.manifests import find_manifest, identity
from tests.faults.content import read
from tests.faults.places import NO_FAULT, Place
from tests.faults.warm import Done, Started
from tests.faults.writes import PAUSED, RESUME, STOP, Fault

POLL_SECONDS, MAX_SECONDS = 0.05, 180.0
IDLE_SECONDS, IDLE_CPU_SECONDS = 2.0, 0.1  # a command that uses less in this time waits for the other one
LEASE_SECONDS = 5.0  # of a command that is stopped; `lake/test_leases.py` tests the product's own


@dataclass(frozen=True)
class Both:
    """Two commands that have ended: the paused one, and the one that ran meanwhile."""

    paused: Done
    other: Done

    @property
    def succeeded(self) -> int:
        """The number of commands that succeeded."""
        return [self.paused.code, self.other.code].count(0)


def interleave(place: Place, first: tuple[str, ...], fault: Fault, change: Callable[[], None], other: tuple[str, ...]) -> Both:
    """Pause the first command by a fault, make a change, run the other command, then continue the first.

    If the other command waits for the first one, both continue. A first command that is stopped continues when the other one
    has ended: its lease expires meanwhile, which the other one waits for only `LEASE_SECONDS`.
    """
    with paused(place, first, fault) as started:
        change()
        second = place.start(*other, fault=Fault(lease_seconds=LEASE_SECONDS) if fault.action == STOP else NO_FAULT)
        waits = _Idle(second.pid) if fault.action != STOP else lambda: False
        _wait(lambda: place.warm.has_ended(second) or waits(), MAX_SECONDS)
    return Both(place.warm.wait(started), place.warm.wait(second))


@contextmanager
def paused(place: Place, command: tuple[str, ...], fault: Fault) -> Iterator[Started]:
    """Start a command, wait until it is paused, and let it continue after the block."""
    started = place.start(*command, fault=fault)
    notes = started.output.parent
    _wait((notes / PAUSED).exists, MAX_SECONDS)
    assert (notes / PAUSED).exists(), f"not paused: {started.output.read_text()}"
    try:
        yield started
    finally:
        (notes / RESUME).touch()
        if fault.action == STOP:
            os.kill(started.pid, signal.SIGCONT)


def inconsistencies(place: Place, date: str) -> list[str]:
    """Return what does not match in the tables of a date: parts, versions of rows, and the chain of manifests."""
    lake = place.lake
    problems = list(read(place).problems)
    for key in ("raw/accounts", "curated/features", "curated/predictions", "curated/review_list"):
        manifest = find_manifest(lake, layout.PATHS[key](date))
        if manifest is None:
            problems.append(f"{key} has no manifest")
            continue
        inputs = manifest.made_from.inputs.items() if key.startswith("curated/") else ()
        problems += [f"{key} was made from another {path}" for path, made in inputs if identity(lake, path) != made]
        if key == "curated/predictions":
            rows = pl.read_csv(lake.get(manifest.path), infer_schema=False)
            versions = {version for version in rows["model_version"].unique() if version}
            if versions != {manifest.made_from.model_version}:
                problems.append(f"the rows of {key} have {versions}, its manifest {manifest.made_from.model_version}")
    return problems


def is_one_line_error(done: Done) -> bool:
    """Return whether a command failed with an error of the product and no traceback or unexpected type."""
    return done.code == 1 and not any(word in done.text for word in ("Traceback", "unexpected"))


def estimators(place: Place) -> dict[str, tuple[str, bytes]]:
    """Return the estimator and the scorecard of each complete version."""
    files = place.objects(place.lake)
    found = {}
    for path, content in files.items():
        folder, _, name = path.rpartition("/")
        if name == layout.METADATA and folder.startswith(f"{layout.REGISTRY}/"):
            metadata = msgspec.json.decode(content)
            found[metadata["version"]] = (metadata["origin"]["estimator"], files[layout.artifact(folder, layout.SCORECARD)])
    return found


class _Idle:
    """Whether a process has used hardly any CPU for a while."""

    def __init__(self, pid: int) -> None:
        self._stat, self._since, self._used = Path(f"/proc/{pid}/stat"), time.monotonic(), 0.0

    def __call__(self) -> bool:
        fields = self._stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if fields[0] != "S" or used - self._used > IDLE_CPU_SECONDS:
            self._since, self._used = time.monotonic(), used
        return time.monotonic() - self._since > IDLE_SECONDS


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
