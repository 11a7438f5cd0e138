"""The landing folder: files are found by date, and land completely or not at all."""

import csv
import io
import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from risk_assets.clock import date_range, shift
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.ingest.csv_dialect import sniff
from risk_assets.errors import LakeError, LandingError
from risk_assets.lake import parallel
from risk_assets.lake.landing import Landed, dates, find, land, land_outcomes
from risk_assets.lake.landing_sources import Source, SourceFolder
from risk_assets.lake.landing_watch import arrivals
from risk_assets.lake.store import Store, open_store
from risk_assets.settings import Settings

DATE = "2026-01-01"
_numbers = itertools.count()
LABELLED = b"id,age,city,defaulted\n001,30,north,0\n002,40,south,1\n003,50,north,0\n"


def source(tmp_path: Path, content: bytes, contract: Contract) -> Source:
    path = tmp_path / "source.csv"
    path.write_bytes(content)
    return Source.read(path, contract.columns)


def landed(landing: Store) -> dict[str, bytes]:
    return {path: landing.get(path) for path in landing.list("")}


def parsed(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


# --- find --------------------------------------------------------------------------------------------------------------


def test_a_date_without_a_file_names_date_folder_and_command(landing: Store) -> None:
    with pytest.raises(LandingError) as caught:
        find(landing, "accounts", DATE, ())
    message = str(caught.value)
    assert "no accounts for 2026-01-01" in message
    assert landing.url in message
    assert "risk land FILE --date 2026-01-01" in message


def test_missing_outcomes_name_a_command_that_lands_outcomes(landing: Store) -> None:
    with pytest.raises(LandingError, match=r"risk land FILE --outcomes --date 2026-01-01|risk land FILE --date 2026-01-01 --outcomes"):
        find(landing, "outcomes", DATE, ())


@pytest.mark.parametrize("name", [f"accounts_{DATE}.csv.gz", f"accounts_{DATE}.CSV", f"accounts_{DATE}.xlsx", f"accounts_{DATE} (1).csv"])
def test_a_similar_file_name_is_mentioned(landing: Store, name: str) -> None:
    landing.put(name, b"x")
    with pytest.raises(LandingError, match="found ") as caught:
        find(landing, "accounts", DATE, ())
    assert name in str(caught.value)


def test_a_file_of_another_date_is_not_mentioned(landing: Store) -> None:
    landing.put("accounts_2026-01-02.csv", b"x")
    landing.put(f"outcomes_{DATE}.csv", b"x")
    with pytest.raises(LandingError) as caught:
        find(landing, "accounts", DATE, ())
    assert "found " not in str(caught.value)


def test_a_file_and_a_folder_for_one_date_are_rejected(landing: Store) -> None:
    landing.put(f"accounts_{DATE}.csv", b"id\n1\n")
    landing.put(f"accounts_{DATE}/part-1.csv", b"id\n1\n")
    with pytest.raises(LandingError, match="two sets of accounts") as caught:
        find(landing, "accounts", DATE, ())
    assert f"accounts_{DATE}.csv" in str(caught.value)
    assert f"accounts_{DATE}/" in str(caught.value)


def test_shards_are_ordered_by_name_without_marker_files(landing: Store) -> None:
    for name in ("b.csv", "a.csv", "_SUCCESS"):
        landing.put(f"accounts_{DATE}/{name}", b"id\n1\n")
    assert find(landing, "accounts", DATE, ("id",)).parts == (f"accounts_{DATE}/a.csv", f"accounts_{DATE}/b.csv")


@pytest.mark.parametrize("name", ["part-2.CSV", "part-2.csv.gz"])
def test_a_shard_with_another_ending_is_an_error(landing: Store, name: str) -> None:
    landing.put(f"accounts_{DATE}/part-1.csv", b"id\n1\n")
    landing.put(f"accounts_{DATE}/{name}", b"id\n2\n")
    with pytest.raises(LandingError) as caught:
        find(landing, "accounts", DATE, ("id",))
    assert name in str(caught.value)


@pytest.mark.parametrize("marker", ["_SUCCESS", "_committed_1", ".part-1.csv.crc", "below/_SUCCESS"])
def test_a_marker_file_is_ignored(landing: Store, marker: str) -> None:
    landing.put(f"accounts_{DATE}/part-1.csv", b"id\n1\n")
    landing.put(f"accounts_{DATE}/{marker}", b"")
    assert find(landing, "accounts", DATE, ("id",)).parts == (f"accounts_{DATE}/part-1.csv",)


def test_a_folder_without_a_csv_is_an_error_with_its_files(landing: Store) -> None:
    landing.put(f"accounts_{DATE}/part-1.parquet", b"PAR1")
    with pytest.raises(LandingError, match=r"part-1\.parquet.*would be left out"):
        find(landing, "accounts", DATE, ("id",))


def test_a_shard_that_is_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "landing/accounts_2026-01-01"
    folder.mkdir(parents=True)
    (folder / "part-0.csv").write_text("id,age,city\n1,30,north\n", encoding="utf-8")
    (folder / "part-1.csv").symlink_to(tmp_path / "nothing.csv")
    with pytest.raises(LandingError, match=r"^part-1\.csv in .*accounts_2026-01-01 would be left out: the target of the link does not"):
        find(open_store(str(tmp_path / "landing")), "accounts", "2026-01-01", ("id", "age", "city"))


def test_a_folder_with_the_name_of_a_file_is_an_error(landing: Store) -> None:
    landing.put(f"accounts_{DATE}.csv/part-1.csv", b"id\n1\n")
    with pytest.raises(LandingError, match=rf"accounts_{DATE}\.csv in .* is a folder. Rename it to accounts_{DATE} "):
        find(landing, "accounts", DATE, ("id",))


def test_dates_come_from_landed_files_and_folders_only(landing: Store) -> None:
    others = ("accounts_latest.csv", "accounts_2026-13-01.csv", "accounts_20260105.csv", "accounts_2026-01-06.csv.gz", "readme.txt")
    for name in ("accounts_2026-01-03.csv", "accounts_2026-01-01/part-1.csv", "outcomes_2026-01-02.csv", *others):
        landing.put(name, b"x")
    assert dates(landing, "accounts") == ("2026-01-01", "2026-01-03")
    assert dates(landing, "outcomes") == ("2026-01-02",)


def test_an_empty_landing_folder_has_no_dates(landing: Store) -> None:
    assert dates(landing, "accounts") == ()


# --- land --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"id,age,city\n001,30,north\n", b"\xef\xbb\xbfid;age;city\r\n001;3,5;n\r\n002;1;x", b'id\tage\tcity\r1\t2\t"\r"\r'],
)
def test_a_file_without_target_lands_unchanged_and_alone(landing: Store, small: Contract, tmp_path: Path, content: bytes) -> None:
    written = land(landing, source(tmp_path, content, small), small, (DATE,), replace=False).written
    assert written == {"accounts": [f"accounts_{DATE}.csv"]}
    assert landed(landing) == {f"accounts_{DATE}.csv": content}


