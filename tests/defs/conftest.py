"""Books for tests. Tests work on copies; most keep the run history in memory, which is twice as fast.

| fixture | lake | run history | storage |
|---|---|---|---|
| `empty_book` | empty | memory | disk, Azurite |
| `recorded_empty_book` | empty | disk | disk, Azurite |
| `book` | six labelled dates, `model_v001` live, the next date landed | memory | disk |
| `recorded_book` | the same | disk | disk |
| `scored_book` | the same, the next date scored | memory | disk |
| `two_versions` | as `book`, and a scorecard registered as `model_v002` | memory | disk |
| `stored_versions` | as `two_versions` | memory | disk, Azurite |
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage

from risk_assets.cli.jobs import REGISTERING
from risk_assets.defs.resources import Lakehouse
from risk_assets.lake import run_log
from risk_assets.lake.store import Store
from risk_assets.runner import Result, Runner, open_runner
from risk_assets.settings import Settings
from tests.conftest import CONTRACT, POLICY, ROOT
from tests.prepared import prepared

LABELLED = tuple(f"2026-01-{day:02d}" for day in range(1, 7))
NEXT = "2026-01-07"


@dataclass(frozen=True)
class Book:
    """Settings, runner and storage of one book."""

    settings: Settings
    runner: Runner

    @property
    def lake(self) -> Store:
        return self.settings.open_lake()

    @property
    def landing(self) -> Store:
        return self.settings.open_landing()

    @property
    def lakehouse(self) -> Lakehouse:
        return Lakehouse(self.settings)

    def land_sample(self, *names: str) -> None:
        for name in names:
            self.landing.put(name, (ROOT / "data/landing" / name).read_bytes())

    def land(self, name: str, content: bytes) -> None:
        self.landing.put(name, content)

    def train_on(self, *dates: str) -> Result:
        for date in dates:
            self.land_sample(f"accounts_{date}.csv", f"outcomes_{date}.csv")
            assert self.runner.run("daily_scoring", date, "raw/accounts", "curated/features").error is None
            assert self.runner.run("outcomes", date).error is None
        return self.runner.run("training", dates[-1])

    def score(self, date: str = NEXT) -> Result:
        return self.runner.run("daily_scoring", date)

    def with_documents(self, **files: Path) -> "Book":
        """Return the book with other files of contract and policy, which are not in force until they are adopted."""
        settings = self.settings.model_copy(update=files)
        return Book(settings, Runner(settings, self.runner.instance))

    def adopt(self, kind: str) -> None:
        """Put the file of the `policy` or the `contract` in force."""
        assert self.runner.govern(action=f"adopt_{kind}", reason="a test") is None

    def register_scorecard(self) -> None:
        """Register a scorecard as the next version; the champion stays live."""
        assert self.runner.run("training", LABELLED[-1], *REGISTERING, training__model={"estimator": "scorecard"}).error is None

    def history_contains(self, text: bytes) -> bool:
        """Return whether a file of the run history contains the text."""
        return any(text in path.read_bytes() for path in self.settings.dagster_home.rglob("*") if path.is_file())

    def log(self) -> list[dict[str, str]]:
        return list(run_log.read(self.lake).values())


@pytest.fixture
def empty_book(settings: Settings) -> Iterator[Book]:
    with in_memory(settings) as empty:
        yield empty


@pytest.fixture
def recorded_empty_book(settings: Settings) -> Iterator[Book]:
    with recorded(settings) as empty:
        yield empty


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    return trained_book(tmp_path_factory, worker_id)


@pytest.fixture(scope="session")
def scored(trained: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    return prepared("scored", tmp_path_factory, worker_id, lambda folder: _score(trained, folder))


@pytest.fixture(scope="session")
def registered(trained: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    return prepared("registered", tmp_path_factory, worker_id, lambda folder: _register(trained, folder))


@pytest.fixture
def book(trained: Path, tmp_path: Path) -> Iterator[Book]:
    with copied(trained, tmp_path / "book") as copy:
        yield copy


@pytest.fixture
def recorded_book(trained: Path, tmp_path: Path) -> Iterator[Book]:
    folder = tmp_path / "book"
    shutil.copytree(trained, folder)
    with recorded(on_disk(folder)) as copy:
        yield copy


@pytest.fixture
def scored_book(scored: Path, tmp_path: Path) -> Iterator[Book]:
    with copied(scored, tmp_path / "book") as copy:
        yield copy


@pytest.fixture
def two_versions(registered: Path, tmp_path: Path) -> Iterator[Book]:
    with copied(registered, tmp_path / "book") as copy:
        yield copy


@pytest.fixture
def stored_versions(registered: Path, settings: Settings) -> Iterator[Book]:
    original = on_disk(registered).open_lake()
    target = settings.open_lake()
    for path in original.list(""):
        target.put(path, original.get(path))
    with in_memory(settings) as copy:
        yield copy


def trained_book(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the folder of the trained book, which is built once for all workers."""
    return prepared("trained", tmp_path_factory, worker_id, _train)


@pytest.fixture(autouse=True)
def no_open_instance() -> Iterator[None]:
    """Hide the Dagster instances of other fixtures: one that is closed can stay the current one of this process."""
    with set_defs_state_storage(None):
        yield


@contextmanager
def recorded(settings: Settings) -> Iterator[Book]:
    """Open a book whose run history is stored in the Dagster home, as for users."""
    with open_runner(settings) as runner:
        yield Book(settings, runner)


@contextmanager
def in_memory(settings: Settings) -> Iterator[Book]:
    """Open a book whose run history ends with the test."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Book(settings, Runner(settings, instance))


@contextmanager
def copied(original: Path, folder: Path) -> Iterator[Book]:
    """Open a copy of a book in a folder."""
    shutil.copytree(original, folder, dirs_exist_ok=True)
    with in_memory(on_disk(folder)) as copy:
        yield copy


def on_disk(folder: Path) -> Settings:
    """Return the settings of the book in a folder."""
    files = {"contract": CONTRACT, "policy": POLICY, "DAGSTER_HOME": folder / "dagster"}
    return Settings(lake=f"file://{folder / 'lake'}", landing=str(folder / "landing"), _env_file=None, **files)


def _train(folder: Path) -> None:
    with in_memory(on_disk(folder)) as book:
        assert book.train_on(*LABELLED).error is None
        book.land_sample(f"accounts_{NEXT}.csv")


def _score(trained: Path, folder: Path) -> None:
    with copied(trained, folder) as book:
        assert book.score().error is None


def _register(trained: Path, folder: Path) -> None:
    with copied(trained, folder) as book:
        book.register_scorecard()
