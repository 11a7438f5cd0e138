"""Fixtures for all tests: settings of a lake on disk and on Azurite, and the sample book's contract and policy."""

import gc
import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.azurite.shared import shared
from tests.browser import open_page, require_chromium
from tests.history import quicken
from tests.prepared import session_folder
from tests.scheduling import SPARK, WAITING, Scheduling, may_be_long

ROOT = Path(__file__).parents[1]
CONTRACT = ROOT / "data/contract.yml"
POLICY = ROOT / "tests/policy.yml"
SETTINGS = ("RISK_", "AZURE_", "DAGSTER_")
FIRST = (
    *("test_ui.py", *WAITING, "test_days.py", *SPARK),
    *("test_kills.py", "test_kills_on_azurite.py", "test_detection.py", "test_interleavings.py", "test_corruption.py"),
)
COLLECTIONS = (2_000, 10, 50)
_numbers = itertools.count(1)

quicken()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background; Dagster would let servers of tests ignore SIGTERM
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_fsync() -> Iterator[None]:
    """Let the lake skip fsync too. `lake/test_disk.py` tests what is flushed, and in which order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import only the files that have long tests, if only these run."""
    only_long = config.getoption("markexpr") == "long" and collection_path.name.startswith("test_") and collection_path.is_file()
    return True if only_long and not may_be_long(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that take longest first; the other workers run the rest meanwhile.

    Of the quick tests these are the browser's. Of the long ones, a worker begins with those that wait, another one with the days
    of a bank, a third one with Spark; then come killed commands; those of damaged files are many and short, and fill what is left.
    """
    overlooked = {str(item.path) for item in items if item.get_closest_marker("long") and not may_be_long(item.path)}
    if overlooked:
        raise pytest.UsageError(f"-m long would not find the long tests of {', '.join(sorted(overlooked))}: write @pytest.mark.long there")
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Share the long tests, which run with `--dist loadfile`, in another way."""
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Exclude what is loaded from garbage collection, and collect less often: most of what is imported later stays until the end, too."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Azurite]:
    """Azurite with the container `lake`; all workers share it, so each test needs a prefix of its own."""
    with shared(session_folder(tmp_path_factory, worker_id) / "azurite") as server:
        server.create_container("lake")
        yield server


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser; without one, tests are skipped, and in CI they fail."""
    return require_chromium()


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    """A page in a new browser."""
    with open_page(chromium) as opened:
        yield opened


@pytest.fixture
def contract() -> Contract:
    return Contract.parse(CONTRACT.read_text(encoding="utf-8"), "data/contract.yml")


@pytest.fixture
def policy() -> Policy:
    return Policy.parse(POLICY.read_text(encoding="utf-8"), "tests/policy.yml")


def copy_documents(folder: Path) -> None:
    """Copy the sample's contract and the policy of tests to `data/` in a folder."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for document in (CONTRACT, POLICY):
        shutil.copy(document, folder / "data")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of this machine from the environment."""
    for name in [name for name in os.environ if name.startswith(SETTINGS)]:
        monkeypatch.delenv(name)


@pytest.fixture(params=["disk", "azurite"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty lake and an empty landing folder, on disk and on Azurite."""
    return make_settings(request, tmp_path, request.param)


@pytest.fixture
def disk_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty lake and an empty landing folder on disk."""
    return make_settings(request, tmp_path, "disk")


def make_settings(request: pytest.FixtureRequest, tmp_path: Path, where: str) -> Settings:
    files = {"contract": CONTRACT, "policy": POLICY, "DAGSTER_HOME": tmp_path / "dagster"}
    if where == "disk":
        return Settings(lake=f"file://{tmp_path / 'lake'}", landing=str(tmp_path / "landing"), **files, _env_file=None)
    server: Azurite = request.getfixturevalue("azurite")
    root = f"az://lake/{request.getfixturevalue('worker_id')}-{next(_numbers)}"
    return Settings(
        lake=f"{root}/lake", landing=f"{root}/landing", AZURE_STORAGE_CONNECTION_STRING=server.connection_string, **files, _env_file=None
    )


@pytest.fixture
def store(settings: Settings) -> Store:
    """An empty lake, on disk and on Azurite, without its format."""
    return settings.connect_lake()


@pytest.fixture
def landing(settings: Settings) -> Store:
    """An empty landing folder, on disk and on Azurite."""
    return settings.open_landing()


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    """Return a file of the sample book by its name."""
    return lambda name: (ROOT / "data/landing" / name).read_bytes()
