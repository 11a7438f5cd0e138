"""SHA-256 of bytes, and of contents: streams and files, in segments of 64 MiB that can be verified one by one."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

SEGMENT_BYTES = 64 * 1024 * 1024
_BUFFER_BYTES = 1024 * 1024


class BinaryWriter(Protocol):
    """A file that is open for writing bytes."""

    def write(self, content: bytes, /) -> int | None:
        """Write bytes."""

    def flush(self) -> None:
        """Flush buffered bytes."""


class Segment(msgspec.Struct, frozen=True):
    """A piece of a content: its length in bytes and its SHA-256. Every segment but the last has `SEGMENT_BYTES`."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Content:
    """What a stream or a file contains, as lengths and hashes of its segments; an empty content has one empty segment."""

    segments: tuple[Segment, ...]

    @property
    def bytes(self) -> int:
        """The length in bytes."""
        return sum(segment.bytes for segment in self.segments)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes if there is one segment; otherwise the SHA-256 of the joined hashes of the segments."""
        return joined([segment.sha256 for segment in self.segments])


def joined(hashes: list[str]) -> str:
    """Return one hash for a list: itself if there is one, otherwise the SHA-256 of the joined texts."""
    return hashes[0] if len(hashes) == 1 else sha256("".join(hashes).encode())


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def content_of_chunks(chunks: Iterable[bytes]) -> Content:
    """Return the content of consecutive chunks."""
    hashed = HashedChunks(chunks)
    for _ in hashed:
        pass
    return hashed.content


def content_of_file(path: Path) -> Content:
    """Return the content of a file on disk; segments are hashed in parallel."""
    size = path.stat().st_size
    starts = range(0, size, SEGMENT_BYTES) or (0,)
    if len(starts) == 1:
        return Content((_segment(path, 0),))
    with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1)) as pool:
        return Content(tuple(pool.map(partial(_segment, path), starts)))


def _segment(path: Path, start: int) -> Segment:
    digest, done = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while done < SEGMENT_BYTES and (block := file.read(min(_BUFFER_BYTES, SEGMENT_BYTES - done))):
            digest.update(block)
            done += len(block)
    return Segment(done, digest.hexdigest())


class _Hash:
    """Hashes consecutive bytes in segments."""

    def __init__(self) -> None:
        self._done: list[Segment] = []
        self._hash, self._bytes = hashlib.sha256(), 0

    def update(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            if self._bytes == SEGMENT_BYTES:
                self._done.append(self._last)
                self._hash, self._bytes = hashlib.sha256(), 0
            piece = view[: SEGMENT_BYTES - self._bytes]
            self._hash.update(piece)
            self._bytes += len(piece)
            view = view[len(piece) :]

    @property
    def content(self) -> Content:
        return Content((*self._done, self._last))

    @property
    def _last(self) -> Segment:
        return Segment(self._bytes, self._hash.hexdigest())


class HashedChunks:
    """Yields chunks unchanged and hashes them; `content` is complete when the iteration has ended."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._hash = _Hash()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks."""
        for chunk in self._chunks:
            self._hash.update(chunk)
            yield chunk

    @property
    def content(self) -> Content:
        """The content of the chunks so far."""
        return self._hash.content


class HashedWriter:
    """Writes to a file and hashes the written bytes."""

    def __init__(self, file: BinaryWriter) -> None:
        self._file = file
        self._hash = _Hash()

    def write(self, content: bytes) -> int:
        """Write and hash bytes."""
        self._hash.update(content)
        self._file.write(content)
        return len(content)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()

    @property
    def content(self) -> Content:
        """The content written so far."""
        return self._hash.content
