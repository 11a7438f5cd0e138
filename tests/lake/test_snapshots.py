"""Snapshots over dates: the newest dates a model can score, and the last snapshot of each account."""

import polars as pl
import pytest

from risk_assets.domain.batch.review_list import SNAPSHOT
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.impact import measure
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Term, VersionedScorecard
from risk_assets.errors import LakeError
from risk_assets.lake import impact_files, layout, snapshots
from risk_assets.lake.store import Store
from risk_assets.lake.tables import write_table
from tests.lake.conftest import table

KINDS = {"age": "number", "region": "category"}
SCHEMA = pl.Schema({"age": pl.Float64, "region": pl.String})


def write(store: Store, date: str, accounts: dict[str, float | None], issues: tuple[str, ...] = (), **more: pl.Expr) -> None:
    """Write a date's features: an age for each account, and one region."""
    frame = pl.LazyFrame(
        {"account_id": list(accounts), "age": list(accounts.values())}, schema={"account_id": pl.String, "age": pl.Float64}
    )
    issues_column = pl.when(pl.col("account_id").is_in(list(issues))).then(pl.lit("age: unreadable")).alias("issues")
    none = pl.lit(None, dtype=pl.String)
    columns = {"region": pl.lit("north"), "group": pl.col("account_id"), "excluded": none, **more}
    frame = frame.with_columns(**columns).with_columns(issues_column)
    write_table(store, layout.features(date), table(frame))


def test_the_newest_dates_come_oldest_first(store: Store) -> None:
    for day in (3, 1, 5, 4):
        write(store, f"2026-01-0{day}", {"a": 1.0})
    assert list(snapshots.newest(store, KINDS, 3)) == ["2026-01-03", "2026-01-04", "2026-01-05"]
    assert list(snapshots.newest(store, KINDS, 9)) == ["2026-01-01", "2026-01-03", "2026-01-04", "2026-01-05"]


def test_a_date_without_a_feature_of_this_type_is_skipped(store: Store) -> None:
    write(store, "2026-01-01", {"a": 1.0})
    write(store, "2026-01-02", {"a": 1.0}, region=pl.lit(7.0))
    write(store, "2026-01-03", {"a": 1.0}, more=pl.lit(7.0))
    assert list(snapshots.newest(store, KINDS, 2)) == ["2026-01-01", "2026-01-03"]
    assert snapshots.newest(store, KINDS | {"income": "number"}, 2) == {}


def test_an_uncommitted_date_is_ignored(store: Store) -> None:
    write(store, "2026-01-01", {"a": 1.0})
    store.delete(layout.manifest(layout.features("2026-01-01")))
    assert snapshots.newest(store, KINDS, 2) == {}
    assert snapshots.last_before(store, "2026-01-02", SCHEMA, pl.Series(["a"]), 5).is_empty()


def test_each_account_has_its_last_snapshot_without_issues(store: Store) -> None:
    write(store, "2026-01-01", {"a": 1.0, "b": 1.5, "c": 1.7})
    write(store, "2026-01-02", {"a": 2.0, "b": None}, issues=("a",))
    write(store, "2026-01-03", {"a": 3.0}, issues=("a",))
    write(store, "2026-01-04", {"a": 4.0, "b": 4.0})
    found = snapshots.last_before(store, "2026-01-04", SCHEMA, pl.Series(["b", "a", "new"]), 28).sort("account_id")
    assert found.columns == ["account_id", SNAPSHOT, "age", "region"]
    assert found.rows() == [("a", "2026-01-01", 1.0, "north"), ("b", "2026-01-02", None, "north")]


def test_snapshot_in_which_an_account_was_not_eligible_is_skipped(store: Store) -> None:
    write(store, "2026-01-01", {"a": 1.0, "b": 1.5})
    write(store, "2026-01-02", {"a": 2.0, "b": 2.5}, excluded=pl.when(account_id="a").then(pl.lit("closed")))
    found = snapshots.last_before(store, "2026-01-04", SCHEMA, pl.Series(["a", "b"]), 28).sort("account_id")
    assert found.select("account_id", SNAPSHOT, "age").rows() == [("a", "2026-01-01", 1.0), ("b", "2026-01-02", 2.5)]


def test_whitespace_around_ids_of_earlier_snapshots_is_ignored(store: Store) -> None:
    write(store, "2026-01-01", {"a ": 1.0, "b": 1.0})
    write(store, "2026-01-02", {"b\xa0": 2.0, "b": 2.5})
    found = snapshots.last_before(store, "2026-01-03", SCHEMA, pl.Series(["a", "b"]), 28).sort("account_id")
    assert found.select("account_id", SNAPSHOT, "age").rows() == [("a", "2026-01-01", 1.0), ("b", "2026-01-01", 1.0)]


def test_the_last_snapshot_is_searched_within_the_days(store: Store) -> None:
    write(store, "2026-01-01", {"a": 1.0})
    assert snapshots.last_before(store, "2026-01-04", SCHEMA, pl.Series(["a"]), 2).is_empty()
    assert snapshots.last_before(store, "2026-01-04", SCHEMA, pl.Series(["a"]), 3)["age"].to_list() == [1.0]


def test_an_earlier_date_without_all_features_is_skipped(store: Store) -> None:
    write(store, "2026-01-01", {"a": 1.0})
    write(store, "2026-01-02", {"a": 2.0}, region=pl.lit(7.0))
    assert snapshots.last_before(store, "2026-01-03", SCHEMA, pl.Series(["a"]), 9)[SNAPSHOT].to_list() == ["2026-01-01"]


@pytest.mark.parametrize("content", [None, b"{}", b"\xff"])
def test_a_missing_or_damaged_impact_names_the_command(store: Store, content: bytes | None) -> None:
    if content is not None:
        store.put("registry/model_v001/impact.json", content)
    with pytest.raises(LakeError, match="risk impact model_v001"):
        impact_files.read(store, "model_v001")


def test_an_impact_round_trips(store: Store, contract: Contract, policy: Policy) -> None:
    write(store, "2026-01-01", {"a": 1.0, "b": None})
    candidate = VersionedScorecard("model_v003", Scorecard("logistic", 0.0, (Term("age", Line(1.0, 0.0, -9.0), 0.0, 0.0, "Age"),)))
    found, accounts = measure(snapshots.newest(store, {"age": "number"}, 1), candidate, None, policy, contract)
    impact_files.write(store, found, accounts)
    assert impact_files.read(store, "model_v003") == found
    assert store.get("registry/model_v003/impact_accounts.csv").startswith(b"date,account_id,change")