def test_a_file_with_target_lands_its_outcomes_too(landing: Store, small: Contract, tmp_path: Path) -> None:
    written = land(landing, source(tmp_path, LABELLED, small), small, (DATE,), replace=False).written
    assert written == {"accounts": [f"accounts_{DATE}.csv"], "outcomes": [f"outcomes_{DATE}.csv"]}
    assert landed(landing) == {f"accounts_{DATE}.csv": LABELLED, f"outcomes_{DATE}.csv": LABELLED}


def test_land_outcomes_lands_no_accounts(landing: Store, small: Contract, tmp_path: Path) -> None:
    content = b'defaulted;id\n1;"0;1"\n;002\n'
    written = land_outcomes(landing, source(tmp_path, content, small), small, (DATE,), replace=False).written
    assert written == {"outcomes": [f"outcomes_{DATE}.csv"]}
    assert landed(landing) == {f"outcomes_{DATE}.csv": content}


OUTCOMES = {
    "a comment": b"id,comment,defaulted\n1,called,0\n",
    "a comment that shifts lines": b"id,comment,defaulted\n1,called, 1,0\n2,paid,1\n",
    "CRLF and BOM": b"\xef\xbb\xbfid;defaulted\r\n1;0\r\n",
    "CR": b"id,defaulted\r1,0\r2,1\r",
    "quoted": b'"id","defaulted"\n"0,1","1"\n',
    "stray quotes": b'id,defaulted,name\n1,0,O"Brian\n',
    "a blank last line": b"id,defaulted\n1,0\n\n",
    "no last line end": b"id,defaulted\n1,0",
    "NUL": b"id,defaulted\n1,0\n2,\0\n",
    "a trailing comma": b"id,defaulted\n1,0,\n2,1,\n",
    "a lone CR": b"id,defaulted\n1,0\r\n2,\r1\n",
}


