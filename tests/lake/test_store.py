"""The store, on disk and on Azurite: atomic writes, and errors with a next step."""

import base64
import hashlib
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.hashing import content_of_chunks
from risk_assets.lake.store import AzureCredential, Store, open_store
from risk_assets.lake.tables import Table, read_table, write_table
from risk_assets.settings import Settings
from tests.azurite.server import Azurite, _free_port
from tests.lake.conftest import table as any_table

MIB = 1024 * 1024
WRONG_KEY = base64.b64encode(b"SECRET123 is not the key").decode()


class SourceFailedError(Exception):
    """A source that fails while it is read."""


def credential(server: Azurite) -> AzureCredential:
    return AzureCredential(server.account, server.endpoint, key=server.key)


def everything(store: Store) -> list[str]:
    """Return all paths of a store; on disk also files that the store does not list, such as temporary ones."""
    if store.folder is None:
        return list(store.list(""))
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())


def settled(store: Store) -> dict[str, bytes]:
    """Return all objects of a store half a second later: polars can finish a write after it has raised."""
    time.sleep(0.5)
    return {path: store.get(path) for path in everything(store)}


def breaking(chunks: int, size: int) -> Iterator[bytes]:
    for _ in range(chunks):
        yield b"x" * size
    raise SourceFailedError


def failing_sink(store: Store, path: str) -> None:
    """Sink a table; a large part is written before a row fails."""

    def fail(batch: pl.DataFrame) -> pl.DataFrame:
        if batch["n"].max() == 199_999:
            raise SourceFailedError
        return batch

    frame = pl.LazyFrame({"n": range(200_000)}).map_batches(fail, streamable=True)
    with store.table_target(path) as target:
        frame.sink_csv(target.file)


# --- objects -----------------------------------------------------------------------------------------------------------


def test_put_writes_and_replaces_an_object(store: Store) -> None:
    store.put("a/b.bin", b"\x00first\xff")
    assert store.get("a/b.bin") == b"\x00first\xff"
    store.put("a/b.bin", b"second")
    assert (store.get("a/b.bin"), store.size("a/b.bin"), everything(store)) == (b"second", 6, ["a/b.bin"])


def test_create_does_not_replace_an_object(store: Store) -> None:
    assert store.create("claim", b"first") is True
    assert store.create("claim", b"second") is False
    assert store.get("claim") == b"first"


def test_create_writes_again_after_a_delete(store: Store) -> None:
    store.create("claim", b"first")
    store.delete("claim")
    assert store.create("claim", b"second") is True


def test_missing_objects_differ_from_empty_ones(store: Store) -> None:
    store.put("there", b"")
    assert (store.find("there"), store.size("there"), store.get_range("there", 0, 9), list(store.chunks("there"))) == (b"", 0, b"", [])
    assert (store.find("nope"), store.size("nope")) == (None, None)
    assert (store.list("nope/"), store.names("nope")) == ((), ())


@pytest.mark.parametrize("action", ["get", "chunks", "reader", "copy", "delete"])
def test_a_missing_object_raises_file_not_found(store: Store, action: str) -> None:
    actions: dict[str, Callable[[], object]] = {
        "get": lambda: store.get("nope"),
        "chunks": lambda: list(store.chunks("nope")),
        "reader": lambda: store.reader("nope").__enter__(),
        "copy": lambda: store.copy("nope", "there"),
        "delete": lambda: store.delete("nope"),
    }
    with pytest.raises(FileNotFoundError):
        actions[action]()
    assert everything(store) == []


def test_a_range_is_at_most_the_rest_of_the_object(store: Store) -> None:
    store.put("five", b"hello")
    ranges = {(0, 2): b"he", (0, 5): b"hello", (0, 1000): b"hello", (1, 3): b"ell", (3, 9): b"lo"}
    ranges |= {(0, 0): b"", (3, 0): b"", (5, 0): b"", (5, 1): b"", (9, 1): b""}
    assert {(start, length): store.get_range("five", start, length) for start, length in ranges} == ranges
    for length in (0, 1):
        with pytest.raises(FileNotFoundError):
            store.get_range("nothing", 0, length)


