"""Single rows of features, on disk and on Azurite."""

import io

import polars as pl
import pytest

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.feature_rows import read_row
from risk_assets.lake.hashing import content_of_chunks
from risk_assets.lake.manifests import Manifest, Provenance, Written, commit
from risk_assets.lake.store import Store

DATE = "2026-01-05"
PATH = layout.features(DATE)
FACTS = FeatureFacts(with_issues=0, issue_counts={}, not_eligible=0, excluded_counts={}, missing={})


def written(store: Store, rows: int = 25, size: int = 10) -> Manifest:
    """Write a table in groups of rows."""
    frame = pl.DataFrame({"account_id": [f"A{at}" for at in range(rows)], "age": [None if at == 3 else float(at) for at in range(rows)]})
    content = io.BytesIO()
    frame.write_parquet(content, row_group_size=size)
    store.put(PATH, content.getvalue())
    parts = {PATH: content_of_chunks([content.getvalue()])}
    return commit(store, Written(PATH, parts, rows, ("account_id", "age"), Provenance(run_id="run-1"), FACTS))


def test_rows_of_all_groups(store: Store) -> None:
    features = written(store)
    found = [read_row(store, features, at) for at in (0, 3, 9, 10, 24)]
    assert [row["account_id"] for row in found] == ["A0", "A3", "A9", "A10", "A24"]
    assert [row["age"] for row in found] == [0.0, None, 9.0, 10.0, 24.0]


def test_another_table_than_that_of_the_manifest(store: Store) -> None:
    features = written(store)
    written(store, rows=24)
    with pytest.raises(LakeError, match=r"does not match its manifest\. Run the date: risk run 2026-01-05"):
        read_row(store, features, 0)


@pytest.mark.parametrize("position", [25, 10_000])
def test_a_row_beyond_the_table(disk_store: Store, position: int) -> None:
    with pytest.raises(LakeError, match="does not match its manifest"):
        read_row(disk_store, written(disk_store), position)


def test_a_damaged_table(store: Store) -> None:
    features = written(store)
    store.put(PATH, b"x" * features.bytes)
    with pytest.raises(LakeError, match=r"cannot be read: it is damaged\. Run the date"):
        read_row(store, features, 0)


def test_a_missing_table(store: Store) -> None:
    features = written(store)
    store.delete(PATH)
    with pytest.raises(LakeError, match=r"features\.parquet is not in the lake at"):
        read_row(store, features, 0)
