"""The lake on disk: durable writes, temporary files, full and read-only disks."""

import itertools
import os
import resource
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from risk_assets.errors import LakeError
from risk_assets.lake import disk
from risk_assets.lake.store import Store, open_store
from risk_assets.lake.tables import write_table
from tests.lake.conftest import table as any_table

MIB = 1024 * 1024
NOBODY = 65534

Write = Callable[[Store], object]


def write_to_target(store: Store, content: bytes) -> None:
    with store.table_target("folder/a") as target:
        target.file.write(content)


def large_table() -> pl.LazyFrame:
    return pl.LazyFrame({"n": range(1_000_000)})


WRITES: dict[str, Write] = {
    "put": lambda store: store.put("folder/a", b"new"),
    "create": lambda store: store.create("folder/a", b"new"),
    "write": lambda store: store.write("folder/a", iter([b"n", b"ew"])),
    "table_target": lambda store: write_to_target(store, b"new"),
    "copy": lambda store: store.copy("source", "folder/a"),
}
LARGE_WRITES: dict[str, Write] = {
    "put": lambda store: store.put("folder/a", bytes(3 * MIB)),
    "create": lambda store: store.create("folder/a", bytes(3 * MIB)),
    "write": lambda store: store.write("folder/a", (bytes(MIB) for _ in range(3))),
    "table_target": lambda store: write_to_target(store, bytes(3 * MIB)),
    "write_table csv": lambda store: write_table(store, "folder/a.csv", any_table(large_table())),
    "write_table parquet": lambda store: write_table(store, "folder/a.parquet", any_table(large_table())),
}