def test_chunks_join_to_the_object(store: Store) -> None:
    content = bytes(range(256)) * 4096 * 17  # 17 MiB, more than two pieces
    store.write("big", iter([content[: 5 * MIB], content[5 * MIB :]]))
    pieces = list(store.chunks("big"))
    assert len(pieces) > 1
    assert b"".join(pieces) == content
    assert store.size("big") == len(content)


def test_a_reader_seeks_in_an_object(store: Store) -> None:
    store.put("digits", b"0123456789")
    with store.reader("digits") as file:
        assert (file.seek(-3, 2), file.read(2), file.tell(), file.read(9), file.read(1)) == (7, b"78", 9, b"9", b"")
        assert (file.seek(1), file.read(2), file.seek(-2, 1), file.read(1)) == (1, b"12", 1, b"1")


def test_a_reader_reads_one_version(store: Store) -> None:
    store.put("digits", b"0123456789")
    with _replaced(store), store.reader("digits") as file:
        store.put("digits", b"abcdefghij")
        assert file.read(2) == b"01"


def _replaced(store: Store) -> AbstractContextManager[object]:
    """Expect what a read of a replaced object does: on disk the content is still there, on Azure it is not."""
    return nullcontext() if store.folder else pytest.raises(LakeError, match="changed while it was read")


def test_a_reader_of_a_redirected_folder(store: Store) -> None:
    store.put("there/a", b"content")
    with store.redirected({"here": "there"}).reader("here/a") as file:
        assert file.read() == b"content"


def test_list_is_recursive_and_names_is_not(store: Store) -> None:
    for path in ("z.txt", "a/1.txt", "a/b/2.txt", "ab/3.txt"):
        store.put(path, b"x")
    assert store.list("") == ("a/1.txt", "a/b/2.txt", "ab/3.txt", "z.txt")
    assert store.list("a/") == ("a/1.txt", "a/b/2.txt")
    assert store.names("") == ("a", "ab", "z.txt")
    assert store.names("a") == ("1.txt", "b")


def test_copy_keeps_the_source(store: Store) -> None:
    store.put("a", b"content")
    store.copy("a", "deep/b")
    assert (store.get("a"), store.get("deep/b")) == (b"content", b"content")


@pytest.mark.parametrize(("chunks", "size"), [(0, 0), (1, 10), (3, 6 * MIB)], ids=["at once", "after some bytes", "after 18 MiB"])
def test_a_source_that_fails_during_a_write_leaves_nothing(store: Store, chunks: int, size: int) -> None:
    with pytest.raises(SourceFailedError):
        store.write("folder/target", breaking(chunks, size))
    assert everything(store) == []


def test_a_source_that_fails_leaves_the_earlier_object(store: Store) -> None:
    store.put("target", b"earlier")
    with pytest.raises(SourceFailedError):
        store.write("target", breaking(3, 6 * MIB))
    assert (store.get("target"), everything(store)) == (b"earlier", ["target"])


def test_an_empty_source_writes_an_empty_object(store: Store) -> None:
    store.write("empty", iter([]))
    assert store.size("empty") == 0


# --- tables ------------------------------------------------------------------------------------------------------------


def test_a_sink_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(SourceFailedError):
        failing_sink(store, "folder/table.csv")
    assert settled(store) == {}


@pytest.mark.parametrize("path", ["folder/table.csv", "folder/table.parquet"])
def test_a_sink_that_fails_at_its_first_row_leaves_nothing(store: Store, path: str) -> None:
    with pytest.raises(LakeError):
        write_table(store, path, replace(table(), frame=pl.LazyFrame({"id": ["no number"]}).with_columns(pl.col("id").cast(pl.Int64))))
    assert settled(store) == {}


def test_a_sink_that_fails_leaves_the_earlier_table(store: Store) -> None:
    store.put("folder/table.csv", b"n\n1\n")
    with pytest.raises(SourceFailedError):
        failing_sink(store, "folder/table.csv")
    assert settled(store) == {"folder/table.csv": b"n\n1\n"}


def test_a_finished_sink_leaves_one_complete_file(store: Store) -> None:
    with store.table_target("folder/table.csv") as target:
        pl.LazyFrame({"n": [1, 2]}).sink_csv(target.file)
    assert target.content.sha256 == hashlib.sha256(b"n\n1\n2\n").hexdigest()
    assert (store.get("folder/table.csv"), everything(store)) == (b"n\n1\n2\n", ["folder/table.csv"])


