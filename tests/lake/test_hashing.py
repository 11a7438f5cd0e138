"""Hashes of bytes, chunks, files and streams agree with hashlib."""

import hashlib
import io
from pathlib import Path

from risk_assets.lake.hashing import HashedChunks, HashedWriter, sha256, sha256_of_chunks, sha256_of_file

PARTS = [b"first", b"", b"\x00second"]
CONTENT = b"".join(PARTS)
EXPECTED = hashlib.sha256(CONTENT).hexdigest()


def test_bytes_chunks_and_files_have_the_same_hash(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert [sha256(CONTENT), sha256_of_chunks(iter(PARTS)), sha256_of_file(path)] == [EXPECTED] * 3


def test_hashed_chunks_pass_unchanged() -> None:
    chunks = HashedChunks(iter(PARTS))
    assert list(chunks) == PARTS
    assert chunks.sha256 == EXPECTED


def test_a_hashed_writer_writes_what_it_hashes() -> None:
    file = io.BytesIO()
    writer = HashedWriter(file)
    assert [writer.write(part) for part in PARTS] == [5, 0, 7]
    writer.flush()
    assert (file.getvalue(), writer.sha256) == (CONTENT, EXPECTED)
