"""What tests share: a lake on disk and one on Azurite, and the sample book's contract and policy."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from risk_serving.settings import ServingSettings
from tests.azurite.server import Azurite, running

ROOT = Path(__file__).parents[1]
VARIABLES = (
    *(f"RISK_{name}" for name in ("LAKE", "LANDING", "CONTRACT", "POLICY", "START_DATE", "KEY_VAULT")),
    *(f"RISK_{name.upper()}" for name in ServingSettings.model_fields if name.startswith("serve_")),
    *(f"AZURE_STORAGE_{name}" for name in ("CONNECTION_STRING", "ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN")),
    "DAGSTER_HOME",
)
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running(tmp_path_factory.mktemp("azurite")) as server:
        server.create_container("lake")
        yield server


@pytest.fixture
def contract() -> Contract:
    return Contract.parse((ROOT / "data/contract.yml").read_text(encoding="utf-8"), "data/contract.yml")


@pytest.fixture
def policy() -> Policy:
    return Policy.parse((ROOT / "data/policy.yml").read_text(encoding="utf-8"), "data/policy.yml")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads this machine's own settings, nor a `.env` file."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["disk", "azurite"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty lake and an empty landing folder, on disk and on Azurite."""
    return make_settings(request, tmp_path, request.param)


@pytest.fixture
def disk_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty lake and an empty landing folder on disk."""
    return make_settings(request, tmp_path, "disk")


def make_settings(request: pytest.FixtureRequest, tmp_path: Path, where: str) -> Settings:
    files = {"contract": ROOT / "data/contract.yml", "policy": ROOT / "data/policy.yml", "DAGSTER_HOME": tmp_path / "dagster"}
    if where == "disk":
        return Settings(lake=f"file://{tmp_path / 'lake'}", landing=str(tmp_path / "landing"), **files, _env_file=None)
    server: Azurite = request.getfixturevalue("azurite")
    root = f"az://lake/test{next(_numbers)}"
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
