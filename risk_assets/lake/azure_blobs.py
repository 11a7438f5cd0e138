"""Objects on Azure Blob Storage and Azurite. Requests that may succeed a little later are repeated, within a budget."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import IO, Any, TypeVar, cast
from urllib.parse import parse_qsl

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import AzureStore

from risk_assets.errors import LakeError
from risk_assets.lake.addresses import Blobs
from risk_assets.lake.hashing import Content, HashedWriter, content_of_chunks
from risk_assets.lake.objects import CHUNK_BYTES, Entry, Guard, TableTarget, no_guard
from risk_assets.lake.ranged_file import RangedFile
from risk_assets.lake.storage_errors import may_recover

RETRY_SECONDS = 30.0
MAX_RETRIES = 1_000  # more than fit into any budget: the time is the limit
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
CONNECT_SECONDS = 5.0
SHORTEST_STALL, USUAL_STALL = 1.0, 10.0

_BEYOND_END = ("416 Range Not Satisfiable", "StartTooLarge")  # how obstore reports a range beyond the end of an object

# A block must be uploaded within the stall timeout, all concurrent ones together: 16 MiB in 10 s are 13 Mbit/s.
BLOCK_BYTES = 4 * 1024 * 1024
CONCURRENT_BLOCKS = 4

T = TypeVar("T")


@dataclass(frozen=True)
class AzureCredential:
    """The credential of a storage account: `key`, `sas`, a token `provider` of azure-identity, or none (anonymous access)."""

    account: str
    endpoint: str | None = None
    key: str | None = field(default=None, repr=False)
    sas: str | None = field(default=None, repr=False)
    provider: Any = field(default=None, repr=False)

    def options(self) -> dict[str, str]:
        """Return the options of obstore."""
        known = {
            "account_name": self.account,
            "account_key": self.key,
            "sas_token": self.sas and self.sas.lstrip("?"),
            "endpoint": self.endpoint,
            "skip_signature": None if self.key or self.sas or self.provider else "true",
        }
        return {name: value for name, value in known.items() if value}

    @property
    def sas_is_valid(self) -> bool:
        """Whether the SAS, if there is one, has begun and has not expired, by the clock of this machine."""
        fields = dict(parse_qsl((self.sas or "").lstrip("?")))
        now = datetime.now(UTC)
        return _instant(fields.get("st"), now) <= now <= _instant(fields.get("se"), now)

    @property
    def plain_http(self) -> bool:
        """Whether the endpoint is unencrypted, like Azurite's."""
        return bool(self.endpoint and self.endpoint.startswith("http://"))


