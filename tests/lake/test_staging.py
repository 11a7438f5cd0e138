"""Pieces that several machines stage and one commits, on disk and on Azurite."""

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from risk_assets.errors import LakeError
from risk_assets.lake import layout, staging
from risk_assets.lake.block_blobs import open_blob
from risk_assets.lake.hashing import content_of_chunks, sha256
from risk_assets.lake.staging import StagedPiece, commit_staged, discard_staged, new_token, stage, staged_tokens
from risk_assets.lake.store import AzureCredential, Store, open_store
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.faults.proxy import Proxy, proxied

PATH = layout.predictions("2026-01-05")
TOKEN = "0123abcd"
MIB = 1024 * 1024


def staged(store: Store, *contents: bytes, token: str = TOKEN) -> list[StagedPiece]:
    return [stage(store, PATH, token, number, [content]) for number, content in enumerate(contents)]


def all_blocks(store: Store, kind: str) -> list[Any]:
    with open_blob(store, PATH) as blob:
        committed, uncommitted = blob.get_block_list("all")
    return committed if kind == "committed" else uncommitted


def leftovers(store: Store) -> list[str]:
    """Return what is staged, in the names that a listing finds, and on disk in folders and temporary files."""
    if store.folder is None:
        return list(store.list(layout.staged_folder(PATH)))
    temporary = [path.name for path in (store.folder / layout.TEMPORARY).glob("*") if not path.name.startswith("pin-")]
    folder = store.file(layout.staged_folder(PATH))
    return temporary + ([str(folder)] if folder and folder.exists() else [])


@pytest.fixture
def azure_store(request: pytest.FixtureRequest, azurite: Azurite, worker_id: str) -> Store:
    url = f"az://lake/staging-{worker_id}-{re.sub('[^a-z]', '-', request.node.name)[:60]}-{new_token()}"
    return open_store(url, AzureCredential(azurite.account, azurite.endpoint, key=azurite.key))


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[Proxy]:
    with proxied(azurite) as found:
        yield found


def through(store: Store, proxy: Proxy, seconds: float = 3.0) -> Store:
    assert store.credential
    return open_store(store.url, replace(store.credential, endpoint=proxy.endpoint), seconds)


# --- what is committed -------------------------------------------------------------------------------------------------


def test_pieces_are_committed_in_the_order_of_their_list(store: Store) -> None:
    numbers = [3, 0, 4, 1, 2]
    pieces = {number: stage(store, PATH, TOKEN, number, [b"piece %d\n" % number]) for number in numbers}
    content = commit_staged(store, PATH, TOKEN, [pieces[number] for number in range(5)])
    assert store.get(PATH) == b"".join(b"piece %d\n" % number for number in range(5))
    assert [segment.bytes for segment in content.segments] == [8] * 5
    assert content == store.content(PATH, [8] * 5)
    assert content.bytes == store.size(PATH)
    assert leftovers(store) == []


def test_a_piece_is_staged_from_chunks(store: Store) -> None:
    pieces = [stage(store, PATH, TOKEN, 0, iter([b"from ", b"", b"chunks, "])), stage(store, PATH, TOKEN, 1, [b"and again"])]
    commit_staged(store, PATH, TOKEN, pieces)
    assert store.get(PATH) == b"from chunks, and again"


def test_a_large_piece_has_several_blocks_and_one_segment(store: Store) -> None:
    large = b"".join(bytes([number]) * MIB for number in range(9))
    pieces = staged(store, b"head\n", large, b"tail\n")
    content = commit_staged(store, PATH, TOKEN, pieces)
    assert [segment.bytes for segment in content.segments] == [5, 9 * MIB, 5]
    assert content.segments[1].sha256 == sha256(large)
    assert sha256(store.get(PATH)) == sha256(b"head\n" + large + b"tail\n")
    if store.folder is None:
        assert [block.size for block in all_blocks(store, "committed")] == [5, 4 * MIB, 4 * MIB, MIB, 5]


