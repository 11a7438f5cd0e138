"""Tables: they round-trip, and a table that does not match its manifest is rejected."""

import hashlib
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import replace

import msgspec
import polars as pl
import pytest

from risk_assets.domain.ingest.csv_dialect import Dialect
from risk_assets.errors import LakeError
from risk_assets.lake import verification
from risk_assets.lake.csv_scan import scan_text
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.manifests import Manifest, Provenance, digest, find_manifest, partitions, require_manifest
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, read_table, write_table
from tests.lake.conftest import FACTS, people, table

MADE_FROM = Provenance(
    run_id="run-1", inputs={"raw/accounts_2026-01-01.csv": "abc"}, contract="c0ffee", model_version="model_v002", binding=7
)
SECRET = "SECRET123"


def write(store: Store, path: str, frame: pl.LazyFrame | None = None) -> Manifest:
    return write_table(store, path, replace(table(people() if frame is None else frame), made_from=MADE_FROM))


@pytest.mark.parametrize("path", ["curated/t.csv", "curated/t.parquet"])
def test_a_table_round_trips_and_ids_stay_text(store: Store, path: str) -> None:
    write(store, path)
    back = read_table(store, path).collect()
    assert back["account_id"].to_list() == ["007", "00010", "1e3"]
    assert back["probability"].to_list() == [0.1 + 0.2, None, 1e-17]  # to the last bit
    assert back["band"].to_list() == ["A", None, "F"]


def test_texts_that_need_quotes_round_trip(store: Store) -> None:
    texts = ["a,b", 'say "no"', "line\nbreak", "Ä€", " padded "]
    write(store, "t.csv", pl.LazyFrame({"account_id": texts}))
    assert read_table(store, "t.csv").collect()["account_id"].to_list() == texts


def test_a_table_without_rows_keeps_its_columns(store: Store) -> None:
    for path in ("t.csv", "t.parquet"):
        write(store, path, people().limit(0))
        assert read_table(store, path).collect().columns == ["account_id", "probability", "band"]
        assert require_manifest(store, path).rows == 0


@pytest.mark.parametrize("path", ["t.csv", "t.parquet"])
def test_the_manifest_has_rows_bytes_columns_and_provenance(store: Store, path: str) -> None:
    write(store, path)
    content = json.loads(store.get(f"{path}.manifest.json"))
    assert content["rows"] == 3
    assert content["parts"] == {path: len(store.get(path))}
    assert content["columns"] == ["account_id", "probability", "band"]
    assert content["made_from"] == {
        "run_id": "run-1",
        "inputs": {"raw/accounts_2026-01-01.csv": "abc"},
        "contract": "c0ffee",
        "policy": None,
        "model_version": "model_v002",
        "challenger": None,
        "binding": 7,
        "contract_values": None,
        "released": [],
    }
    assert content["sha256"] == {path: hashlib.sha256(store.get(path)).hexdigest()}
    assert content["made_at"].endswith("+00:00")
    assert require_manifest(store, path).bytes == len(store.get(path))


def feature_table(frame: pl.LazyFrame, *missing: str) -> Table:
    counts = pl.col("issues").drop_nulls().value_counts(sort=True).implode().alias("issue_counts")
    nulls = [pl.col(name).null_count().alias(f"missing.{name}") for name in missing]
    eligible = (pl.lit(0).alias("not_eligible"), counts.alias("excluded_counts"))
    facts = (pl.len().alias("rows"), pl.col("issues").count().alias("with_issues"), counts, *eligible, *nulls)
    return Table(frame, FeatureFacts, facts, MADE_FROM)


def test_facts_round_trip_as_the_struct_of_their_kind(store: Store) -> None:
    frame = pl.LazyFrame({"age": [1.0, None, None, 4.0], "issues": ["b", "a", "b", None]})
    write_table(store, "t.csv", feature_table(frame, "age", "issues"))
    manifest = require_manifest(store, "t.csv")
    counts = {"b": 2, "a": 1}
    missing = {"age": 2, "issues": 1}
    assert manifest.facts == FeatureFacts(with_issues=3, issue_counts=counts, not_eligible=0, excluded_counts=counts, missing=missing)
    assert manifest.facts_as(FeatureFacts).with_issues == 3
    assert (manifest.rows, manifest.numbers) == (4, {"with_issues": 3, "not_eligible": 0})
    assert json.loads(store.get("t.csv.manifest.json"))["facts"]["kind"] == "features"