@pytest.mark.parametrize("content", OUTCOMES.values(), ids=OUTCOMES)
def test_outcomes_land_byte_for_byte(landing: Store, small: Contract, tmp_path: Path, content: bytes) -> None:
    land_outcomes(landing, source(tmp_path, content, small), small, (DATE,), replace=False)
    assert landed(landing) == {f"outcomes_{DATE}.csv": content}


@pytest.mark.parametrize("content", [b"id,age\n1,2\n", b"age,defaulted\n1,0\n"])
def test_outcomes_without_id_or_target_are_rejected(landing: Store, small: Contract, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LandingError, match="id and defaulted"):
        land_outcomes(landing, source(tmp_path, content, small), small, (DATE,), replace=False)
    assert landed(landing) == {}


@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_a_file_is_split_into_days_each_row_once_in_order(landing: Store, small: Contract, tmp_path: Path, eol: str, bom: bytes) -> None:
    body = [f'{number:03d},{20 + number},"no{eol}rth",{number % 2}' for number in range(10)]
    content = bom + eol.join(["id,age,city,defaulted", *body]).encode()  # without a last line end
    wanted = date_range("2026-02-27", "2026-03-01")
    assert wanted == ("2026-02-27", "2026-02-28", "2026-03-01")
    land(landing, source(tmp_path, content, small), small, wanted, replace=False)
    pieces = [landing.get(f"accounts_{date}.csv") for date in wanted]
    header = bom + f"id,age,city,defaulted{eol}".encode()
    assert all(piece.startswith(header) for piece in pieces)
    assert header + b"".join(piece.removeprefix(header) for piece in pieces) == content
    found = [parsed(piece)[1:] for piece in pieces]
    assert [len(piece) for piece in found] == [4, 3, 3]
    assert [row[0] for piece in found for row in piece] == [f"{number:03d}" for number in range(10)]
    assert [landing.get(f"outcomes_{date}.csv") for date in wanted] == pieces


def test_pieces_can_be_found_and_sniffed_like_any_file(landing: Store, small: Contract, tmp_path: Path) -> None:
    land(
        landing,
        source(tmp_path, b"\xef\xbb\xbf" + LABELLED, small),
        small,
        date_range(DATE, shift(DATE, 2)),
        replace=False,
    )
    for date in date_range(DATE, shift(DATE, 2)):
        for kind in ("accounts", "outcomes"):
            part = find(landing, kind, date, small.columns).parts[0]
            assert sniff(landing.get(part), part, small.columns).columns == ("id", "age", "city", "defaulted")


def test_too_few_rows_for_the_days_are_rejected(landing: Store, small: Contract, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="3 rows: too few for 4 snapshots"):
        land(landing, source(tmp_path, LABELLED, small), small, date_range(DATE, shift(DATE, 3)), replace=False)
    assert landed(landing) == {}


def test_an_open_quote_is_rejected_before_any_write(landing: Store, small: Contract, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="open quote"):
        land(
            landing,
            source(tmp_path, LABELLED + b'004,"60,north,1\n', small),
            small,
            date_range(DATE, shift(DATE, 1)),
            replace=False,
        )
    assert landed(landing) == {}


@pytest.mark.parametrize("there", ["accounts_2026-01-03.csv", "outcomes_2026-01-02.csv", "accounts_2026-01-02/part-1.csv"])
def test_a_date_that_has_landed_stops_all_dates(landing: Store, small: Contract, tmp_path: Path, there: str) -> None:
    landing.put(there, b"earlier")
    with pytest.raises(LandingError, match=r"have already landed.*--replace") as caught:
        land(landing, source(tmp_path, LABELLED, small), small, date_range(DATE, shift(DATE, 2)), replace=False)
    assert there[:8] in str(caught.value)
    assert there[9:19] in str(caught.value)
    assert landed(landing) == {there: b"earlier"}


