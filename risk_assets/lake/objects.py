"""What a store is made of: objects by path, on disk (`disk`) or on Azure (`azure_blobs`)."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, Any, Protocol, TypeAlias

from risk_assets.lake.hashing import Content

# Entered when a complete object is about to appear at its path; raises if it must not.
Guard: TypeAlias = Callable[[], AbstractContextManager[None]]
no_guard: Guard = nullcontext

CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """An object: its path, its size in bytes, a version that changes with each write, and when it was last written (seconds since 1970).

    The version is the ETag on Azure; on disk it is made of inode, time of modification (ns) and size.
    """

    path: str
    size: int
    version: str
    written: float


@dataclass
class TableTarget:
    """The file that a table is written to.

    Attributes
    ----------
    file
        The file, open for writing.
    lengths
        The lengths of the segments of the content, if the writer chooses them: it adds each before it writes the bytes.
    content
        What was written; set when the table is complete.
    """

    file: Any
    lengths: list[int] = field(default_factory=list)
    content: Content = field(default_factory=lambda: Content(()))


class Objects(Protocol):
    """Objects by path. A missing object raises `FileNotFoundError`; other errors are those of the library behind it."""

    def get(self, path: str) -> bytes:
        """Return the content of an object."""

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return at most `length` bytes of an object from a position; none beyond its end."""

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of an object in chunks of about 8 MiB; all of them are of one version."""

    def reader(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """Yield a seekable file with the content of an object; all reads are of one version."""

    def entry(self, path: str) -> Entry:
        """Return the size and the version of an object."""

    def entries(self, prefix: str) -> Iterable[Entry]:
        """Return all objects below a folder, in any order."""

    def names(self, folder: str) -> Iterable[str]:
        """Return the names of the objects and folders directly in a folder, in any order."""

    def put(self, path: str, content: bytes, guard: Guard = no_guard) -> None:
        """Write an object atomically; replaces an existing one."""

    def create(self, path: str, content: bytes) -> bool:
        """Write an object unless it exists; return whether it has this content."""

    def write(self, path: str, chunks: Iterable[bytes], guard: Guard = no_guard) -> None:
        """Write an object from chunks; writes nothing if reading them fails."""

    def table_target(self, path: str, guard: Guard = no_guard) -> AbstractContextManager[TableTarget]:
        """Yield a file for a table, which exists at `path` only if the block succeeds."""

    def copy(self, source: str, target: str) -> None:
        """Copy an object; replaces an existing one."""

    def delete(self, path: str) -> None:
        """Delete an object."""

    def exclusive(self, path: str, *, wait: bool) -> AbstractContextManager[bool]:
        """Keep other processes of this machine out of a block of this path; yields False if one is in it and `wait` is false."""

    def remove_old_temporary_files(self, older_than: timedelta) -> int:
        """Remove what interrupted writes left; return the number of files."""
