"""Files that grow at their end: compare-and-append on disk and on Azure, at a cost that does not depend on the size.

On Azure the file is a block blob. An append writes only the last block again, which is at most `BLOCK_BYTES` long, and commits
the list of blocks on the condition that the blob is unchanged. A reader always sees a complete file, and a crash leaves the
file as it was. From `MAX_BLOCKS` blocks on, an append merges them into large ones; Azure's limit is 50,000.
"""

import fcntl
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.block_blobs import blob_name, container_of, error_code, if_version, lower_names
from risk_assets.lake.disk import sync_folder
from risk_assets.lake.store import Store

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

BLOCK_BYTES = 128 * 1024
MERGED_BYTES = 4 * 1024 * 1024
MAX_BLOCKS = 1000
TAIL_BYTES = 512


@dataclass(frozen=True)
class Block:
    """A block of a blob: its id and its size in bytes."""

    id: str
    size: int


@dataclass(frozen=True)
class End:
    """The end of a file as a writer saw it.

    Attributes
    ----------
    size
        The size in bytes; 0 if the file does not exist.
    sound
        Whether the file starts with its header and ends with a line end; on Azure, whether this module wrote all its blocks.
    tail
        On disk, the last bytes: they differ in a file of the same size that was written again.
    blocks, version
        On Azure, the blocks and the ETag; None if the blob does not exist.
    """

    size: int
    sound: bool
    tail: bytes = b""
    blocks: tuple[Block, ...] = ()
    version: str | None = None


class AppendFile(ABC):
    """A file of lines below a header. Every method raises `LakeError` if storage cannot be reached."""

    @abstractmethod
    def end(self) -> End:
        """Return the end of the file; reads no more than its header and its last bytes."""

    @abstractmethod
    def append(self, lines: bytes, end: End) -> bool:
        """Append lines durably if the file still ends at `end`, which is sound; return whether they were appended."""

    @abstractmethod
    def since(self, end: End) -> tuple[bytes | None, End]:
        """Return the lines after `end`, perhaps with some before it, and the new end; None if the file was written again."""

    @abstractmethod
    def read(self) -> tuple[bytes, End]:
        """Return the content of the file, and its end."""

    @abstractmethod
    def discard(self, path: str) -> None:
        """Delete another object of the store, unless another process was faster."""

    @abstractmethod
    def replace(self, content: bytes, end: End) -> bool:
        """Write the file again, atomically, if it still ends at `end`; return whether it was written."""


@contextmanager
def open_append(
    store: Store, path: str, header: bytes, block_bytes: int = BLOCK_BYTES, max_blocks: int = MAX_BLOCKS
) -> Iterator[AppendFile]:
    """Yield the file at a path of a store. Opening it sends no request.

    Parameters
    ----------
    header : bytes
        The first line with its line end.
    block_bytes : int
        On Azure, the size of a block that is not written again.
    max_blocks : int
        On Azure, the number of blocks that an append merges.
    """
    if store.folder is not None:
        yield _DiskFile(store, store.folder / path, store.folder / layout.TEMPORARY, header)
        return
    with container_of(store) as container:
        yield _AzureFile(store, container, container.get_blob_client(blob_name(store, path)), header, block_bytes, max_blocks)


