"""SHA-256 of bytes, chunks and files, and of a stream while it is copied."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol


class BinaryWriter(Protocol):
    """A file that is open for writing bytes."""

    def write(self, content: bytes, /) -> int | None:
        """Write bytes."""

    def flush(self) -> None:
        """Flush buffered bytes."""


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_chunks(chunks: Iterable[bytes]) -> str:
    """Return the SHA-256 of consecutive chunks, in hexadecimal."""
    hashed = HashedChunks(chunks)
    for _ in hashed:
        pass
    return hashed.sha256


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file on disk, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class HashedChunks:
    """Yields chunks unchanged and hashes them; `sha256` is final when the iteration has ended."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks."""
        for chunk in self._chunks:
            self._hash.update(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """The SHA-256 of the chunks so far, in hexadecimal."""
        return self._hash.hexdigest()


class HashedWriter:
    """Writes to a file and hashes the written bytes."""

    def __init__(self, file: BinaryWriter) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write and hash bytes."""
        self._hash.update(content)
        self._file.write(content)
        return len(content)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes written so far, in hexadecimal."""
        return self._hash.hexdigest()
