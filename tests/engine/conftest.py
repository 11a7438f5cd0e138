"""Real engines: a master with two workers, and a Spark Connect server. Each test process has its own."""

from collections.abc import Iterator

import pytest

from tests.azurite.server import Azurite
from tests.engine.clusters import ConnectServer, Standalone, connect_server, standalone


@pytest.fixture(scope="session")
def storage(azurite: Azurite) -> dict[str, str]:
    """The environment of executors: the storage account is theirs, not the driver's."""
    return {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, storage: dict[str, str]) -> Iterator[Standalone]:
    """A master with two workers. Tests that kill a worker use `breakable`."""
    with standalone(tmp_path_factory.mktemp("cluster"), environment=storage) as running:
        yield running


@pytest.fixture
def breakable(tmp_path_factory: pytest.TempPathFactory, storage: dict[str, str]) -> Iterator[Standalone]:
    """A master with two workers, for one test."""
    with standalone(tmp_path_factory.mktemp("breakable"), environment=storage) as running:
        yield running


@pytest.fixture(scope="session")
def connect(tmp_path_factory: pytest.TempPathFactory, storage: dict[str, str]) -> Iterator[ConnectServer]:
    """A Spark Connect server with two threads."""
    with connect_server(tmp_path_factory.mktemp("connect"), environment=storage) as running:
        yield running
