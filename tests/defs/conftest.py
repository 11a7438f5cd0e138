"""Books for tests: an empty one, and one with six labelled dates, a live model and the next date landed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from risk_assets.defs.resources import Lakehouse
from risk_assets.lake import run_log
from risk_assets.lake.store import Store
from risk_assets.runner import Result, Runner, open_runner
from risk_assets.settings import Settings
from tests.conftest import ROOT
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

    def log(self) -> list[dict[str, str]]:
        return list(run_log.read(self.lake).values())


@pytest.fixture
def empty_book(settings: Settings) -> Iterator[Book]:
    """A book without data, on disk and on Azurite."""
    with open_runner(settings) as runner:
        yield Book(settings, runner)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a book with a live model; tests work on copies."""
    return trained_book(tmp_path_factory, worker_id)


@pytest.fixture
def book(trained: Path, tmp_path: Path) -> Iterator[Book]:
    """A copy of the trained book, on disk; the next date has landed and is not scored."""
    folder = tmp_path / "book"
    shutil.copytree(trained, folder)
    with open_book(folder) as copied:
        yield copied


def trained_book(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the folder of the trained book, which is built once for all workers."""
    return prepared("trained", tmp_path_factory, worker_id, _train)


def _train(folder: Path) -> None:
    with open_book(folder) as made:
        assert made.train_on(*LABELLED).error is None
        made.land_sample(f"accounts_{NEXT}.csv")


@contextmanager
def open_book(folder: Path) -> Iterator[Book]:
    """Open the book of a folder, with its run history."""
    with open_runner(on_disk(folder)) as runner:
        yield Book(runner.settings, runner)


def on_disk(folder: Path, **changed: Path) -> Settings:
    """Return the settings of a book in a folder."""
    files = {"contract": ROOT / "data/contract.yml", "policy": ROOT / "data/policy.yml", **changed}
    return Settings(
        lake=f"file://{folder / 'lake'}", landing=str(folder / "landing"), DAGSTER_HOME=folder / "dagster", _env_file=None, **files
    )
