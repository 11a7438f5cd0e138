"""The verdict on a challenger in the performance report: which dates count, the metadata, the check, and damaged dates."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.domain.training.intervals import auc_gain
from risk_assets.lake import layout
from risk_assets.lake.performance_measurement import performance
from tests.conftest import CONTRACT, ROOT
from tests.defs.conftest import LABELLED, NEXT, Book, copied
from tests.prepared import prepared

SCORED = (NEXT, "2026-01-08", "2026-01-09")
LAST, AFTER = SCORED[-1], "2026-01-10"
TODAY = "2026-03-01"


@pytest.fixture(scope="session")
def shadowed(registered: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a book with a shadow that scored three dates, whose outcomes are in the lake."""

    def make(folder: Path) -> None:
        with copied(registered, folder) as book:
            assert book.runner.govern(action="challenge", version="model_v002", reason="a test") is None
            for date in SCORED:
                score_and_know(book, date)

    return prepared("shadowed", tmp_path_factory, worker_id, make)


@pytest.fixture
def challenged(shadowed: Path, tmp_path: Path) -> Iterator[Book]:
    with copied(shadowed, tmp_path / "book") as copy:
        yield copy


def score_and_know(book: Book, date: str) -> None:
    """Score a date of the sample, and store its outcomes."""
    book.land_sample(f"accounts_{date}.csv", f"outcomes_{date}.csv")
    assert book.score(date).error is None
    assert book.runner.run("outcomes", date).error is None


def measured(book: Book, date: str = LAST, today: str = TODAY) -> PerformanceReport:
    return performance(book.lake, date, book.lakehouse.contract, book.lakehouse.policy, today)


def dates(book: Book, date: str = LAST, today: str = TODAY) -> tuple[int, str, str] | None:
    found = measured(book, date, today).verdict
    return found and (found.dates, found.first, found.last)


def rows_of(book: Book, date: str) -> pl.DataFrame:
    """Return the rows of a date with both probabilities and the outcome."""
    predicted = pl.read_csv(book.lake.get(layout.predictions(date)), schema_overrides={"account_id": pl.String})
    outcomes = pl.read_parquet(book.lake.get(layout.curated_outcomes(date)))
    return predicted.join(outcomes, on="account_id").filter(pl.col("challenger_probability").is_not_null(), pl.col("bad").is_not_null())


def test_a_shadow_is_judged_on_all_its_dates_up_to_the_date(challenged: Book) -> None:
    found = measured(challenged).verdict
    assert found and (found.role, found.result, found.dates) == ("shadow", "undecided", 3)
    rows = pl.concat([rows_of(challenged, date) for date in SCORED])
    groups = rows["account_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    expected = auc_gain(rows["bad"].to_numpy(), rows["challenger_probability"].to_numpy(), rows["probability"].to_numpy(), groups)
    assert found.gain == pytest.approx(expected.value)
    assert found.champion.rows == found.challenger.rows == len(rows)
    assert found.challenger.bad_groups == rows.filter(pl.col("bad") == 1)["account_id"].n_unique()
    assert dates(challenged, SCORED[1]) == (2, NEXT, SCORED[1])


def test_the_verdict_is_in_the_metadata_and_the_check(challenged: Book) -> None:
    assert challenged.runner.run("performance", LAST).error is None
    event = challenged.runner.instance.get_latest_materialization_event(dg.AssetKey(["monitoring", "performance"]))
    assert event and event.asset_materialization
    shown = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert str(shown["verdict"]).startswith("model_v002 (shadow) is undecided against model_v001: gain in AUC ")
    assert shown["gain_in_auc_low"] < shown["gain_in_auc"] < shown["gain_in_auc_high"]  # type: ignore[operator]
    (check,) = challenged.runner.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(["monitoring", "performance"]), "performs"), limit=1
    )
    assert check.event and check.event.dagster_event
    evaluation = check.event.dagster_event.asset_check_evaluation_data
    assert str(shown["verdict"]) in str(evaluation.description)


def test_dates_of_another_pair_or_role_and_dates_of_training_do_not_count(challenged: Book) -> None:
    assert challenged.runner.govern(action="challenge", version="model_v002", share=0.4, reason="a test") is None
    score_and_know(challenged, AFTER)
    assert dates(challenged, AFTER) == (1, AFTER, AFTER)
    found = measured(challenged, AFTER).verdict
    assert found and found.role == "challenger"
    models = measured(challenged, AFTER).models
    assert [part.observed for part in (found.champion, found.challenger)] == [model.overall.observed for model in models if model.overall]
    assert challenged.score(LABELLED[-1]).error is None
    assert dates(challenged, AFTER) == (1, AFTER, AFTER)
    assert dates(challenged) == (3, NEXT, LAST)
    assert challenged.runner.govern(action="end_challenge", reason="a test") is None
    assert challenged.score(AFTER).error is None
    assert measured(challenged, AFTER).verdict is None


