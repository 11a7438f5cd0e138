"""Folders that take long to make: made once per run of the suite, also under several pytest-xdist workers."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ALONE = "master"  # the id of the only worker, as pytest-xdist names it


def prepared(name: str, tmp_path_factory: pytest.TempPathFactory, worker_id: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that all workers share. The first worker fills it with `make`; the others wait for it.

    Do not write to it: copy it first.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == ALONE else base.parent) / "prepared"
    shared.mkdir(exist_ok=True)
    folder, finished = shared / name, shared / f"{name}.finished"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            finished.touch()
    return folder
