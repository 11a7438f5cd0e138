"""Objects that several machines write together: each stages pieces, one commits them in order.

On a shared disk a staged piece is a file. A commit renames it; the system joins the files of several pieces in a new one first. On
Azure the blocks of a piece are staged at the blob itself, and a commit writes the list of blocks, on the condition that the blob is
unchanged. So nothing is visible before the commit, no byte passes through the machine that commits on Azure, and what is staged
twice, by a repeated or a second attempt, counts once: every attempt has names of its own, and the commit lists those of one.
"""

import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.azure_blobs import BLOCK_BYTES
from risk_assets.lake.block_blobs import blob_name, container_of, error_code, if_version, open_blob
from risk_assets.lake.hashing import Content, HashedChunks, Segment, concatenated
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.parallel import in_guarded_batches, in_threads
from risk_assets.lake.storage_errors import storage_error
from risk_assets.lake.store import Store

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

MAX_BLOCKS = 50_000  # Azure's limit for a blob
TOKEN_BYTES = 4
ABANDONED_SECONDS = 24 * 3600.0
BLOCK_ID_BYTES = 16  # in hexadecimal as long as the ids of obstore's blocks: all ids of a blob must have one length
_REPLACED = ("ConditionNotMet", "BlobAlreadyExists", "BlobNotFound", "InvalidBlockList")  # a commit discards the blocks of others
_OTHER_IDS = ("InvalidBlobOrBlock", "InvalidBlockId")
_ATTEMPTS = 5


class StagedPiece(msgspec.Struct, frozen=True):
    """A staged piece of an object: the lengths and hashes of its segments, and the ids of its blocks; on disk, the path of its file."""

    segments: tuple[Segment, ...]
    blocks: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """The length in bytes."""
        return sum(segment.bytes for segment in self.segments)


def new_token() -> str:
    """Return the name of a new write: 8 hexadecimal digits."""
    return secrets.token_hex(TOKEN_BYTES)


def stage(store: Store, path: str, token: str, number: int, content: Iterable[bytes]) -> StagedPiece:
    """Stage a piece of an object, and return what `commit_staged` needs of it.

    A piece may be staged more than once, also at the same time. Nothing is visible at `path`.

    Parameters
    ----------
    token
        The name of the write, from `new_token`.
    number
        The position of the piece in the object, or of the object in its table, from 0.
    content
        The bytes in chunks.
    """
    chunks = HashedChunks(content)
    store.begin()
    with _translated_errors(store, path):
        blocks = _stage_blocks(store, path, chunks) if store.folder is None else _stage_file(store, path, token, number, chunks)
    return StagedPiece(chunks.content.segments, blocks)


def commit_staged(store: Store, path: str, token: str, pieces: Sequence[StagedPiece], guard: Guard = no_guard) -> Content:
    """Make an object of staged pieces, in this order, and return its content; replaces an existing one.

    Afterwards everything that was staged for the path is removed, also by writers that were killed.

    Parameters
    ----------
    guard
        Keeps other writers out while the object is replaced; raises if one has taken over the path. The lease that it verifies
        guarantees that what others have staged before is not needed.

    Raises
    ------
    LakeError
        If the object was written meanwhile, or staged pieces are gone. The object stays as it was.
    """
    store.begin()
    earlier = staged_tokens(store, path)
    with _translated_errors(store, path):
        if store.folder is None:
            _commit_blocks(store, path, [block for piece in pieces for block in piece.blocks], guard)
        else:
            _join_files(store, path, pieces, guard)
    for other in earlier:
        discard_staged(store, path, other)
    return concatenated(Content(piece.segments) for piece in pieces)


def commit_each(store: Store, objects: Mapping[str, StagedPiece], guard: Guard = no_guard) -> None:
    """Make several objects of one staged piece each, several at a time in guarded batches; replaces existing ones.

    Parameters
    ----------
    guard
        As of `commit_staged`.

    Raises
    ------
    LakeError
        If staged pieces are gone, also because another writer has replaced an object on Azure. Some of the objects can be there.
    """
    store.begin()
    if store.folder is None:
        _commit_blobs(store, objects, guard)
    else:
        _move_files(store, objects, guard)


def discard_staged(store: Store, path: str, token: str) -> None:
    """Remove what a write has staged. Azure removes blocks that are never committed itself, after a week or at the next commit."""
    folder = store.file(layout.staged(path, token))
    if folder is None:
        return
    with _translated_errors(store, path):
        shutil.rmtree(folder, onerror=_raise_unless_missing)
    store.prune(layout.staged(path, token))


def discard_objects(store: Store, path: str) -> None:
    """Remove the objects that writes have put into the staged folder of a path, and those of other paths that are older than a day.

    On Azure too, where they are blobs. The caller has the lease of the path.
    """
    own, limit = layout.staged_folder(path), time.time() - ABANDONED_SECONDS
    found = store.entries(f"{layout.zone(path)}/{layout.STAGED}/")
    in_threads(lambda old: _delete(store, old), [entry.path for entry in found if entry.path.startswith(own) or entry.written < limit])
    for token in staged_tokens(store, path):
        discard_staged(store, path, token)


def staged_tokens(store: Store, path: str) -> tuple[str, ...]:
    """Return the writes that have staged files for a table; on Azure, where they stage blocks, none."""
    return store.names(layout.staged_folder(path).rstrip("/")) if store.folder else ()


def _delete(store: Store, path: str) -> None:
    with suppress(FileNotFoundError):
        store.delete(path)