def test_another_binding_of_the_same_challenge_counts(challenged: Book) -> None:
    assert challenged.runner.govern(action="challenge", version="model_v002", reason="again") is None
    score_and_know(challenged, AFTER)
    assert dates(challenged, AFTER) == (4, NEXT, AFTER)


def test_outcomes_that_have_not_matured_or_are_of_another_target_do_not_count(challenged: Book, tmp_path: Path) -> None:
    contract = tmp_path / "edited.yml"
    text = CONTRACT.read_text(encoding="utf-8")
    contract.write_text(text.replace("matures_after_days: 0", "matures_after_days: 7"), encoding="utf-8")
    book = challenged.with_documents(contract=contract)
    assert dates(challenged, today=SCORED[1]) == (2, NEXT, SCORED[1])
    book.adopt("contract")
    assert measured(book, today="2026-01-15").verdict is None  # both versions were trained on another target
    assert book.runner.run("outcomes", NEXT).error is None
    challenged.adopt("contract")
    assert dates(challenged) == (2, SCORED[1], LAST)


def test_a_date_with_too_few_outcomes_does_not_count(challenged: Book) -> None:
    challenged.land_sample(f"accounts_{AFTER}.csv")
    half = (ROOT / f"data/landing/outcomes_{AFTER}.csv").read_bytes().splitlines(keepends=True)[:150]
    challenged.land(f"outcomes_{AFTER}.csv", b"".join(half))
    assert challenged.score(AFTER).error is None
    assert challenged.runner.run("outcomes", AFTER).error is None
    assert dates(challenged, AFTER) == (3, NEXT, LAST)


def test_a_damaged_date_is_left_out_and_named(challenged: Book) -> None:
    challenged.lake.put(layout.curated_outcomes(NEXT), b"damaged")
    found = measured(challenged)
    assert found.verdict and found.verdict.first == SCORED[1]
    (note,) = [note for note in found.notes if "the verdict" in note]
    assert note.startswith(f"the verdict on model_v002 leaves {NEXT} out: curated/outcomes_{NEXT}.parquet")


def test_accounts_of_a_customer_count_as_one(challenged: Book, tmp_path: Path) -> None:
    contract = tmp_path / "edited.yml"
    contract.write_text(CONTRACT.read_text(encoding="utf-8").replace("id: account_id\n", "id: account_id\ngroup: customer\n"))
    accounts = pl.read_csv(ROOT / f"data/landing/accounts_{AFTER}.csv", infer_schema=False)
    pairs = accounts.with_columns(customer=pl.format("C{}", pl.int_range(pl.len()) // 2))
    challenged.land(f"accounts_{AFTER}.csv", pairs.write_csv().encode())
    challenged.land_sample(f"outcomes_{AFTER}.csv")
    assert challenged.runner.run("daily_scoring", AFTER, "raw/accounts").error is None
    book = challenged.with_documents(contract=contract)
    book.adopt("contract")
    assert book.score(AFTER).error is None
    assert book.runner.run("outcomes", AFTER).error is None
    found = measured(book, AFTER).verdict
    bad = pl.concat([rows_of(book, date).filter(pl.col("bad") == 1).select("account_id") for date in SCORED])
    after = rows_of(book, AFTER).filter(pl.col("bad") == 1).select("account_id").join(pairs, on="account_id")
    assert after["customer"].n_unique() < len(after)
    assert found and found.challenger.bad_groups == bad.n_unique() + after["customer"].n_unique()


def test_more_rows_than_fit_into_memory_leave_the_oldest_dates_out(challenged: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assets.lake.challenge_measurement.MOST_ROWS", 650)
    assert dates(challenged) == (2, SCORED[1], LAST)
    monkeypatch.setattr("risk_assets.lake.challenge_measurement.MOST_ROWS", 1)
    assert dates(challenged) == (1, LAST, LAST)
    monkeypatch.setattr("risk_assets.lake.challenge_measurement.MOST_DATES", 2)
    monkeypatch.setattr("risk_assets.lake.challenge_measurement.MOST_ROWS", 10_000)
    assert dates(challenged) == (2, SCORED[1], LAST)
