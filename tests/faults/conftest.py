"""The states that commands are killed in, each made once for all workers, and the warm process of this worker."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.azurite.server import Azurite
from tests.faults.places import Place
from tests.faults.states import STATES, make_state
from tests.faults.warm import Warm, warm_process
from tests.prepared import locked, session_folder


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    with warm_process() as process:
        yield process


@pytest.fixture(scope="session")
def state(warm: Warm, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str], Place]:
    """Return a function that returns a state by its name. Tests work on copies."""
    root = session_folder(tmp_path_factory, worker_id) / "fault-states"
    root.mkdir(exist_ok=True)

    def place(folder: Path) -> Place:
        return Place(folder, warm)

    def find(name: str) -> Place:
        source, folder = STATES[name].source, root / name
        earlier = find(source) if source else None
        with locked(root / f"{name}.lock"):
            if not folder.exists():
                unfinished = root / f"{name}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                make_state(name, unfinished, earlier, place)
                unfinished.rename(folder)
        return place(folder)

    return find


@pytest.fixture(params=["disk", pytest.param("azurite", marks=pytest.mark.long)])
def storage(request: pytest.FixtureRequest) -> Azurite | None:
    """Azurite, or None for the disk."""
    return request.getfixturevalue("azurite") if request.param == "azurite" else None
