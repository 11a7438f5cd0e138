"""Objects by path: a folder, Azurite or Azure Blob behind one small interface. No other module opens a path."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

from obstore.exceptions import BaseError

from risk_assets.errors import LakeError
from risk_assets.lake.addresses import Blobs, parse_address
from risk_assets.lake.azure_blobs import RETRY_SECONDS, AzureCredential, AzureObjects
from risk_assets.lake.disk import DiskObjects
from risk_assets.lake.hashing import Content, content_of_chunks, content_of_file
from risk_assets.lake.objects import Entry, Guard, Objects, TableTarget, no_guard
from risk_assets.lake.redirected import Places, RedirectedObjects
from risk_assets.lake.storage_errors import is_missing_container, storage_error

__all__ = ["AzureCredential", "Entry", "Store", "TableTarget", "open_store"]


_NOWHERE = Places({})


def _no_action() -> None:
    pass


@dataclass(frozen=True)
class Store:
    """Objects by path, relative to the root.

    A folder on disk is created by the first write; until then the store is empty. A write is complete and durable when it
    returns, and leaves nothing if it fails. Every method raises `LakeError` with a next step on a storage error.

    Attributes
    ----------
    url
        The root, as the user writes it.
    folder
        The root on disk; None on Azure.
    credential
        The credential of the storage account; None on disk.
    retry_seconds
        How long a request to Azure is repeated if it may succeed a little later.
    """

    url: str
    _objects: Objects = field(repr=False)
    folder: Path | None = None
    credential: AzureCredential | None = None
    retry_seconds: float = RETRY_SECONDS
    _before_first_write: Callable[[], None] = field(default=_no_action, repr=False)
    _places: Places = field(default=_NOWHERE, repr=False, hash=False)

    def before_first_write(self, action: Callable[[], None]) -> "Store":
        """Return the same store; it runs an action once, before its first write."""
        return replace(self, _before_first_write=action)

    def redirected(self, folders: Mapping[str, str]) -> "Store":
        """Return the same store with some folders kept at other places of it; other paths are shared."""
        places = Places(folders)
        return replace(self, _objects=RedirectedObjects(self._objects, places), _places=places)

    def actual(self, path: str) -> str:
        """Return where an object is kept: its path, unless its folder is redirected."""
        return self._places.actual(path)

    def logical(self, path: str) -> str:
        """Return the path of an object that is kept at a place of its own: the reverse of `actual`."""
        return self._places.logical(path)

    def file(self, path: str) -> Path | None:
        """Return the file of an object on disk; None on Azure."""
        return self.folder / self.actual(path) if self.folder else None

    def get(self, path: str) -> bytes:
        """Return the content of an object; raises `FileNotFoundError` if it does not exist."""
        with self._translate_errors(path):
            return self._objects.get(path)

    def find(self, path: str) -> bytes | None:
        """Return the content of an object, or None if it does not exist."""
        try:
            return self.get(path)
        except FileNotFoundError:
            return None

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return at most `length` bytes of an object from a position, none beyond its end; raises `FileNotFoundError` without one."""
        with self._translate_errors(path):
            return self._objects.get_range(path, start, length)

    def size(self, path: str) -> int | None:
        """Return the size of an object in bytes, or None if it does not exist."""
        entry = self.entry(path)
        return entry.size if entry else None

    def entry(self, path: str) -> Entry | None:
        """Return the size and the version of an object, or None if it does not exist."""
        try:
            with self._translate_errors(path):
                return self._objects.entry(path)
        except FileNotFoundError:
            return None

    def is_broken_link(self, path: str) -> bool:
        """Return whether a path is a symbolic link whose target does not exist; never on Azure."""
        with self._translate_errors(path):
            file = self.file(path)
            return file is not None and file.is_symlink() and not file.exists()

    def entries(self, prefix: str) -> tuple[Entry, ...]:
        """Return all objects below a folder with size and version, sorted by path; one listing."""
        with self._translate_errors(prefix):
            return tuple(sorted(self._objects.entries(prefix), key=lambda entry: entry.path))

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of an object in chunks of about 8 MiB, all of one version.

        A download that breaks off continues where it was. If the object has been replaced since, `LakeError` is raised.
        """
        with self._translate_errors(path):
            yield from self._objects.chunks(path)

    @contextmanager
    def reader(self, path: str) -> Iterator[IO[bytes]]:
        """Yield a seekable file with the content of an object, all of one version; raises `FileNotFoundError` if it does not exist.

        On Azure each read is a request for the bytes that are read; if the object has been replaced, `LakeError` is raised.
        """
        with self._translate_errors(path), self._objects.reader(path) as file:
            yield file

    def content(self, path: str, lengths: Sequence[int] = ()) -> Content:
        """Return the lengths and hashes of an object's content; reads all of it. `lengths` as of `content_of_chunks`."""
        with self._translate_errors(path):
            file = self.file(path)
            return content_of_file(file, lengths) if file else content_of_chunks(self.chunks(path), lengths)

    def put(self, path: str, content: bytes, guard: Guard = no_guard) -> None:
        """Write an object atomically; replaces an existing one.

        With a guard, on Azure one that was written meanwhile is not replaced: `LakeError` is raised.
        """
        with self._translate_errors(path):
            self._writable.put(path, content, guard)

    def create(self, path: str, content: bytes) -> bool:
        """Write an object unless it exists; return whether the object has exactly this content.

        So an attempt whose response was lost can be repeated. Content that must differ between writers has to name them.
        """
        with self._translate_errors(path):
            return self._writable.create(path, content)

    def write(self, path: str, chunks: Iterable[bytes], guard: Guard = no_guard) -> None:
        """Write an object from chunks; writes nothing if reading them fails."""
        with self._translate_errors(path):
            self._writable.write(path, chunks, guard)

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store."""
        with self._translate_errors(source):
            self._writable.copy(source, target)

    def delete(self, path: str) -> None:
        """Delete an object; raises `FileNotFoundError` if it does not exist."""
        with self._translate_errors(path):
            self._writable.delete(path)

    def prune(self, path: str) -> None:
        """Remove the folders on disk above a deleted object that are empty, but not the topmost one. A write makes them again."""
        if self.folder is None:
            return
        folders = [folder for folder in PurePosixPath(self.actual(path)).parents if len(folder.parts) > 1]
        with suppress(OSError):  # it is not empty, and so are those above it
            for folder in folders:
                (self.folder / folder).rmdir()

    def list(self, prefix: str) -> tuple[str, ...]:
        """Return the paths of all objects below a folder, sorted."""
        return tuple(entry.path for entry in self.entries(prefix))

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names of the objects and folders directly in a folder, sorted; "" is the root."""
        with self._translate_errors(folder):
            return tuple(sorted(self._objects.names(folder)))

    def uri(self, path: str) -> str:
        """Return the address of an object, as polars and the user read it; `open_store` reads it in the same way."""
        return str(self.file(path) or f"{self.url.rstrip('/')}/{self.actual(path)}")

    @contextmanager
    def table_target(self, path: str, guard: Guard = no_guard) -> Iterator[TableTarget]:
        """Yield a file for a polars sink; the table exists at `path` only if the block succeeds.

        polars can continue to write for a moment after a sink has failed, so it never writes to `path` directly: on disk
        it writes a temporary file, on Azure blocks that are committed at the end. After the block, `content` of the target
        is set.
        """
        with self._translate_errors(path), self._writable.table_target(path, guard) as target:
            yield target

    @contextmanager
    def exclusive(self, path: str, *, wait: bool) -> Iterator[bool]:
        """Keep other processes of this machine out of a block of a path; yields False if one is in it and `wait` is false.

        On Azure it keeps nobody out.
        """
        with self._translate_errors(path), self._writable.exclusive(path, wait=wait) as entered:
            yield entered

    def pin(self, path: str) -> Path:
        """Return a file on this disk that keeps the present content of an object when it is replaced. The caller deletes it."""
        with self._translate_errors(path):
            return self._on_disk(self._objects).pin(self.actual(path))

    def concatenate(self, sources: Sequence[str], target: str, guard: Guard = no_guard) -> None:
        """Write an object from the contents of others on this disk, in order; the system copies the bytes."""
        with self._translate_errors(target):
            self._on_disk(self._writable).concatenate([self.actual(source) for source in sources], self.actual(target), guard)

    def flush(self, path: str) -> None:
        """Flush an object on this disk that was written without, as a staged file: then it survives a loss of power."""
        with self._translate_errors(path):
            self._on_disk(self._objects).flush(self.actual(path))

    def move(self, source: str, target: str, guard: Guard = no_guard) -> None:
        """Rename an object on this disk that was flushed; replaces an existing one."""
        with self._translate_errors(target):
            self._on_disk(self._writable).move(self.actual(source), self.actual(target), guard)

    def remove_old_temporary_files(self, older_than: timedelta = timedelta(days=1)) -> int:
        """Remove the temporary and staged files that interrupted writes left, if their last write is older; return their number.

        Azure removes blocks that were never committed by itself, after a week.
        """
        with self._translate_errors(""):
            return self._objects.remove_old_temporary_files(older_than)

    def begin(self) -> None:
        """Run the action before the first write, if there was none: for a writer that does not use the methods of the store."""
        _ = self._writable

    @cached_property
    def _writable(self) -> Objects:
        """The objects for writing."""
        self._before_first_write()
        return self._objects

    @staticmethod
    def _on_disk(objects: Objects) -> DiskObjects:
        """Return the objects behind the store, which are on disk."""
        found = objects.objects if isinstance(objects, RedirectedObjects) else objects
        assert isinstance(found, DiskObjects)
        return found

    @contextmanager
    def _translate_errors(self, path: str) -> Iterator[None]:
        """Turn storage errors into `LakeError` with a next step; `FileNotFoundError` of an object passes."""
        try:
            yield
        except FileNotFoundError as error:
            if not is_missing_container(error):
                raise
            raise self._error(error, path) from error
        except (BaseError, OSError) as error:
            raise self._error(error, path) from error

    def _error(self, error: Exception, path: str) -> LakeError:
        sas_is_valid = self.credential is None or self.credential.sas_is_valid
        return storage_error(error, self.url, path or "root", sas_is_valid)