@pytest.fixture
def lake(tmp_path: Path) -> Store:
    """A lake on disk with one object."""
    store = open_store(str(tmp_path / "lake"))
    store.put("source", b"new")
    return store


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reaches the disk: which file or folder is flushed, and when a file gets its name."""
    done: list[str] = []

    def record_sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append(f"sync {path.name}/" if is_folder else f"sync a file of {path.parent.name}/")

    def recorded(name: str, original: Callable[..., None]) -> Callable[..., None]:
        def act(*arguments: object, **more: object) -> None:
            done.append(name)
            original(*arguments, **more)

        return act

    monkeypatch.setattr(os, "fsync", record_sync)
    for name, label in {"replace": "rename", "link": "link", "unlink": "unlink", "mkdir": "mkdir"}.items():
        monkeypatch.setattr(os, name, recorded(label, getattr(os, name)))
    return done


def files(store: Store) -> dict[str, bytes]:
    """Return all files below the root, temporary ones too."""
    assert store.folder
    return {str(path.relative_to(store.folder)): path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}


def temporary_files(store: Store) -> list[Path]:
    assert store.folder
    return list((store.folder / ".tmp").iterdir())


# --- durable writes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("write", "named"), [("put", "rename"), ("write", "rename"), ("table_target", "rename"), ("create", "link")])
def test_content_is_flushed_before_its_name(lake: Store, steps: list[str], write: str, named: str) -> None:
    WRITES[write](lake)
    assert [step for step in steps if step != "unlink"] == ["sync a file of .tmp/", "mkdir", "sync lake/", named, "sync folder/"]


def test_a_copy_is_flushed_with_its_name(lake: Store, steps: list[str]) -> None:
    WRITES["copy"](lake)
    assert [step for step in steps if step != "unlink"] == ["link", "mkdir", "sync lake/", "rename", "sync folder/"]


def test_a_delete_is_flushed(lake: Store, steps: list[str]) -> None:
    lake.delete("source")
    assert steps == ["unlink", "sync lake/"]


def test_each_new_folder_is_flushed(tmp_path: Path, steps: list[str]) -> None:
    open_store(str(tmp_path / "new" / "lake")).put("a/b/c", b"x")
    assert [step for step in steps if step.startswith("sync") and "file" not in step] == [
        f"sync {tmp_path.name}/",  # new
        "sync new/",  # lake
        "sync lake/",  # .tmp
        "sync lake/",  # a
        "sync a/",  # b
        "sync b/",  # c
    ]


def test_a_create_that_finds_its_own_content_flushes_the_folder(lake: Store, steps: list[str]) -> None:
    lake.create("folder/a", b"new")
    del steps[:]
    assert lake.create("folder/a", b"new") is True
    assert steps[-2:] == ["sync folder/", "unlink"]


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_fails_at_the_end_keeps_the_earlier_object(lake: Store, monkeypatch: pytest.MonkeyPatch, write: str) -> None:
    lake.put("folder/a", b"earlier")
    before = files(lake)

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "link" if write == "create" else "replace", fail)
    with pytest.raises(LakeError, match="dmesg"):
        WRITES[write](lake)
    assert files(lake) == before


def test_a_reader_keeps_its_version_while_another_is_written(lake: Store) -> None:
    lake.put("big", b"1" * 9 * MIB)
    chunks = lake.chunks("big")
    first = next(chunks)
    lake.put("big", b"2" * 9 * MIB)
    assert set(first + b"".join(chunks)) == set(b"1")


def test_a_version_changes_with_each_write(lake: Store) -> None:
    versions = set()
    for _ in range(20):
        lake.put("a", b"same")
        versions.add(lake.entry("a"))
    assert len(versions) == 20
    assert lake.entry("a") == lake.entries("")[0]


def test_a_copy_does_not_change_when_its_source_is_replaced(lake: Store) -> None:
    lake.copy("source", "kept")
    lake.put("source", b"other")
    assert (lake.get("kept"), lake.get("source")) == (b"new", b"other")


def test_without_hard_links_only_creating_is_an_error(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: str, target: str, **_: object) -> None:
        raise PermissionError(1, os.strerror(1), str(source), None, str(target))

    monkeypatch.setattr(os, "link", no_links)
    lake.copy("source", "copied")
    assert lake.get("copied") == b"new"
    with pytest.raises(LakeError, match=r"without hard links.*Use a folder"):
        lake.create("a", b"x")
    assert sorted(files(lake)) == ["copied", "source"]


# --- temporary files ---------------------------------------------------------------------------------------------------


def test_temporary_files_are_in_no_listing(lake: Store) -> None:
    with lake.table_target("a") as target:
        target.file.write(b"x")
        assert len(temporary_files(lake)) == 1
        assert (lake.list(""), lake.names(""), [entry.path for entry in lake.entries("")]) == (("source",), ("source",), ["source"])
    assert temporary_files(lake) == []


def test_a_folder_named_tmp_below_another_is_listed(lake: Store) -> None:
    lake.put("raw/.tmp/a", b"x")
    assert lake.list("") == ("raw/.tmp/a", "source")
    assert lake.names("raw") == (".tmp",)


def test_old_temporary_files_are_removed(lake: Store) -> None:
    assert lake.folder
    for name, days in {"fresh": 0.9, "old": 1.1, "older": 30.0}.items():
        file = lake.folder / ".tmp" / name
        file.write_bytes(b"partial")
        os.utime(file, (time.time() - days * 86_400,) * 2)
    assert lake.remove_old_temporary_files() == 2
    assert [file.name for file in temporary_files(lake)] == ["fresh"]
    assert lake.remove_old_temporary_files(timedelta(hours=1)) == 1
    assert lake.get("source") == b"new"


def test_an_empty_lake_has_no_old_temporary_files(tmp_path: Path) -> None:
    assert open_store(str(tmp_path / "lake")).remove_old_temporary_files() == 0
    assert not (tmp_path / "lake").exists()


# --- paths -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/passwd", ".tmp/a", "a//b", "", "."])
def test_a_path_cannot_leave_the_lake(lake: Store, path: str) -> None:
    for action in (lake.get, lake.delete, lambda path: lake.put(path, b"x")):
        with pytest.raises(LakeError, match="not valid"):
            action(path)


@pytest.mark.parametrize("path", ["folder", "folder/a/b"])
def test_a_folder_is_not_an_object(lake: Store, path: str) -> None:
    lake.put("folder/a", b"x")
    assert lake.create("folder", b"x") is False
    assert (lake.find(path), lake.size(path)) == (None, None)
    with pytest.raises(FileNotFoundError):
        lake.delete(path)


def test_folders_that_are_empty_are_removed(lake: Store) -> None:
    assert lake.folder is not None
    for path in ("zone/table/part/a", "zone/other/b"):
        lake.put(path, b"x")
        lake.delete(path)
    lake.put("zone/kept/c", b"x")
    for path in ("zone/table/part/a", "zone/other/b", "zone/kept/a", "zone/never/a", "a"):
        lake.prune(path)
    assert sorted(folder.name for folder in (lake.folder / "zone").iterdir()) == ["kept"]
    lake.delete("zone/kept/c")
    lake.prune("zone/kept/c")
    assert list((lake.folder / "zone").iterdir()) == []


def test_a_write_makes_the_folder_that_another_removes(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lake.folder is not None
    make, removed = disk._make_folder, itertools.count()

    def made_and_removed(folder: Path) -> None:
        make(folder)
        if folder.name == "part" and next(removed) < 3:
            lake.prune("zone/part/a")

    monkeypatch.setattr(disk, "_make_folder", made_and_removed)
    lake.put("zone/part/a", b"x")
    assert (lake.get("zone/part/a"), next(removed)) == (b"x", 4)
    lake.delete("zone/part/a")
    monkeypatch.setattr(disk, "_make_folder", lambda folder: (make(folder), lake.prune("zone/part/a")))
    with pytest.raises((FileNotFoundError, LakeError)):
        lake.put("zone/part/a", b"x")
    assert lake.list("zone/") == ()


def test_a_link_to_nothing_is_not_listed(lake: Store) -> None:
    assert lake.folder
    (lake.folder / "broken").symlink_to("nowhere")
    assert lake.list("") == ("source",)


# --- disks that cannot be written ----------------------------------------------------------------------------------------


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[bool]:
    """Mount a small file system on a folder; yield False if this user may not."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[tuple[Store, str]]:
    """A lake that cannot hold 2 MiB, and the message about it: a small disk, or a limit where none can be mounted."""
    with mounted(tmp_path / "disk", "2m") as is_mounted:
        store = open_store(str(tmp_path / "disk" / "lake"))
        store.put("earlier", b"earlier")
        if is_mounted:
            yield store, "the disk is full"
        else:
            with file_size_limit(2 * MIB):
                yield store, "the file is larger than this process may write"


