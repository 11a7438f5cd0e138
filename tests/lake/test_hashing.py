"""Hashes of bytes, chunks, files and streams agree with hashlib."""

import hashlib
import io
import threading
from pathlib import Path

import pytest

from risk_assets.lake import hashing
from risk_assets.lake.hashing import (
    Content,
    HashedChunks,
    HashedWriter,
    Segment,
    concatenated,
    content_of_chunks,
    content_of_file,
    sha256,
)

PARTS = [b"first", b"", b"\x00second"]
CONTENT = b"".join(PARTS)
EXPECTED = hashlib.sha256(CONTENT).hexdigest()


def test_bytes_chunks_and_files_have_the_same_hash(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert [sha256(CONTENT), content_of_chunks(iter(PARTS)).sha256, content_of_file(path).sha256] == [EXPECTED] * 3


@pytest.mark.parametrize("length", [0, 1, 4, 5, 8, 11, 12])
def test_streams_and_files_have_the_same_segments(length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "SEGMENT_BYTES", 4)
    content = CONTENT[:length]
    path = tmp_path / "file"
    path.write_bytes(content)
    pieces = [content[at : at + 4] for at in range(0, length, 4)] or [b""]
    expected = Content(tuple(Segment(len(piece), hashlib.sha256(piece).hexdigest()) for piece in pieces))
    writer = HashedWriter(io.BytesIO())
    for at in range(0, length, 3):
        writer.write(content[at : at + 3])
    assert [content_of_file(path), writer.content, content_of_chunks([content])] == [expected] * 3
    assert expected.bytes == length


@pytest.mark.parametrize("lengths", [(12,), (5, 7), (1, 0, 11), (3, 3), (20,), (6, 20), ()])
def test_segments_have_the_lengths_that_were_chosen(lengths: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "SEGMENT_BYTES", 4)
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    rest, pieces = CONTENT, []
    for length in (*lengths, 4, 4, 4):
        if rest:
            pieces.append(rest[:length])
            rest = rest[length:]
    expected = Content(tuple(Segment(len(piece), hashlib.sha256(piece).hexdigest()) for piece in pieces))
    assert [content_of_file(path, lengths), content_of_chunks([CONTENT[:2], CONTENT[2:]], lengths)] == [expected] * 2


@pytest.mark.parametrize("lengths", [(), (0,), (4, 4)])
def test_an_empty_content_has_one_empty_segment(lengths: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    expected = Content((Segment(0, hashlib.sha256(b"").hexdigest()),))
    assert [content_of_file(path, lengths), content_of_chunks([], lengths), concatenated([])] == [expected] * 3
    assert concatenated([expected, content_of_chunks([b"a"]), expected]) == content_of_chunks([b"a"])


def test_contents_are_joined_segment_by_segment() -> None:
    contents = [content_of_chunks([part]) for part in PARTS]
    assert concatenated(contents) == content_of_chunks([CONTENT], [len(part) for part in PARTS if part])


def test_several_segments_have_the_hash_of_their_joined_hashes() -> None:
    content = Content((Segment(4, "aa"), Segment(1, "bb")))
    assert content.sha256 == hashlib.sha256(b"aabb").hexdigest()


def test_hashed_chunks_pass_unchanged() -> None:
    chunks = HashedChunks(iter(PARTS))
    assert list(chunks) == PARTS
    assert chunks.content == Content((Segment(len(CONTENT), EXPECTED),))


@pytest.mark.parametrize("large", [1, 6, 100], ids=["all", "some", "none"])
def test_large_chunks_are_hashed_by_a_thread(large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []

    class Recorded(hashing._Hash):
        def update(self, content: bytes) -> None:
            threads.append(threading.current_thread() is threading.main_thread())
            super().update(content)

    monkeypatch.setattr(hashing, "_LARGE_BYTES", large)
    expected = content_of_chunks(PARTS, [4, 4])
    monkeypatch.setattr(hashing, "_Hash", Recorded)
    chunks = HashedChunks(iter(PARTS), [4, 4])
    assert list(chunks) == PARTS
    assert chunks.content == expected
    assert threads == [len(part) < large for part in PARTS]


def test_an_iteration_that_is_left_ends_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_LARGE_BYTES", 1)
    before = threading.active_count()
    chunks = iter(HashedChunks(iter(PARTS)))
    assert (next(chunks), threading.active_count()) == (PARTS[0], before + 1)
    chunks.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_hashed_writer_writes_what_it_hashes() -> None:
    file = io.BytesIO()
    writer = HashedWriter(file)
    assert [writer.write(part) for part in PARTS] == [5, 0, 7]
    writer.flush()
    assert (file.getvalue(), writer.content.sha256) == (CONTENT, EXPECTED)