def test_a_piece_that_is_staged_twice_counts_once(store: Store) -> None:
    first, second, other = (
        stage(store, PATH, TOKEN, 0, [b"first"]),
        stage(store, PATH, TOKEN, 1, [b"second"]),
        stage(store, PATH, TOKEN, 0, [b"first"]),
    )
    assert first != other
    commit_staged(store, PATH, TOKEN, [first, second])
    assert store.get(PATH) == b"firstsecond"
    assert leftovers(store) == []
    if store.folder is None:
        assert all_blocks(store, "uncommitted") == []


def test_a_piece_that_is_staged_at_the_same_time_counts_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        attempts = list(pool.map(lambda at: (at % 4, stage(store, PATH, TOKEN, at % 4, [b"%d," % (at % 4)])), range(16)))
    commit_staged(store, PATH, TOKEN, [piece for _, piece in sorted(dict(attempts).items())])
    assert store.get(PATH) == b"0,1,2,3,"
    assert leftovers(store) == []


def test_an_attempt_with_other_bytes_does_not_change_a_piece(store: Store) -> None:
    (kept,) = staged(store, b"kept")
    staged(store, b"other")
    assert commit_staged(store, PATH, TOKEN, [kept]) == content_of_chunks([b"kept"])
    assert store.get(PATH) == b"kept"


def test_a_piece_that_failed_leaves_nothing(store: Store) -> None:
    def broken() -> Iterator[bytes]:
        yield b"begun"
        raise LakeError("the source broke")

    with pytest.raises(LakeError, match="the source broke"):
        stage(store, PATH, TOKEN, 0, broken())
    assert store.list(layout.staged(PATH, TOKEN)) == ()


@pytest.mark.parametrize("contents", [(), (b"",), (b"", b"")], ids=["no piece", "an empty piece", "two empty pieces"])
def test_an_object_of_nothing_is_empty(store: Store, contents: tuple[bytes, ...]) -> None:
    store.put(PATH, b"earlier")
    assert commit_staged(store, PATH, TOKEN, staged(store, *contents)) == content_of_chunks([])
    assert store.get(PATH) == b""


def test_empty_pieces_between_others_add_nothing(store: Store) -> None:
    content = commit_staged(store, PATH, TOKEN, staged(store, b"", b"a", b"", b"b", b""))
    assert store.get(PATH) == b"ab"
    assert content == store.content(PATH, (1, 1))


def many(store: Store, number: int) -> None:
    contents = [b"%d\n" % at for at in range(number)]
    with ThreadPoolExecutor(4) as pool:
        pieces = list(pool.map(lambda at: stage(store, PATH, TOKEN, at, [contents[at]]), range(number)))
    content = commit_staged(store, PATH, TOKEN, pieces)
    assert store.get(PATH) == b"".join(contents)
    assert content == store.content(PATH, [len(found) for found in contents])
    assert leftovers(store) == []


def test_two_thousand_pieces_on_disk(disk_store: Store) -> None:
    many(disk_store, 2000)


@pytest.mark.long
def test_two_thousand_pieces_on_azurite(azure_store: Store) -> None:
    many(azure_store, 2000)


# --- when it is committed ----------------------------------------------------------------------------------------------


def test_nothing_is_visible_before_the_commit(store: Store) -> None:
    pieces = staged(store, b"first", b"second")
    assert store.find(PATH) is None
    store.put(PATH, b"earlier")
    pieces = staged(store, b"first", b"second")
    assert store.get(PATH) == b"earlier"
    commit_staged(store, PATH, TOKEN, pieces)
    assert store.get(PATH) == b"firstsecond"


def test_a_guard_that_raises_leaves_the_earlier_object(store: Store) -> None:
    @contextmanager
    def taken_over() -> Iterator[None]:
        raise LakeError("taken over")
        yield

    store.put(PATH, b"earlier")
    pieces = staged(store, b"new")
    with pytest.raises(LakeError, match="taken over"):
        commit_staged(store, PATH, TOKEN, pieces, taken_over)
    assert store.get(PATH) == b"earlier"
    discard_staged(store, PATH, TOKEN)
    assert leftovers(store) == []


