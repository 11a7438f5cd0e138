"""The lake's format: written with the first object, compared when a lake is opened."""

from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version

import pytest

from risk_assets.defs.resources import Lakehouse, azure_blob
from risk_assets.domain.contract.policy import Policy
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import binding_log, document_archive, impact_files, layout, registry, run_log, snapshots
from risk_assets.lake.append import open_append
from risk_assets.lake.format import FORMAT, require_format
from risk_assets.lake.manifests import find_manifest
from risk_assets.lake.raw import scan
from risk_assets.lake.store import Store
from risk_assets.lake.tables import write_table
from risk_assets.settings import Settings
from risk_serving.scoring.live_model import LiveModel
from risk_serving.settings import ServingSettings
from tests.lake.conftest import people, table


def open_dagster(settings: Settings) -> Store:
    credential = settings.credential()
    return Lakehouse(settings, azure_blob(credential) if credential else None).store


OPENED: dict[str, Callable[[Settings], Store]] = {"settings": Settings.open_lake, "Dagster": open_dagster}


def _write_run_log(lake: Store) -> None:
    with open_append(lake, layout.RUN_LOG, run_log.HEADER) as log:
        assert log.replace(run_log.HEADER, log.end())


WRITES: dict[str, Callable[[Store], object]] = {
    "put": lambda lake: lake.put("logs/a", b"1"),
    "create": lambda lake: lake.create("logs/a", b"1"),
    "write": lambda lake: lake.write("logs/a", iter([b"1"])),
    "run log": _write_run_log,
    "table": lambda lake: write_table(lake, "logs/a.csv", table(people())),
}


READS: dict[str, Callable[[Store], object]] = {
    "versions": registry.versions,
    "champion": registry.champion,
    "bindings": binding_log.read,
    "verify": binding_log.verify,
    "run log": run_log.read,
    "policy": lambda lake: document_archive.read(lake, Policy, "0" * 64),
    "impact": lambda lake: impact_files.read(lake, "model_v001"),
    "features": lambda lake: snapshots.newest(lake, {}, 3),
    "manifest": lambda lake: find_manifest(lake, "raw/accounts_2026-01-01.csv"),
    "scan": lambda lake: scan(lake, "raw/accounts_2026-01-01.csv"),
    "entry": lambda lake: lake.entry("raw/a"),
    "names": lambda lake: lake.names(""),
}


# --- an empty lake -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", WRITES)
def test_the_first_write_writes_the_format(settings: Settings, store: Store, write: str) -> None:
    lake = settings.open_lake()
    assert store.list("") == ()
    WRITES[write](lake)
    assert store.get("format.json") == b'{"format":3}'
    assert require_format(store) == FORMAT == 3


class SourceFailedError(Exception):
    """A source that fails while it is read."""


def test_the_format_is_written_before_the_first_object(settings: Settings, store: Store) -> None:
    def nothing() -> bytes:
        raise SourceFailedError

    with pytest.raises(SourceFailedError):
        settings.open_lake().write("logs/a", (nothing() for _ in range(1)))
    assert store.list("") == ("format.json",)


@pytest.mark.parametrize("read", READS)
def test_a_read_does_not_create_an_empty_lake(settings: Settings, store: Store, read: str) -> None:
    with suppress(RiskError):
        READS[read](settings.open_lake())
    assert store.list("") == ()
    assert store.folder is None or not store.folder.exists()


def test_a_store_opened_before_the_lake_exists_reads_it_later(settings: Settings) -> None:
    early = settings.open_lake()
    assert early.find("logs/a") is None
    settings.open_lake().put("logs/a", b"1")
    assert (early.get("logs/a"), early.names("")) == (b"1", ("format.json", "logs"))


def test_two_first_writers_agree(settings: Settings) -> None:
    one, other = settings.open_lake(), settings.open_lake()
    one.put("logs/a", b"1")
    other.put("logs/b", b"2")
    assert settings.open_lake().list("") == ("format.json", "logs/a", "logs/b")


