"""Leases: one writer for each table at a time, on all machines that share the lake.

A lease is an epoch: a numbered file that is created only if it does not exist. The highest epoch holds the table. The holder
renews its file; a file that stays the same for `TTL_SECONDS`, as measured by the one who waits, belongs to a writer that has
died. It is then overtaken by the next epoch, and the overtaken writer commits nothing, because it verifies its epoch first.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from risk_assets.clock import utc_now
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_assets.processes import Process, is_gone, this_process

TTL_SECONDS = 30.0
RENEW_SECONDS = 10.0
POLL_SECONDS = 0.5
WAIT_SECONDS = 60.0


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a lease.

    Attributes
    ----------
    owner
        The first run of a run and its retries: a retry takes over at once.
    run_id
        The run that writes.
    process
        The process that writes.
    renewed
        How often the lease was renewed.
    """

    owner: str
    run_id: str
    process: Process
    taken_at: str
    renewed: int = 0
    released: bool = False


@dataclass(frozen=True)
class _Newest:
    """The newest lease of a path: its epoch, its content (None if it cannot be read), and a version that changes with renewals."""

    epoch: int
    lease: Lease | None
    version: str


@dataclass
class Leases:
    """The leases that a process holds, renewed by a thread until they are released."""

    _store: Callable[[], Store]
    wait_seconds: float = WAIT_SECONDS
    _held: dict[str, tuple[int, Lease]] = field(default_factory=dict)
    _dead: set[str] = field(default_factory=set)  # runs whose leases were not renewed
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def take(self, path: str, owner: str, run_id: str) -> None:
        """Become the only writer of a path; waits for another one.

        Raises
        ------
        LakeError
            If the other writer has not ended after `wait_seconds`.
        """
        if path in self._held:
            return
        mine = Lease(owner=owner, run_id=run_id, process=this_process(), taken_at=utc_now())
        epoch = self._wait(path, mine)
        with self._lock:
            self._held[path] = epoch, mine
            if len(self._held) == 1:
                self._stop = threading.Event()
                threading.Thread(target=self._renew, args=(self._stop,), name="leases", daemon=True).start()

    @contextmanager
    def guard(self, path: str) -> Iterator[None]:
        """Verify that this process holds a path, and keep others on this machine from taking it over during the block.

        Raises
        ------
        LakeError
            If another writer has taken it over, or another path that this process holds. Nothing may be committed then.
        """
        with self._store().exclusive(path, wait=True):
            for held in dict.fromkeys((path, *self._held)):
                epoch, _ = self._held.get(held, (0, None))
                if _newest_epoch(self._store(), held) != epoch or not epoch:
                    raise LakeError(
                        f"{held} was taken over by another run, because this one did not respond. This run commits nothing to {path}."
                    )
            yield

    def _wait(self, path: str, mine: Lease) -> int:
        """Return the epoch of a new lease as soon as the newest one is released, abandoned, or its holder does not renew it."""
        store = self._store()
        begun = watched_since = time.monotonic()
        watched = ""
        while True:
            newest, now = _find_newest(store, path), time.monotonic()
            if newest.version != watched:
                watched, watched_since = newest.version, now
            expired = now - watched_since >= TTL_SECONDS
            if newest.lease is not None:
                expired = expired or newest.lease.run_id in self._dead
                self._dead |= {newest.lease.run_id} if expired else set()
            epoch = newest.epoch + 1
            if (expired or _may_follow(newest.lease, mine)) and _create(store, path, epoch, mine):
                _delete_before(store, path, epoch)
                return epoch
            if now - begun >= self.wait_seconds:
                raise LakeError(_busy(path, newest.lease))
            time.sleep(POLL_SECONDS)

    def release(self, *paths: str) -> None:
        """Release paths; without any, all that are held."""
        for path in paths or tuple(self._held):
            with self._lock:
                held = self._held.pop(path, None)
                if not self._held:
                    self._stop.set()
            if held is not None:
                _write(self._store(), path, held[0], msgspec.structs.replace(held[1], released=True))

    def _renew(self, stop: threading.Event) -> None:
        while not stop.wait(RENEW_SECONDS):
            for path in tuple(self._held):
                self._renew_one(path)

    def _renew_one(self, path: str) -> None:
        with self._lock:
            if path not in self._held:
                return
            epoch, lease = self._held[path]
            renewed = msgspec.structs.replace(lease, renewed=lease.renewed + 1)
            try:
                _write(self._store(), path, epoch, renewed)
            except LakeError:  # storage is down: `guard` decides at the commit
                return
            self._held[path] = epoch, renewed


def _create(store: Store, path: str, epoch: int, mine: Lease) -> bool:
    """Return whether an epoch was created, and is the newest one. It is not while the holder is in a guarded block."""
    with store.exclusive(path, wait=False) as entered:
        return entered and store.create(layout.lease(path, epoch), msgspec.json.encode(mine)) and _newest_epoch(store, path) == epoch


def _may_follow(lease: Lease | None, mine: Lease) -> bool:
    return lease is not None and (lease.released or lease.owner == mine.owner or bool(is_gone(lease.process)))


def _busy(path: str, lease: Lease | None) -> str:
    holder = "another run"
    if lease and not lease.released:
        holder = f"the run {lease.run_id} (process {lease.process.pid} on {lease.process.host}, since {lease.taken_at})"
    return f"{path} is being written by {holder}. Wait until it has ended, or stop it, and run again."


def _find_newest(store: Store, path: str) -> _Newest:
    """Return the newest lease; before the first one, a released lease of epoch 0."""
    epoch = _newest_epoch(store, path)
    if epoch == 0:
        return _Newest(0, Lease(owner="", run_id="", process=this_process(), taken_at="", released=True), "")
    content = store.find(layout.lease(path, epoch))
    try:
        lease = msgspec.json.decode(content or b"", type=Lease)
    except msgspec.MsgspecError:
        lease = None
    return _Newest(epoch, lease, f"{epoch} {content!r}")


def _newest_epoch(store: Store, path: str) -> int:
    return max((epoch for found in store.list(layout.leases(path)) if (epoch := layout.lease_epoch(found))), default=0)


def _delete_before(store: Store, path: str, epoch: int) -> None:
    for found in store.list(layout.leases(path)):
        if (layout.lease_epoch(found) or epoch) < epoch:
            store.delete(found)


def _write(store: Store, path: str, epoch: int, lease: Lease) -> None:
    store.put(layout.lease(path, epoch), msgspec.json.encode(lease))