def test_a_table_has_the_segments_that_its_writer_chooses(store: Store) -> None:
    parts = [b"n\n1\n", b"2\n3\n", b"4\n"]
    with store.table_target("table.csv") as target:
        for part in parts:
            target.lengths.append(len(part))
            target.file.write(part)
    assert target.content == content_of_chunks(parts, [4, 4, 2])
    assert [segment.bytes for segment in target.content.segments] == [4, 4, 2]
    assert store.get("table.csv") == b"".join(parts)


def test_a_table_on_disk_appears_when_it_is_complete(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    with store.table_target("table.csv") as target:
        target.file.write(b"n\n1\n")
        assert store.size("table.csv") is None
    assert store.get("table.csv") == b"n\n1\n"


# --- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "folder"), [("az://lake", "rootless"), ("az://lake/", "with_slash")])
def test_a_container_without_a_prefix_is_a_lake(azurite: Azurite, url: str, folder: str) -> None:
    store = open_store(url, credential(azurite))
    store.put(f"{folder}/object", b"here")
    assert store.uri(f"{folder}/object") == f"az://lake/{folder}/object"
    assert store.get(f"{folder}/object") == b"here"
    assert store.list(f"{folder}/") == (f"{folder}/object",)
    assert folder in store.names("")
    write_table(store, f"{folder}/t.csv", table())
    assert read_table(store, f"{folder}/t.csv").collect()["id"].to_list() == ["007"]


def test_a_folder_and_its_file_address_are_the_same_lake(tmp_path: Path) -> None:
    open_store(str(tmp_path / "lake")).put("a", b"here")
    assert open_store(f"file://{tmp_path}/lake").get("a") == b"here"
    assert open_store(f"file://{tmp_path}/lake").uri("a") == str(tmp_path / "lake" / "a")


@pytest.mark.parametrize("url", ["s3://bucket/lake", "http://host/lake", "abfss://c@account/lake", "file://lake", "az://", "az:///prefix"])
def test_an_unknown_address_is_rejected_with_the_known_kinds(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LakeError, match="az://container/prefix") as caught:
        open_store(url, AzureCredential("account"))
    assert url in str(caught.value)


def test_azure_without_an_account_names_the_settings() -> None:
    with pytest.raises(LakeError) as caught:
        open_store("az://lake/prefix")
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"):
        assert name in str(caught.value)


# --- errors with a next step ---------------------------------------------------------------------------------------------

ACTIONS: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get("a"),
    "find": lambda store: store.find("a"),
    "chunks": lambda store: list(store.chunks("a")),
    "put": lambda store: store.put("a", b"x"),
    "create": lambda store: store.create("a", b"x"),
    "write": lambda store: store.write("a", iter([b"x"])),
    "copy": lambda store: store.copy("a", "b"),
    "delete": lambda store: store.delete("a"),
    "get_range": lambda store: store.get_range("a", 0, 9),
    "list": lambda store: store.list("folder/"),
    "names": lambda store: store.names(""),
    "write_table": lambda store: write_table(store, "a.csv", table()),
    "read_table": lambda store: read_table(store, "a.csv"),
}
# a 404 of a HEAD request has no reason, so a missing container looks like a missing object
HEAD_ACTIONS: dict[str, Callable[[Store], object]] = {"size": lambda store: store.size("a")}


def table() -> Table:
    return any_table(pl.LazyFrame({"id": ["007"]}))


def error_of(action: Callable[[Store], object], store: Store) -> LakeError:
    with pytest.raises(LakeError) as caught:
        action(store)
    return caught.value


@pytest.mark.parametrize("action", ACTIONS | HEAD_ACTIONS)
def test_a_wrong_key_is_reported_and_not_shown(azurite: Azurite, action: str) -> None:
    store = open_store("az://lake/failures", replace(credential(azurite), key=WRONG_KEY))
    error = error_of((ACTIONS | HEAD_ACTIONS)[action], store)
    assert "access denied" in str(error)
    assert "check the AZURE_STORAGE_ settings" in str(error)
    assert "az://lake/failures" in str(error)
    assert WRONG_KEY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("action", ACTIONS | HEAD_ACTIONS)