def _instant(text: str | None, default: datetime) -> datetime:
    """Return an instant of a SAS, such as 2026-01-31 or 2026-01-31T06:00:00Z; the default if it is absent or not one."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return default
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def stall_seconds(retry_seconds: float) -> float:
    """Return how long a request may receive nothing: a third of the budget, so that it can be repeated."""
    return max(retry_seconds / 3, SHORTEST_STALL) if retry_seconds else USUAL_STALL


class AzureObjects:
    """The blobs below an address.

    obstore repeats requests, and continues a broken download at its offset if the ETag is still the same. Requests whose
    repeat has another meaning (create, delete), and listings, which obstore does not repeat when a response breaks off, are
    repeated here.
    """

    def __init__(self, blobs: Blobs, credential: AzureCredential, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._client = _client(blobs, credential, retry_seconds, MAX_RETRIES if retry_seconds else 0)
        self._single_try = _client(blobs, credential, retry_seconds, 0)

    def get(self, path: str) -> bytes:
        """Return the content of an object."""
        return bytes(obstore.get(self._client, path).bytes())

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return at most `length` bytes of an object from a position; none beyond its end."""
        if not length:  # not a range of HTTP
            self.entry(path)
            return b""
        try:
            return bytes(obstore.get_range(self._client, path, start=start, length=length))
        except BaseError as error:
            if not any(sign in str(error) for sign in _BEYOND_END):
                raise
            return b""

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of an object in chunks of about 8 MiB; all of them are of one version."""
        return _chunks(self._client, path)

    @contextmanager
    def reader(self, path: str) -> Iterator[IO[bytes]]:
        """Yield a seekable file with the content of an object; a read fails if the object has been replaced since."""
        found = self.entry(path)

        def read_range(start: int, end: int) -> bytes:
            return bytes(obstore.get(self._client, path, options={"range": (start, end), "if_match": found.version}).bytes())

        with RangedFile(found.size, read_range) as file:
            yield cast("IO[bytes]", file)

    def entry(self, path: str) -> Entry:
        """Return the size and the version of an object."""
        return _entry(obstore.head(self._client, path))

    def entries(self, prefix: str) -> list[Entry]:
        """Return all objects below a folder."""
        return self._repeat(lambda _: [_entry(found) for page in obstore.list(self._client, prefix=prefix) for found in page])

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects and folders directly in a folder."""
        found = self._repeat(lambda _: obstore.list_with_delimiter(self._client, prefix=folder or None))
        paths = [entry["path"] for entry in found["objects"]] + list(found["common_prefixes"])
        return [path.rpartition("/")[2] for path in paths]

    def put(self, path: str, content: bytes, guard: Guard = no_guard) -> None:
        """Write an object atomically; replaces an existing one, but with a guard not one that was written meanwhile."""
        if guard is not no_guard:
            self._put_unless_changed(path, content, guard)
        elif len(content) > BLOCK_BYTES:
            self.write(path, (content[start : start + BLOCK_BYTES] for start in range(0, len(content), BLOCK_BYTES)))
        else:
            obstore.put(self._client, path, content, use_multipart=False)

    def _put_unless_changed(self, path: str, content: bytes, guard: Guard) -> None:
        """Write a small object if it is still the version of before the guard. A lost response is read back."""
        try:
            before: Any = {"e_tag": self.entry(path).version}
        except FileNotFoundError:
            before = "create"
        with guard():
            try:
                self._repeat(lambda _: obstore.put(self._single_try, path, content, mode=before, use_multipart=False))
            except (AlreadyExistsError, PreconditionError) as error:
                if self._find(path) != content:
                    raise LakeError(f"{path} was written by another run at the same time. Run again.") from error

    def create(self, path: str, content: bytes) -> bool:
        """Write an object unless it exists; return whether it has this content.

        If no attempt gets a response, the object is read back: an attempt may have been carried out all the same.
        """
        try:
            self._repeat(lambda _: obstore.put(self._single_try, path, content, mode="create"))
        except AlreadyExistsError:
            return self._find(path) == content
        except BaseError as error:
            if not may_recover(error):
                raise
            return self._read_back(path, error) == content
        return True

    def write(self, path: str, chunks: Iterable[bytes], guard: Guard = no_guard) -> None:
        """Write an object from chunks; writes nothing if reading them fails. The guard is entered before the commit."""
        with self._writer(path) as writer:
            for chunk in chunks:
                writer.write(chunk)
            with guard():
                pass

    @contextmanager
    def table_target(self, path: str, guard: Guard = no_guard) -> Iterator[TableTarget]:
        """Yield a file for a table; its blocks become an object if the block succeeds. The guard is entered before that."""
        lengths: list[int] = []
        with self._writer(path, lengths) as writer:
            target = TableTarget(writer, lengths)
            yield target
            with guard():
                pass
        target.content = writer.content

    def copy(self, source: str, target: str) -> None:
        """Copy an object; replaces an existing one."""
        obstore.copy(self._client, source, target)

    def delete(self, path: str) -> None:
        """Delete an object."""

        def attempt(repeated: bool) -> None:
            try:
                obstore.delete(self._single_try, path)
            except FileNotFoundError:
                if not repeated:  # otherwise an earlier attempt was carried out, and its response was lost
                    raise

        self._repeat(attempt)

    @contextmanager
    def exclusive(self, path: str, *, wait: bool) -> Iterator[bool]:
        """Yield True: on Azure, versions decide between writers, not locks."""
        yield True

    def remove_old_temporary_files(self, _: timedelta) -> int:
        """Return 0: Azure removes blocks that were never committed after a week."""
        return 0

    def _repeat(self, attempt: Callable[[bool], T]) -> T:
        """Return what an attempt returns, and repeat it while it may recover; it gets whether it is a repeat."""
        deadline = time.monotonic() + self._retry_seconds
        for number in count():
            try:
                return attempt(number > 0)
            except BaseError as error:
                pause = random.uniform(0, min(FIRST_PAUSE * 2**number, LONGEST_PAUSE))  # noqa: S311 - jitter, not a secret
                if not may_recover(error) or time.monotonic() + pause >= deadline:
                    raise
                time.sleep(pause)
        raise AssertionError

    @contextmanager
    def _writer(self, path: str, lengths: Sequence[int] = ()) -> Iterator[HashedWriter]:
        """Yield a writer whose blocks are committed at the end.

        A commit cannot be repeated: the blocks are no longer there if the first one was carried out and its response was
        lost. So the object is read back after an error, and the error is ignored if it has the written content. `lengths` as of
        `TableTarget`.
        """
        writer: HashedWriter | None = None
        complete = False
        try:
            with obstore.open_writer(self._client, path, buffer_size=BLOCK_BYTES, max_concurrency=CONCURRENT_BLOCKS) as file:
                writer = HashedWriter(file, lengths)
                yield writer
                complete = True
        except (BaseError, OSError):
            if not (complete and writer and self._content(path, lengths) == writer.content):
                raise

    def _content(self, path: str, lengths: Sequence[int]) -> Content | None:
        try:
            return content_of_chunks(_chunks(self._single_try, path), lengths)
        except (BaseError, OSError):
            return None

    def _find(self, path: str) -> bytes | None:
        try:
            return self.get(path)
        except FileNotFoundError:
            return None

    def _read_back(self, path: str, error: BaseError) -> bytes:
        try:
            return bytes(obstore.get(self._single_try, path).bytes())
        except (BaseError, OSError):
            raise error from None


def _client(blobs: Blobs, credential: AzureCredential, retry_seconds: float, retries: int) -> AzureStore:
    provider: dict[str, Any] = {}
    if credential.provider:
        from obstore.auth.azure import AzureCredentialProvider

        provider = {"credential_provider": AzureCredentialProvider(credential=credential.provider)}
    stall = stall_seconds(retry_seconds)
    options: Any = credential.options()
    return AzureStore(
        blobs.container,
        prefix=blobs.prefix or None,
        config=options,
        client_options={
            "allow_http": credential.plain_http,
            "connect_timeout": timedelta(seconds=min(stall, CONNECT_SECONDS)),
            "read_timeout": timedelta(seconds=stall),
            "timeout": timedelta(hours=1),
        },
        retry_config={
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=retry_seconds),
            "backoff": {
                "init_backoff": timedelta(seconds=FIRST_PAUSE),
                "max_backoff": timedelta(seconds=LONGEST_PAUSE),
                "base": 2,
            },
        },
        **provider,
    )


def _chunks(client: AzureStore, path: str) -> Iterator[bytes]:
    for chunk in obstore.get(client, path).stream(min_chunk_size=CHUNK_BYTES):
        yield bytes(chunk)


def _entry(found: Any) -> Entry:
    return Entry(found["path"], int(found["size"]), found["e_tag"], found["last_modified"].timestamp())
