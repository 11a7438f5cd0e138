"""Features are made piece by piece, with numbers that the CSV reader parses: they equal those that the text of all rows gives."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.ingest import csv_counts, typed_rows
from risk_assets.domain.ingest.validation import feature_facts, repeated_ids, validate
from risk_assets.errors import ContractError, LakeError
from risk_assets.lake import layout, raw
from risk_assets.lake.facts import FeatureFacts, facts_from_row
from risk_assets.lake.feature_tables import feature_table
from risk_assets.lake.landed_parts import LandedFile, OwnParts
from risk_assets.lake.manifests import Manifest, Provenance, find_manifest
from risk_assets.lake.store import Store, open_store
from risk_assets.lake.tables import read_table

DATE = "2026-03-01"
NAMES = "id,customer,age,income,share,paid,opened,city,kind"
CONTRACT = """
id: {id}
{group}
missing: [NA, "-999"]
target: {{column: bad, bad: "1", good: "0"}}
features:
  age: {{type: number, min: 18, max: 99, required: true, reason: Age}}
  income: {{type: number, thousands: ",", missing: ["0"], reason: Income}}
  share: {{type: number, format: percent, reason: Share}}
  paid: {{type: number, decimal: ",", reason: Paid}}
  opened: {{type: number, format: date(%Y-%m-%d), reason: Opened}}
  city: {{type: category, required: true, reason: City}}
  kind: {{type: category, reason: Kind}}
{exclude}
"""
EXCLUDE = 'exclude:\n  - {column: age, above: 90, reason: "too old"}\n  - {column: kind, is: [staff], reason: "our staff"}'
CONTRACTS = {
    "plain": Contract.parse(CONTRACT.format(id="id", group="", exclude=""), "contract.yml"),
    "customers and exclusions": Contract.parse(CONTRACT.format(id="id", group="group: customer", exclude=EXCLUDE), "contract.yml"),
    "row numbers": Contract.parse(CONTRACT.format(id='"#row"', group="", exclude=EXCLUDE), "contract.yml"),
}
# What a reader may take for a number or not, and texts that mean "missing" or may
NUMBERS = ["18", "99", "17.9", "100", "-999", "-999.0", "0", "", "NA", " NA", "na", "1e1", "1E400", "inf", "nan", "+20", "2_0", ".5"]
NUMBERS += ["20.", " 30", "30 ", "\t30", "\u00a030", "1,234", "1.234", "12%", "12 %", "-0", "1e-400", "\u0663", "--1", "0x20", "x"]
NUMBERS += ["9" * 400, "1e308", '"40"']
DATES = ["2020-01-02", "2020-02-30", "", "NA", " 2020-01-02", "2020-01-02 "]
LEVELS = [
    "north",
    " north",
    "north ",
    "no\u0308rd",
    "n\u00f6rd",
    "",
    "NA",
    " NA ",
    "staff",
    "\u00a0south",
    "\u200bsouth",
    "\ufeffeast",
    "a b",
]
IDS = ["", " ", "NA", " 7", "7", "7 ", "A-1", "A 1", "\u00c4", "A\u0308", "\ufeff8", '"a\nb"', '"a,b"']


def quoted(cell: str) -> str:
    return f'"{cell}"' if "," in cell and not cell.startswith('"') else cell


def lines() -> st.SearchStrategy[str]:
    number, level = st.sampled_from(NUMBERS), st.sampled_from(LEVELS)
    ids = st.sampled_from(IDS) | st.integers(1000, 9999).map(str)
    row = st.tuples(ids, ids, number, number, number, number, st.sampled_from(DATES), level, level)
    usual = st.integers(1000, 9999).map(lambda id: (str(id), "", "30", "1000.5", "12%", "3,5", "2020-01-02", "north", "x"))
    odd = st.sampled_from(["", "1,2", "5,,30,1,12%,1,2020-01-02,north,x,too many", "6,c,30\x00,1,12%,1,2020-01-02,north,x"])
    return (usual | usual | row).map(lambda cells: ",".join(map(quoted, cells))) | odd


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assets.domain.ingest.csv_records._BLOCK_BYTES", 256)
    monkeypatch.setattr(csv_counts, "PIECE_BYTES", 1000)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """New folders, one for each example."""
    return (tmp_path / str(number) for number in count())


def stored(folder: Path, content: bytes) -> Store:
    landing, lake = open_store(str(folder / "landing")), open_store(str(folder / "lake"))
    landing.put(f"accounts_{DATE}.csv", content)
    raw.ingest(OwnParts(lake, LandedFile(landing, (f"accounts_{DATE}.csv",), ("age",))), layout.accounts(DATE), Provenance(run_id="test"))
    return lake


def written(lake: Store, contract: Contract) -> tuple[pl.DataFrame, Manifest]:
    (manifest,) = feature_table(lake, contract, DATE, "test").write(lake, layout.features(DATE))
    return read_table(lake, layout.features(DATE)).collect(), manifest


def by_text(lake: Store, contract: Contract) -> pl.DataFrame:
    """Return the features by the rules for text alone."""
    rows = raw.scan(lake, layout.accounts(DATE))
    return validate(rows, contract, repeated_ids(rows, contract), date=DATE).collect()


def require_equal(lake: Store, contract: Contract) -> None:
    expected = by_text(lake, contract)
    found, manifest = written(lake, contract)
    assert_frame_equal(found, expected, check_exact=True)
    assert_frame_equal(feature_table(lake, contract, DATE, "test").frame.collect(), expected, check_exact=True)
    figures = expected.select(feature_facts(contract)).row(0, named=True)
    assert manifest.rows == figures.pop("rows")
    facts = facts_from_row(figures, FeatureFacts)
    assert isinstance(manifest.facts, FeatureFacts)
    assert manifest.facts == facts
    assert list(manifest.columns) == expected.columns


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines(), min_size=1, max_size=60), st.sampled_from(sorted(CONTRACTS)), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_features_are_those_of_the_text(folders: Iterator[Path], rows: list[str], contract: str, end: str, is_mixed: bool) -> None:
    mixed = ['7001,a"b,30,1,12%,1,2020-01-02,north,x', '7002,"a\nb",30,1,12%,1,2020-01-02,north,x'] if is_mixed else []
    content = end.join([NAMES, *rows, *mixed, ""]).encode()
    require_equal(stored(next(folders), content), CONTRACTS[contract])


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_numbers_of_a_column_are_those_of_its_text(folders: Iterator[Path], contract: Contract) -> None:
    rows = []
    for number, cell in enumerate(map(quoted, NUMBERS)):
        rows += [f"{number}-{id},,30,1000.5,12%,3.5,2020-01-02,north,x" for id in range(20)]  # most rows are not in doubt
        rows += [f"{number}-a,,{cell},,,,,north,x", f"{number}-b,,30,{cell},,,,north,x", f"{number}-c,,30,,{cell},{cell},,north,x"]
    require_equal(stored(next(folders), "\n".join([NAMES, *rows, rows[0], ""]).encode()), contract)


def test_only_rows_in_doubt_are_read_as_text(folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    of_text = typed_rows.validate

    def recorded(rows: pl.LazyFrame, *arguments: object, **more: object) -> pl.LazyFrame:
        seen.append(rows.select(pl.len()).collect().item())
        return of_text(rows, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(typed_rows, "validate", recorded)
    usual = [f"{id},,30,{'' if id % 2 else -999},12%,NA,2020-01-02,NA,x" for id in range(200)]
    rows = [row.replace("NA,x", "south,x") for row in usual]
    rows[150] = "150,,17,1,12%,1,2020-01-02,north,x"
    found, manifest = written(stored(next(folders), "\n".join([NAMES, *rows, ""]).encode()), CONTRACTS["plain"])
    assert seen == [1]
    assert found["issues"].drop_nulls().to_list() == ["age: below 18"]
    assert found["income"].drop_nulls().to_list() == [1.0]
    assert manifest.facts_as(FeatureFacts).missing["income"] == 199


def test_repeated_ids_of_different_pieces_are_found(folders: Iterator[Path]) -> None:
    rows = [f"{id},,30,1,12%,1,2020-01-02,north,x" for id in range(100)]
    rows[99] = " 3 ,,30,1,12%,1,2020-01-02,north,x"
    lake = stored(next(folders), "\n".join([NAMES, *rows, ""]).encode())
    found, manifest = written(lake, CONTRACTS["plain"])
    assert found.with_row_index().filter(pl.col("issues") == "account_id: repeated")["index"].to_list() == [3, 99]
    assert manifest.facts_as(FeatureFacts).with_issues == 2
    assert lake.folder is not None
    assert [file.name for file in (lake.folder / ".tmp").iterdir() if not file.name.startswith("pin-")] == []


def test_a_damaged_piece_fails_and_leaves_nothing(folders: Iterator[Path]) -> None:
    content = "\n".join([NAMES, *(f"{id},,30,1,12%,1,2020-01-02,north,x" for id in range(100)), ""]).encode()
    lake = stored(next(folders), content)
    table = feature_table(lake, CONTRACTS["plain"], DATE, "test")
    assert lake.folder is not None
    (lake.folder / layout.accounts(DATE)).write_bytes(content[:-10] + b"9" + content[-9:])
    with pytest.raises(LakeError, match=r"raw/accounts_2026-03-01\.csv was changed since it was written\. Run the date"):
        table.write(lake, layout.features(DATE))
    assert find_manifest(lake, layout.features(DATE)) is None
    assert lake.list(layout.CURATED) == ()


def test_bytes_that_an_earlier_release_stored_are_refused(folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_counts, "_undecodable", lambda _: None)
    usual = [f"{id},,30,1,12%,1,2020-01-02,north,x".encode() for id in range(2000)]  # more than what is read of the head
    for cells in (b"2000,,30,1,12%,1,2020-01-02,n\xffrth,x", b"2000,,\xff,1,12%,1,2020-01-02,north,x"):
        lake = stored(next(folders), b"\n".join([NAMES.encode(), *usual, cells, b""]))
        with pytest.raises(LakeError, match="source files is malformed"):
            written(lake, CONTRACTS["plain"])


def test_dates_require_the_date_of_the_snapshot() -> None:
    contract, none = CONTRACTS["plain"], pl.Series([], dtype=pl.String)
    with pytest.raises(ContractError, match="opened: dates are read as days before the snapshot"):
        typed_rows.validate_cells(NotImplemented, contract, none, None)