@pytest.mark.parametrize("write", LARGE_WRITES)
def test_a_full_disk_is_reported_and_leaves_nothing(full_disk: tuple[Store, str], write: str) -> None:
    store, problem = full_disk
    with pytest.raises(LakeError) as caught:
        LARGE_WRITES[write](store)
    assert problem in str(caught.value)
    assert "then run again" in str(caught.value)
    assert "malformed" not in str(caught.value)
    assert files(store) == {"earlier": b"earlier"}
    store.put("small", b"still possible")


def test_a_read_only_disk_is_reported(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "1m") as is_mounted:
        if not is_mounted:
            pytest.skip("this user may not mount a file system")
        store = open_store(str(tmp_path / "disk"))
        store.put("source", b"new")
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "disk"], check=True)
        for write in (*WRITES.values(), lambda store: store.delete("source")):
            with pytest.raises(LakeError, match=r"the file system is read-only .*set RISK_LAKE"):
                write(store)
        assert store.get("source") == b"new"


@contextmanager
def without_permissions() -> Iterator[Path]:
    """Yield a folder that this process may read and not write."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        try:
            yield path
        finally:
            if is_root:
                os.seteuid(0)
            path.chmod(0o755)


@pytest.mark.parametrize("write", ["put", "create", "write", "table_target"])
def test_a_missing_permission_names_the_folder(write: str) -> None:
    with without_permissions() as folder:
        with pytest.raises(LakeError) as caught:
            WRITES[write](open_store(str(folder)))
        assert f"lacks a permission for {folder}" in str(caught.value)
        assert "chown" in str(caught.value)


def test_too_many_open_files_are_reported(lake: Store) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened, hard))
    try:
        with pytest.raises(LakeError, match=r"too many files are open.*ulimit -n"):
            lake.get("source")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(opened)


def test_a_file_instead_of_a_folder_is_reported(lake: Store) -> None:
    with pytest.raises(LakeError, match="a file is where a folder is expected"):
        lake.put("source/below", b"x")
