"""Leases: one writer of a path at a time; a dead writer is followed, and an overtaken one commits nothing."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import msgspec
import pytest

from risk_assets.errors import LakeError
from risk_assets.lake import layout, leases
from risk_assets.lake.hashing import sha256
from risk_assets.lake.leases import Lease, Leases
from risk_assets.lake.manifests import require_manifest
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table, write_table
from risk_assets.settings import Settings
from tests.conftest import ROOT
from tests.lake.conftest import people, table

PATH = "curated/t.csv"
HOLD = """
import sys
from risk_assets.lake.leases import Leases
from risk_assets.lake.store import open_store
Leases(lambda: open_store(sys.argv[1])).take("curated/t.csv", "other", "other")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def writer(store: Store) -> Iterator[Callable[..., Leases]]:
    """Return a function that makes the leases of a further process, released at the end."""
    made: list[Leases] = []

    def make(wait_seconds: float = 0.0) -> Leases:
        made.append(Leases(lambda: store, wait_seconds))
        return made[-1]

    yield make
    for each in made:
        each.release()


def require(holder: Leases) -> None:
    with holder.guard(PATH):
        pass


def read_lease(store: Store, epoch: int) -> Lease:
    return msgspec.json.decode(store.get(layout.lease(PATH, epoch)), type=Lease)


def test_a_second_writer_gets_an_error_that_names_the_first(store: Store, writer: Callable[..., Leases]) -> None:
    writer().take(PATH, "run-1", "run-1")
    with pytest.raises(LakeError) as caught:
        writer().take(PATH, "run-2", "run-2")
    message = str(caught.value)
    assert message.startswith(f"{PATH} is being written by the run run-1 (process {os.getpid()} on {socket.gethostname()}, since 20")
    assert "\n" not in message


def test_a_second_writer_waits_for_the_first(store: Store, writer: Callable[..., Leases]) -> None:
    first, second = writer(), writer(wait_seconds=30)
    first.take(PATH, "run-1", "run-1")
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(second.take, PATH, "run-2", "run-2")
        assert not waiting.done()
        first.release()
        waiting.result(timeout=30)
    require(second)
    assert store.list(layout.leases(PATH)) == (layout.lease(PATH, 2),)


def test_other_paths_are_free(writer: Callable[..., Leases]) -> None:
    writer().take(PATH, "run-1", "run-1")
    writer().take("curated/u.csv", "run-2", "run-2")


def test_a_writer_in_a_guarded_block_keeps_out_no_other_path(disk_settings: Settings) -> None:
    store = disk_settings.connect_lake()
    first, second = Leases(lambda: store, 0), Leases(lambda: store, 0)
    first.take(PATH, "run-1", "run-1")
    with first.guard(PATH):
        for number in range(100):
            second.take(f"curated/{number}.csv", "run-2", "run-2")
    second.release()
    first.release()
    assert store.folder is not None
    assert list((store.folder / layout.TEMPORARY).iterdir()) == []


def test_a_holder_that_is_not_known_is_not_named(disk_settings: Settings) -> None:
    store = disk_settings.connect_lake()
    earlier, next_one = Leases(lambda: store, 0), Leases(lambda: store, 0)
    earlier.take(PATH, "run-1", "run-1")
    earlier.release()
    with store.exclusive(PATH, wait=False), pytest.raises(LakeError, match=f"{PATH} is being written by another run"):
        next_one.take(PATH, "run-2", "run-2")


def test_a_run_takes_a_path_once_and_releases_it(store: Store, writer: Callable[..., Leases]) -> None:
    mine = writer()
    for _ in range(2):
        mine.take(PATH, "run-1", "run-1")
    assert not read_lease(store, 1).released
    mine.release(PATH)
    mine.release(PATH)
    assert read_lease(store, 1).released
    with pytest.raises(LakeError, match="taken over"):
        require(mine)


def test_a_retry_inherits_the_lease_at_once(store: Store, writer: Callable[..., Leases]) -> None:
    first, retry = writer(), writer()
    first.take(PATH, "run-1", "run-1")
    retry.take(PATH, "run-1", "run-2")
    require(retry)
    with pytest.raises(LakeError, match=f"{PATH} was taken over by another run.*commits nothing"):
        require(first)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]"])
def test_a_lease_that_is_not_renewed_is_followed(
    store: Store, writer: Callable[..., Leases], monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    monkeypatch.setattr(leases, "TTL_SECONDS", 0.2)
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.02)
    store.put(layout.lease(PATH, 7), damage)
    second = writer(wait_seconds=30)
    second.take(PATH, "run-2", "run-2")
    assert store.list(layout.leases(PATH)) == (layout.lease(PATH, 8),)


