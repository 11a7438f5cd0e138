"""Executors make the same tables as one process: predictions byte for byte, equal features, facts and indexes."""

import random
from pathlib import Path

import msgspec
import pytest
from polars.testing import assert_frame_equal

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.ingest import csv_counts
from risk_assets.domain.morning import account_index
from risk_assets.engine import tables
from risk_assets.lake.facts import FeatureFacts, PredictionFacts
from tests.azurite.server import Azurite
from tests.documents import SMALL_CONTRACT
from tests.engine.lakes import Tables, made_by_both, models

WIDE = """
id: account
group: customer
target: {column: defaulted, bad: "1", good: "0"}
exclude:
  - {reason: young, column: age, below: 20}
  - {reason: abroad, column: city, is: [Zürich, "São Paulo"]}
features:
  age: {type: number, min: 18, max: 90, missing: [-9], risk: down, reason: Age}
  city: {type: category, reason: City}
  rate: {type: number, format: percent, reason: Rate}
  balance: {type: number, format: money, required: true, reason: Balance}
  since: {type: number, format: "date(%Y-%m-%d)", reason: Since}
"""
CITIES = (
    *("north", "south", "Zürich", "Zu\u0308rich", "São Paulo", " north\u00a0", "\u200bnorth"),
    *("東京", "😀", "NA", "", "ΐ", "o'k", 'say ""so""'),
)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pieces have a few rows, and parts of an index too."""
    monkeypatch.setattr("risk_assets.domain.ingest.csv_records._BLOCK_BYTES", 256)
    monkeypatch.setattr(csv_counts, "PIECE_BYTES", 1000)
    monkeypatch.setattr(account_index, "PART_ROWS", 20)
    monkeypatch.setattr(tables, "INDEX_PARTS_PER_TASK", 3)
    monkeypatch.setattr(tables, "HASHES_PER_TASK", 70)


def require_equal(local: Tables, cluster: Tables) -> None:
    assert cluster.csv == local.csv
    assert_frame_equal(cluster.feature_rows, local.feature_rows)
    assert cluster.index_parts == local.index_parts
    assert cluster.index.facts == local.index.facts and cluster.index.columns == local.index.columns
    ours, theirs = (made.features.facts_as(FeatureFacts) for made in (local, cluster))
    assert msgspec.structs.replace(theirs, part_rows=()) == ours
    assert (cluster.features.rows, cluster.features.columns) == (local.features.rows, local.features.columns)
    assert cluster.features.made_from == local.features.made_from
    assert (cluster.predictions.rows, cluster.predictions.columns) == (local.predictions.rows, local.predictions.columns)
    require_equal_facts(local.predictions.facts_as(PredictionFacts), cluster.predictions.facts_as(PredictionFacts))
    assert (local.out_of_place, cluster.out_of_place) == (0, 0)
    assert cluster.riskiest == local.riskiest


def require_equal_facts(one: PredictionFacts, other: PredictionFacts) -> None:
    means = ("mean_score", "challenger_mean_score")
    for name in set(one.__struct_fields__) - {"tallies", "candidates", "pieces"}:  # of executors only, or by piece
        expected = getattr(one, name)
        assert getattr(other, name) == (pytest.approx(expected, abs=1e-12) if name in means and expected is not None else expected), name


def small(rows: int, **columns: str) -> bytes:
    """Return a file of the small contract, with some rows that cannot be scored."""
    draw = random.Random(7)
    lines = [
        f"A{row:05d},{draw.choice(['25', '33.5', ' 47 ', '71', '', 'x'])},{draw.choice(['north', 'south', 'east'])}" for row in range(rows)
    ]
    return ("id,age,city\n" + "\n".join(lines) + "\n").encode()


def wide(rows: int) -> bytes:
    draw = random.Random(11)
    lines = []
    for row in range(rows):
        account = draw.choice([f"A{row}", f" A{row}", f"A{row // 9}\u00a0", "", "N/A", f'"B{row}, x"', f'"C\n{row}"'])
        city = draw.choice(CITIES)
        cells = (
            account,
            draw.choice(["K1", "K2", f"K{row}", ""]),
            draw.choice(["19", "20", "45.25", "-9", "1e1", "91", "", "old"]),
            f'"{city}"' if '"' in city or "," in city else city,
            draw.choice(["24.5%", "0.1 %", "12", ""]),
            draw.choice(["$1,234.50", "-3", "€7", ""]),
            draw.choice(["2025-12-01", "2026-01-01", "2026-13-01", ""]),
        )
        lines.append(",".join(f'"{cell}"' if "," in cell and not cell.startswith('"') else cell for cell in cells))
    return ("account,customer,age,city,rate,balance,since\n" + "\n".join(lines) + "\n").encode()


FILES = {
    "plain": [small(400)],
    "one row": [b"id,age,city\n1,30,north"],
    "no row can be scored": [b"id,age,city\n" + b"".join(b"A%d,x,north\n" % row for row in range(200))],
    "CRLF and a byte order mark": [b"\xef\xbb\xbf" + small(200).replace(b"\n", b"\r\n")],
    "quotes of both kinds": [b"id,age,city\n" + b"".join(b'%d,30,"a\nb"\nx%d,40,O"Brian\n' % (row, row) for row in range(700))],
    "lines with issues": [small(200) + b'B1,30\nB2,30,north,x\nB3,30,"a"b\n\nB4,30,no\rth\n' + small(100).split(b"\n", 1)[1]],
    "missing ids": [b"id,age,city\n" + b"".join(b"%s,30,north\n" % (b"A%d" % row if row % 3 else b" \xc2\xa0") for row in range(200))],
    "no ids": [b"id,age,city\n" + b" ,30,north\n" * 150],
    "shards, one with a header only": [small(150), b"id,age,city\n", b"id,age,city\n" + small(90).split(b"\n", 1)[1].replace(b"A", b"B")],
    "a header only, then a shard": [b"id,age,city\n", small(50)],
}


@pytest.mark.parametrize("contents", FILES.values(), ids=FILES)
def test_files_give_equal_tables(tmp_path: Path, contents: list[bytes]) -> None:
    require_equal(*made_by_both(tmp_path, contents))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_empty_shard_on_azure_is_nothing(
    tmp_path: Path, azurite: Azurite, worker_id: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    contents = [small(20), small(30).replace(b"A", b"B")]
    contents.insert(number, b"id,age,city\n")
    require_equal(*made_by_both(tmp_path, contents, azure=(f"az://lake/{worker_id}-empty-shard-{number}", azurite)))


RAGGED = {
    "many issues": small(200) + b'B1,30\nB2,30,north,x\nB3,30,"a"b\n\nB4,30,no\rth\n' + small(100).split(b"\n", 1)[1],
    "quotes of both kinds": FILES["quotes of both kinds"][0] + b"short\n",
    "lines that end in a separator": small(200).replace(b"north\n", b"north,\n").replace(b"\n", b",\n") + b"Z,30,east\n",
    "all lines end in a separator": small(200).replace(b"\n", b",\n").replace(b"city,", b"city") + b'B,30,"a\n1,2,3,\n4,5,6,\n",\n',
}


@pytest.mark.parametrize("content", RAGGED.values(), ids=RAGGED)
def test_lines_with_issues_are_found_without_their_positions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("risk_assets.lake.landed_parts.MAX_RAGGED_ROWS", 0)
    local, cluster = made_by_both(tmp_path, [content])
    assert local.feature_rows["issues"].str.contains("line: ").sum() > 0
    assert len(cluster.features.parts) > 2
    require_equal(local, cluster)


def test_many_kinds_of_cells_give_equal_tables(tmp_path: Path) -> None:
    local, cluster = made_by_both(tmp_path, [wide(600)], Contract.parse(WIDE, "wide.yml"))
    assert len(cluster.features.parts) > 10
    statuses = local.feature_rows["excluded"].value_counts()
    assert statuses.height == 3
    require_equal(local, cluster)


def test_rows_without_ids_are_numbered_over_all_pieces(tmp_path: Path) -> None:
    contract = Contract.parse(SMALL_CONTRACT.replace("id: id", 'id: "#row"'), "small.yml")
    local, cluster = made_by_both(tmp_path, [small(200), small(100)], contract)
    assert cluster.feature_rows["account_id"].to_list() == [str(row) for row in range(1, 301)]
    require_equal(local, cluster)


REPEATED = {
    "in a piece": {10: b"A00009"},
    "in two pieces": {10: b"A00350"},
    "three times, with blanks": {10: b" A00350", 200: b"\xc2\xa0A00350\t"},
    "twice in one piece and in another": {10: b"A00009", 390: b" A00009 "},
    "many times": dict.fromkeys(range(0, 400, 8), b"A00350"),
}


@pytest.mark.parametrize("repeats", REPEATED.values(), ids=REPEATED)
def test_repeated_ids_are_found_across_pieces(tmp_path: Path, repeats: dict[int, bytes]) -> None:
    header, *rows = small(400).splitlines(keepends=True)
    lines = [repeats[row] + line[line.index(b",") :] if row in repeats else line for row, line in enumerate(rows)]
    local, cluster = made_by_both(tmp_path, [header + b"".join(lines)])
    repeated = local.feature_rows["issues"].str.contains("account_id: repeated", literal=True).fill_null(value=False)
    assert repeated.sum() == len(repeats) + 1
    require_equal(local, cluster)


ARMS = {
    "a share": {"challenged": True, "share": 0.3},
    "a shadow": {"challenged": True},
    "required features": {"required": ("age", "city")},
    "a share and required features": {"challenged": True, "share": 0.5, "required": ("age",)},
}


@pytest.mark.parametrize("how", ARMS.values(), ids=ARMS)
def test_all_ways_to_score_give_equal_tables(tmp_path: Path, how: dict[str, object]) -> None:
    local, cluster = made_by_both(tmp_path, [small(400)], arms=lambda lake: models(lake, **how))  # type: ignore[arg-type]
    facts = local.predictions.facts_as(PredictionFacts)
    assert (facts.challenger_mean_score is not None) == ("challenged" in how)
    require_equal(local, cluster)


def test_a_share_follows_customers_in_all_pieces(tmp_path: Path) -> None:
    contract = Contract.parse(WIDE, "wide.yml")
    require_equal(*made_by_both(tmp_path, [wide(500)], contract, lambda lake: models(lake, 0.5, challenged=True)))


def test_tasks_that_run_twice_change_nothing(tmp_path: Path) -> None:
    require_equal(*made_by_both(tmp_path, [small(400)], attempts=2))