def _stage_file(store: Store, path: str, token: str, number: int, chunks: Iterable[bytes]) -> tuple[str, ...]:
    """Write a file, which need not survive a loss of power."""
    name = layout.staged_piece(path, token, number, new_token())
    file = store.file(name)
    assert file is not None
    for repeat in range(_ATTEMPTS):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            opened = file.open("xb")
        except FileNotFoundError:  # another write has removed the folder when it was empty
            if repeat == _ATTEMPTS - 1:
                raise
        else:
            break
    try:
        with opened:
            opened.writelines(chunks)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return (name,)


def _join_files(store: Store, path: str, pieces: Sequence[StagedPiece], guard: Guard) -> None:
    """Make an object of the files of staged pieces."""
    names = [_staged_file(store, path, piece) for piece in pieces]
    if len(names) == 1:
        store.flush(names[0])
        store.move(names[0], path, guard)
    else:
        store.concatenate(names, path, guard)


def _move_files(store: Store, objects: Mapping[str, StagedPiece], guard: Guard) -> None:
    """Rename the files of staged pieces. They are flushed before the guard is entered, because that can take long."""
    names = {path: _staged_file(store, path, piece) for path, piece in objects.items()}
    in_threads(store.flush, names.values())
    in_guarded_batches(lambda path: store.move(names[path], path), [*names], guard)


def _staged_file(store: Store, path: str, piece: StagedPiece) -> str:
    """Return the path of the file of a staged piece, after comparing its size."""
    (name,) = piece.blocks
    if store.size(name) != piece.bytes:
        raise LakeError(f"{store.uri(name)}, a staged piece of {path}, is missing or was changed. Run again.")
    return name


def _stage_blocks(store: Store, path: str, chunks: Iterable[bytes]) -> tuple[str, ...]:
    """Upload blocks with new ids, so that an attempt never replaces a block of another one."""
    from azure.core.exceptions import HttpResponseError

    ids = []
    with open_blob(store, path) as blob:
        for content in _in_blocks(chunks):
            ids.append(secrets.token_hex(BLOCK_ID_BYTES))
            try:
                blob.stage_block(ids[-1], content)
            except HttpResponseError as error:
                if error_code(error) in _OTHER_IDS:
                    raise LakeError(
                        f"{path} was written by another program, whose blocks have ids of another length (at {store.url}): move it away "
                        "and run again."
                    ) from error
                raise
    return tuple(ids)


def _commit_blocks(store: Store, path: str, ids: Sequence[str], guard: Guard) -> None:
    """Commit blocks if the blob is still the version of before the guard."""
    _require_few(path, ids)
    with open_blob(store, path) as blob:
        before = _version(blob)
        with guard():
            _commit_list(blob, path, ids, if_version(before))


def _commit_blobs(store: Store, objects: Mapping[str, StagedPiece], guard: Guard) -> None:
    """Commit the blocks of several blobs. It needs no condition: another write of a blob would have discarded them."""

    def commit(path: str) -> None:
        with _translated_errors(store, path):
            _commit_list(container.get_blob_client(blob_name(store, path)), path, objects[path].blocks, {})

    for path, piece in objects.items():
        _require_few(path, piece.blocks)
    with container_of(store) as container:
        in_guarded_batches(commit, [*objects], guard)


def _require_few(path: str, ids: Sequence[str]) -> None:
    if len(ids) > MAX_BLOCKS:
        raise LakeError(
            f"{path} would have {len(ids)} blocks, and Azure accepts {MAX_BLOCKS}. Land the date in shards of 16 MiB to 64 GiB."
        )


def _commit_list(blob: "BlobClient", path: str, ids: Sequence[str], condition: Mapping[str, Any]) -> None:
    """Write the list of a blob's blocks. A lost response is read back: ids are never used twice."""
    from azure.core.exceptions import AzureError, HttpResponseError
    from azure.storage.blob import BlobBlock

    try:
        blob.commit_block_list([BlobBlock(found) for found in ids], **condition)
    except AzureError as error:
        if _committed(blob) == list(ids):
            return
        if isinstance(error, HttpResponseError) and error_code(error) in _REPLACED:
            raise LakeError(f"{path} was written by another run at the same time. Run again.") from error
        raise


def _version(blob: "BlobClient") -> str | None:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return str(blob.get_blob_properties().etag)
    except ResourceNotFoundError as error:
        if error_code(error) != "BlobNotFound":
            raise
        return None


def _committed(blob: "BlobClient") -> list[str] | None:
    """Return the ids of a blob's blocks, or None if it does not exist or storage cannot be reached."""
    from azure.core.exceptions import AzureError

    try:
        committed, _ = blob.get_block_list("committed")
    except AzureError:
        return None
    return [block.id for block in committed]


def _in_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield chunks joined and cut into blocks."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= BLOCK_BYTES:
            yield bytes(buffer[:BLOCK_BYTES])
            del buffer[:BLOCK_BYTES]
    if buffer:
        yield bytes(buffer)


def _raise_unless_missing(_function: object, _path: str, failure: tuple[type[BaseException], BaseException, object]) -> None:
    if not isinstance(failure[1], FileNotFoundError):
        raise failure[1]


@contextmanager
def _translated_errors(store: Store, path: str) -> Iterator[None]:
    """Turn errors of the disk and of the Azure SDK into `LakeError` with a next step."""
    try:
        yield
    except _storage_errors(store) as error:
        sas_is_valid = store.credential is None or store.credential.sas_is_valid
        raise storage_error(error, store.url, path, sas_is_valid) from error


def _storage_errors(store: Store) -> tuple[type[Exception], ...]:
    if store.folder is not None:
        return (OSError,)
    from azure.core.exceptions import AzureError

    return (OSError, AzureError)