def test_replace_overwrites_landed_files(landing: Store, small: Contract, tmp_path: Path) -> None:
    for kind in ("accounts", "outcomes"):
        landing.put(f"{kind}_{DATE}.csv", b"earlier")
    land(landing, source(tmp_path, LABELLED, small), small, (DATE,), replace=True)
    assert landing.get(f"accounts_{DATE}.csv") == LABELLED
    assert b"earlier" not in landing.get(f"outcomes_{DATE}.csv")


def test_replace_removes_landed_shards(landing: Store, small: Contract, tmp_path: Path) -> None:
    landing.put(f"accounts_{DATE}/part-1.csv", b"id,age,city\n9,9,north\n")
    land(landing, source(tmp_path, LABELLED, small), small, (DATE,), replace=True)
    assert landing.get(find(landing, "accounts", DATE, small.columns).parts[0]) == LABELLED


def test_replace_leaves_the_shards_if_the_write_fails(
    landing: Store, small: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.put(f"accounts_{DATE}/part-1.csv", b"id,age,city\n9,9,north\n")

    def full(*_: object) -> None:
        raise LakeError("the disk is full")

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(LakeError):
        land(landing, source(tmp_path, LABELLED, small), small, (DATE,), replace=True)
    assert list(landed(landing)) == [f"accounts_{DATE}/part-1.csv"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"id,age,city\n", "a header and no rows"),
        (b"id,age\n1,30\n", "no column city"),
        (b"number,age,city\n1,30,north\n", "no column id"),
        (b"id,age,city,age\n1,30,north,31\n", "age appears twice"),
        (b"id,age,city,id\n1,30,north,2\n", "id appears twice"),
        (b"id,age,city,defaulted,defaulted\n1,30,north,0,1\n", "defaulted appears twice"),
    ],
)
def test_accounts_that_cannot_be_scored_do_not_land(landing: Store, small: Contract, tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LandingError, match=says):
        land(landing, source(tmp_path, content, small), small, (DATE,), replace=True)
    assert landed(landing) == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"id,defaulted\n", "a header and no rows"),
        (b"id,defaulted,defaulted\n1,0,1\n", "defaulted appears twice"),
        (b"id,id,defaulted\n1,2,1\n", "id appears twice"),
        (b'id,defaulted\n1,"0\n', "open quote, in row 1"),
    ],
)
def test_outcomes_that_cannot_be_read_do_not_land(landing: Store, small: Contract, tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LandingError, match=says):
        land_outcomes(landing, source(tmp_path, content, small), small, (DATE,), replace=True)
    assert landed(landing) == {}


@pytest.mark.parametrize("content", [b"id,note,defaulted\n1,x,0\n", b"id,note,note,defaulted\n1,x,y,0\n"])
def test_a_repeated_column_that_is_not_used_lands(landing: Store, small: Contract, tmp_path: Path, content: bytes) -> None:
    land_outcomes(landing, source(tmp_path, content, small), small, (DATE,), replace=False)
    assert landed(landing) == {f"outcomes_{DATE}.csv": content}


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_with_the_name_of_a_file_stops_landing(landing: Store, small: Contract, tmp_path: Path, replace: bool) -> None:
    landing.put(f"accounts_{DATE}.csv/part-1.csv", b"earlier")
    with pytest.raises(LandingError, match="is a folder"):
        land(landing, source(tmp_path, LABELLED, small), small, (DATE,), replace=replace)
    assert landed(landing) == {f"accounts_{DATE}.csv/part-1.csv": b"earlier"}


def test_an_empty_folder_with_the_name_of_a_file_stops_landing(disk_settings: Settings, small: Contract, tmp_path: Path) -> None:
    landing = disk_settings.open_landing()
    assert landing.folder is not None
    (landing.folder / f"outcomes_{DATE}.csv").mkdir(parents=True)
    with pytest.raises(LandingError, match=rf"outcomes_{DATE}\.csv in .* is a folder"):
        land(landing, source(tmp_path, LABELLED, small), small, (DATE,), replace=False)
    assert landed(landing) == {}


def test_lines_with_issues_land_and_are_counted(landing: Store, small: Contract, tmp_path: Path) -> None:
    content = LABELLED + b'004,60,north,"1" x\n005,61\n006,62,north,O"Brian\n007,63,north,0,1\n'
    found = source(tmp_path, content, small)
    assert found.line_issues == {"line: ambiguous quotes": 2, "line: too few fields": 1, "line: too many fields": 1}
    land(landing, found, small, (DATE,), replace=False)
    assert landing.get(f"outcomes_{DATE}.csv") == content