def test_facts_of_another_kind_are_rejected(store: Store) -> None:
    with pytest.raises(LakeError, match=r"t\.csv\.manifest\.json has the facts of another kind of table"):
        write(store, "t.csv").facts_as(FeatureFacts)


def test_unknown_facts_are_not_written(store: Store) -> None:
    unknown = replace(table(people()), facts=(*FACTS, pl.lit(1).alias("unknown")))
    with pytest.raises(msgspec.ValidationError, match="unknown"):
        write_table(store, "t.csv", unknown)
    assert find_manifest(store, "t.csv") is None


def test_a_feature_name_with_a_dot_keeps_it(store: Store) -> None:
    frame = pl.LazyFrame({"pay.1": [None, "x"], "issues": ["a", None]})
    manifest = write_table(store, "t.csv", feature_table(frame, "pay.1"))
    assert manifest.facts_as(FeatureFacts).missing == {"pay.1": 1}


def test_counts_of_no_rows_are_an_empty_mapping(store: Store) -> None:
    frame = pl.LazyFrame({"issues": [None, None]}, schema={"issues": pl.String})
    manifest = write_table(store, "t.csv", feature_table(frame, "issues"))
    assert manifest.facts_as(FeatureFacts).issue_counts == {}


def test_the_digest_of_a_table_is_the_hash_of_its_manifest(store: Store) -> None:
    write(store, "t.csv")
    assert digest(store, "t.csv") == hashlib.sha256(store.get("t.csv.manifest.json")).hexdigest()


def test_only_committed_tables_are_partitions(store: Store) -> None:
    write(store, "a_2026-01-01.csv")
    store.put("a_2026-01-02.csv", b"account_id\n1\n")
    paths = {f"2026-01-0{day}": f"a_2026-01-0{day}.csv" for day in (1, 2, 3)}
    assert partitions(store, paths) == {"2026-01-01": "a_2026-01-01.csv"}


def _no_manifest(store: Store) -> None:
    store.delete("curated/t.csv.manifest.json")


def _no_table(store: Store) -> None:
    store.delete("curated/t.csv")


def _longer(store: Store) -> None:
    store.put("curated/t.csv", store.get("curated/t.csv") + b"9,9,9\n")


def _shorter(store: Store) -> None:
    store.put("curated/t.csv", store.get("curated/t.csv")[:-1])


def _half_a_manifest(store: Store) -> None:
    store.put("curated/t.csv.manifest.json", store.get("curated/t.csv.manifest.json")[:40])


def _no_json(store: Store) -> None:
    store.put("curated/t.csv.manifest.json", b"\xff\xfe nothing")


def _empty_manifest(store: Store) -> None:
    store.put("curated/t.csv.manifest.json", b"")


def _other_json(store: Store) -> None:
    store.put("curated/t.csv.manifest.json", b'{"path": "curated/t.csv", "rows": "three"}')


@pytest.mark.parametrize("damage", [_no_manifest, _no_table, _longer, _shorter, _half_a_manifest, _no_json, _empty_manifest, _other_json])
def test_a_table_that_does_not_match_its_manifest_is_rejected(store: Store, damage: Callable[[Store], None]) -> None:
    write(store, "curated/t.csv")
    damage(store)
    with pytest.raises(LakeError, match=r"curated/t\.csv") as caught:
        read_table(store, "curated/t.csv")
    assert "Run the date: risk run DATE" in str(caught.value)


def test_a_damaged_table_can_be_written_again(store: Store) -> None:
    write(store, "curated/t.csv")
    _no_json(store)
    write(store, "curated/t.csv")
    assert read_table(store, "curated/t.csv").collect().height == 3


def test_a_missing_table_has_no_manifest(store: Store) -> None:
    assert find_manifest(store, "curated/t.csv") is None


# --- malformed sources -------------------------------------------------------------------------------------------------