def test_a_lease_that_is_renewed_is_not_followed(store: Store, writer: Callable[..., Leases], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "TTL_SECONDS", 1.0)
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.02)
    first = writer()
    first.take(PATH, "run-1", "run-1")
    with pytest.raises(LakeError, match="is being written by the run run-1"):
        writer(wait_seconds=2.5).take(PATH, "run-2", "run-2")
    require(first)
    assert read_lease(store, 1).renewed > 0


def test_the_renewing_thread_ends_with_the_last_lease(writer: Callable[..., Leases], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    mine = writer()
    for path in (PATH, "curated/u.csv"):
        mine.take(path, "run-1", "run-1")
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "leases")
    mine.release()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_the_lease_of_a_killed_process_is_followed_at_once(disk_settings: Settings) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, disk_settings.lake], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        store = disk_settings.connect_lake()
        with pytest.raises(LakeError, match="is being written by the run other"):
            Leases(lambda: store, 0).take(PATH, "run-2", "run-2")
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
        mine = Leases(lambda: store, 0)
        mine.take(PATH, "run-2", "run-2")
        mine.release()
    finally:
        holder.kill()
        holder.communicate(timeout=30)


def test_of_two_followers_one_holds_the_path(store: Store, writer: Callable[..., Leases]) -> None:
    first = writer()
    first.take(PATH, "run-0", "run-0")
    first.release()
    followers = [writer() for _ in range(4)]

    def follow(number: int) -> bool:
        try:
            followers[number].take(PATH, f"run-{number + 1}", f"run-{number + 1}")
        except LakeError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        held = list(threads.map(follow, range(4)))
    assert held.count(True) == 1
    require(followers[held.index(True)])


def test_a_writer_that_was_paused_and_overtaken_commits_nothing(store: Store, writer: Callable[..., Leases]) -> None:
    paused, other = writer(), writer()
    paused.take(PATH, "run-1", "run-1")
    write_table(store, PATH, table(people()), lambda: paused.guard(PATH))

    def overtaken() -> AbstractContextManager[None]:
        if store.list(layout.leases(PATH)) == (layout.lease(PATH, 1),):
            other.take(PATH, "run-1", "run-2")  # a retry: it follows at once
            write_table(store, PATH, table(people().head(1)), lambda: other.guard(PATH))
        return paused.guard(PATH)

    with pytest.raises(LakeError, match="taken over"):
        write_table(store, PATH, table(people().head(2)), overtaken)
    assert read_table(store, PATH).collect().height == 1
    assert require_manifest(store, PATH).sha256 == {PATH: sha256(store.get(PATH))}


def test_nobody_on_this_machine_overtakes_a_writer_while_it_commits(disk_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store = disk_settings.connect_lake()
    first, second = Leases(lambda: store, 0), Leases(lambda: store, 0)
    first.take(PATH, "run-1", "run-1")
    with first.guard(PATH), pytest.raises(LakeError, match="is being written by the run run-1"):
        second.take(PATH, "run-1", "run-2")
    second.take(PATH, "run-1", "run-2")
    second.release()
    first.release()


def test_a_guarded_put_does_not_replace_a_newer_blob(settings: Settings) -> None:
    store = settings.connect_lake()

    @contextmanager
    def late() -> Iterator[None]:
        if store.credential:
            store.put("a.json", b"other")
        yield

    store.put("a.json", b"earlier")
    if store.credential is None:
        store.put("a.json", b"new", late)
        assert store.get("a.json") == b"new"
        return
    with pytest.raises(LakeError, match="written by another run at the same time"):
        store.put("a.json", b"new", late)
    assert store.get("a.json") == b"other"


def test_a_dead_run_costs_one_wait_whatever_the_number_of_its_leases(
    store: Store, writer: Callable[..., Leases], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TTL_SECONDS", 0.3)
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.02)
    stopped, second = writer(), writer(wait_seconds=30)
    for path in (PATH, "curated/u.csv"):
        stopped.take(path, "run-1", "run-1")
    second.take(PATH, "run-2", "run-2")
    monkeypatch.setattr(leases, "TTL_SECONDS", 60.0)
    second.take("curated/u.csv", "run-2", "run-2")


def test_a_writer_that_lost_one_table_commits_no_other(store: Store, writer: Callable[..., Leases]) -> None:
    paused, other = writer(), writer()
    for path in (PATH, "curated/u.csv"):
        paused.take(path, "run-1", "run-1")
    other.take(PATH, "run-1", "run-2")
    with pytest.raises(LakeError, match=f"{PATH} was taken over.*commits nothing to curated/u.csv"):
        write_table(store, "curated/u.csv", table(people()), lambda: paused.guard("curated/u.csv"))
    assert store.size("curated/u.csv") is None
