"""Features in parts: they are written, read, replaced and verified like a single file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from risk_assets.domain.morning.account_key import account_key
from risk_assets.errors import LakeError
from risk_assets.lake import layout, verification
from risk_assets.lake.account_index import find
from risk_assets.lake.account_pages import read_accounts
from risk_assets.lake.feature_rows import read_row
from risk_assets.lake.hashing import Content, Segment, content_of_chunks, sha256
from risk_assets.lake.manifests import Manifest, Provenance, Written, commit, find_manifest, require_manifest
from risk_assets.lake.staging import commit_staged, new_token, stage
from risk_assets.lake.store import Store
from risk_assets.lake.tables import commit_parts, discard_kept, discard_parts, keep_replaced, read_csv_range, read_table, write_table
from risk_assets.lake.verify import verify_all, verify_date
from risk_assets.settings import Settings
from tests import scored_lake
from tests.conftest import make_settings
from tests.in_parts import NO_FACTS, commit_frames, write_in_parts
from tests.lake.conftest import table
from tests.scored_lake import account, score_dates

DATE = "2026-01-05"
PATH = layout.features(DATE)
BY_RUN = Provenance(run_id="run-1")
FOLDER = layout.shard(PATH, "")


def rows(first: int, last: int) -> pl.DataFrame:
    """Return rows of accounts; row 3 has no age."""
    numbers = range(first, last)
    ages = [None if number == 3 else float(number) for number in numbers]
    return pl.DataFrame(
        {"account_id": [f"A{number}" for number in numbers], "age": ages}, schema={"account_id": pl.String, "age": pl.Float64}
    )


def written(store: Store, *ends: int) -> Manifest:
    """Write a table whose parts end before these rows."""
    return commit_frames(store, PATH, [rows(first, last) for first, last in zip((0, *ends), ends, strict=False)])


def all_rows(store: Store) -> list[str]:
    return list(read_table(store, PATH).collect()["account_id"])


def files(store: Store) -> set[str]:
    """Return the files of the table."""
    return {path for path in store.list(f"{layout.CURATED}/") if path != layout.manifest(PATH)}


@pytest.fixture(autouse=True)
def no_copies() -> Iterator[None]:
    yield
    verification.remove_copies()


# --- reading -----------------------------------------------------------------------------------------------------------


def test_rows_are_in_the_order_of_the_parts(store: Store) -> None:
    manifest = written(store, 4, 4, 25, 31)
    assert all_rows(store) == [f"A{number}" for number in range(31)]
    assert (manifest.rows, len(manifest.parts), manifest.bytes) == (31, 4, sum(store.size(part) or 0 for part in manifest.parts))
    assert require_manifest(store, PATH) == manifest


@pytest.mark.parametrize("ends", [(0,), (0, 0, 0)], ids=["one part", "three parts"])
def test_a_table_without_rows_keeps_its_columns(store: Store, ends: tuple[int, ...]) -> None:
    manifest = written(store, *ends)
    frame = read_table(store, PATH).collect()
    assert (frame.height, frame.columns, manifest.rows) == (0, ["account_id", "age"], 0)
    with pytest.raises(LakeError, match="does not match its manifest"):
        read_row(store, manifest, 0)


def test_a_table_without_parts_cannot_be_committed(disk_store: Store) -> None:
    with pytest.raises(ValueError, match="has no part"):
        commit_parts(disk_store, PATH, {}, 0, (), BY_RUN, NO_FACTS)


def test_single_rows_of_all_parts(store: Store) -> None:
    features = written(store, 4, 4, 25, 31)
    found = [read_row(store, features, at) for at in (0, 3, 4, 13, 24, 25, 30)]
    assert [row["account_id"] for row in found] == ["A0", "A3", "A4", "A13", "A24", "A25", "A30"]
    assert [row["age"] for row in found[:3]] == [0.0, None, 4.0]


def test_a_single_row_needs_no_other_part(store: Store) -> None:
    features = written(store, 4, 25, 31)
    first, second, third = features.parts
    store.delete(first)
    store.put(third, b"damaged")
    assert read_row(store, features, 4)["account_id"] == "A4"
    with pytest.raises(LakeError, match=rf"{first} is not in the lake at .* Run the date: risk run {DATE}"):
        read_row(store, features, 3)
    with pytest.raises(LakeError, match=rf"{third} does not match its manifest\. Run the date"):
        read_row(store, features, 25)
    store.put(second, b"x" * features.parts[second])
    with pytest.raises(LakeError, match=rf"{second} cannot be read: it is damaged"):
        read_row(store, features, 4)


@pytest.mark.parametrize("position", [-1, 31, 10_000])
def test_a_row_beyond_the_table(disk_store: Store, position: int) -> None:
    with pytest.raises(LakeError, match="does not match its manifest"):
        read_row(disk_store, written(disk_store, 4, 31), position)


@pytest.mark.parametrize("counted", [(), (31,), (4, 20), (3, 28)], ids=["none", "of a file", "too few", "of other parts"])
def test_rows_of_parts_that_are_not_those_of_the_table(disk_store: Store, counted: tuple[int, ...]) -> None:
    features = written(disk_store, 4, 31)
    facts = {name: getattr(features.facts, name) for name in ("with_issues", "issue_counts", "not_eligible", "excluded_counts", "missing")}
    other = commit(
        disk_store,
        Written(
            PATH,
            {part: content_of_chunks([disk_store.get(part)]) for part in features.parts},
            features.rows,
            features.columns,
            features.made_from,
            type(NO_FACTS)(**facts, part_rows=counted),
        ),
    )
    with pytest.raises(LakeError, match="does not match its manifest"):
        read_row(disk_store, other, 0)


def test_the_identity_of_a_table_is_that_of_its_rows(store: Store) -> None:
    first = written(store, 4, 31)
    again = written(store, 4, 31)
    assert list(first.parts) != list(again.parts)
    assert (first.identity, first.digest) == (again.identity, again.digest)
    assert written(store, 5, 31).identity != first.identity


# --- writing -----------------------------------------------------------------------------------------------------------


def test_parts_replace_a_file(store: Store) -> None:
    write_table(store, PATH, table(rows(0, 3).lazy()))
    manifest = written(store, 4, 31)
    assert files(store) == set(manifest.parts)
    assert len(all_rows(store)) == 31


def test_a_file_replaces_parts(store: Store) -> None:
    written(store, 4, 31)
    write_table(store, PATH, table(rows(0, 3).lazy()))
    assert files(store) == {PATH}
    assert all_rows(store) == ["A0", "A1", "A2"]


def test_parts_replace_parts(store: Store) -> None:
    written(store, 4, 5, 6, 31)
    manifest = written(store, 4, 31)
    assert files(store) == set(manifest.parts)


def test_an_earlier_table_is_readable_until_the_commit(store: Store) -> None:
    @contextmanager
    def taken_over() -> Iterator[None]:
        assert len(all_rows(store)) == 3
        raise LakeError("taken over")
        yield

    write_table(store, PATH, table(rows(0, 3).lazy()))
    for _ in range(2):  # the earlier table is a file, then it has parts
        before = files(store)
        with pytest.raises(LakeError, match="taken over"):
            commit_frames(store, PATH, [rows(0, 1), rows(1, 2)], guard=taken_over)
        (token,) = {path.removeprefix(FOLDER)[:8] for path in files(store) - before}
        discard_parts(store, PATH, token)
        assert files(store) == before
        assert len(all_rows(store)) == 3
        commit_frames(store, PATH, [rows(0, 1), rows(1, 3)])


def test_committed_parts_are_not_discarded(store: Store) -> None:
    manifest = written(store, 4, 31)
    discard_parts(store, PATH, next(iter(manifest.parts)).removeprefix(FOLDER)[:8])
    assert files(store) == set(manifest.parts)


@pytest.mark.parametrize("in_parts", [False, True], ids=["a file", "parts"])
def test_what_killed_writers_left_is_removed(store: Store, in_parts: bool) -> None:
    store.put(layout.features_part(DATE, new_token(), 0), b"of a killed writer")
    if store.folder is not None:  # on Azure, only blocks are staged
        store.put(f"{layout.staged(PATH, new_token())}000000", b"of a killed writer")
    other = layout.features_part("2026-01-06", new_token(), 0)
    store.put(other, b"of another date")
    manifest = written(store, 4, 31) if in_parts else write_table(store, PATH, table(rows(0, 3).lazy()))
    assert files(store) == {*manifest.parts, other}


# --- damage ------------------------------------------------------------------------------------------------------------


def test_a_damaged_part_is_named(store: Store) -> None:
    manifest = written(store, 4, 25, 31)
    first, second, third = manifest.parts
    content = bytearray(store.get(second))
    content[len(content) // 2] ^= 1
    store.put(second, bytes(content))
    store.delete(third)
    with pytest.raises(LakeError, match=rf"^{third} is missing\. Run the date: risk run {DATE}"):
        read_table(store, PATH)
    store.put(third, b"x" * manifest.parts[third])
    problem = f"{second} was changed since it was written, {third} was changed since it was written. Run the date: risk run {DATE}"
    with pytest.raises(LakeError, match=f"^{problem}"):
        read_table(store, PATH)
    assert [f"{part} was changed since it was written" for part in (second, third)] == list(verify_date(store, DATE).problems)
    assert first in manifest.parts


# --- segments ----------------------------------------------------------------------------------------------------------

PREDICTIONS = layout.predictions(DATE)


def staged_table(store: Store, *pieces: bytes) -> Manifest:
    """Write a table of staged pieces, as predictions are."""
    token = new_token()
    staged = [stage(store, PREDICTIONS, token, number, [piece]) for number, piece in enumerate(pieces)]
    content = commit_staged(store, PREDICTIONS, token, staged)
    return commit(store, Written(PREDICTIONS, {PREDICTIONS: content}, 2, ("account_id", "band"), BY_RUN, NO_FACTS))


CSV = (b"account_id,band\n", b"007,A\n", b"1e3,B\n")


def test_a_table_of_segments_is_verified_and_read(store: Store) -> None:
    manifest = staged_table(store, *CSV)
    assert manifest.lengths(PREDICTIONS) == (16, 6, 6)
    assert manifest.digest == sha256("".join(map(sha256, CSV)).encode())
    assert read_table(store, PREDICTIONS).collect()["account_id"].to_list() == ["007", "1e3"]
    assert verify_date(store, DATE).problems == ()
    content = bytearray(store.get(PREDICTIONS))
    content[-3] ^= 1
    store.put(PREDICTIONS, bytes(content))
    verification.remove_copies()
    assert verify_date(store, DATE).problems == (f"{PREDICTIONS} was changed since it was written",)
    with pytest.raises(LakeError, match="was changed since it was written"):
        read_table(store, PREDICTIONS)


def test_segments_are_read_from_a_verified_copy(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_settings(request, tmp_path, "azurite").open_lake()
    manifest = staged_table(store, *CSV)

    def rows() -> list[tuple[str, str]]:
        return [row for start in (0, 16, 22) for row in read_csv_range(store, manifest, start, 6 if start else 16).collect().rows()]

    def no_request(*_: object) -> bytes:
        raise AssertionError("a range of the table was read from the lake")

    assert rows() == [("007", "A"), ("1e3", "B")]
    read_table(store, PREDICTIONS)
    monkeypatch.setattr(Store, "get_range", no_request)
    assert rows() == [("007", "A"), ("1e3", "B")]


def test_a_manifest_has_the_lengths_of_each_part(disk_store: Store) -> None:
    large = Content((Segment(64, "aa"), Segment(3, "bb")))
    written = Written(PREDICTIONS, {"a": large, "b": content_of_chunks([b"small"])}, 0, (), BY_RUN, NO_FACTS)
    manifest = commit(disk_store, written)
    assert (manifest.lengths("a"), manifest.lengths("b")) == ((64, 3), (5,))
    found = find_manifest(disk_store, PREDICTIONS)
    assert found and found.lengths("a") == (64, 3)


@pytest.mark.parametrize("killed", [False, True], ids=["with its manifest", "before its manifest was copied"])
def test_a_superseded_table_of_segments_is_verified(settings: Settings, killed: bool) -> None:
    store = settings.open_lake()
    manifest = staged_table(store, *CSV)
    copy = layout.superseded(PREDICTIONS, manifest.digest)
    assert keep_replaced(store, PREDICTIONS) == manifest.digest
    if killed:
        store.delete(layout.manifest(copy))
    problems = [problem for found in verify_all(store) for problem in found.problems]
    assert not any("superseded" in problem for problem in problems)
    store.put(copy, b"".join(CSV).replace(b"A", b"B"))
    problems = [problem for found in verify_all(store) for problem in found.problems]
    assert f"{copy} was changed since it was kept" in problems


def test_equal_bytes_in_other_segments_are_not_kept(store: Store) -> None:
    frame = pl.LazyFrame({"account_id": ["007", "1e3"], "band": ["A", "B"]})
    write_table(store, PREDICTIONS, table(frame))
    for _ in range(2):
        kept = keep_replaced(store, PREDICTIONS)
        discard_kept(store, staged_table(store, *CSV), kept)
        assert store.list(f"{layout.CURATED}/superseded/") == ()
        write_table(store, PREDICTIONS, table(frame, keep_replaced=True))
        assert store.list(f"{layout.CURATED}/superseded/") == ()
    other = staged_table(store, CSV[0], CSV[2], CSV[1])
    kept = keep_replaced(store, PREDICTIONS)
    write_table(store, PREDICTIONS, table(frame, keep_replaced=True))
    copy = layout.superseded(PREDICTIONS, other.digest)
    assert kept == other.digest
    assert store.list(f"{layout.CURATED}/superseded/") == (copy, layout.manifest(copy))


# --- readers -----------------------------------------------------------------------------------------------------------


def test_pages_of_accounts_are_those_of_a_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = [account("A0"), account("A1", 30.0), account("A2", None), account("A3", 22.0, excluded="closed"), account("A4", 60.0)]
    dates = {DATE: accounts, "2026-01-06": accounts[::-1]}

    def pages() -> list[object]:
        return [read_accounts(store, "2026-01-06", account_key(f"A{number}"), find).accounts for number in range(5)]

    score_dates(store, dates)
    expected = pages()
    with monkeypatch.context() as patch:
        patch.setattr(scored_lake, "write_table", lambda store, path, table: write_in_parts(store, path, table, rows=2))
        score_dates(store, dates)
    assert len(require_manifest(store, layout.features(DATE)).parts) == 3
    assert pages() == expected
    assert verify_date(store, DATE).problems == ()


def test_a_file_in_place_of_parts_leaves_no_folder(disk_store: Store) -> None:
    parts = written(disk_store, 4, 31).parts
    assert disk_store.folder is not None
    folder = (disk_store.folder / next(iter(parts))).parent
    assert folder.is_dir()
    write_table(disk_store, PATH, table(pl.LazyFrame({"account_id": ["A"]})))
    assert not folder.exists()
