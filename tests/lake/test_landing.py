"""The landing folder: files are found by date, and land completely or not at all."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from risk_assets.clock import date_range, shift
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.ingest.csv_dialect import sniff
from risk_assets.errors import LakeError, LandingError
from risk_assets.lake.landing import Source, dates, find, land, land_outcomes, records
from risk_assets.lake.store import Store

DATE = "2026-01-01"
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
    [b"id,age,city\n001,30,north\n", b"\xef\xbb\xbfid;age;city\r\n001;3,5;n\r\n002;1;x", b'id\tage\tcity\r1\t2\t"\r"\r', b"id,age,city\n"],
)
def test_a_file_without_target_lands_unchanged_and_alone(landing: Store, small: Contract, tmp_path: Path, content: bytes) -> None:
    written = land(landing, source(tmp_path, content, small), small, (DATE,), replace=False)
    assert written == {"accounts": [f"accounts_{DATE}.csv"]}
    assert landed(landing) == {f"accounts_{DATE}.csv": content}


def test_a_file_with_target_lands_its_outcomes_too(landing: Store, small: Contract, tmp_path: Path) -> None:
    written = land(landing, source(tmp_path, LABELLED, small), small, (DATE,), replace=False)
    assert written == {"accounts": [f"accounts_{DATE}.csv"], "outcomes": [f"outcomes_{DATE}.csv"]}
    assert landing.get(f"accounts_{DATE}.csv") == LABELLED
    assert parsed(landing.get(f"outcomes_{DATE}.csv")) == [["id", "defaulted"], ["001", "0"], ["002", "1"], ["003", "0"]]


def test_land_outcomes_lands_no_accounts(landing: Store, small: Contract, tmp_path: Path) -> None:
    content = b'defaulted;id\n1;"0;1"\n;002\n'
    written = land_outcomes(landing, source(tmp_path, content, small), small, (DATE,), replace=False)
    assert written == {"outcomes": [f"outcomes_{DATE}.csv"]}
    assert parsed(landing.get(f"outcomes_{DATE}.csv")) == [["id", "defaulted"], ["0;1", "1"], ["002", ""]]
    assert list(landed(landing)) == [f"outcomes_{DATE}.csv"]


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
    labels = [parsed(landing.get(f"outcomes_{date}.csv")) for date in wanted]
    assert [piece[0] for piece in labels] == [["id", "defaulted"]] * 3
    assert [row for piece in labels for row in piece[1:]] == [[f"{number:03d}", str(number % 2)] for number in range(10)]


def test_pieces_can_be_found_and_sniffed_like_any_file(landing: Store, small: Contract, tmp_path: Path) -> None:
    land(
        landing,
        source(tmp_path, b"\xef\xbb\xbf" + LABELLED, small),
        small,
        date_range(DATE, shift(DATE, 2)),
        replace=False,
    )
    for date in date_range(DATE, shift(DATE, 2)):
        for kind, columns in (("accounts", ("id", "age", "city", "defaulted")), ("outcomes", ("id", "defaulted"))):
            part = find(landing, kind, date, small.columns).parts[0]
            assert sniff(landing.get(part), part, small.columns).columns == columns


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


def test_malformed_labels_of_the_last_day_stop_all_days(landing: Store, small: Contract, tmp_path: Path) -> None:
    landing.put(f"accounts_{DATE}/part-1.csv", b"earlier")
    content = LABELLED + b'004,60,north,"1" x\n'
    with pytest.raises(LakeError, match="malformed"):
        land(landing, source(tmp_path, content, small), small, date_range(DATE, shift(DATE, 3)), replace=True)
    assert landed(landing) == {f"accounts_{DATE}/part-1.csv": b"earlier"}


def test_accounts_with_malformed_labels_do_not_land(landing: Store, small: Contract, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="malformed"):
        land(landing, source(tmp_path, LABELLED + b'004,60,north,"1" x\n', small), small, (DATE,), replace=False)
    assert landed(landing) == {}


def test_a_file_that_is_not_a_csv_is_rejected(small: Contract, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"source\.csv is empty"):
        source(tmp_path, b"", small)


# --- records -------------------------------------------------------------------------------------------------------------

FIELD = st.text(alphabet='ab",;\n\r é', max_size=6)


@given(
    rows=st.lists(st.lists(FIELD, min_size=2, max_size=3), min_size=1, max_size=12),
    eol=st.sampled_from(["\n", "\r\n", "\r"]),
    last=st.booleans(),
    size=st.integers(1, 9),
)
@hypothesis_settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_keep_quoted_line_ends_and_every_byte(rows: list[list[str]], eol: str, last: bool, size: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=eol, quoting=csv.QUOTE_ALL).writerows(rows)
    content = text.getvalue().encode()
    if not last:
        content = content[: -len(eol)]
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    found = list(records(chunks, b"\r" if eol == "\r" else b"\n"))
    assert b"".join(found) == content
    assert [parsed(record)[0] for record in found] == rows