def test_a_wrong_sas_is_reported_and_not_shown(azurite: Azurite, action: str) -> None:
    token = azurite.sas_token()
    wrong = token.replace("sig=", "sig=AAAA")
    signature = wrong.partition("sig=")[2][:12]
    error = error_of(
        (ACTIONS | HEAD_ACTIONS)[action], open_store("az://lake/failures", AzureCredential(azurite.account, azurite.endpoint, sas=wrong))
    )
    assert "access denied" in str(error)
    assert "SAS and its expiry" in str(error)
    assert signature not in "".join(traceback.format_exception(error))


def test_a_missing_credential_is_reported(azurite: Azurite) -> None:
    anonymous = open_store("az://lake/failures", AzureCredential(azurite.account, azurite.endpoint))
    assert "access denied" in str(error_of(ACTIONS["get"], anonymous))


@pytest.mark.parametrize("key", ["not base64: SECRET123", "SECRET123=="])
def test_a_malformed_key_is_reported_and_not_shown(azurite: Azurite, key: str) -> None:
    with pytest.raises(LakeError, match="AZURE_STORAGE_") as caught:
        open_store("az://lake", AzureCredential(azurite.account, azurite.endpoint, key=key)).list("")
    assert key not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("action", ACTIONS)
def test_a_missing_container_names_the_command_to_create_it(azurite: Azurite, action: str) -> None:
    error = error_of(ACTIONS[action], open_store("az://missing/lake", credential(azurite)))
    assert "az storage container create --name missing" in str(error)
    assert azurite.key not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("action", ACTIONS | HEAD_ACTIONS)
def test_an_unreachable_server_is_reported_within_seconds(azurite: Azurite, action: str) -> None:
    unreachable = replace(credential(azurite), endpoint=f"http://127.0.0.1:{_free_port()}/{azurite.account}")
    start = time.monotonic()
    error = error_of((ACTIONS | HEAD_ACTIONS)[action], open_store("az://lake/failures", unreachable, 0))
    assert time.monotonic() - start < 5
    assert "cannot be reached" in str(error)
    assert azurite.key not in "".join(traceback.format_exception(error))


# --- SAS ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["", "?"])
def test_a_sas_reads_writes_lists_copies_sinks_and_scans(azurite: Azurite, mark: str) -> None:
    sas = AzureCredential(azurite.account, azurite.endpoint, sas=mark + azurite.sas_token())
    store = open_store(f"az://lake/with_sas{len(mark)}", sas)
    store.put("a", b"1")
    assert (store.get("a"), store.list(""), store.create("a", b"2")) == (b"1", ("a",), False)
    store.write("b", iter([b"x" * 9 * MIB, b"y"]))
    assert store.size("b") == 9 * MIB + 1
    store.copy("a", "c")
    assert store.names("") == ("a", "b", "c")
    for path in ("t.csv", "t.parquet"):
        write_table(store, path, table())
        assert read_table(store, path).collect().rows() == [("007",)]


def test_a_credential_never_shows_its_secrets() -> None:
    shown = repr(open_store("az://lake", AzureCredential("account", key=WRONG_KEY))) + repr(AzureCredential("a", sas="sig=SECRET123"))
    assert WRONG_KEY not in shown
    assert "SECRET123" not in shown


def test_one_at_a_time_is_in_an_exclusive_block(disk_settings: Settings) -> None:
    store, inside, most = disk_settings.connect_lake(), [0], [0]

    def enter(_: int) -> None:
        with store.exclusive("curated/t.csv", wait=True) as entered:
            assert entered
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(enter, range(400)))
    assert (inside, most) == ([0], [1])


def test_an_exclusive_block_that_cannot_start_names_the_path(disk_settings: Settings) -> None:
    store = disk_settings.connect_lake()
    assert store.folder is not None
    store.folder.mkdir(parents=True, exist_ok=True)
    (store.folder / layout.TEMPORARY).write_bytes(b"")
    expected = r"a file is where a folder is expected \(at .*, curated/t\.csv\)"
    with pytest.raises(LakeError, match=expected), store.exclusive("curated/t.csv", wait=True):
        pass


def test_an_entry_knows_when_it_was_written(store: Store) -> None:
    before = time.time()
    store.put("a", b"1")
    found = store.entry("a")
    assert found is not None
    assert before - 2 <= found.written <= time.time() + 2  # Azure has whole seconds
    assert store.entries("")[0].written == found.written