MALFORMED = {
    "text after a closing quote": f'id,note\n1,"{SECRET}" {SECRET}\n'.encode(),
    "an open quote": f'id,note\n1,"{SECRET}\n2,{SECRET}\n'.encode(),
    "not UTF-8": b"id,note\n1," + SECRET.encode() + b"\xff\xfe\n",
    "text like a storage error": f'id,note\n1,"{SECRET}" timed out, 403 Forbidden\n'.encode(),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_source_is_rejected_without_its_values(store: Store, what: str) -> None:
    source = scan_text([MALFORMED[what]], Dialect(",", "\n", ("id", "note"))).with_columns(pl.col("note").cast(pl.Int64))
    with pytest.raises(LakeError, match=r"curated/t\.csv.*malformed") as caught:
        write(store, "curated/t.csv", source)
    assert "--replace" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert store.list("") == ()


def test_a_malformed_source_leaves_the_earlier_table_readable(store: Store) -> None:
    write(store, "curated/t.csv")
    with pytest.raises(LakeError, match="malformed"):
        write(store, "curated/t.csv", pl.LazyFrame({"account_id": ["x"]}).with_columns(pl.col("account_id").cast(pl.Int64)))
    time.sleep(0.5)  # polars can finish a write after it has raised
    assert read_table(store, "curated/t.csv").collect()["account_id"].to_list() == ["007", "00010", "1e3"]


@pytest.mark.parametrize("path", ["t.csv", "t.parquet"])
def test_a_changed_byte_in_a_part_is_found(store: Store, path: str) -> None:
    manifest = write(store, path)
    assert verification.problems(store, manifest) == []
    content = bytearray(store.get(path))
    content[len(content) // 2] ^= 1
    store.put(path, bytes(content))
    assert require_manifest(store, path) == manifest
    assert verification.problems(store, manifest) == [f"{path} was changed since it was written"]
    verification.remove_copies()  # of an equal table
    with pytest.raises(LakeError, match="was changed since it was written"):
        read_table(store, path)
    store.delete(path)
    assert verification.problems(store, manifest) == [f"{path} is missing"]


def test_a_quoted_table_quotes_every_text_and_round_trips(store: Store) -> None:
    frame = pl.LazyFrame({"account_id": ["x;'=1+1", "b"], "points": [-3, None], "band": [None, "A"]})
    write_table(store, "t.csv", table(frame, quoted=True))
    assert store.get("t.csv").decode() == '"account_id","points","band"\n"x;\'=1+1",-3,\n"b",,"A"\n'
    assert read_table(store, "t.csv").collect().rows() == frame.collect().rows()


def test_a_table_that_is_replaced_while_it_is_read_is_read_as_it_was(store: Store) -> None:
    write(store, "t.parquet")
    frame = read_table(store, "t.parquet")
    write(store, "t.parquet", people().head(1))
    assert frame.collect().height == 3
    assert read_table(store, "t.parquet").collect().height == 1
    verification.remove_copies()


def test_a_replaced_table_is_kept_if_its_manifest_is_damaged(store: Store) -> None:
    first = write_table(store, "curated/t.csv", table(people(), keep_replaced=True))
    content = store.get("curated/t.csv")
    _half_a_manifest(store)
    write_table(store, "curated/t.csv", table(people().head(1), keep_replaced=True))
    (kept,) = (path for path in store.list("curated/superseded/"))
    assert store.get(kept) == content
    assert first.digest.startswith(kept.split("/")[2])
    write_table(store, "curated/t.csv", table(people().head(1), keep_replaced=True))
    assert store.list("curated/superseded/") == (kept,)


def test_a_manifest_of_an_earlier_release_is_read(store: Store) -> None:
    """It has no field that was added since, in itself and in its facts, and a seal over what was written then."""
    path = "curated/accounts_2026-01-05_features.parquet"
    write_table(store, path, feature_table(pl.LazyFrame({"age": [1.0], "issues": ["a"]}), "age"))
    written = json.loads(store.get(f"{path}.manifest.json"))
    del written["facts"]["part_rows"], written["segments"]
    seal = hashlib.sha256(msgspec.json.encode(written | {"seal": ""})).hexdigest()
    store.put(f"{path}.manifest.json", json.dumps(written | {"seal": seal}, indent=1).encode())
    assert require_manifest(store, path).facts_as(FeatureFacts).part_rows == ()
    assert read_table(store, path).collect().height == 1
    store.put(f"{path}.manifest.json", json.dumps(written | {"seal": seal, "rows": 2}).encode())
    with pytest.raises(LakeError, match="was changed since it was written"):
        require_manifest(store, path)
