"""Folders that the workers of a test session share: each is built once."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def prepared(name: str, tmp_path_factory: pytest.TempPathFactory, worker_id: str, make: Callable[[Path], None]) -> Path:
    """Return the session's folder of this name; the first worker that needs it builds it with `make(folder)`.

    Workers share the folder. A test that changes its files works on a copy.
    """
    folder = session_folder(tmp_path_factory, worker_id) / name
    with locked(folder.with_name(f"{name}.lock")):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


def session_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the temporary folder that all workers of the session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "session"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; other processes wait."""
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
