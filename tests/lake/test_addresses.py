"""Addresses: a lake is exactly where its address says, whatever characters it has."""

from pathlib import Path

import polars as pl
import pytest

from risk_assets.errors import LakeError
from risk_assets.lake.addresses import Blobs, is_azure, parse_address
from risk_assets.lake.store import AzureCredential, Store, open_store
from risk_assets.lake.tables import read_table, write_table
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.lake.conftest import table as any_table

NAMES = ["a#b", "a?b", "a%b", "a%20b", "a%41b", "100%", "a[1]b", "a[b", "a*b", "a b", "ärger", "a{1,2}", "a+b&c=d", "pre#fix?x%41[1]"]


def use(store: Store) -> None:
    """Write, list and read objects and tables."""
    store.put("raw/a", b"content")
    assert (store.get("raw/a"), b"".join(store.chunks("raw/a")), store.names("")) == (b"content", b"content", ("raw",))
    for path in ("t.csv", "t.parquet"):
        write_table(store, path, any_table(pl.LazyFrame({"id": ["007"]})))
        assert read_table(store, path).collect()["id"].to_list() == ["007"]
    store.copy("raw/a", "raw/b")
    store.delete("raw/a")
    assert store.list("") == ("raw/b", "t.csv", "t.csv.manifest.json", "t.parquet", "t.parquet.manifest.json")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_taken_literally(tmp_path: Path, name: str) -> None:
    store = open_store(str(tmp_path / name / "lake"))
    use(store)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert store.uri("raw/b") == str(tmp_path / name / "lake" / "raw" / "b")
    assert open_store(store.uri("raw")).get("b") == b"content"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_address_is_percent_decoded(tmp_path: Path, name: str) -> None:
    store = open_store((tmp_path / name / "lake").as_uri())
    use(store)
    assert (tmp_path / name / "lake" / "raw" / "b").read_bytes() == b"content"
    assert open_store(store.uri("raw")).get("b") == b"content"


@pytest.mark.parametrize("name", NAMES)
def test_a_prefix_is_taken_literally(azurite: Azurite, worker_id: str, name: str) -> None:
    credential = AzureCredential(azurite.account, azurite.endpoint, key=azurite.key)
    root = open_store(f"az://lake/addresses-{worker_id}", credential)
    store = open_store(f"az://lake/addresses-{worker_id}/{name}", credential)
    use(store)
    assert name in root.names("")
    assert store.uri("raw/b") == f"az://lake/addresses-{worker_id}/{name}/raw/b"
    assert open_store(store.uri("raw"), credential).get("b") == b"content"


def test_a_table_is_not_a_pattern(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "lake[12]"))
    for other in ("lake1", "lake2"):
        write_table(open_store(str(tmp_path / other)), "t.csv", any_table(pl.LazyFrame({"id": [other]})))
    write_table(store, "t.csv", any_table(pl.LazyFrame({"id": ["own"]})))
    assert read_table(store, "t.csv").collect()["id"].to_list() == ["own"]


@pytest.mark.parametrize("name", NAMES)
def test_the_default_lake_is_in_the_project_whatever_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    project = tmp_path / name
    project.mkdir()
    monkeypatch.chdir(project)
    settings = Settings(_env_file=None)
    assert parse_address(settings.lake) == project / "lakehouse"
    use(settings.connect_lake())
    assert (project / "lakehouse" / "raw" / "b").exists()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("az://lake", Blobs("lake", "")),
        ("az://lake/", Blobs("lake", "")),
        ("az://lake/a/b/", Blobs("lake", "a/b")),
        ("az://lake/a%20b", Blobs("lake", "a%20b")),
        ("/srv/a%20b", Path("/srv/a%20b")),
        ("file:///srv/a%20b", Path("/srv/a b")),
        ("file:///srv/a#b?c", Path("/srv/a#b?c")),
        ("file:///srv/100%", Path("/srv/100%")),
    ],
)
def test_an_address_is_parsed(url: str, address: Path | Blobs) -> None:
    assert parse_address(url) == address
    assert is_azure(url) == isinstance(address, Blobs)


@pytest.mark.parametrize("url", ["", " ", "file://", "file://host/lake", "s3://bucket", "az://", "az:///prefix", "a\0b"])
def test_an_invalid_address_is_rejected_with_the_known_kinds(url: str) -> None:
    with pytest.raises(LakeError, match="az://container/prefix"):
        parse_address(url)
