"""Objects of one staged piece each, such as the shards of a raw file: they are renamed, or committed, several at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from risk_assets.errors import LakeError
from risk_assets.lake import layout, parallel, staging
from risk_assets.lake.disk import DiskObjects
from risk_assets.lake.staging import StagedPiece, commit_each, commit_staged, discard_staged, new_token, stage, staged_tokens
from risk_assets.lake.store import AzureCredential, Store, open_store
from tests.azurite.server import Azurite
from tests.faults.proxy import proxied

TABLE = layout.accounts("2026-01-05")
TOKEN = "0123abcd"


def part(number: int) -> str:
    return layout.shard(TABLE, f"part-{number:04d}.csv")


def staged(store: Store, *contents: bytes) -> dict[str, StagedPiece]:
    return {part(number): stage(store, part(number), TOKEN, number, [content]) for number, content in enumerate(contents)}


def file(store: Store, path: str) -> Path:
    found = store.file(path)
    assert found
    return found


@pytest.fixture
def azure_store(azurite: Azurite, worker_id: str) -> Store:
    url = f"az://lake/staged-parts-{worker_id}-{new_token()}"
    return open_store(url, AzureCredential(azurite.account, azurite.endpoint, key=azurite.key))


def test_each_piece_becomes_an_object(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "BATCH_ITEMS", 4)
    store.put(part(3), b"earlier")
    entered = []

    @contextmanager
    def guard() -> Iterator[None]:
        entered.append([*store.list(layout.shard(TABLE, ""))])
        yield

    contents = [b"content %d" % number for number in range(10)]
    pieces = staged(store, *contents)
    assert store.list(layout.shard(TABLE, "")) == (part(3),)
    commit_each(store, pieces, guard)
    discard_staged(store, part(0), TOKEN)
    assert [store.get(part(number)) for number in range(10)] == contents
    assert [len(found) for found in entered] == [1, 4, 8]
    assert staged_tokens(store, TABLE) == ()
    assert store.list("raw/") == tuple(part(number) for number in range(10))


def test_a_guard_that_raises_leaves_the_earlier_objects(store: Store) -> None:
    @contextmanager
    def taken_over() -> Iterator[None]:
        raise LakeError("taken over")
        yield

    store.put(part(0), b"earlier")
    with pytest.raises(LakeError, match="taken over"):
        commit_each(store, staged(store, b"new", b"new"), taken_over)
    assert store.get(part(0)) == b"earlier"
    assert store.find(part(1)) is None


def test_a_single_piece_is_renamed(disk_store: Store) -> None:
    pieces = staged(disk_store, b"first", b"second")
    files = [file(disk_store, piece.blocks[0]).stat().st_ino for piece in pieces.values()]
    commit_each(disk_store, {part(1): pieces[part(1)]})
    commit_staged(disk_store, part(0), TOKEN, [pieces[part(0)]])
    assert [file(disk_store, part(number)).stat().st_ino for number in (0, 1)] == files
    assert [disk_store.get(part(number)) for number in (0, 1)] == [b"first", b"second"]


def test_a_staged_file_is_on_the_disk_before_it_is_renamed(disk_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = staged(disk_store, b"first", b"second", b"third")
    inodes = {file(disk_store, piece.blocks[0]).stat().st_ino for piece in pieces.values()}
    done: list[int | str] = []
    fsync, move = os.fsync, DiskObjects.move

    def recorded_fsync(number: int) -> None:
        done.append(os.fstat(number).st_ino)
        fsync(number)

    def recorded_move(self: DiskObjects, source: str, *rest: object) -> None:
        done.append("renamed")
        move(self, source, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(DiskObjects, "move", recorded_move)
    commit_each(disk_store, {path: pieces[path] for path in (part(0), part(1))})
    assert len(inodes & set(done[: done.index("renamed")])) == 2
    done.clear()
    commit_staged(disk_store, part(2), TOKEN, [pieces[part(2)]])
    assert inodes & set(done[: done.index("renamed")])
    assert done[-1] != "renamed"  # the folder is flushed after it


@pytest.mark.parametrize("damage", [Path.unlink, lambda found: found.write_bytes(b"cut")], ids=["missing", "cut off"])
def test_nothing_is_renamed_if_a_staged_file_is_gone(disk_store: Store, damage: object) -> None:
    pieces = staged(disk_store, b"first", b"second")
    damage(file(disk_store, pieces[part(1)].blocks[0]))  # type: ignore[operator]
    with pytest.raises(LakeError, match=r"a staged piece of raw/.*/part-0001\.csv, is missing or was changed\. Run again\."):
        commit_each(disk_store, pieces)
    assert disk_store.list(layout.shard(TABLE, "")) == ()


def test_old_staged_files_of_all_zones_are_removed(disk_store: Store) -> None:
    pieces = staged(disk_store, b"old")
    stage(disk_store, layout.predictions("2026-01-05"), TOKEN, 0, [b"old"])
    assert disk_store.remove_old_temporary_files(timedelta(hours=1)) == 0
    assert disk_store.remove_old_temporary_files(timedelta(seconds=-60)) == 2
    assert not file(disk_store, pieces[part(0)].blocks[0]).exists()


def test_a_lost_response_of_one_of_several_is_read_back(azure_store: Store, azurite: Azurite) -> None:
    assert azure_store.credential
    with proxied(azurite) as proxy:
        store = open_store(azure_store.url, AzureCredential(azurite.account, proxy.endpoint, key=azurite.key), 3.0)
        pieces = staged(store, b"a", b"b", b"c")
        proxy.lose_response(method="PUT", path="comp=blocklist")
        commit_each(store, pieces)
        assert proxy.faults == 1
        assert [method for method, path in proxy.requests if "comp=list" in path or method == "HEAD"] == []
    assert [azure_store.get(part(number)) for number in range(3)] == [b"a", b"b", b"c"]


def test_a_part_that_another_run_wrote_meanwhile_is_not_replaced(azure_store: Store) -> None:
    pieces, theirs = staged(azure_store, b"a", b"b"), staged(azure_store, b"theirs", b"theirs")
    commit_each(azure_store, {part(1): theirs[part(1)]})
    with pytest.raises(LakeError, match=r"part-0001\.csv was written by another run at the same time\. Run again\."):
        commit_each(azure_store, pieces)
    assert azure_store.get(part(1)) == b"theirs"


def test_a_part_of_more_blocks_than_azure_accepts(azure_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MAX_BLOCKS", 1)
    monkeypatch.setattr(staging, "BLOCK_BYTES", 4)
    with pytest.raises(LakeError, match=r"part-0001\.csv would have 2 blocks, and Azure accepts 1\."):
        commit_each(azure_store, staged(azure_store, b"four", b"eight by"))
    assert azure_store.list("") == ()