def test_a_file_that_is_not_a_csv_is_rejected(small: Contract, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"source\.csv is empty"):
        source(tmp_path, b"", small)


# --- scan and pieces -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (LABELLED, [("001", "30", "north", "0"), ("002", "40", "south", "1"), ("003", "50", "north", "0")]),
        (b'id,age\n1,2\n2\n3, "4"\n5,6,7\n8,9\n', [("1", "2"), ("8", "9")]),
        (b'id,name\n1,"Lee"\n2,O"Brian\n3,5"6"\n', [("1", "Lee"), ("3", '5"6"')]),
        (b"id,age\n1,2,\n3,4,\n", [("1", "2"), ("3", "4")]),
        (b"id,age\n", []),
    ],
)
def test_a_source_is_scanned_without_uncertain_lines(small: Contract, tmp_path: Path, content: bytes, rows: list[tuple[str]]) -> None:
    assert source(tmp_path, content, small).scan().collect().rows() == rows


def test_a_source_of_uncertain_lines_only_is_rejected(small: Contract, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"every line of .* has an issue \(line: too many fields: 2\)"):
        source(tmp_path, b"id,age\n1,2,3\n4,5,6\n", small).scan()


FIELD = st.text(alphabet='ab",;\n\r é', max_size=6)


@given(
    rows=st.lists(st.lists(FIELD, min_size=2, max_size=3), min_size=2, max_size=12),
    eol=st.sampled_from(["\n", "\r\n", "\r"]),
    last=st.booleans(),
    days=st.integers(1, 4),
)
@hypothesis_settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_keep_quoted_line_ends_and_every_byte(tmp_path: Path, rows: list[list[str]], eol: str, last: bool, days: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=eol, quoting=csv.QUOTE_ALL).writerows([["id", "age"], *rows])
    content = text.getvalue().encode()
    if not last:
        content = content[: -len(eol)]
    path = tmp_path / "source.csv"
    path.write_bytes(content)
    found = Source.read(path, ("id",))
    sizes = found.sizes(min(days, len(rows)))
    pieces = [b"".join(piece) for piece in found.pieces(sizes)]
    header = f'"id","age"{eol}'.encode()
    assert header + b"".join(piece.removeprefix(header) for piece in pieces) == content
    assert [row for piece in pieces for row in parsed(piece)[1:]] == rows
    assert [len(parsed(piece)) - 1 for piece in pieces] == sizes


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_a_file_with_stray_quotes_is_split_by_lines(landing: Store, small: Contract, tmp_path: Path, bom: bytes) -> None:
    lines = [f'{number:03d},{number},O"Brian,0\n' if number in (1, 5) else f"{number:03d},{number},x,0\n" for number in range(9)]
    wanted = date_range(DATE, shift(DATE, 2))
    content = bom + ("id,age,city,defaulted\n" + "".join(lines)).encode()
    land(landing, source(tmp_path, content, small), small, wanted, replace=False)
    found = [landing.get(f"accounts_{date}.csv") for date in wanted]
    header = bom + b"id,age,city,defaulted\n"
    assert found == [header + "".join(lines[start : start + 3]).encode() for start in (0, 3, 6)]


# --- folders of shards -------------------------------------------------------------------------------------------------

SHARDS = {"a.csv": b"id,age,city\n1,30,north\n", "b.csv": b"\xef\xbb\xbfid,age,city\r\n2,40,south\r\n", "c.csv": b"id,age,city\n"}


def folder(tmp_path: Path, contract: Contract, contents: dict[str, bytes]) -> SourceFolder:
    path = tmp_path / f"shards-{next(_numbers)}"
    path.mkdir()
    for name, content in contents.items():
        (path / name).write_bytes(content)
    return SourceFolder.read(path, contract.columns)


def shards(contents: dict[str, bytes], kind: str = "accounts") -> dict[str, bytes]:
    return {f"{kind}_{DATE}/{name}": content for name, content in {"_SUCCESS": b"", **contents}.items()}