def test_the_guard_is_entered_around_the_commit(store: Store) -> None:
    seen = []

    @contextmanager
    def watching() -> Iterator[None]:
        seen.append(store.find(PATH))
        yield
        seen.append(store.find(PATH))

    commit_staged(store, PATH, TOKEN, staged(store, b"new"), watching)
    assert seen == [None, b"new"]


def test_a_commit_removes_what_killed_writers_staged(store: Store) -> None:
    staged(store, b"of a killed writer", token="dead0001")
    staged(store, b"of another one", token="dead0002")
    other = layout.predictions("2026-01-06")
    stage(store, other, TOKEN, 0, [b"of another date"])
    commit_staged(store, PATH, TOKEN, staged(store, b"new"))
    assert leftovers(store) == []
    assert staged_tokens(store, other) == ((TOKEN,) if store.folder else ())


def test_files_that_are_staged_after_the_commit_began_are_kept(disk_store: Store) -> None:
    @contextmanager
    def meanwhile() -> Iterator[None]:
        staged(disk_store, b"of the next writer", token="feed0001")
        yield

    commit_staged(disk_store, PATH, TOKEN, staged(disk_store, b"new"), meanwhile)
    assert staged_tokens(disk_store, PATH) == ("feed0001",)


def test_discarding_what_was_not_staged_does_nothing(store: Store) -> None:
    discard_staged(store, PATH, TOKEN)
    assert leftovers(store) == []


def test_a_store_with_redirected_folders(store: Store) -> None:
    tables = store.redirected(layout.candidate_folders("c" * 64))
    pieces = staged(tables, b"of a candidate")
    store.put(PATH, b"bound")
    commit_staged(tables, PATH, TOKEN, pieces)
    assert (tables.get(PATH), store.get(PATH)) == (b"of a candidate", b"bound")


def test_the_format_is_written_before_the_first_piece(settings: Settings) -> None:
    store = settings.connect_lake()
    begun = []
    store = store.before_first_write(lambda: begun.append(store.list("")))
    staged(store, b"new")
    assert begun == [()]


# --- on disk -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"cut")], ids=["missing", "cut off"])
def test_a_staged_file_that_is_gone_is_reported(disk_store: Store, damage: Any) -> None:
    disk_store.put(PATH, b"earlier")
    pieces = staged(disk_store, b"first", b"second")
    folder = disk_store.file(layout.staged(PATH, TOKEN))
    assert folder
    damage(next(folder.glob("000001-*")))
    with pytest.raises(LakeError, match=r"000001-.*, a staged piece of .*predictions\.csv, is missing or was changed\. Run again\."):
        commit_staged(disk_store, PATH, TOKEN, pieces)
    assert disk_store.get(PATH) == b"earlier"


def test_a_full_disk_is_reported_and_leaves_nothing(disk_store: Store) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"begun"
        raise OSError(28, os.strerror(28))

    with pytest.raises(LakeError, match=r"the disk is full .*free some space, then run again"):
        stage(disk_store, PATH, TOKEN, 0, chunks())
    assert disk_store.list(layout.staged(PATH, TOKEN)) == ()


@pytest.mark.parametrize("unknown", [18, 95], ids=["another file system", "not supported"])
def test_files_are_joined_without_copy_file_range(disk_store: Store, monkeypatch: pytest.MonkeyPatch, unknown: int) -> None:
    def refuse(*_: object) -> int:
        raise OSError(unknown, os.strerror(unknown))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    large = os.urandom(3 * MIB)
    commit_staged(disk_store, PATH, TOKEN, staged(disk_store, b"head", large, b"", b"tail"))
    assert disk_store.get(PATH) == b"head" + large + b"tail"


