"""The index of a date's accounts: written with the predictions, read by key, and rejected when it is not of them."""

import subprocess
import sys
from collections.abc import Sequence

import polars as pl
import pytest

from risk_assets.domain.batch.predictions import prediction_facts
from risk_assets.domain.morning import account_index as domain
from risk_assets.domain.morning.account_key import account_key, part_of
from risk_assets.errors import LakeError
from risk_assets.lake import layout, verify
from risk_assets.lake.account_index import IndexedAccount, find
from risk_assets.lake.account_index_tables import read_index
from risk_assets.lake.facts import AccountIndexFacts, PredictionFacts
from risk_assets.lake.manifests import Manifest, Provenance, require_manifest
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, read_table, write_table
from tests.scored_lake import write_scored

DATE = "2026-01-31"
PATH = layout.account_index(DATE)
Row = tuple[str | None, float | None, int | None, int | None]
ROWS: Sequence[Row] = [
    ("a", 0.3, 500, 1),
    (None, None, None, None),
    ("twice", None, None, None),
    ("b", 0.1, 600, 0),
    ("twice", None, None, None),
    ("", None, None, None),
    ("x", 0.2, -7, 0),
]
SCHEMA = {
    "account_id": pl.String,
    "probability": pl.Float64,
    "points": pl.Int64,
    "prediction": pl.Int8,
    "arm": pl.String,
    "challenger_probability": pl.Float64,
    "excluded": pl.String,
    "issues": pl.String,
}


def predictions(rows: Sequence[Row] = ROWS) -> pl.DataFrame:
    return pl.DataFrame([(*row, "champion", None, None, None) for row in rows], schema=SCHEMA, orient="row")


def write_without_index(store: Store, rows: Sequence[Row] = ROWS) -> None:
    facts, made_from = tuple(prediction_facts()), Provenance(run_id="run-1")
    write_table(store, layout.predictions(DATE), Table(predictions(rows).lazy(), PredictionFacts, facts, made_from))


def write(store: Store, rows: Sequence[Row] = ROWS) -> Manifest:
    return write_scored(store, DATE, predictions(rows), Provenance(run_id="run-1"))[1]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "PART_ROWS", 2)


def test_accounts_are_found_by_key(store: Store, small_parts: None) -> None:
    manifest = write(store)
    assert (manifest.rows, len(manifest.parts), manifest.facts) == (5, 3, AccountIndexFacts(scored=3))
    assert find(store, DATE, account_key("a")) == (IndexedAccount(0, 0.3, 500, 1),)
    assert find(store, DATE, account_key("x")) == (IndexedAccount(6, 0.2, -7, 0),)
    assert find(store, DATE, account_key("")) == ()
    assert find(store, DATE, account_key("twice")) == (IndexedAccount(2, None, None, None), IndexedAccount(4, None, None, None))
    assert find(store, DATE, account_key("other")) == ()
    assert find(store, DATE, 0) == find(store, DATE, 2**64 - 1) == ()


def test_the_index_is_of_the_rows_of_the_predictions(disk_store: Store) -> None:
    rows: list[Row] = [(f"A{row}", row / 200_000, row % 900, row % 2) for row in range(150_000)]
    manifest = write(disk_store, rows)
    assert len(manifest.parts) == 3
    found, table = read_index(disk_store, DATE), read_table(disk_store, layout.predictions(DATE)).collect()
    assert found["key"].is_sorted() and found.columns == list(manifest.columns)
    by_row, columns = found.sort("row"), ["probability", "points", "prediction"]
    assert by_row["row"].to_list() == [*range(len(rows))]
    assert by_row["key"].to_list() == [account_key(account) for account, *_ in rows]
    assert by_row.select(columns).equals(table.select(columns).cast({"points": pl.Int32}))
    first = found.row(0, named=True)
    assert part_of(first.pop("key"), 3) == 0
    assert find(disk_store, DATE, found["key"][0]) == (IndexedAccount(**first),)


def test_no_accounts_have_one_empty_part(store: Store) -> None:
    manifest = write(store, [])
    assert (manifest.rows, len(manifest.parts)) == (0, 1)
    assert find(store, DATE, account_key("a")) == ()


def test_the_same_predictions_have_the_same_bytes_and_left_over_parts_go(store: Store, small_parts: None) -> None:
    first = write(store)
    assert write(store).sha256 == first.sha256
    write(store, ROWS[:1])
    assert store.list(f"{PATH}/") == (layout.account_index_part(DATE, 0),)


def test_without_an_index_the_error_says_how_to_make_it(store: Store) -> None:
    with pytest.raises(LakeError, match=r"predictions\.csv is not in the lake.*risk run 2026-01-31"):
        find(store, DATE, 1)
    write_without_index(store)
    with pytest.raises(LakeError, match=r"has no index of its accounts\. Run the date: risk run 2026-01-31"):
        find(store, DATE, 1)


def test_an_index_of_other_predictions_is_rejected(store: Store) -> None:
    write(store)
    write_without_index(store, ROWS[:2])  # the run was killed before it wrote the index
    with pytest.raises(LakeError, match=r"2026-01-31_index was made from other predictions\. Run the date: risk run 2026-01-31"):
        find(store, DATE, account_key("a"))
    assert verify.table_problems(store, PATH) == [
        f"{layout.predictions(DATE)} was written again with another content since {PATH} was made from it"
    ]
    write(store, ROWS[:2])
    assert find(store, DATE, account_key("a")) == (IndexedAccount(0, 0.3, 500, 1),)
    assert verify.verify_date(store, DATE).problems == ()


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing"])
def test_a_damaged_part_is_found(store: Store, damage: str) -> None:
    write(store)
    part = layout.account_index_part(DATE, 0)
    content = store.get(part)
    if damage == "missing":
        store.delete(part)
    else:
        store.put(part, content[:-1] + (bytes([content[-1] ^ 1]) if damage == "flipped" else b""))
    with pytest.raises(LakeError, match=r"part-0000\.parquet is missing or was changed.*risk run 2026-01-31"):
        find(store, DATE, account_key("a"))
    assert any(part in problem for problem in verify.verify_date(store, DATE).problems)
    with pytest.raises(LakeError, match=r"part-0000\.parquet"):
        read_index(store, DATE)


def test_the_index_is_made_of_the_predictions(store: Store) -> None:
    write(store)
    predicted = require_manifest(store, layout.predictions(DATE))
    assert require_manifest(store, PATH).made_from == Provenance(run_id="run-1", inputs={predicted.path: predicted.identity})
    assert verify.lineage(store, PATH) == [PATH, predicted.path]


def test_looking_up_an_account_imports_no_polars(disk_store: Store) -> None:
    write(disk_store)
    code = (
        "import sys; from risk_assets.lake.account_index import find; from risk_assets.lake.store import open_store;"
        "found = find(open_store(sys.argv[1]), sys.argv[2], int(sys.argv[3]));"
        "print(found[0].row, {'polars', 'pandas', 'dagster'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, disk_store.url, DATE, str(account_key("a"))]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0 set()\n"