@dataclass(frozen=True)
class _DiskFile(AppendFile):
    """Writers hold an exclusive lock on the file for the time of a write, readers a shared one."""

    store: Store
    path: Path
    temporary: Path
    header: bytes

    def end(self) -> End:
        with self._locked(fcntl.LOCK_SH, os.O_RDONLY) as file:
            return self._end(file)

    def append(self, lines: bytes, end: End) -> bool:
        with self._locked(fcntl.LOCK_EX, os.O_RDWR) as file:
            if file is None or self._end(file) != end:
                return False
            try:
                _write(file, lines, end.size)
            except OSError:
                os.ftruncate(file, end.size)
                raise
            return True

    def since(self, end: End) -> tuple[bytes | None, End]:
        with self._locked(fcntl.LOCK_SH, os.O_RDONLY) as file:
            now = self._end(file)
            if file is None or now.size < end.size or _tail(file, end.size) != end.tail:
                return None, now
            return os.pread(file, now.size - end.size, end.size), now

    def read(self) -> tuple[bytes, End]:
        with self._locked(fcntl.LOCK_SH, os.O_RDONLY) as file:
            end = self._end(file)
            return b"" if file is None else os.pread(file, end.size, 0), end

    def replace(self, content: bytes, end: End) -> bool:
        self.store.begin()
        with self._locked(fcntl.LOCK_EX, os.O_RDWR | os.O_CREAT) as file:
            if self._end(file) != end:
                return False
            self.temporary.mkdir(exist_ok=True)
            replacement = self.temporary / uuid.uuid4().hex
            try:
                with replacement.open("xb") as target:
                    _write(target.fileno(), content, 0)
                replacement.replace(self.path)
            finally:
                replacement.unlink(missing_ok=True)
            sync_folder(self.path.parent)
            return True

    def discard(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self.store.delete(path)

    @contextmanager
    def _locked(self, lock: int, flags: int) -> Iterator[int | None]:
        """Yield the open file under a lock, or None if it does not exist."""
        try:
            if flags & os.O_CREAT:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self._open(lock, flags)
            try:
                yield file
            finally:
                if file is not None:
                    os.close(file)
        except OSError as error:
            raise LakeError(
                f"{self.path} cannot be read or written ({error.strerror}). Check the disk's space and the permissions, then run again."
            ) from error

    def _open(self, lock: int, flags: int) -> int | None:
        """Open and lock the file; again if it was replaced before it was locked."""
        while True:
            try:
                file = os.open(self.path, flags, 0o666)
            except FileNotFoundError:
                return None
            try:
                fcntl.flock(file, lock)
                if _is_at(file, self.path):
                    return file
            except OSError:
                os.close(file)
                raise
            os.close(file)

    def _end(self, file: int | None) -> End:
        size = os.fstat(file).st_size if file is not None else 0
        if file is None or size == 0:
            return End(0, sound=False)
        tail = _tail(file, size)
        return End(size, os.pread(file, len(self.header), 0) == self.header and tail.endswith(b"\n"), tail)


@dataclass(frozen=True)
class _AzureFile(AppendFile):
    """The ETag decides between concurrent writers. An append whose response was lost looks like one that was overtaken."""

    store: Store
    container: "ContainerClient"
    blob: "BlobClient"
    header: bytes
    block_bytes: int
    max_blocks: int

    def end(self) -> End:
        with self._translate_errors():
            return self._end()

    def append(self, lines: bytes, end: End) -> bool:
        *full, last = end.blocks
        kept = end.blocks if last.size + len(lines) > self.block_bytes else tuple(full)
        if len(end.blocks) >= self.max_blocks:
            kept = ()
        with self._translate_errors():
            before = self._download(end, sum(block.size for block in kept))
            return before is not None and self._commit(kept, _pieces(before + lines), end)

    def since(self, end: End) -> tuple[bytes | None, End]:
        with self._translate_errors():
            while True:
                now = self._end()
                same = [before for before, after in zip(end.blocks, now.blocks, strict=False) if before == after]
                if not now.sound or len(same) < len(end.blocks) - 1:
                    return None, now
                content = self._download(now, sum(block.size for block in same))
                if content is not None:
                    return content, now

    def read(self) -> tuple[bytes, End]:
        with self._translate_errors():
            while True:
                end = self._end()
                content = self._download(end, 0)
                if content is not None:
                    return content, end

    def replace(self, content: bytes, end: End) -> bool:
        self.store.begin()
        with self._translate_errors():
            return self._commit((), _pieces(content), end)

    def discard(self, path: str) -> None:
        """Delete an object in a request of its own: Azurite does not accept obstore's bulk requests under a SAS.

        Without the permission to delete, the object stays.
        """
        from azure.core.exceptions import HttpResponseError

        with self._translate_errors():
            try:
                self.container.delete_blob(blob_name(self.store, path))
            except HttpResponseError as error:
                if error_code(error) not in ("BlobNotFound", "AuthorizationPermissionMismatch"):
                    raise

    def _end(self) -> End:
        from azure.core.exceptions import ResourceNotFoundError

        found: dict[str, str] = {}
        try:
            committed, _ = self.blob.get_block_list("committed", raw_response_hook=lambda response: found.update(lower_names(response)))
        except ResourceNotFoundError as error:
            if error_code(error) != "BlobNotFound":
                raise
            return End(0, sound=False)
        blocks = tuple(Block(block.id, block.size) for block in committed)
        ours = bool(blocks) and all(block.id.startswith(self._prefix) for block in blocks)
        return End(int(found["x-ms-blob-content-length"]), ours, blocks=blocks, version=found["etag"])

    @property
    def _prefix(self) -> str:
        """The start of the ids of blocks below this header; a blob must not have ids of different lengths."""
        return f"{crc32(self.header):08x}"

    def _commit(self, kept: tuple[Block, ...], pieces: list[bytes], end: End) -> bool:
        """Write pieces as blocks after those that are kept, if the blob still ends at `end`."""
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobBlock

        new = [f"{self._prefix}{uuid.uuid4().hex}" for _ in pieces]
        for block, piece in zip(new, pieces, strict=True):
            self.blob.stage_block(block, piece)
        try:
            self.blob.commit_block_list([BlobBlock(block) for block in (*(block.id for block in kept), *new)], **if_version(end.version))
        except HttpResponseError as error:
            # A commit discards the staged blocks of other writers: their block lists are not valid any more.
            if error_code(error) in ("ConditionNotMet", "BlobAlreadyExists", "InvalidBlockList"):
                return False
            raise
        return True

    def _download(self, end: End, start: int) -> bytes | None:
        """Return the content from a position to the end, or None if the blob has changed."""
        from azure.core.exceptions import HttpResponseError

        if end.size == start:
            return b""
        try:
            return bytes(self.blob.download_blob(offset=start, length=end.size - start, **if_version(end.version)).readall())
        except HttpResponseError as error:
            if error_code(error) in ("ConditionNotMet", "BlobNotFound", "InvalidRange"):
                return None
            raise

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        from azure.core.exceptions import AzureError

        try:
            yield
        except AzureError as error:
            reason = error_code(error) or type(error).__name__
            place = f"{self.store.url}, {self.blob.blob_name}"
            raise LakeError(
                f"storage cannot be read or written ({reason}, at {place}). Check that it can be reached, and the AZURE_STORAGE_ "
                "settings, then run again."
            ) from error


def _pieces(content: bytes) -> list[bytes]:
    return [content[start : start + MERGED_BYTES] for start in range(0, len(content), MERGED_BYTES)]


def _tail(file: int, size: int) -> bytes:
    """Return the last bytes before a position."""
    start = max(size - TAIL_BYTES, 0)
    return os.pread(file, size - start, start)


def _write(file: int, content: bytes, start: int) -> None:
    """Write at a position, and wait until the disk has it."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(file, rest, start)
        rest, start = rest[written:], start + written
    os.fsync(file)


def _is_at(file: int, path: Path) -> bool:
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