def test_old_staged_files_are_temporary_files(disk_store: Store) -> None:
    staged(disk_store, b"old", b"old", token="dead0001")
    staged(disk_store, b"new", token="feed0001")
    folder = disk_store.file(layout.staged(PATH, "dead0001"))
    assert folder
    before = time.time() - 3600
    for file in (*folder.iterdir(), folder):
        os.utime(file, (before, before))
    assert disk_store.remove_old_temporary_files(timedelta(hours=2)) == 0
    assert disk_store.remove_old_temporary_files(timedelta(minutes=30)) == 2
    assert staged_tokens(disk_store, PATH) == ("feed0001",)


# --- on Azure ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", [None, b"earlier"], ids=["a new blob", "a blob that is replaced"])
def test_a_blob_that_was_written_meanwhile_is_not_replaced(azure_store: Store, earlier: bytes | None) -> None:
    @contextmanager
    def overtaken() -> Iterator[None]:
        azure_store.put(PATH, b"theirs")
        yield

    if earlier:
        azure_store.put(PATH, earlier)
    pieces = staged(azure_store, b"ours")
    with pytest.raises(LakeError, match=r"predictions\.csv was written by another run at the same time\. Run again\."):
        commit_staged(azure_store, PATH, TOKEN, pieces, overtaken)
    assert azure_store.get(PATH) == b"theirs"


def test_one_of_two_writers_of_a_blob_is_refused(azure_store: Store) -> None:
    ours, theirs = staged(azure_store, b"ours", token="feed0001"), staged(azure_store, b"theirs", token="feed0002")
    commit_staged(azure_store, PATH, "feed0002", theirs)
    with pytest.raises(LakeError, match=r"was written by another run at the same time\. Run again\."):
        commit_staged(azure_store, PATH, "feed0001", ours)
    assert azure_store.get(PATH) == b"theirs"
    assert all_blocks(azure_store, "uncommitted") == []


def test_blocks_of_an_aborted_attempt_do_not_harm(azure_store: Store) -> None:
    staged(azure_store, b"aborted", b"aborted", token="dead0001")
    assert len(all_blocks(azure_store, "uncommitted")) == 2
    commit_staged(azure_store, PATH, TOKEN, staged(azure_store, b"new"))
    assert azure_store.get(PATH) == b"new"
    assert all_blocks(azure_store, "uncommitted") == []


LARGE = b"".join(bytes([number]) * MIB for number in range(9))


def test_a_blob_of_obstore_is_replaced_by_staged_pieces(azure_store: Store) -> None:
    azure_store.write(PATH, iter([LARGE]))
    of_obstore = all_blocks(azure_store, "committed")
    pieces = staged(azure_store, b"a", b"b")
    assert azure_store.get(PATH) == LARGE
    assert {len(block.id) for block in of_obstore + all_blocks(azure_store, "uncommitted")} == {2 * staging.BLOCK_ID_BYTES}
    commit_staged(azure_store, PATH, TOKEN, pieces)
    assert azure_store.get(PATH) == b"ab"


@pytest.mark.parametrize("aborted", [False, True])
def test_a_staged_blob_is_replaced_by_obstore(azure_store: Store, aborted: bool) -> None:
    commit_staged(azure_store, PATH, TOKEN, staged(azure_store, b"a", b"b"))
    if aborted:
        staged(azure_store, b"never committed", token="dead0001")
    azure_store.write(PATH, iter([LARGE]))
    assert azure_store.get(PATH) == LARGE
    assert all_blocks(azure_store, "uncommitted") == []
    azure_store.put(PATH, b"small")
    assert azure_store.get(PATH) == b"small"


def test_a_commit_whose_response_is_lost_is_read_back(azure_store: Store, proxy: Proxy) -> None:
    azure_store.put(PATH, b"earlier")
    store = through(azure_store, proxy)
    pieces = staged(store, b"a", b"b")
    proxy.lose_response(method="PUT", path="comp=blocklist")
    commit_staged(store, PATH, TOKEN, pieces)
    assert azure_store.get(PATH) == b"ab"
    assert proxy.faults == 1
    assert proxy.count("GET", PATH) == 1  # the list of blocks; the content is not read