def test_a_lake_that_begins_while_it_is_opened_opens(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    early = settings.open_lake()
    names = Store.names

    def begun_meanwhile(lake: Store, folder: str) -> tuple[str, ...]:
        early.put("logs/a", b"1")
        return names(lake, folder)

    monkeypatch.setattr(Store, "names", begun_meanwhile)
    assert settings.open_lake().get("logs/a") == b"1"


def test_a_first_write_after_another_release_is_rejected(settings: Settings, store: Store) -> None:
    lake = settings.open_lake()
    store.put("format.json", b'{"format": 4}')
    with pytest.raises(LakeError, match="has format 4"):
        lake.put("logs/a", b"1")
    assert store.list("") == ("format.json",)


def test_a_landing_folder_has_no_format(settings: Settings) -> None:
    settings.open_landing().put("accounts_2026-01-01.csv", b"id\n1\n")
    assert settings.open_landing().list("") == ("accounts_2026-01-01.csv",)


# --- an existing lake ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", OPENED)
def test_a_lake_of_this_format_opens(settings: Settings, store: Store, opened: str) -> None:
    settings.open_lake().put("logs/a", b"1")
    OPENED[opened](settings).put("logs/b", b"2")
    assert store.list("") == ("format.json", "logs/a", "logs/b")


@pytest.mark.parametrize("opened", OPENED)
@pytest.mark.parametrize(("number", "age"), [(0, "an earlier"), (4, "a later")])
def test_a_lake_of_another_format_is_rejected(settings: Settings, store: Store, opened: str, number: int, age: str) -> None:
    store.put("format.json", b'{"format": %d}' % number)
    with pytest.raises(LakeError) as caught:
        OPENED[opened](settings)
    message = str(caught.value)
    assert f"the lake at {settings.lake} has format {number}" in message
    assert f"{age} release wrote it" in message
    assert "RISK_LAKE" in message
    assert version("risk-lakehouse") in message


@pytest.mark.parametrize("opened", OPENED)
@pytest.mark.parametrize("path", ["raw/accounts_2026-01-01.csv", "logs/batch_runs_log.csv", "registry/bindings/000001.json"])
def test_a_lake_without_a_format_is_an_earlier_one(settings: Settings, store: Store, opened: str, path: str) -> None:
    store.put(path, b"x")
    with pytest.raises(LakeError, match=r"has no format\.json: an earlier release wrote it.*RISK_LAKE"):
        OPENED[opened](settings)
    assert store.list("") == (path,)


@pytest.mark.parametrize("path", ["lost+found/x", ".DS_Store", "landing/accounts_2026-01-01.csv"])
def test_other_files_beside_the_lake_are_not_its_content(settings: Settings, store: Store, path: str) -> None:
    store.put(path, b"x")
    settings.open_lake().put("logs/a", b"1")
    assert set(store.list("")) == {path, "format.json", "logs/a"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "one"}', b"{}", b"\xff"])
def test_a_damaged_format_is_rejected(settings: Settings, store: Store, content: bytes) -> None:
    store.put("format.json", content)
    with pytest.raises(LakeError, match=r"format\.json of the lake at .* cannot be read.*backup"):
        settings.open_lake()


def test_opening_an_existing_lake_costs_one_request(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.open_lake().put("logs/a", b"1")
    requests = []
    for name in ("get", "names", "list", "size", "create"):
        method = getattr(Store, name)
        monkeypatch.setattr(Store, name, lambda *given, name=name, method=method: (requests.append(name), method(*given))[1])
    settings.open_lake().put("logs/b", b"2")
    assert requests == ["get"]


def test_the_service_does_not_load_a_lake_of_another_format(disk_settings: Settings) -> None:
    files = {"contract": disk_settings.contract, "policy": disk_settings.policy}
    live = LiveModel(ServingSettings(lake=disk_settings.lake, **files, _env_file=None))
    live.refresh()
    assert live.problem == "no model is live yet. Train one on dates with outcomes: risk train DATE."
    live.store.put("format.json", b'{"format": 4}')
    live.refresh()
    assert live.current is None
    assert "has format 4" in (live.problem or "")


def test_connecting_to_a_lake_sends_no_request(settings: Settings, store: Store) -> None:
    store.put("format.json", b'{"format": 4}')
    lake = settings.connect_lake()
    with pytest.raises(LakeError, match="has format 4"):
        require_format(lake)