def open_store(url: str, credential: AzureCredential | None = None, retry_seconds: float = RETRY_SECONDS) -> Store:
    """Return the store at `url`: `az://container/prefix`, `file:///folder` or a folder. Sends no request.

    Parameters
    ----------
    url
        The address; see `parse_address`.
    credential
        The credential of the storage account; only used on Azure.
    retry_seconds
        How long a request to Azure is repeated if it may succeed a little later; 0 for a single attempt.

    Raises
    ------
    LakeError
        If the address is not valid or is a file, or is on Azure and no account is set.
    """
    address = parse_address(url)
    if isinstance(address, Path):
        if address.is_file():
            raise LakeError(f"{url} is a file: set RISK_LAKE and RISK_LANDING to folders.")
        return Store(url, DiskObjects(address), folder=address)
    return Store(url, _azure_objects(url, address, credential, retry_seconds), credential=credential, retry_seconds=retry_seconds)


def _azure_objects(url: str, blobs: Blobs, credential: AzureCredential | None, retry_seconds: float) -> AzureObjects:
    if credential is None:
        raise LakeError(
            f"{url} is on Azure, but no account is set: set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME "
            "(with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, or neither for the default credential)."
        )
    try:
        return AzureObjects(blobs, credential, retry_seconds)
    except BaseError:
        raise LakeError(
            f"the credential of the account {credential.account} is not valid: copy its key or SAS and its endpoint completely "
            "into the AZURE_STORAGE_ settings."
        ) from None
