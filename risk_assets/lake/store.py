"""The only place that opens a path: a folder, Azurite or Azure Blob behind one small face."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, LocalStore

from risk_assets.errors import LakeError

CHUNK_BYTES = 8 * 1024 * 1024
RETRIES = 2
RETRY_TIME = timedelta(seconds=10)


@dataclass(frozen=True)
class AzureCredential:
    """How to reach a storage account: `key`, `sas`, a token `provider` of azure-identity, or neither (anonymous)."""

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
        """Whether the endpoint is unencrypted, as Azurite's is."""
        return bool(self.endpoint and self.endpoint.startswith("http://"))


@dataclass
class TableTarget:
    """Where a table is written to, and its SHA-256 once it is there."""

    file: Any
    sha256: str = ""


class _Hashed:
    """A file that is hashed while it is written."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        return int(self._file.write(content))

    def flush(self) -> None:
        self._file.flush()


@dataclass(frozen=True)
class Store:
    """Objects by path, relative to the store's root.

    `url` is the root as a person writes it, `credential` how it is reached on Azure. Raises `LakeError`, with what to do, when
    storage can't be reached.
    """

    url: str
    _objects: AzureStore | LocalStore
    credential: AzureCredential | None = None

    @property
    def folder(self) -> Path | None:
        """The root on disk; None on Azure."""
        return _local_folder(self.url)

    def get(self, path: str) -> bytes:
        """Return an object's content; raises `FileNotFoundError` when there is none."""
        with self._explained(path):
            return bytes(obstore.get(self._objects, path).bytes())

    def find(self, path: str) -> bytes | None:
        """Return an object's content, or None when there is none."""
        try:
            return self.get(path)
        except FileNotFoundError:
            return None

    def head(self, path: str, length: int) -> bytes:
        """Return an object's first bytes, at most `length`."""
        with self._explained(path):
            if self.size(path) in (None, 0):
                return b""
            return bytes(obstore.get_range(self._objects, path, start=0, length=length))

    def size(self, path: str) -> int | None:
        """Return an object's size in bytes, or None when there is none."""
        try:
            with self._explained(path):
                return int(obstore.head(self._objects, path)["size"])
        except FileNotFoundError:
            return None

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield an object's content in pieces of about 8 MiB."""
        with self._explained(path):
            for chunk in obstore.get(self._objects, path).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    def put(self, path: str, content: bytes) -> None:
        """Write an object, whole or not at all, over one that is there."""
        with self._explained(path):
            obstore.put(self._objects, path, content)

    def create(self, path: str, content: bytes) -> bool:
        """Write an object where there is none; return False, and write nothing, when there is one."""
        try:
            with self._explained(path):
                obstore.put(self._objects, path, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write an object from pieces; when reading them fails, nothing is written."""
        with self._explained(path), obstore.open_writer(self._objects, path, buffer_size=CHUNK_BYTES) as writer:
            for chunk in chunks:
                writer.write(chunk)

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store."""
        with self._explained(source):
            obstore.copy(self._objects, source, target)

    def delete(self, path: str) -> None:
        """Delete an object."""
        with self._explained(path):
            obstore.delete(self._objects, path)

    def list(self, prefix: str) -> tuple[str, ...]:
        """Return the paths of all objects below a folder, sorted."""
        with self._explained(prefix):
            pages = obstore.list(self._objects, prefix=prefix)
            return tuple(sorted(entry["path"] for page in pages for entry in page))

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names of the objects and folders directly in a folder, sorted; "" is the root."""
        with self._explained(folder):
            found = obstore.list_with_delimiter(self._objects, prefix=folder or None)
        paths = [entry["path"] for entry in found["objects"]] + list(found["common_prefixes"])
        return tuple(sorted(path.rpartition("/")[2] for path in paths))

    def uri(self, path: str) -> str:
        """Return an object's address, for people and for polars."""
        return str(self.folder / path) if self.folder else f"{self.url.rstrip('/')}/{path}"

    @contextmanager
    def table_target(self, path: str) -> Iterator["TableTarget"]:
        """Yield a file to which polars may sink a table: it appears at `path` when the block ends well, and only then.

        polars may go on writing for a moment after a sink has failed, so it is never given the address itself: on disk the
        file has a temporary name in the same folder, on Azure its blocks are committed at the end. After the block, the
        target's `sha256` is that of the table. On disk it is worked out from the whole file, which polars writes and Python
        reads faster than every piece goes through Python.
        """
        with self._explained(path):
            if self.folder is None:
                with obstore.open_writer(self._objects, path, buffer_size=CHUNK_BYTES) as writer:
                    hashed = _Hashed(writer)
                    target = TableTarget(hashed)
                    yield target
                target.sha256 = hashed.sha256.hexdigest()
                return
            final = self.folder / path
            final.parent.mkdir(parents=True, exist_ok=True)
            partial = final.with_name(f".{final.name}.{os.getpid()}.partial")
            try:
                with partial.open("wb") as file:
                    target = TableTarget(file)
                    yield target
                with partial.open("rb") as file:
                    target.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                partial.replace(final)
            finally:
                partial.unlink(missing_ok=True)

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """Turn what storage says into what to do; a missing object stays `FileNotFoundError`."""
        try:
            yield
        except AlreadyExistsError:
            raise
        except (BaseError, OSError) as error:
            advice = _advice(str(error), self.url)
            if advice:
                raise LakeError(f"{advice} (at {self.url}, {path or 'its root'})") from error
            raise


def open_store(url: str, credential: AzureCredential | None = None) -> Store:
    """Return the store at `url`: `az://container/prefix`, `file:///folder` or a folder.

    Raises
    ------
    LakeError
        When the address is of neither kind, or one on Azure comes without an account.
    """
    if not url.startswith("az://"):
        folder = _local_folder(url)
        if folder is None:
            raise LakeError(f"{url or 'nothing'} is no address of a lake: write a folder, file:///folder or az://container/prefix.")
        return Store(url, LocalStore(folder, mkdir=True))
    if not urlparse(url).netloc:
        raise LakeError(f"{url} names no container: write az://container/prefix.")
    if credential is None:
        raise LakeError(
            f"{url} lies on Azure, but no account is set: set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME "
            "(with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, or neither for the default credential)."
        )
    try:
        return Store(url, _azure(url, credential), credential)
    except BaseError:
        raise LakeError(
            f"the account {credential.account} can't be used: copy its key or SAS and its endpoint whole into the AZURE_STORAGE_ settings."
        ) from None


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


def _advice(text: str, url: str) -> str | None:
    """Return what to do about a storage error, or None where the error speaks for itself."""
    if "ContainerNotFound" in text or "specified container does not exist" in text:
        container = urlparse(url).netloc
        return f"the container {container} is not there: make it (az storage container create --name {container}), or mend RISK_LAKE"
    signs = ("403 Forbidden", "401 Unauthorized", "AuthenticationFailed", "AuthorizationFailure", "PermissionDenied", "Permission denied")
    if any(sign in text for sign in signs):
        return "storage refused the credential: check the AZURE_STORAGE_ settings (key, SAS and its expiry, role), or the folder's rights"
    if any(sign in text for sign in ("error sending request", "Connection refused", "dns error", "timed out", "ConnectError")):
        return "storage can't be reached: check that it runs, the network and the AZURE_STORAGE_ settings, then run again"
    if "No space left" in text:
        return "the disk is full: make room, then run again"
    return None
