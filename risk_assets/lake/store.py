"""Objects by path: a folder, Azurite or Azure Blob behind one small interface. No other module opens a path."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, LocalStore, MemoryStore

from risk_assets.errors import LakeError
from risk_assets.lake.hashing import Content, HashedWriter, content_of_chunks, content_of_file

CHUNK_BYTES = 8 * 1024 * 1024
RETRIES = 2
RETRY_TIME = timedelta(seconds=10)

Objects: TypeAlias = AzureStore | LocalStore


@dataclass(frozen=True)
class AzureCredential:
    """The credential of a storage account: `key`, `sas`, a token `provider` of azure-identity, or none (anonymous access)."""

    account: str
    endpoint: str | None = None
    key: str | None = field(default=None, repr=False)
    sas: str | None = field(default=None, repr=False)
    provider: Any = field(default=None, repr=False)

    def options(self) -> dict[str, str]:
        """Return the options that obstore and polars share."""
        known = {
            "account_name": self.account,
            "account_key": self.key,
            "sas_token": self.sas and self.sas.lstrip("?"),
            "endpoint": self.endpoint,
            "skip_signature": None if self.key or self.sas or self.provider else "true",
        }
        return {name: value for name, value in known.items() if value}

    @property
    def plain_http(self) -> bool:
        """Whether the endpoint is unencrypted, like Azurite's."""
        return bool(self.endpoint and self.endpoint.startswith("http://"))


@dataclass
class TableTarget:
    """The file that a table is written to. `content` is set when the table is complete."""

    file: Any
    content: Content = field(default_factory=lambda: Content(()))


def _no_action() -> None:
    pass


@dataclass(frozen=True)
class Entry:
    """An object: its path, its size in bytes, and a version that changes with each write (the ETag, or the time of the write)."""

    path: str
    size: int
    version: str


