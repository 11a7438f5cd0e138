"""A scored date for a comparison: from its index if there is a current one, else from its predictions."""

from collections.abc import Callable

import polars as pl
import pytest

from risk_assets.domain.batch.predictions import prediction_facts
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.morning.changes import ReviewedDate
from risk_assets.errors import LakeError
from risk_assets.lake import document_archive, layout
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.manifests import Provenance, identity
from risk_assets.lake.reviewed_dates import reviewed_date
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, write_table
from tests.lake.conftest import table
from tests.scored_lake import write_scored

DATE = "2026-01-31"
FEATURES, PREDICTIONS, INDEX = layout.features(DATE), layout.predictions(DATE), layout.account_index(DATE)
POLICY = Policy(threshold=0.25, bands={"A": 0.25, "F": 1.0})
LISTED = pl.Series(["a"])
ROWS = pl.DataFrame(
    {
        "account_id": ["a", None, "b", "c"],
        "probability": [0.5, None, 0.1, None],
        "points": [480, None, 610, None],
        "prediction": pl.Series([1, None, 0, None], dtype=pl.Int8),
        "band": ["F", None, "A", None],
    }
)
NOTHING = (pl.lit(None, dtype=pl.String).alias(name) for name in ("arm", "excluded", "issues"))
PREDICTED = ROWS.with_columns(*NOTHING, pl.lit(None, dtype=pl.Float64).alias("challenger_probability"))


def write_features(store: Store, balances: list[float]) -> None:
    write_table(store, FEATURES, table(ROWS.lazy().select("account_id", pl.Series("balance", balances))))


@pytest.fixture
def scored(disk_store: Store) -> Store:
    """A lake with a scored date that has an index."""
    document_archive.archive(disk_store, POLICY)
    write_features(disk_store, [10.0, 20.0, 30.0, 40.0])
    made_from = Provenance(run_id="run-1", inputs={FEATURES: identity(disk_store, FEATURES)}, policy=POLICY.digest)
    write_scored(disk_store, DATE, PREDICTED, made_from)
    return disk_store


def shown(date: ReviewedDate) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    accounts = date.accounts.select("account_id", "exposure").collect()
    return date.index.cast({"band": pl.String}), accounts, date.listed.to_list()


def same(one: ReviewedDate, other: ReviewedDate) -> bool:
    (index, accounts, listed), (index_of_other, accounts_of_other, listed_of_other) = shown(one), shown(other)
    return index.equals(index_of_other) and accounts.equals(accounts_of_other) and listed == listed_of_other


def change(store: Store, path: str) -> None:
    content = store.get(path)
    store.put(path, content[:-1] + bytes([content[-1] ^ 1]))


def damage_index(store: Store) -> None:
    change(store, layout.account_index_part(DATE, 0))


def remove_index(store: Store) -> None:
    store.delete(layout.manifest(INDEX))


def remove_policy(store: Store) -> None:
    store.delete(layout.policy(POLICY.digest))


def score_again(store: Store) -> None:
    """Write predictions without their index, as a run that was killed does."""
    made_from = Provenance(run_id="run-2", inputs={FEATURES: identity(store, FEATURES)}, policy=POLICY.digest)
    again = PREDICTED.with_columns(pl.lit("champion").alias("arm")).lazy()
    write_table(store, PREDICTIONS, Table(again, PredictionFacts, tuple(prediction_facts()), made_from))


@pytest.mark.parametrize("exposure", [None, "balance"])
@pytest.mark.parametrize("fault", [damage_index, remove_index, remove_policy, score_again])
def test_predictions_say_the_same_as_the_index(scored: Store, fault: Callable[[Store], None], exposure: str | None) -> None:
    indexed = reviewed_date(scored, DATE, LISTED, exposure)
    expected = shown(indexed)
    assert expected[1]["exposure"].to_list() == ([None] * 4 if exposure is None else [10.0, 20.0, 30.0, 40.0])
    assert expected[0]["band"].to_list().count(None) == 1
    fault(scored)
    assert same(reviewed_date(scored, DATE, LISTED, exposure), indexed)


def test_with_an_index_the_predictions_are_not_read(scored: Store) -> None:
    change(scored, PREDICTIONS)
    assert reviewed_date(scored, DATE, LISTED, "balance").index.height == 3
    remove_index(scored)
    with pytest.raises(LakeError, match=r"predictions\.csv was changed since it was written"):
        reviewed_date(scored, DATE, LISTED, "balance")


def test_other_features_than_those_that_were_scored_are_not_read(scored: Store) -> None:
    write_features(scored, [1.0, 2.0, 3.0, 4.0])
    assert shown(reviewed_date(scored, DATE, LISTED))[1]["account_id"].to_list() == ["a", None, "b", "c"]
    change(scored, FEATURES)
    assert reviewed_date(scored, DATE, LISTED).index.height == 3
