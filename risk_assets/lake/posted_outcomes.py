"""Outcomes that the service has received: each request is a shard of every date it has outcomes of, written once.

A shard is named by its content, so that a request that is sent again adds nothing. This module does not import polars: the service
uses it.
"""

import msgspec

from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import DamagedShardError, LakeError
from risk_assets.lake import layout
from risk_assets.lake.hashing import sha256
from risk_assets.lake.seals import has_seal, sealed
from risk_assets.lake.store import Store


class OutcomeShard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcomes of a date in one request, as text, in the columns of a file of outcomes.

    Attributes
    ----------
    rows
        One for each account, in the order of their ids. None where there is no value.
    reference
        A text of the caller that makes the same outcomes another shard, as for a label that is restated back.
    received_at, request_id, caller
        When they were received first (ISO 8601, UTC), in which request, and from whom.
    contract
        The digest of the contract that was in force.
    """

    date: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    reference: str | None = None
    received_at: str
    request_id: str
    caller: str
    contract: str
    seal: str | None = None

    @property
    def key(self) -> str:
        """SHA-256 of what the shard says; not of when and from whom it was received."""
        return sha256(msgspec.json.encode((self.date, self.columns, self.rows, self.reference)))


def posted_columns(contract: Contract) -> tuple[str, ...]:
    """Return the columns of a shard: the id, the target, and `known_at` if the contract names it.

    Raises
    ------
    ContractError
        If outcomes are derived, so that none are received.
    """
    return (contract.id, *(name for name in contract.outcome_columns if name != contract.id))


def store_shard(store: Store, shard: OutcomeShard) -> bool:
    """Store a shard, and return whether it is new; it is durable when this returns.

    Raises
    ------
    DamagedShardError
        If the lake has a shard of this name that was changed.
    LakeError
        If the lake cannot be written.
    """
    path = layout.posted_shard(shard.date, shard.key)
    if store.folder is not None and not store.folder.is_dir():
        # The store would create the folder, which then blocks the lake from being moved or mounted there again.
        raise LakeError(f"{path} cannot be written: {store.url} does not exist. Restore the lake, and send the outcomes again.")
    if store.create(path, msgspec.json.encode(sealed(shard))):
        return True
    read_shard(store, path)
    return False


def read_shard(store: Store, path: str) -> OutcomeShard:
    """Return a shard; raises `LakeError` if it is missing, `DamagedShardError` if it was changed."""
    content = store.find(path)
    if content is None:
        raise LakeError(f"{path} is missing. {_RESTORE}")
    try:
        shard = msgspec.json.decode(content, type=OutcomeShard)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _changed(path) from None
    if shard.seal is None or not has_seal(shard) or layout.posted_shard(shard.date, shard.key) != path:
        raise _changed(path)
    return shard


def shard_paths(store: Store, date: str) -> tuple[str, ...]:
    """Return the paths of the shards of a date, by name; costs one listing."""
    return tuple(path for path in store.list(layout.posted_folder(date)) if layout.posted_key(path))


def posted_shards(store: Store) -> dict[str, tuple[str, ...]]:
    """Return the paths of all shards by date, oldest date first; costs one listing."""
    found: dict[str, list[str]] = {}
    for path in store.list(f"{layout.POSTED}/"):
        if key := layout.posted_key(path):
            found.setdefault(key[0], []).append(path)
    return {date: tuple(paths) for date, paths in sorted(found.items())}


def stray_files(store: Store) -> tuple[str, ...]:
    """Return the paths below the folder of posted outcomes that are not in the folder of a date; costs one listing."""
    paths = store.list(f"{layout.POSTED}/")
    return tuple(path for path in paths if not path.startswith(layout.posted_folder(layout.date_of(path) or "")))


def shard_problems(store: Store, path: str) -> list[str]:
    """Return a message if a shard is missing or was changed, or if another file is in its place."""
    if not layout.posted_key(path):
        return [f"{path} is not a shard of posted outcomes, and nothing reads it. Move it out of the lake."]
    try:
        read_shard(store, path)
    except LakeError as error:
        return [str(error)]
    return []


_RESTORE = "Restore it from a backup; or delete it, and send its outcomes to POST /outcomes again: they count from then on."


def _changed(path: str) -> DamagedShardError:
    return DamagedShardError(f"{path} was changed since it was written. {_RESTORE}")