@dataclass(frozen=True)
class Store:
    """Objects by path, relative to the root.

    A folder on disk is created by the first write; until then the store is empty. Every method raises `LakeError` with a
    next step when storage cannot be reached.

    Attributes
    ----------
    url
        The root, as the user writes it.
    credential
        The credential of the storage account; None on disk.
    """

    url: str
    _connect: Callable[[], Objects] = field(repr=False)
    credential: AzureCredential | None = None
    _before_first_write: Callable[[], None] = field(default=_no_action, repr=False)

    @property
    def folder(self) -> Path | None:
        """The root on disk; None on Azure."""
        return _local_folder(self.url)

    def before_first_write(self, action: Callable[[], None]) -> "Store":
        """Return the same store; it runs an action once, before its first write."""
        return replace(self, _before_first_write=action)

    def get(self, path: str) -> bytes:
        """Return the content of an object; raises `FileNotFoundError` if it does not exist."""
        with self._translate_errors(path):
            return bytes(obstore.get(self._readable, path).bytes())

    def find(self, path: str) -> bytes | None:
        """Return the content of an object, or None if it does not exist."""
        try:
            return self.get(path)
        except FileNotFoundError:
            return None

    def head(self, path: str, length: int) -> bytes:
        """Return the first bytes of an object, at most `length`."""
        with self._translate_errors(path):
            if self.size(path) in (None, 0):
                return b""
            return bytes(obstore.get_range(self._readable, path, start=0, length=length))

    def size(self, path: str) -> int | None:
        """Return the size of an object in bytes, or None if it does not exist."""
        try:
            with self._translate_errors(path):
                return int(obstore.head(self._readable, path)["size"])
        except FileNotFoundError:
            return None

    def entry(self, path: str) -> Entry | None:
        """Return the size and the version of an object, or None if it does not exist."""
        try:
            with self._translate_errors(path):
                return _entry(obstore.head(self._readable, path))
        except FileNotFoundError:
            return None

    def entries(self, prefix: str) -> tuple[Entry, ...]:
        """Return all objects below a folder with size and version, sorted by path; one listing."""
        with self._translate_errors(prefix):
            pages = obstore.list(self._readable, prefix=prefix)
            return tuple(sorted((_entry(found) for page in pages for found in page), key=lambda entry: entry.path))

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of an object in chunks of about 8 MiB."""
        with self._translate_errors(path):
            for chunk in obstore.get(self._readable, path).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    def content(self, path: str) -> Content:
        """Return the lengths and hashes of an object's content; reads all of it."""
        with self._translate_errors(path):
            return content_of_file(self.folder / path) if self.folder else content_of_chunks(self.chunks(path))

    def put(self, path: str, content: bytes) -> None:
        """Write an object atomically; replaces an existing one."""
        with self._translate_errors(path):
            obstore.put(self._writable, path, content)

    def create(self, path: str, content: bytes) -> bool:
        """Write an object unless it exists; return whether it was written."""
        try:
            with self._translate_errors(path):
                obstore.put(self._writable, path, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write an object from chunks; writes nothing if reading them fails."""
        with self._translate_errors(path), obstore.open_writer(self._writable, path, buffer_size=CHUNK_BYTES) as writer:
            for chunk in chunks:
                writer.write(chunk)

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store."""
        with self._translate_errors(source):
            obstore.copy(self._writable, source, target)

    def delete(self, path: str) -> None:
        """Delete an object."""
        with self._translate_errors(path):
            obstore.delete(self._writable, path)

    def list(self, prefix: str) -> tuple[str, ...]:
        """Return the paths of all objects below a folder, sorted."""
        with self._translate_errors(prefix):
            pages = obstore.list(self._readable, prefix=prefix)
            return tuple(sorted(entry["path"] for page in pages for entry in page))

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names of the objects and folders directly in a folder, sorted; "" is the root."""
        with self._translate_errors(folder):
            found = obstore.list_with_delimiter(self._readable, prefix=folder or None)
        paths = [entry["path"] for entry in found["objects"]] + list(found["common_prefixes"])
        return tuple(sorted(path.rpartition("/")[2] for path in paths))

    def uri(self, path: str) -> str:
        """Return the address of an object, as polars and the user read it."""
        return str(self.folder / path) if self.folder else f"{self.url.rstrip('/')}/{path}"

    @contextmanager
    def table_target(self, path: str) -> Iterator[TableTarget]:
        """Yield a file for a polars sink; the table exists at `path` only if the block succeeds.

        polars can continue to write for a moment after a sink has failed, so it never writes to `path` directly: on disk
        the file has a temporary name in the same folder, on Azure its blocks are committed at the end. After the block,
        `content` of the target is set. On disk it is computed from the complete file: polars writes and Python reads it
        faster than Python forwards each chunk.
        """
        with self._translate_errors(path):
            writable, folder = self._writable, self.folder
            with _azure_target(writable, path) if folder is None else _disk_target(folder / path) as target:
                yield target

    @cached_property
    def _objects(self) -> Objects:
        return self._connect()

    @property
    def _readable(self) -> Objects | MemoryStore:
        """The objects for reading; none if the folder does not exist."""
        return MemoryStore() if self.folder and not self.folder.exists() else self._objects

    @cached_property
    def _writable(self) -> Objects:
        """The objects for writing."""
        self._before_first_write()
        return self._objects

    @contextmanager
    def _translate_errors(self, path: str) -> Iterator[None]:
        """Turn storage errors into `LakeError` with a next step; `FileNotFoundError` passes."""
        try:
            yield
        except AlreadyExistsError:
            raise
        except (BaseError, OSError) as error:
            message = _explain(str(error), self.url, path or "root")
            if message:
                raise LakeError(message) from error
            raise


def _entry(found: Any) -> Entry:
    return Entry(found["path"], int(found["size"]), found.get("e_tag") or found["last_modified"].isoformat())


def open_store(url: str, credential: AzureCredential | None = None) -> Store:
    """Return the store at `url`: `az://container/prefix`, `file:///folder` or a folder. Sends no request.

    Raises
    ------
    LakeError
        If the address is not valid or is a file, or is on Azure and no account is set.
    """
    if not url.startswith("az://"):
        folder = _local_folder(url)
        if folder is None:
            raise LakeError(f"{url or 'an empty text'} is not a valid address: write a folder, file:///folder or az://container/prefix.")
        if Path(folder).is_file():
            raise LakeError(f"{url} is a file: set RISK_LAKE and RISK_LANDING to folders.")
        return Store(url, partial(LocalStore, folder, mkdir=True))
    if not urlparse(url).netloc:
        raise LakeError(f"{url} has no container: write az://container/prefix.")
    if credential is None:
        raise LakeError(
            f"{url} is on Azure, but no account is set: set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME "
            "(with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, or neither for the default credential)."
        )
    try:
        objects = _azure(url, credential)
    except BaseError:
        raise LakeError(
            f"the credential of the account {credential.account} is not valid: copy its key or SAS and its endpoint completely "
            "into the AZURE_STORAGE_ settings."
        ) from None
    return Store(url, lambda: objects, credential)


@contextmanager
def _azure_target(objects: Objects, path: str) -> Iterator[TableTarget]:
    with obstore.open_writer(objects, path, buffer_size=CHUNK_BYTES) as file:
        writer = HashedWriter(file)
        target = TableTarget(writer)
        yield target
    target.content = writer.content


@contextmanager
def _disk_target(path: Path) -> Iterator[TableTarget]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial_file.open("wb") as file:
            target = TableTarget(file)
            yield target
        target.content = content_of_file(partial_file)
        partial_file.replace(path)
    finally:
        partial_file.unlink(missing_ok=True)


def _azure(url: str, credential: AzureCredential) -> AzureStore:
    parts = urlparse(url)
    provider: dict[str, Any] = {}
    if credential.provider:
        from obstore.auth.azure import AzureCredentialProvider

        provider = {"credential_provider": AzureCredentialProvider(credential=credential.provider)}
    options: Any = credential.options()
    return AzureStore(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        config=options,
        client_options={"allow_http": credential.plain_http, "connect_timeout": "5s", "timeout": "300s"},
        retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIME},
        **provider,
    )


def _local_folder(url: str) -> Path | None:
    if url.startswith("file://"):
        parts = urlparse(url)
        return Path(unquote(parts.path)).absolute() if parts.path and not parts.netloc else None
    return None if "://" in url or not url.strip() else Path(url).absolute()


@dataclass(frozen=True)
class _KnownError:
    """A storage error: texts that identify it, what it is, and the next step."""

    signs: tuple[str, ...]
    problem: str
    step: str


_KNOWN_ERRORS = (
    _KnownError(
        ("ContainerNotFound", "specified container does not exist"),
        "the container {container} does not exist",
        "create it (az storage container create --name {container}), or correct RISK_LAKE",
    ),
    _KnownError(
        ("403 Forbidden", "401 Unauthorized", "AuthenticationFailed", "AuthorizationFailure", "PermissionDenied", "Permission denied"),
        "access denied",
        "check the AZURE_STORAGE_ settings (key, SAS and its expiry, role), or the permissions of the folder",
    ),
    _KnownError(
        ("error sending request", "Connection refused", "dns error", "timed out", "ConnectError"),
        "storage cannot be reached",
        "check that it is running, the network and the AZURE_STORAGE_ settings, then run again",
    ),
    _KnownError(("No space left",), "the disk is full", "free some space, then run again"),
)


def _explain(text: str, url: str, path: str) -> str | None:
    """Return a message with a next step for a storage error, or None if the error is not a known one."""
    for known in _KNOWN_ERRORS:
        if any(sign in text for sign in known.signs):
            container = urlparse(url).netloc
            return f"{known.problem.format(container=container)} (at {url}, {path}): {known.step.format(container=container)}."
    return None
