"""A book from landing to the run log, and how a date is run again."""

import csv
import io

import dagster as dg
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest

from risk_assets.lake import binding_log, layout, registry
from risk_assets.lake.manifests import find_manifest
from risk_assets.lake.tables import read_table
from tests.defs.conftest import LABELLED, NEXT, Book


def materialize_champion(book: Book, config: dict[str, object]) -> bool:
    """Materialize only the champion, as a notebook does."""
    champion = book.runner.definitions.resolve_assets_def(dg.AssetKey(["registry", "champion"]))
    return dg.materialize([champion], run_config=config, instance=book.runner.instance).success


def test_a_book_is_landed_checked_trained_scored_and_logged(recorded_empty_book: Book) -> None:
    assert recorded_empty_book.train_on(*LABELLED[:3]).error is None
    recorded_empty_book.land_sample(f"accounts_{NEXT}.csv")
    assert recorded_empty_book.score().error is None

    lake, landing = recorded_empty_book.lake, recorded_empty_book.landing
    assert lake.get(layout.accounts(NEXT)) == landing.get(f"accounts_{NEXT}.csv")
    rows = list(csv.DictReader(io.StringIO(lake.get(layout.accounts(NEXT)).decode())))
    predicted = list(csv.DictReader(io.StringIO(lake.get(layout.predictions(NEXT)).decode())))
    assert [row["account_id"] for row in predicted] == [row["account_id"] for row in rows]
    reasons = [f"reason_{rank}" for rank in range(1, 5)]
    scored = ["probability", "prediction", "points", "band"]
    assert list(predicted[0]) == [
        "account_id",
        "status",
        *scored,
        *reasons,
        "arm",
        "model_version",
        "challenger_probability",
        "excluded",
        "issues",
    ]
    assert {row["model_version"] for row in predicted} == {"model_v001"}
    assert {name.rpartition("/")[2] for name in lake.list("registry/model_v001/")} == {
        "claim.json", "example.json", "impact.json", "impact.sha256.json", "impact_accounts.csv", "metadata.json", "metrics.json",
        "model.joblib", "profile.json", "scorecard.json", "steps.json",
    }  # fmt: skip

    (logged,) = recorded_empty_book.log()
    probabilities = [float(row["probability"]) for row in predicted if row["probability"]]
    assert (logged["date"], logged["status"], logged["job"], logged["model_version"]) == (NEXT, "success", "daily_scoring", "model_v001")
    assert (int(logged["rows_in"]), int(logged["scored"])) == (len(rows), len(probabilities))
    assert float(logged["mean_score"]) == pytest.approx(np.mean(probabilities))
    assert int(logged["predicted_bad"]) == sum(row["prediction"] == "1" for row in predicted)


def test_predictions_equal_the_fitted_pipeline(scored_book: Book) -> None:
    pipeline = joblib.load(io.BytesIO(scored_book.lake.get("registry/model_v001/model.joblib")))
    features = read_table(scored_book.lake, layout.features(NEXT)).filter(pl.col("issues").is_null()).collect().to_pandas()
    predictions = read_table(scored_book.lake, layout.predictions(NEXT)).filter(pl.col("issues").is_null()).collect()
    fitted = pipeline.predict_proba(features[list(scored_book.lakehouse.contract.features)])[:, 1]
    assert np.abs(predictions["probability"].to_numpy() - fitted).max() <= 1e-9


def test_a_dirty_date_keeps_every_row_with_its_issues(book: Book) -> None:
    book.land_sample("accounts_2026-01-09.csv")
    assert book.score("2026-01-09").error is None
    raw = pd.read_csv(io.BytesIO(book.landing.get("accounts_2026-01-09.csv")), dtype=str, keep_default_na=False)
    predictions = pd.read_csv(io.BytesIO(book.lake.get(layout.predictions("2026-01-09"))), dtype=str, keep_default_na=False)
    assert predictions["account_id"].tolist() == raw["account_id"].tolist()
    issues = predictions.loc[predictions["issues"] != ""]
    assert set(issues["issues"]) == {
        "annual_income: unreadable",
        "utilisation: below 0",
        "credit_limit: missing",
        "account_id: missing",
        "account_id: repeated",
    }
    assert (issues[["probability", "prediction", "points", "band", "reason_1"]] == "").all(axis=None)


