"""Raw files: stored unchanged, scanned as text, counted, and superseded by later landings."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from contextlib import AbstractContextManager

import msgspec
import pytest

from risk_assets.domain.ingest.csv_counts import FieldCounter
from risk_assets.domain.ingest.csv_dialect import Dialect
from risk_assets.domain.ingest.validation import RAGGED
from risk_assets.errors import LakeError, LandingError
from risk_assets.lake import landed_parts, layout, raw, raw_pieces
from risk_assets.lake.facts import RaggedRows, RawFacts
from risk_assets.lake.landed_parts import LandedFile, OwnParts
from risk_assets.lake.landing import find
from risk_assets.lake.manifests import Manifest, Provenance, find_manifest, require_manifest, write_manifest
from risk_assets.lake.store import Store

DATE = "2026-01-01"
FILE, FOLDER = f"accounts_{DATE}.csv", f"accounts_{DATE}"
PATH = f"raw/{FILE}"
COLUMNS = ("id", "age")


def land_and_ingest(store: Store, landing: Store, content: bytes | dict[str, bytes], run_id: str = "run-1") -> Manifest:
    """Put a file, or a folder of shards, into the landing folder and ingest it."""
    for old in (*landing.list(f"{FOLDER}/"), *(name for name in landing.names("") if name == FILE)):
        landing.delete(old)
    parts = {FILE: content} if isinstance(content, bytes) else {f"{FOLDER}/{name}": piece for name, piece in content.items()}
    for name, piece in parts.items():
        landing.put(name, piece)
    return raw.ingest(OwnParts(store, find(landing, "accounts", DATE, COLUMNS)), PATH, Provenance(run_id=run_id))


def facts(manifest: Manifest) -> RawFacts:
    return manifest.facts_as(RawFacts)


def rows(store: Store) -> list[tuple[str, ...]]:
    return raw.scan(store, PATH).drop(RAGGED).collect().rows()


def marks(store: Store) -> list[str | None]:
    return raw.scan(store, PATH).collect()[RAGGED].to_list()


WRITTEN = {
    "plain": (b"id,age\n007,41\n008,\n", [("007", "41"), ("008", "")]),
    "BOM": (b"\xef\xbb\xbfid,age\n007,41\n", [("007", "41")]),
    "CRLF": (b"id,age\r\n007,41\r\n008,\r\n", [("007", "41"), ("008", "")]),
    "CR": (b"id,age\r007,41\r008,42\r", [("007", "41"), ("008", "42")]),
    "semicolon": (b"id;age\n007;4,1\n", [("007", "4,1")]),
    "tab": (b"id\tage\n007\t41\n", [("007", "41")]),
    "bar": (b"id|age\n007|41\n", [("007", "41")]),
    "quoted line ends": (b'id,age\n007,"4\n1"\n008,"\n\n"\n', [("007", "4\n1"), ("008", "\n\n")]),
    "quoted separators and quotes": (b'id,age\n"0,7","say ""no"""\n', [("0,7", 'say "no"')]),
    "no last line end": (b"id,age\n007,41\n008,42", [("007", "41"), ("008", "42")]),
    "CRLF without the last": (b"id,age\r\n007,41\r\n008,42", [("007", "41"), ("008", "42")]),
    "BOM, quotes, semicolon, CRLF": (b'\xef\xbb\xbf"id";"age"\r\n"007";"4\r\n1"\r\n', [("007", "4\r\n1")]),
    "a header alone": (b"id,age\n", []),
    "a header alone, without line end": (b"id,age", []),
    "a header with a line end in a name": (b'id,"age\nin years"\n007,41\n', [("007", "41")]),
    "letters beyond ASCII": ("id,age\n007,Zürich €\n".encode(), [("007", "Zürich €")]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_is_stored_unchanged_and_scanned_as_text(store: Store, landing: Store, name: str) -> None:
    content, expected = WRITTEN[name]
    manifest = land_and_ingest(store, landing, content)
    assert store.get(PATH) == content
    assert manifest.digest == hashlib.sha256(content).hexdigest()
    assert (manifest.rows, manifest.parts) == (len(expected), {PATH: len(content)})
    assert (facts(manifest).short_lines, facts(manifest).long_lines) == (0, 0)
    assert rows(store) == expected
    assert marks(store) == [None] * len(expected)


def test_the_manifest_has_the_source_and_the_dialect(store: Store, landing: Store) -> None:
    manifest = land_and_ingest(store, landing, b"id;age\r007;41\r")
    assert (facts(manifest).source, facts(manifest).separator, facts(manifest).eol) == (landing.uri(FILE), ";", "\r")
    assert manifest.columns == ("id", "age")
    assert require_manifest(store, PATH) == manifest


def test_ragged_lines_are_counted_and_marked(store: Store, landing: Store) -> None:
    manifest = land_and_ingest(store, landing, b"id,age,city\n1,2,3\n2,3\n3,4,5,6\n\n5,6,7\n6")
    assert (manifest.rows, facts(manifest).short_lines, facts(manifest).long_lines) == (6, 3, 1)
    few, many = "line: too few fields", "line: too many fields"
    assert marks(store) == [None, few, many, few, None, few]
    assert [row[0] for row in rows(store)] == ["1", "2", "3", "", "5", "6"]


def test_long_lines_are_marked_without_short_ones(store: Store, landing: Store) -> None:
    land_and_ingest(store, landing, b'id,age\n1,2\n2,3,4\n3,"4,5"\n')
    assert marks(store) == [None, "line: too many fields", None]


def test_a_line_with_an_empty_extra_field_is_marked(store: Store, landing: Store) -> None:
    manifest = land_and_ingest(store, landing, b"id,age\n1,2\n2,3,,4\n")
    assert facts(manifest).long_lines == 1
    assert marks(store) == [None, "line: too many fields"]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The separators of the files whose fields are counted, one entry for each time."""
    counted: list[str] = []
    count_fields = raw_pieces.count_fields

    def recorded(dialect: Dialect, chunks: Iterable[bytes]) -> FieldCounter:
        counted.append(dialect.separator)
        return count_fields(dialect, chunks)

    monkeypatch.setattr(landed_parts, "count_fields", recorded)
    monkeypatch.setattr(raw_pieces, "count_fields", recorded)
    return counted


# --- quotes --------------------------------------------------------------------------------------------------------------

AMBIGUOUS = "line: ambiguous quotes"
QUOTES = {
    "standard": ("standard", b'id,age\n"1","4,1"\n2,"4""2"\n', [("1", "4,1"), ("2", '4"2')], [None, None]),
    "inches": ("none", b'id,age\n1,5"6"\n2,x\n', [("1", '5"6"'), ("2", "x")], [None, None]),
    "one quote inside a field": ("none", b'id,age\n1,O"Brian\n2,x\n', [("1", 'O"Brian'), ("2", "x")], [AMBIGUOUS, None]),
    "two lines with one quote": ("none", b'id,age\n1,O"B\n2,O"H\n', [("1", 'O"B'), ("2", 'O"H')], [AMBIGUOUS, AMBIGUOUS]),
    "a blank before a quote": ("none", b'id,age\n1, "x"\n2,y\n', [("1", ' "x"'), ("2", "y")], [AMBIGUOUS, None]),
    "a blank before a quoted separator": ("none", b'id,age\n1, "x, y"\n2,y\n', [("1", ' "x'), ("2", "y")], [AMBIGUOUS, None]),
    "mixed": ("mixed", b'id,age\n"1",5"6"\n2,"a,b"\n3,O"B\n', [("1", '5"6"'), ("2", "a,b"), ("3", 'O"B')], [None, None, AMBIGUOUS]),
    "text after a quote": ("mixed", b'id,age\n1,"x" y\n2,"z"\n', [("1", "x y"), ("2", "z")], [AMBIGUOUS, None]),
    "a blank after a quote": ("mixed", b'id,age\n1,"x" \n2,z\n', [("1", "x "), ("2", "z")], [AMBIGUOUS, None]),
    "a quote that is not doubled": ("mixed", b'id,age\n1,"x"y"\n2,z\n', [("1", 'xy"'), ("2", "z")], [AMBIGUOUS, None]),
    "a quoted line end after a quote": ("mixed", b'id,age\n1"2",x\n"2\n","z\n"\n', [('1"2"', "x"), ("2\n", "z\n")], [None, None]),
    "an unused column": ("none", b'id,age,name\n1,2, "x"\n2,3,y\n', [("1", "2", ' "x"'), ("2", "3", "y")], [AMBIGUOUS, None]),
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTES)
def test_quotes_are_read_by_one_grammar(store: Store, landing: Store, name: str) -> None:
    quoting, content, expected, issues = QUOTES[name]
    manifest = land_and_ingest(store, landing, content)
    assert store.get(PATH) == content
    assert (facts(manifest).quoting, manifest.rows, facts(manifest).ambiguous_lines) == (quoting, len(expected), issues.count(AMBIGUOUS))
    assert rows(store) == expected
    assert marks(store) == issues


def test_shards_of_different_quoting_are_read_together(store: Store, landing: Store) -> None:
    shards = {"a.csv": b'id,age\n"1","2,0"\n', "b.csv": b'id,age\n2,O"B\n3,4\n', "c.csv": b"id,age\n4,5\n"}
    manifest = land_and_ingest(store, landing, shards)
    assert (facts(manifest).quoting, facts(manifest).ragged) == ("mixed", RaggedRows(ambiguous=(1,)))
    assert rows(store) == [("1", "2,0"), ("2", 'O"B'), ("3", "4"), ("4", "5")]
    assert marks(store) == [None, AMBIGUOUS, None, None]


def test_control_characters_are_marked(store: Store, landing: Store) -> None:
    manifest = land_and_ingest(store, landing, b"id,age\r\n1,x\ry\r\n2,\0\r\n3,4\r\n")
    assert facts(manifest).control_lines == 2
    assert marks(store) == ["line: stray control character"] * 2 + [None]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_unnamed_empty_last_column_is_ignored(store: Store, landing: Store, end: bytes) -> None:
    manifest = land_and_ingest(store, landing, b"id,age" + end + b"1,2," + end + b"3,4," + end)
    assert (manifest.columns, facts(manifest).long_lines) == (("id", "age"), 0)
    assert rows(store) == [("1", "2"), ("3", "4")]
    assert marks(store) == [None, None]


def test_a_quote_after_a_lone_carriage_return_is_rejected(store: Store, landing: Store) -> None:
    with pytest.raises(LandingError, match=r"in row 2: readers differ on where that row ends"):
        land_and_ingest(store, landing, b'id,age\n1,2\n2,x\r"y\n",3\n')
    assert store.list("") == ()


def test_a_header_over_64_kib_is_read(store: Store, landing: Store) -> None:
    columns = ["id", "age", *(f"column_{number:06d}" for number in range(10_000))]
    content = f"{','.join(columns)}\n{','.join(['7'] * len(columns))}\n".encode()
    assert len(content) > 150_000
    manifest = land_and_ingest(store, landing, content)
    assert manifest.columns == tuple(columns)
    assert raw.scan(store, PATH).select("id", columns[-1]).collect().rows() == [("7", "7")]


def test_a_manifest_without_quoting_is_counted_on_scan(store: Store, landing: Store, counts: list[str]) -> None:
    land_and_ingest(store, landing, b'id,age\n1,O"B\n2,3\n')
    manifest = json.loads(store.get(layout.manifest(PATH)))
    for name in ("quoting", "ambiguous_lines", "control_lines"):
        del manifest["facts"][name]
    manifest["facts"]["ragged"] = {"short": [], "long": []}
    manifest["seal"] = None
    store.put(layout.manifest(PATH), json.dumps(manifest).encode())
    counts.clear()
    assert marks(store) == [AMBIGUOUS, None]
    assert counts == [","]


RAGGED_LINES = b"id,age,city\n1,2,3\n2,3\n3,4,5,6\n4\n5,6,7\n"
RAGGED_SHARD = b"id,age,city\n6,7,8,9\n7\n"
RAGGED_MARKS = [None, "line: too few fields", "line: too many fields", "line: too few fields", None]


def test_positions_of_ragged_lines_are_stored(store: Store, landing: Store, counts: list[str]) -> None:
    manifest = land_and_ingest(store, landing, RAGGED_LINES)
    assert facts(manifest).ragged == RaggedRows(short=(1, 3), long=(2,))
    assert counts == [","]
    assert marks(store) == RAGGED_MARKS
    assert counts == [","]


def test_positions_are_numbered_over_all_shards(store: Store, landing: Store) -> None:
    manifest = land_and_ingest(store, landing, {"a.csv": RAGGED_LINES, "b.csv": RAGGED_SHARD})
    assert facts(manifest).ragged == RaggedRows(short=(1, 3, 6), long=(2, 5))
    assert marks(store) == [*RAGGED_MARKS, "line: too many fields", "line: too few fields"]


def test_a_file_without_ragged_lines_stores_no_position(store: Store, landing: Store) -> None:
    assert facts(land_and_ingest(store, landing, b"id,age\n1,2\n")).ragged == RaggedRows()


@pytest.mark.parametrize(("limit", "stored"), [(4, False), (5, True)])
def test_positions_beyond_the_limit_are_counted_on_scan(
    store: Store, landing: Store, counts: list[str], monkeypatch: pytest.MonkeyPatch, limit: int, stored: bool
) -> None:
    monkeypatch.setattr(landed_parts, "MAX_RAGGED_ROWS", limit)
    manifest = land_and_ingest(store, landing, {"a.csv": RAGGED_LINES, "b.csv": RAGGED_SHARD})
    assert (facts(manifest).short_lines, facts(manifest).long_lines) == (3, 2)
    assert (facts(manifest).ragged is not None) == stored
    counts.clear()
    assert marks(store) == [*RAGGED_MARKS, "line: too many fields", "line: too few fields"]
    assert counts == ([] if stored else [",", ","])


def test_ten_thousand_positions_are_stored_and_one_more_is_not(store: Store, landing: Store) -> None:
    most = facts(land_and_ingest(store, landing, b"id,age\n" + b"1\n" * 10_000))
    assert most.ragged == RaggedRows(short=tuple(range(10_000)))
    assert set(marks(store)) == {"line: too few fields"}
    more = facts(land_and_ingest(store, landing, b"id,age\n" + b"1\n" * 10_001))
    assert (more.ragged, more.short_lines) == (None, 10_001)
    assert marks(store) == ["line: too few fields"] * 10_001


def test_a_scan_that_counts_other_rows_is_rejected(store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landed_parts, "MAX_RAGGED_ROWS", 0)
    manifest = land_and_ingest(store, landing, b"id,age\n1,2\n3\n")
    write_manifest(store, msgspec.structs.replace(manifest, rows=3))
    with pytest.raises(LakeError, match="does not match its manifest"):
        raw.scan(store, PATH)


def test_a_changed_byte_is_found_and_repaired_by_landing_again(store: Store, landing: Store) -> None:
    content = b"id,age\n1,2\n2,3\n"
    first = land_and_ingest(store, landing, content)
    store.put(PATH, b"id,age\n1,2\n2,9\n")
    with pytest.raises(LakeError, match=r"raw/accounts_2026-01-01\.csv was changed since it was written"):
        raw.scan(store, PATH)
    again = land_and_ingest(store, landing, content)
    assert again.sha256 == first.sha256
    assert rows(store) == [("1", "2"), ("2", "3")]
    assert [store.get(path) for path in store.list("raw/superseded/")] == [b"id,age\n1,2\n2,9\n"]


def test_a_file_is_not_lost_by_two_crashes_while_it_is_superseded(store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [b"id,age\n1,%d\n" % number for number in range(3)]
    land_and_ingest(store, landing, contents[0])

    def crash(*_arguments: object) -> None:
        raise LakeError("killed")

    for content in contents[1:]:
        with monkeypatch.context() as patched:
            patched.setattr(raw, "commit", crash)
            with pytest.raises(LakeError, match="killed"):
                land_and_ingest(store, landing, content)
    land_and_ingest(store, landing, contents[2])
    assert sorted(store.get(path) for path in store.list("raw/superseded/")) == contents[:2]
    assert store.get(PATH) == contents[2]


def test_an_overtaken_writer_replaces_nothing(store: Store, landing: Store) -> None:
    manifest = land_and_ingest(store, landing, b"id,age\n1,2\n")
    landing.put(FILE, b"id,age\n9,9\n")

    def overtaken() -> AbstractContextManager[None]:
        raise LakeError("taken over")

    with pytest.raises(LakeError, match="taken over"):
        raw.ingest(OwnParts(store, find(landing, "accounts", DATE, COLUMNS)), PATH, Provenance(run_id="run-2"), overtaken)
    assert (require_manifest(store, PATH), rows(store)) == (manifest, [("1", "2")])


def test_landing_the_same_bytes_again_changes_nothing(store: Store, landing: Store) -> None:
    first = land_and_ingest(store, landing, b"id,age\n1,2\n", "run-1")
    written = store.get(layout.manifest(PATH))
    assert land_and_ingest(store, landing, b"id,age\n1,2\n", "run-2") == first
    assert store.get(layout.manifest(PATH)) == written
    assert store.list("") == (PATH, layout.manifest(PATH))


def test_other_bytes_supersede_the_earlier_ones(store: Store, landing: Store) -> None:
    contents = [b"id,age\n1,2\n", b"id,age\n1,3\n2,2\n", b"id;age\n9;9\n"]
    for number, content in enumerate(contents):
        land_and_ingest(store, landing, content, f"run-{number}")
    assert store.get(PATH) == contents[2]
    assert rows(store) == [("9", "9")]
    for earlier in contents[:2]:
        assert store.get(f"raw/superseded/{hashlib.sha256(earlier).hexdigest()[:12]}/{FILE}") == earlier
    assert len(store.list("raw/superseded/")) == 2


@pytest.mark.parametrize("step", ["write", "commit"])
def test_a_crash_after_superseding_leaves_no_partition(store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    earlier, content = b"id,age\n1,2\n", b"id,age\n1,3\n"  # of one size: the earlier manifest fits the new file
    land_and_ingest(store, landing, earlier)

    def crash(*_arguments: object) -> None:
        raise LakeError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(*((Store, "write") if step == "write" else (raw, "commit")), crash)
        with pytest.raises(LakeError, match="the disk is full"):
            land_and_ingest(store, landing, content)
    assert find_manifest(store, PATH) is None
    with pytest.raises(LakeError, match="is not in the lake"):
        raw.scan(store, PATH)
    assert store.get(layout.superseded(PATH, hashlib.sha256(earlier).hexdigest())) == earlier
    land_and_ingest(store, landing, content)
    assert rows(store) == [("1", "3")]


def test_a_superseded_file_can_land_again(store: Store, landing: Store) -> None:
    first, second = b"id,age\n1,2\n", b"id,age\n1,3\n"
    for number, content in enumerate([first, second, first]):
        land_and_ingest(store, landing, content, f"run-{number}")
    assert store.get(PATH) == first
    assert store.get(layout.superseded(PATH, hashlib.sha256(second).hexdigest())) == second


def test_landing_again_repairs_a_truncated_file(store: Store, landing: Store) -> None:
    land_and_ingest(store, landing, b"id,age\n1,2\n")
    store.put(PATH, b"id,age\n")
    with pytest.raises(LakeError, match="does not match its manifest"):
        raw.scan(store, PATH)
    land_and_ingest(store, landing, b"id,age\n1,2\n")
    assert rows(store) == [("1", "2")]


def test_landing_again_repairs_a_damaged_manifest(store: Store, landing: Store) -> None:
    land_and_ingest(store, landing, b"id,age\n1,2\n")
    store.put(layout.manifest(PATH), b"{")
    with pytest.raises(LakeError, match=r"Run the date: risk run \d{4}-\d{2}-\d{2}, or materialize its partition"):
        raw.scan(store, PATH)
    land_and_ingest(store, landing, b"id,age\n1,2\n")
    assert rows(store) == [("1", "2")]


# --- revisions ---------------------------------------------------------------------------------------------------------


def revisions(store: Store) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Return the run and the rows of each revision, oldest first."""
    manifests = [*(found.manifest for found in raw.revisions(store, PATH)), require_manifest(store, PATH)]
    return [(found.made_from.run_id, raw.scan_manifest(store, found).drop(RAGGED).collect().rows()) for found in manifests if found]


def test_every_revision_is_kept_with_its_manifest(store: Store, landing: Store) -> None:
    first, second = b"id,age\n1,2\n", b"id,age\n1,3\n"
    for number, content in enumerate([first, second, first]):
        land_and_ingest(store, landing, content, f"run-{number}")
    assert revisions(store) == [("run-0", [("1", "2")]), ("run-1", [("1", "3")]), ("run-2", [("1", "2")])]
    assert [found.name for found in raw.revisions(store, PATH)] == [layout.revision(PATH, 1), layout.revision(PATH, 2)]
    assert [raw.revision_problems(store, layout.revision(PATH, number)) for number in (1, 2)] == [[], []]


def test_a_shard_of_several_revisions_is_found(store: Store, landing: Store) -> None:
    same, *other = b"id,age\n1,1\n", b"id,age\n2,2\n", b"id,age\n3,3\n"
    for number, content in enumerate(other):
        land_and_ingest(store, landing, {"a.csv": same, "b.csv": content}, f"run-{number}")
    expected = [("run-0", [("1", "1"), ("2", "2")]), ("run-1", [("1", "1"), ("3", "3")])]
    assert revisions(store) == expected
    land_and_ingest(store, landing, b"id,age\n9,9\n", "run-2")
    assert revisions(store) == [*expected, ("run-2", [("9", "9")])]


@pytest.mark.parametrize("step", ["delete", "commit"])
def test_a_revision_is_kept_once_after_a_crash(store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    land_and_ingest(store, landing, b"id,age\n1,2\n", "run-0")

    def crash(*_arguments: object) -> None:
        raise LakeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(*((Store, "delete") if step == "delete" else (raw, "commit")), crash)
        landing.put(FILE, b"id,age\n1,3\n")
        with pytest.raises(LakeError, match="killed"):
            raw.ingest(OwnParts(store, find(landing, "accounts", DATE, COLUMNS)), PATH, Provenance(run_id="run-1"))
    if step == "delete":
        assert revisions(store) == [("run-0", [("1", "2")])]
    land_and_ingest(store, landing, b"id,age\n1,3\n", "run-2")
    assert revisions(store) == [("run-0", [("1", "2")]), ("run-2", [("1", "3")])]


def test_a_damaged_revision_is_named(store: Store, landing: Store) -> None:
    for content in (b"id,age\n1,2\n", b"id,age\n1,3\n"):
        land_and_ingest(store, landing, content)
    kept = layout.superseded(PATH, hashlib.sha256(b"id,age\n1,2\n").hexdigest())
    store.put(kept, b"id,age\n1,9\n")
    assert raw.revision_problems(store, layout.revision(PATH, 1)) == [f"{kept} was changed since it was written"]
    store.put(layout.manifest(layout.revision(PATH, 1)), b"{")
    assert "cannot be read" in raw.revision_problems(store, layout.revision(PATH, 1))[0]
    assert raw.revisions(store, PATH) == (raw.Revision(layout.revision(PATH, 1), None),)


# --- shards ------------------------------------------------------------------------------------------------------------


def test_shards_are_stored_and_scanned_in_name_order(store: Store, landing: Store) -> None:
    shards = {"part-2.csv": b"id,age\n3,30\n", "part-10.csv": b"id,age\n2,20", "part-1.csv": b"id,age\n1,10\n"}
    manifest = land_and_ingest(store, landing, shards)
    assert rows(store) == [("1", "10"), ("2", "20"), ("3", "30")]
    assert manifest.rows == 3
    assert manifest.parts == {f"raw/{FOLDER}/{name}": len(shards[name]) for name in ("part-1.csv", "part-10.csv", "part-2.csv")}
    assert {path.rpartition("/")[2]: store.get(path) for path in store.list(f"raw/{FOLDER}/")} == shards
    assert facts(manifest).source == landing.uri(FOLDER)


def test_a_short_line_in_the_second_shard_is_marked_there(store: Store, landing: Store) -> None:
    manifest = land_and_ingest(store, landing, {"a.csv": b"id,age\n1,10\n2,20\n", "b.csv": b"id,age\n3,30\n4\n5,50,0\n"})
    assert (manifest.rows, facts(manifest).short_lines, facts(manifest).long_lines) == (5, 1, 1)
    assert marks(store) == [None, None, None, "line: too few fields", "line: too many fields"]


def test_a_folder_of_one_shard_is_one_file(store: Store, landing: Store) -> None:
    land_and_ingest(store, landing, {"part-1.csv": b"id,age\n1,10\n"})
    assert (store.get(PATH), rows(store)) == (b"id,age\n1,10\n", [("1", "10")])


@pytest.mark.parametrize("other", [b"id,years\n2,20\n", b"id;age\n2;20\n", b"age,id\n20,2\n", b"id,age\r2,20\r"])
def test_a_shard_with_another_dialect_is_rejected_and_named(store: Store, landing: Store, other: bytes) -> None:
    with pytest.raises(LandingError, match=r"accounts_2026-01-01/b\.csv has .*another kind|another order|another separator|other columns"):
        land_and_ingest(store, landing, {"a.csv": b"id,age\n1,10\n", "b.csv": other})
    assert store.list("") == ()


@pytest.mark.parametrize("first", ["file", "shards"])
def test_a_file_and_shards_supersede_each_other(store: Store, landing: Store, first: str) -> None:
    contents: dict[str, bytes | dict[str, bytes]] = {
        "file": b"id,age\n1,1\n",
        "shards": {"a.csv": b"id,age\n2,2\n", "b.csv": b"id,age\n3,3\n"},
    }
    expected = {"file": [("1", "1")], "shards": [("2", "2"), ("3", "3")]}
    second = "shards" if first == "file" else "file"
    land_and_ingest(store, landing, contents[first])
    land_and_ingest(store, landing, contents[second])
    assert rows(store) == expected[second]
    kept = [store.get(path) for path in store.list("raw/") if "superseded" in path]
    whole = contents[first]
    assert kept == ([whole] if isinstance(whole, bytes) else list(whole.values()))


def test_superseded_shards_are_stored_like_superseded_files(store: Store, landing: Store) -> None:
    land_and_ingest(store, landing, {"a.csv": b"id,age\n2,2\n", "b.csv": b"id,age\n3,3\n"})
    land_and_ingest(store, landing, b"id,age\n1,1\n")
    assert [store.get(path) for path in store.list("raw/superseded/")] == [b"id,age\n2,2\n", b"id,age\n3,3\n"]


def test_no_earlier_shard_is_left_after_fewer_shards_land(store: Store, landing: Store) -> None:
    shard = b"id,age\n%d,1\n"
    land_and_ingest(store, landing, {f"{name}.csv": shard % number for number, name in enumerate("abc")})
    land_and_ingest(store, landing, {f"{name}.csv": shard % (number + 7) for number, name in enumerate("ab")})
    assert rows(store) == [("7", "1"), ("8", "1")]


def test_one_file_with_the_bytes_of_all_shards_supersedes_them(store: Store, landing: Store) -> None:
    shards = {"a.csv": b"id,age\n1,10\n", "b.csv": b"id,age\n2,20\n"}
    land_and_ingest(store, landing, shards)
    land_and_ingest(store, landing, b"".join(shards.values()))
    assert rows(store) == [("1", "10"), ("id", "age"), ("2", "20")]


def test_shards_of_one_name_in_two_folders_lose_no_row(store: Store, landing: Store) -> None:
    land_and_ingest(store, landing, {"north/part.csv": b"id,age\n1,10\n", "south/part.csv": b"id,age\n2,20\n"})
    assert rows(store) == [("1", "10"), ("2", "20")]


# --- not a CSV ---------------------------------------------------------------------------------------------------------


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("accounts.csv", "id,age\n1,2\n")
    return buffer.getvalue()


NOT_CSV = {
    "empty": b"",
    "a BOM alone": b"\xef\xbb\xbf",
    "UTF-16": "id,age\n1,2\n".encode("utf-16"),
    "UTF-16 without BOM": "id,age\n1,2\n".encode("utf-16-le"),
    "zip": zipped(),
    "Latin-1 header": "id,größe\n1,2\n".encode("latin-1"),
    "an open quote in the header": b'id,"age\n1,2\n',
    "an open quote at the end": b'id,age\n1,2\n2,"3\n',
}


@pytest.mark.parametrize("what", NOT_CSV)
def test_a_file_that_is_not_a_csv_makes_no_partition(store: Store, landing: Store, what: str) -> None:
    with pytest.raises(LandingError, match=FILE):
        land_and_ingest(store, landing, NOT_CSV[what])
    with pytest.raises(LakeError):
        raw.scan(store, PATH)


@pytest.mark.parametrize("what", NOT_CSV)
def test_a_file_that_is_not_a_csv_writes_nothing(store: Store, landing: Store, what: str) -> None:
    with pytest.raises(LandingError):
        land_and_ingest(store, landing, NOT_CSV[what])
    assert store.list("") == ()


@pytest.mark.parametrize("what", NOT_CSV)
def test_a_file_that_is_not_a_csv_leaves_the_earlier_landing(store: Store, landing: Store, what: str) -> None:
    land_and_ingest(store, landing, b"id,age\n1,10\n")
    with pytest.raises(LandingError):
        land_and_ingest(store, landing, NOT_CSV[what])
    assert rows(store) == [("1", "10")]


def test_a_rejected_shard_is_named(store: Store, landing: Store) -> None:
    with pytest.raises(LandingError, match=r"b\.csv ends inside an open quote"):
        land_and_ingest(store, landing, {"a.csv": b"id,age\n1,10\n", "b.csv": b'id,age\n2,"20\n'})
    with pytest.raises(LakeError):
        raw.scan(store, PATH)


def test_a_file_of_many_blocks_is_counted_as_it_is_scanned(store: Store, landing: Store) -> None:
    lines = [f"{number:07d},{number % 90}" if number % 50_000 else f"{number:07d}" for number in range(400_000)]
    content = ("id,age\n" + "\n".join(lines)).encode()
    manifest = land_and_ingest(store, landing, content)
    assert (manifest.rows, facts(manifest).short_lines) == (400_000, 8)
    scanned = raw.scan(store, PATH).collect()
    assert scanned["id"].to_list() == [f"{number:07d}" for number in range(400_000)]
    assert [number for number, mark in enumerate(scanned[RAGGED]) if mark] == list(range(0, 400_000, 50_000))
    assert json.loads(store.get(layout.manifest(PATH)))["rows"] == 400_000


def test_the_source_of_shards_is_their_folder(landing: Store) -> None:
    assert LandedFile(landing, ("a.csv",), ()).source == landing.uri("a.csv")
    assert LandedFile(landing, ("f/a.csv", "f/b.csv"), ()).source == landing.uri("f")
