"""SHA-256 of bytes, and of contents: streams and files, in segments that can be verified one by one.

A segment has 64 MiB, unless the writer of a content has chosen other lengths.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, chain, repeat
from pathlib import Path
from typing import Protocol

import msgspec

SEGMENT_BYTES = 64 * 1024 * 1024
_BUFFER_BYTES = 1024 * 1024
_LARGE_BYTES = 64 * 1024  # fewer are hashed sooner than a thread wakes up


class BinaryWriter(Protocol):
    """A file that is open for writing bytes."""

    def write(self, content: bytes, /) -> int | None:
        """Write bytes."""

    def flush(self) -> None:
        """Flush buffered bytes."""


class Segment(msgspec.Struct, frozen=True):
    """A piece of a content: its length in bytes and its SHA-256."""

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


def concatenated(contents: Iterable[Content]) -> Content:
    """Return the content of several ones after each other; its segments are theirs."""
    segments = tuple(segment for content in contents for segment in content.segments if segment.bytes)
    return Content(segments or (Segment(0, sha256(b"")),))


def content_of_chunks(chunks: Iterable[bytes], lengths: Sequence[int] = ()) -> Content:
    """Return the content of consecutive chunks.

    Parameters
    ----------
    lengths
        The lengths of the segments; what is beyond them has segments of `SEGMENT_BYTES`.
    """
    hashed = _Hash(lengths)
    for chunk in chunks:
        hashed.update(chunk)
    return hashed.content


def content_of_file(path: Path, lengths: Sequence[int] = ()) -> Content:
    """Return the content of a file on disk; segments are hashed in parallel. `lengths` as of `content_of_chunks`."""
    cut = _cut(path.stat().st_size, lengths)
    starts = accumulate(cut[:-1], initial=0)
    if len(cut) == 1:
        return Content((_segment(path, 0, cut[0]),))
    with ThreadPoolExecutor(min(len(cut), os.cpu_count() or 1)) as pool:
        return Content(tuple(pool.map(_segment, repeat(path), starts, cut)))


def _cut(size: int, lengths: Sequence[int]) -> list[int]:
    """Return the lengths of the segments of a content of this size."""
    cut: list[int] = []
    for length in chain(lengths, repeat(SEGMENT_BYTES)):
        if size <= 0:
            break
        cut.append(min(length, size))
        size -= cut[-1]
    return cut or [0]


def _segment(path: Path, start: int, length: int) -> Segment:
    digest, done = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while done < length and (block := file.read(min(_BUFFER_BYTES, length - done))):
            digest.update(block)
            done += len(block)
    return Segment(done, digest.hexdigest())


class _Hash:
    """Hashes consecutive bytes in segments; the length of each is needed when its first byte comes."""

    def __init__(self, lengths: Iterable[int] = ()) -> None:
        self._done: list[Segment] = []
        self._lengths = chain(lengths, repeat(SEGMENT_BYTES))
        self._length: int | None = None
        self._hash, self._bytes = hashlib.sha256(), 0

    def update(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            if self._length is None or self._bytes == self._length:
                self._length = self._begin()
            piece = view[: self._length - self._bytes]
            self._hash.update(piece)
            self._bytes += len(piece)
            view = view[len(piece) :]

    def _begin(self) -> int:
        """Begin the next segment, and return its length."""
        if self._length is not None:
            self._done.append(self._last)
        self._hash, self._bytes = hashlib.sha256(), 0
        return next(self._lengths)

    @property
    def content(self) -> Content:
        return Content((*self._done, self._last))

    @property
    def _last(self) -> Segment:
        return Segment(self._bytes, self._hash.hexdigest())


class HashedChunks:
    """Yields chunks unchanged, and hashes large ones in a thread while the caller uses them. `lengths` as of `content_of_chunks`."""

    def __init__(self, chunks: Iterable[bytes], lengths: Sequence[int] = ()) -> None:
        self._chunks = chunks
        self._hash = _Hash(lengths)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks."""
        with ThreadPoolExecutor(1) as pool:
            for chunk in self._chunks:
                if len(chunk) < _LARGE_BYTES:
                    self._hash.update(chunk)
                    yield chunk
                else:
                    hashed = pool.submit(self._hash.update, chunk)
                    yield chunk
                    hashed.result()

    @property
    def content(self) -> Content:
        """The content of the chunks; complete when the iteration has ended."""
        return self._hash.content


class HashedWriter:
    """Writes to a file and hashes the written bytes. `lengths` as of `TableTarget`."""

    def __init__(self, file: BinaryWriter, lengths: Iterable[int] = ()) -> None:
        self._file = file
        self._hash = _Hash(lengths)

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