def test_a_folder_lands_as_shards(landing: Store, small: Contract, tmp_path: Path) -> None:
    source = folder(tmp_path, small, {**SHARDS, "_log.txt": b"x", ".hidden": b"x"})
    done = land(landing, source, small, (DATE,), replace=False)
    assert done == Landed({"accounts": list(shards(SHARDS))[1:]}, ())
    assert landed(landing) == shards(SHARDS)
    assert land(landing, source, small, (DATE,), replace=False) == done  # the same bytes: the command is repeated
    (arrival,) = arrivals(landing)
    assert (arrival.complete, len(arrival.parts)) == (True, 3)
    with pytest.raises(LandingError, match="other accounts for 2026-01-01 have already landed"):
        land(landing, folder(tmp_path, small, {"a.csv": SHARDS["a.csv"]}), small, (DATE,), replace=False)


def test_a_folder_with_the_target_column_lands_as_outcomes_too(landing: Store, small: Contract, tmp_path: Path) -> None:
    land(landing, folder(tmp_path, small, {"a.csv": LABELLED}), small, (DATE,), replace=False)
    assert landed(landing) == shards({"a.csv": LABELLED}) | shards({"a.csv": LABELLED}, "outcomes")


def test_replacing_a_folder_or_a_file_names_what_was_there(landing: Store, small: Contract, tmp_path: Path) -> None:
    file = source(tmp_path, SHARDS["a.csv"], small)
    land(landing, folder(tmp_path, small, SHARDS), small, (DATE,), replace=False)
    assert (
        land(landing, folder(tmp_path, small, {"d.csv": SHARDS["a.csv"]}), small, (DATE,), replace=True).replaced
        == tuple(shards(SHARDS))[1:]
    )
    assert landed(landing) == shards({"d.csv": SHARDS["a.csv"]})
    assert land(landing, file, small, (DATE,), replace=True).replaced == (f"accounts_{DATE}/d.csv",)
    assert land(landing, folder(tmp_path, small, SHARDS), small, (DATE,), replace=True).replaced == (f"accounts_{DATE}.csv",)
    assert landed(landing) == shards(SHARDS)


