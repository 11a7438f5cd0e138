"""Raw files in pieces of whole records."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from risk_assets.domain.ingest import csv_counts
from risk_assets.domain.ingest.csv_records import BOM
from risk_assets.errors import LakeError
from risk_assets.lake import landed_parts, layout, manifests, raw
from risk_assets.lake.facts import RawFacts
from risk_assets.lake.landed_parts import LandedFile, OwnParts
from risk_assets.lake.manifests import Manifest, Provenance, require_manifest
from risk_assets.lake.raw_pieces import first_issues, grouped, piece_issues, piece_text, raw_file, read_group, read_piece
from risk_assets.lake.store import Store, open_store

DATE = "2026-01-01"
PATH = layout.accounts(DATE)
STANDARD = b"id,name\n" + b"".join(b'%d,"a, ""%d""\nb"\n' % (row, row) for row in range(500)) + b"500,short\n501\n502,x,y\n"
MIXED = b"id,name\n" + b"".join(b'%d,"a\nb"\n%d,O"Brian\n' % (row, row) for row in range(500))
FILES = {
    "standard quotes": STANDARD,
    "quotes of both kinds": MIXED,
    "a byte order mark": b"\xef\xbb\xbf" + STANDARD,
    "CR line ends": b"id,name\r" + b"".join(b"%d,x\r" % row for row in range(700)),
    "CRLF line ends and no last one": b"id,name\r\n" + b"\r\n".join(b"%d,x" % row for row in range(700)),
    "a header alone": b"id,name\n",
    "one row": b"id,name\n1,x",
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assets.domain.ingest.csv_records._BLOCK_BYTES", 512)
    monkeypatch.setattr(csv_counts, "PIECE_BYTES", 2000)


def stored(tmp_path: Path, *contents: bytes) -> tuple[Store, Manifest]:
    landing, lake = open_store(str(tmp_path / "landing")), open_store(str(tmp_path / "lake"))
    names = [f"accounts_{DATE}/{number}.csv" for number in range(len(contents))] if len(contents) > 1 else [f"accounts_{DATE}.csv"]
    for name, content in zip(names, contents, strict=True):
        landing.put(name, content)
    return lake, raw.ingest(OwnParts(lake, LandedFile(landing, tuple(names), ("id",))), PATH, Provenance(run_id="test"))


def without_pieces(lake: Store, manifest: Manifest) -> Manifest:
    facts = manifest.facts_as(RawFacts)
    earlier = RawFacts(**{name: getattr(facts, name) for name in facts.__struct_fields__ if name != "pieces"})
    return manifests.write_manifest(lake, Manifest(**{n: getattr(manifest, n) for n in manifest.__struct_fields__} | {"facts": earlier}))


def joined(lake: Store, manifest: Manifest) -> pl.DataFrame:
    file = raw_file(lake, manifest)
    return pl.concat([piece_text(file, piece, read_piece(lake, piece)).collect() for piece in file.pieces])


def test_the_first_line_with_an_issue_is_named(tmp_path: Path) -> None:
    alone = stored(tmp_path, STANDARD)[1]
    assert first_issues(alone) == {"line: too few fields": "row 502", "line: too many fields": "row 503"}
    empty = b"id,name\n"
    several = stored(tmp_path, empty, b"id,name\n1,x\n", empty, STANDARD, b"id,name\n1,x,y\n", empty)[1]
    assert first_issues(several) == {"line: too few fields": "row 502 of 3.csv", "line: too many fields": "row 503 of 3.csv"}
    last = stored(tmp_path, b"id,name\n1,x\n", empty, b"id,name\n1,x,y\n", empty)[1]
    assert first_issues(last) == {"line: too many fields": "row 1 of 2.csv"}


def test_no_line_is_named_without_its_position(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, manifest = stored(tmp_path, STANDARD)
    assert first_issues(without_pieces(lake, manifest)) == {}
    monkeypatch.setattr(landed_parts, "MAX_RAGGED_ROWS", 1)
    assert first_issues(stored(tmp_path / "other", STANDARD)[1]) == {}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_pieces_have_the_rows_of_the_file(tmp_path: Path, content: bytes) -> None:
    lake, manifest = stored(tmp_path, content)
    file = raw_file(lake, manifest)
    assert (len(file.pieces) > 1) == (len(content) > 3000)
    assert sum(piece.bytes for piece in file.pieces) == len(content)
    assert sum(piece.rows for piece in file.pieces) == manifest.rows
    assert_frame_equal(joined(lake, manifest), raw.scan(lake, PATH).collect())


def test_pieces_of_shards_follow_each_other(tmp_path: Path) -> None:
    lake, manifest = stored(tmp_path, STANDARD, b"id,name\n", STANDARD)
    assert [piece.first_row for piece in raw_file(lake, manifest).pieces if piece.start == 0] == [0, 503, 503]
    assert_frame_equal(joined(lake, manifest), raw.scan(lake, PATH).collect())


def test_issues_of_lines_are_those_of_the_piece(tmp_path: Path) -> None:
    lake, manifest = stored(tmp_path, STANDARD)
    file = raw_file(lake, manifest)
    issues = [piece_issues(file, piece) for piece in file.pieces]
    assert sum(len(found["short"]) for found in issues) == 1
    assert issues[-1]["short"] + file.pieces[-1].first_row == [501]
    assert issues[-1]["long"] + file.pieces[-1].first_row == [502]


@pytest.mark.parametrize("contents", [(STANDARD,), (MIXED, MIXED)], ids=["a file", "shards"])
def test_a_manifest_of_an_earlier_release_has_the_same_pieces(tmp_path: Path, contents: tuple[bytes, ...]) -> None:
    lake, manifest = stored(tmp_path, *contents)
    expected = raw_file(lake, manifest)
    without_pieces(lake, manifest)
    assert raw_file(lake, require_manifest(lake, PATH)).pieces == expected.pieces


@pytest.mark.parametrize(
    "contents", [(b"id,name\n1,x", b"id,name\r\n", b"id,name\n2,y\n3,z\n"), (MIXED, b"id,name\n", b"id,name\n9"), (STANDARD, STANDARD)]
)
def test_small_pieces_are_joined_without_their_headers(tmp_path: Path, contents: tuple[bytes, ...]) -> None:
    lake, manifest = stored(tmp_path, *(BOM + content for content in contents))
    file = raw_file(lake, manifest)
    groups = [*grouped(file.pieces)]
    assert [piece for group in groups for piece in group] == [*file.pieces]
    assert all(len(group) == 1 or sum(piece.bytes for piece in group) <= 2000 for group in groups)
    assert len(groups) < len(file.pieces) or len(contents) == 2
    read = [read_group(lake, file, group) for group in groups]
    assert_frame_equal(pl.concat([piece_text(file, *one).collect() for one in read]), raw.scan(lake, PATH).collect())


def test_a_changed_piece_is_not_read(tmp_path: Path) -> None:
    lake, manifest = stored(tmp_path, STANDARD)
    first, second, *_ = raw_file(lake, manifest).pieces
    assert lake.folder is not None
    file = lake.folder / PATH
    file.write_bytes(STANDARD[: second.start] + b"9" + STANDARD[second.start + 1 :])
    read_piece(lake, first)
    with pytest.raises(LakeError, match=r"raw/accounts_2026-01-01\.csv was changed since it was written"):
        read_piece(lake, second)
    file.unlink()
    with pytest.raises(LakeError, match="is missing"):
        read_piece(lake, first)