def test_scoring_again_gives_the_same_bytes_and_a_second_log_row(scored_book: Book) -> None:
    first = scored_book.lake.get(layout.predictions(NEXT))
    assert scored_book.score().error is None
    assert scored_book.lake.get(layout.predictions(NEXT)) == first
    assert [row["status"] for row in scored_book.log()] == ["success", "success"]


def test_predictions_record_what_they_were_made_from(scored_book: Book) -> None:
    manifest = find_manifest(scored_book.lake, layout.predictions(NEXT))
    assert manifest is not None
    made_from = manifest.made_from
    assert list(made_from.inputs) == [layout.features(NEXT)]
    assert (made_from.model_version, made_from.binding) == ("model_v001", 1)
    assert (made_from.contract, made_from.policy) == (scored_book.lakehouse.contract.digest, scored_book.lakehouse.policy.digest)
    assert made_from.run_id == scored_book.log()[0]["run_id"]


def test_a_date_runs_again_without_its_landed_file(scored_book: Book) -> None:
    scored_book.landing.delete(f"accounts_{NEXT}.csv")
    assert scored_book.score().error is None


def test_a_date_that_landed_again_is_scored_again(scored_book: Book) -> None:
    first = scored_book.lake.get(layout.accounts(NEXT))
    shorter = b"".join(first.splitlines(keepends=True)[:201])
    scored_book.land(f"accounts_{NEXT}.csv", shorter)
    assert scored_book.score().error is None
    assert scored_book.lake.get(layout.accounts(NEXT)) == shorter
    (kept,) = scored_book.lake.list("raw/superseded/")
    assert scored_book.lake.get(kept) == first
    assert scored_book.log()[-1]["rows_in"] == "200"


def test_shards_are_scored_as_one_snapshot(book: Book) -> None:
    header, *rows = book.landing.get(f"accounts_{NEXT}.csv").splitlines(keepends=True)
    book.landing.delete(f"accounts_{NEXT}.csv")
    book.land(f"accounts_{NEXT}/part-0.csv", header + b"".join(rows[:100]))
    book.land(f"accounts_{NEXT}/part-1.csv", header + b"".join(rows[100:]))
    assert book.score().error is None
    predictions = read_table(book.lake, layout.predictions(NEXT)).collect()
    assert predictions["account_id"].to_list() == [row.split(b",")[0].decode() for row in rows]


def test_a_second_training_is_compared_with_the_champion(book: Book) -> None:
    book.land_sample(f"outcomes_{NEXT}.csv")
    assert book.runner.run("daily_scoring", NEXT, "raw/accounts", "curated/features").error is None
    assert book.runner.run("outcomes", NEXT).error is None
    assert book.runner.run("training", NEXT).error is None
    first, second = registry.versions(book.lake)
    assert (first.name, second.name) == ("model_v001", "model_v002")
    assert second.metrics.champion_version == "model_v001"
    assert [binding.champion for binding in binding_log.read(book.lake)] == ["model_v001", "model_v002"]


def test_materializing_the_champion_rolls_back_to_a_version(two_versions: Book) -> None:
    assert two_versions.runner.govern(version="model_v002", reason="better") is None
    config = {"ops": {"registry__champion": {"config": {"version": "model_v001", "reason": "too many flagged", "actor": "ann"}}}}
    assert materialize_champion(two_versions, config)
    now = binding_log.live(two_versions.lake)
    assert now is not None
    assert (now.seq, now.champion, now.reason, now.actor) == (3, "model_v001", "too many flagged", "ann")
    assert two_versions.runner.run("training", LABELLED[-1]).error is None
    assert registry.champion(two_versions.lake).version == "model_v003"


def test_materializing_the_champion_again_changes_nothing(book: Book) -> None:
    assert materialize_champion(book, {})
    assert len(binding_log.read(book.lake)) == 1