@pytest.mark.parametrize(("before", "after"), [("nothing", "new"), ("file", "new"), ("shards", "new"), ("shards", "file")])
def test_nobody_takes_a_part_of_a_date(
    landing: Store, small: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    sources: dict[str, Source | SourceFolder] = {
        "file": source(tmp_path, SHARDS["a.csv"], small),
        "shards": folder(tmp_path, small, {"a.csv": SHARDS["a.csv"], "z.csv": SHARDS["b.csv"]}),
    }
    if before in sources:
        land(landing, sources[before], small, (DATE,), replace=False)
    sources["new"] = folder(tmp_path, small, SHARDS)
    changes, states = itertools.count(), []
    write, put, delete = Store.write, Store.put, Store.delete

    def then_look(change: Callable[..., None]) -> Callable[..., None]:
        def changed(store: Store, *arguments: Any) -> None:
            next(changes)
            change(store, *arguments)
            try:
                states.append([part.rpartition("/")[2] for part in find(store, "accounts", DATE, small.columns).parts])
            except LandingError as error:
                assert "are incomplete: a command or a source system writes them, or was ended" in str(error)
                assert arrivals(store) == ()

        return changed

    monkeypatch.setattr(parallel, "SMALL_REQUESTS", 1)
    for name, change in (("write", write), ("put", put), ("delete", delete)):
        monkeypatch.setattr(Store, name, then_look(change))
    land(landing, sources[after], small, (DATE,), replace=True)
    assert (next(changes) >= 5, states) == (True, [[*SHARDS] if after == "new" else [f"accounts_{DATE}.csv"]])


@pytest.mark.parametrize("change", range(1, 6))
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_replacement_that_was_ended_is_repeated(
    landing: Store, small: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, change: int
) -> None:
    land(landing, folder(tmp_path, small, {"y.csv": SHARDS["a.csv"], "z.csv": SHARDS["b.csv"]}), small, (DATE,), replace=False)
    new: Source | SourceFolder = source(tmp_path, SHARDS["a.csv"], small) if what == "file" else folder(tmp_path, small, SHARDS)
    changes = itertools.count(1)

    def killed_after(done: Callable[..., None]) -> Callable[..., None]:
        def changed(store: Store, *arguments: Any) -> None:
            if next(changes) > change:
                raise KilledError
            done(store, *arguments)

        return changed

    with monkeypatch.context() as patch:
        patch.setattr(parallel, "SMALL_REQUESTS", 100)
        for name in ("write", "put", "delete"):
            patch.setattr(Store, name, killed_after(getattr(Store, name)))
        with suppress(KilledError):
            land(landing, new, small, (DATE,), replace=True)
    try:
        found = find(landing, "accounts", DATE, small.columns).parts
    except LandingError as error:
        assert "repeat it" in str(error)
        with pytest.raises(LandingError, match="writes accounts for 2026-01-01, or was ended"):
            land(landing, folder(tmp_path, small, {"other.csv": SHARDS["b.csv"]}), small, (DATE,), replace=False)
        land(landing, new, small, (DATE,), replace=False)
    else:
        assert len(found) in (1, 2, 3)
        land(landing, new, small, (DATE,), replace=True)
    assert landed(landing) == ({f"accounts_{DATE}.csv": SHARDS["a.csv"]} if what == "file" else shards(SHARDS))


class KilledError(BaseException):
    """The process is killed."""


def test_shards_of_a_source_system_are_not_replaced_unasked(landing: Store, small: Contract, tmp_path: Path) -> None:
    written = {f"accounts_{DATE}/_LANDING": b"", f"accounts_{DATE}/part-0.csv": SHARDS["a.csv"]}
    for path, content in written.items():
        landing.put(path, content)
    with pytest.raises(LandingError, match="add --replace"):
        land(landing, folder(tmp_path, small, SHARDS), small, (DATE,), replace=False)
    assert landed(landing) == written
    assert land(landing, folder(tmp_path, small, SHARDS), small, (DATE,), replace=True).replaced == (f"accounts_{DATE}/part-0.csv",)
    assert landed(landing) == shards(SHARDS)


def test_landing_that_was_ended_is_repeated(landing: Store, small: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise LakeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", full)
        with pytest.raises(LakeError):
            land(landing, folder(tmp_path, small, SHARDS), small, (DATE,), replace=False)
    with pytest.raises(LandingError, match=r"repeat it: risk land FOLDER --date 2026-01-01\."):
        find(landing, "accounts", DATE, small.columns)
    land(landing, folder(tmp_path, small, SHARDS), small, (DATE,), replace=False)
    assert landed(landing) == shards(SHARDS)


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        ({}, "has no file that ends with .csv"),
        ({"a.csv": SHARDS["a.csv"], "b.csv.gz": b"x"}, "b.csv.gz would be left out"),
        ({"a.csv": SHARDS["a.csv"], "b.csv": b"age,id,city\n1,2,x\n"}, "b.csv has the same columns in another order"),
        (
            {"a.csv": SHARDS["a.csv"], "b.csv": b"id,age,city\n1,2,\xff\n"},
            "b.csv is not UTF-8 text: its byte 17, in row 1, cannot be decoded",
        ),
        ({"a.csv": b"id,age,city\n", "b.csv": b"id,age,city\n"}, "have headers and no rows"),
        ({"a.csv": b"id,age\n1,2\n"}, "a.csv has no column city"),
        ({"a.csv": b"1,2,x\n", "b.csv": SHARDS["a.csv"]}, "a.csv .*compared with b.csv"),
        ({"_LANDING": b"", "b.csv": SHARDS["a.csv"]}, "it is still being written"),
    ],
)
def test_a_folder_that_cannot_be_scored_does_not_land(
    landing: Store, small: Contract, tmp_path: Path, contents: dict[str, bytes], says: str
) -> None:
    with pytest.raises(LandingError, match=says):
        land(landing, folder(tmp_path, small, contents), small, (DATE,), replace=True)
    assert landed(landing) == {}


def test_the_landed_folder_itself_does_not_land(landing: Store, small: Contract, tmp_path: Path) -> None:
    if landing.folder is None:
        return
    land(landing, folder(tmp_path, small, SHARDS), small, (DATE,), replace=False)
    with pytest.raises(LandingError, match=r"is in the landing folder already\. .* Next: risk run 2026-01-01"):
        land(landing, SourceFolder.read(landing.folder / f"accounts_{DATE}", small.columns), small, (DATE,), replace=True)
    assert landed(landing) == shards(SHARDS)