@pytest.mark.long
def test_a_commit_that_never_gets_a_response_is_read_back(azure_store: Store, proxy: Proxy) -> None:
    store = through(azure_store, proxy, 1.0)
    pieces = staged(store, b"a", b"b")
    proxy.lose_response(times=None, method="PUT", path="comp=blocklist")
    commit_staged(store, PATH, TOKEN, pieces)
    assert azure_store.get(PATH) == b"ab"


@pytest.mark.long
def test_a_commit_that_is_never_carried_out_is_an_error(azure_store: Store, proxy: Proxy) -> None:
    azure_store.put(PATH, b"earlier")
    store = through(azure_store, proxy, 1.0)
    pieces = staged(store, b"a", b"b")
    proxy.reset(times=None, method="PUT", path="comp=blocklist")
    with pytest.raises(LakeError, match=r"storage cannot be reached.*predictions\.csv\).*then run again\.") as caught:
        commit_staged(store, PATH, TOKEN, pieces)
    assert "\n" not in str(caught.value)
    assert azure_store.get(PATH) == b"earlier"


@pytest.mark.parametrize("fault", ["fail", *(pytest.param(fault, marks=pytest.mark.long) for fault in ("reset", "lose_response"))])
def test_a_block_is_staged_in_spite_of_a_short_fault(azure_store: Store, proxy: Proxy, fault: str) -> None:
    getattr(proxy, fault)()
    store = through(azure_store, proxy)
    commit_staged(store, PATH, TOKEN, staged(store, b"a", b"b"))
    assert azure_store.get(PATH) == b"ab"
    assert proxy.faults == 1


@pytest.mark.parametrize("status", [pytest.param(500, marks=pytest.mark.long), 503])
def test_a_long_fault_is_reported_in_one_line(azure_store: Store, proxy: Proxy, status: int) -> None:
    proxy.fail(status, times=None)
    with pytest.raises(LakeError, match=r"^storage .*\(at az://lake/staging.*predictions\.csv\): .*, then run again\.$"):
        staged(through(azure_store, proxy, 0.5), b"a")


def test_a_credential_without_write_rights_is_reported(azure_store: Store, azurite: Azurite) -> None:
    now = datetime.now(UTC)
    sas = generate_account_sas(
        account_name=azurite.account,
        account_key=azurite.key,
        resource_types=ResourceTypes(service=True, container=True, object=True),
        permission=AccountSasPermissions(read=True, list=True),
        start=now - timedelta(minutes=5),
        expiry=now + timedelta(hours=1),
    )
    store = open_store(azure_store.url, AzureCredential(azurite.account, azurite.endpoint, sas=sas))
    with pytest.raises(
        LakeError, match=r"^access denied: the identity or the SAS lacks a permission \(at az://.*predictions\.csv\): "
    ) as caught:
        staged(store, b"a")
    assert "\n" not in str(caught.value)
    assert "sig=" not in str(caught.value)
    pieces = staged(azure_store, b"a")
    with pytest.raises(LakeError, match=r"^access denied: the identity or the SAS lacks a permission"):
        commit_staged(store, PATH, TOKEN, pieces)


def test_blocks_with_ids_of_another_length_are_reported(azure_store: Store, proxy: Proxy) -> None:
    proxy.fail(400, body=b"<Error><Code>InvalidBlobOrBlock</Code><Message>The block is invalid.</Message></Error>")
    with pytest.raises(LakeError, match=r"was written by another program, .*: move it away and run again\."):
        staged(through(azure_store, proxy), b"a")


def test_more_blocks_than_azure_accepts_are_reported(azure_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MAX_BLOCKS", 2)
    with pytest.raises(LakeError, match=r"would have 3 blocks, and Azure accepts 2\. Land the date in shards of 16 MiB to 64 GiB\."):
        commit_staged(azure_store, PATH, TOKEN, staged(azure_store, b"a", b"b", b"c"))


def test_a_missing_container_is_reported(azurite: Azurite) -> None:
    store = open_store("az://nowhere/lake", AzureCredential(azurite.account, azurite.endpoint, key=azurite.key))
    with pytest.raises(LakeError, match="the container nowhere does not exist"):
        staged(store, b"a")
