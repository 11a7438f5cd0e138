"""Drift of scored dates: the job, its check and metadata, the sensor, and dates that cannot be monitored."""

from pathlib import Path

import dagster as dg
import msgspec
import polars as pl
import pytest

from risk_assets.defs.partitions import partitions
from risk_assets.defs.releases import release_tags
from risk_assets.defs.sensors import watch_scored
from risk_assets.domain.monitoring.report import DriftReport
from risk_assets.lake import drift_files, layout, registry
from risk_assets.lake.drift_measurement import drift
from risk_assets.lake.facts import PredictionFacts
from risk_assets.runner import Result
from tests.conftest import CONTRACT, POLICY
from tests.defs.conftest import LABELLED, NEXT, Book

LAST = LABELLED[-1]
ASSET = dg.AssetKey(["monitoring", "drift"])


def monitor(book: Book, date: str = NEXT) -> Result:
    return book.runner.run("monitoring", date)


def measured(book: Book, date: str = NEXT) -> DriftReport:
    return drift(book.lake, date, book.lakehouse.contract, book.lakehouse.policy)


def figures(book: Book) -> dict[str, object]:
    """Return the metadata of the newest materialization."""
    event = book.runner.instance.get_latest_materialization_event(ASSET)
    assert event and event.asset_materialization
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def requested(book: Book) -> list[str | None]:
    found = watch_scored(dg.build_sensor_context(instance=book.runner.instance), book.lakehouse, partitions(book.settings))
    return [request.partition_key for request in found.run_requests or ()]


def land_with(book: Book, *columns: pl.Expr, date: str = NEXT) -> None:
    """Land the sample's accounts of a date with other columns."""
    book.land_sample(f"accounts_{date}.csv")
    rows = pl.read_csv(book.landing.get(f"accounts_{date}.csv"), infer_schema=False)
    book.land(f"accounts_{date}.csv", rows.with_columns(*columns).write_csv().encode())


def multiplied(column: str, factor: float) -> pl.Expr:
    """Return a number multiplied; texts that are not numbers stay."""
    number = pl.col(column).cast(pl.Float64, strict=False)
    return pl.coalesce((number * factor).round(3).cast(pl.String), column).alias(column)


def test_a_scored_date_without_drift(scored_book: Book) -> None:
    found = monitor(scored_book)
    assert (found.error, found.warnings) == (None, ())
    stored = drift_files.read(scored_book.lake, NEXT)
    assert (stored.report.date, stored.report.version, stored.report.exceeded) == (NEXT, "model_v001", ())
    assert stored.made_from.inputs.keys() == {layout.predictions(NEXT), layout.features(NEXT)}
    assert measured(scored_book) == stored.report
    shown = figures(scored_book)
    assert shown["beyond_limits"] == 0
    assert shown["rows"] == stored.report.rows
    assert isinstance(shown["score_psi"], float) and isinstance(shown["points"], float)
    assert str(shown["shifts"]).startswith("| feature | points (limit) | PSI (limit) |")
    assert str(shown["plot"]).startswith("![shift of the score by feature](data:image/svg+xml;base64,")
    assert "no earlier date was scored" in str(shown["notes"])


def test_a_report_is_stored_on_disk_and_on_azure(stored_versions: Book) -> None:
    stored_versions.land_sample(f"accounts_{NEXT}.csv")
    assert stored_versions.score().error is None
    assert monitor(stored_versions).error is None
    assert drift_files.read(stored_versions.lake, NEXT).report == measured(stored_versions)
    assert requested(stored_versions) == []


def test_drift_warns_and_leaves_the_predictions(book: Book) -> None:
    land_with(book, multiplied("utilisation", 1.8))
    assert book.score().error is None
    before = book.lake.get(layout.predictions(NEXT))
    found = monitor(book)
    assert (found.error, found.status) == (None, "warning")
    (warning,) = found.warnings
    assert warning.startswith("within_limits of monitoring/drift: 300 rows compared with")
    assert "PSI of utilisation" in warning
    assert book.lake.get(layout.predictions(NEXT)) == before
    report = drift_files.read(book.lake, NEXT).report
    assert report.features[0].name == "utilisation"
    assert report.features[0].points is not None and report.features[0].points < -5
    assert figures(book)["beyond_limits"] == len(report.exceeded) >= 1


def test_flagged_accounts_change_by_model_policy_and_features(two_versions: Book, tmp_path: Path) -> None:
    lower = tmp_path / "lower.yml"
    lower.write_text(POLICY.read_text(encoding="utf-8") + "threshold: 0.15\n", encoding="utf-8")
    assert two_versions.score(LAST).error is None
    book = two_versions.with_documents(policy=lower)
    book.adopt("policy")
    assert book.runner.run("daily_scoring", NEXT, curated__predictions={"model": "model_v002"}).error is None
    found = measured(book)
    change = found.flagged
    assert found.version == "model_v002"
    assert change and change.since == LAST
    assert change.policy > 0
    assert change.model != 0
    assert change.now - change.before == change.model + change.policy + change.features + change.joined + change.left
    assert monitor(book).error is None
    assert figures(book)["flagged_by_policy"] == change.policy


def test_a_challenger_that_decides_for_some_accounts_is_not_in_the_score(two_versions: Book) -> None:
    assert two_versions.runner.govern(action="challenge", version="model_v002", share=0.7, reason="a test") is None
    assert two_versions.score().error is None
    part, found = measured(two_versions), two_versions.lakehouse.manifest("curated/predictions", NEXT)
    assert (part.version, part.rows) == ("model_v001", found.facts_as(PredictionFacts).scored)
    assert two_versions.runner.govern(action="end_challenge", reason="a test") is None
    assert two_versions.score().error is None
    assert part.features == measured(two_versions).features
    assert part.score.psi.limit > 1.5 * measured(two_versions).score.psi.limit


def test_accounts_of_a_customer_count_as_one(book: Book, tmp_path: Path) -> None:
    edited = tmp_path / "edited.yml"
    edited.write_text(
        CONTRACT.read_text(encoding="utf-8").replace("id: account_id\n", "id: account_id\ngroup: customer\n"), encoding="utf-8"
    )
    land_with(book, (pl.int_range(pl.len()) // 2).cast(pl.String).alias("customer"))
    assert book.score().error is None
    customers = book.with_documents(contract=edited)
    customers.adopt("contract")
    assert customers.score().error is None
    found = measured(customers)
    assert found.rows == pytest.approx(2 * found.independent, rel=0.03)


def test_a_date_without_a_scored_row_is_an_error(book: Book) -> None:
    land_with(book, pl.lit("x").alias("utilisation"))
    tags = release_tags(("issue_share", "missing_share"), "ann", "a test")
    assert book.runner.run("daily_scoring", NEXT, tags=tags).error is None
    assert f"no row of curated/accounts_{NEXT}_predictions.csv was scored by model_v001" in str(monitor(book).error)


def test_without_a_live_model_the_next_step_is_training(empty_book: Book) -> None:
    assert "no model is live yet: train one" in str(monitor(empty_book).error)


def test_a_date_without_predictions_names_the_command(book: Book) -> None:
    error = str(monitor(book).error)
    assert f"curated/accounts_{NEXT}_predictions.csv is not in the lake" in error
    assert f"risk run {NEXT}" in error


def test_a_deleted_version_names_it_and_the_next_step(scored_book: Book) -> None:
    for path in scored_book.lake.list("registry/model_v001/"):
        scored_book.lake.delete(path)
    error = str(monitor(scored_book).error)
    assert f"registry/model_v001 is not in the lake or is incomplete, so {NEXT}, which it scored" in error
    assert f"risk run {NEXT}" in error


def test_a_deleted_version_of_the_day_before_only_costs_the_split(two_versions: Book) -> None:
    assert two_versions.runner.run("daily_scoring", LAST, curated__predictions={"model": "model_v002"}).error is None
    assert two_versions.score().error is None
    for path in two_versions.lake.list("registry/model_v002/"):
        two_versions.lake.delete(path)
    found = measured(two_versions)
    assert found.flagged is None
    assert f"the change of flagged accounts since {LAST} is not known: registry/model_v002" in found.notes[-1]


def test_a_profile_of_another_contract_names_the_feature(scored_book: Book, tmp_path: Path) -> None:
    edited = tmp_path / "edited.yml"
    edited.write_text(CONTRACT.read_text(encoding="utf-8").replace("max: 5000000", "max: 4000000"), encoding="utf-8")
    book = scored_book.with_documents(contract=edited)
    book.adopt("contract")
    assert "was made under another contract" not in str(monitor(book).error)  # the date's own contract is archived
    assert book.score().error is None
    error = str(monitor(book).error)
    assert "the profile of model_v001 is of another contract, which reads annual_income, balance in another way" in error
    assert "risk train DATE" in error


def test_features_that_were_made_again_are_not_those_that_were_scored(scored_book: Book) -> None:
    land_with(scored_book, multiplied("utilisation", 1.1))
    assert scored_book.runner.run("daily_scoring", NEXT, "raw/accounts", "curated/features").error is None
    error = str(monitor(scored_book).error)
    assert f"curated/accounts_{NEXT}_features.parquet was made again since the date was scored" in error


def test_a_version_of_an_earlier_release_has_no_ranges(book: Book) -> None:
    trained = registry.read_trained(book.lake, LAST)
    old = msgspec.structs.replace(trained.profile, ranges={}, independent=None, spreads=None)
    registry.register(book.lake, trained.__class__(**{**trained.__dict__, "profile": old}), "an earlier release")
    assert book.runner.run("daily_scoring", NEXT, curated__predictions={"model": "model_v002"}).error is None
    assert monitor(book).error is None
    report = drift_files.read(book.lake, NEXT).report
    assert report.training_independent == trained.metrics.groups_train
    assert all(each.out_of_range is None for each in report.features)
    assert "earlier release" in report.notes[0]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"report": 1}'])
def test_a_damaged_report_is_made_again(scored_book: Book, content: bytes) -> None:
    assert monitor(scored_book).error is None
    scored_book.lake.put(layout.drift(NEXT), content)
    assert drift_files.problems(scored_book.lake, NEXT)
    assert requested(scored_book) == [NEXT]
    assert monitor(scored_book).error is None
    assert drift_files.problems(scored_book.lake, NEXT) == []


def test_a_changed_report_is_not_shown(scored_book: Book) -> None:
    assert monitor(scored_book).error is None
    content = scored_book.lake.get(layout.drift(NEXT))
    scored_book.lake.put(layout.drift(NEXT), content.replace(b'"rows": 300', b'"rows": 301'))
    (problem,) = drift_files.problems(scored_book.lake, NEXT)
    assert "was changed since it was written. Compute it: risk monitor" in problem


def test_the_sensor_requests_each_scored_date_once(scored_book: Book) -> None:
    assert requested(scored_book) == [NEXT]
    assert monitor(scored_book).error is None
    assert requested(scored_book) == []
    assert scored_book.score(LAST).error is None
    assert requested(scored_book) == [LAST]


def test_a_date_that_is_scored_again_or_has_another_policy_is_requested_again(scored_book: Book, tmp_path: Path) -> None:
    assert monitor(scored_book).error is None
    narrow = tmp_path / "narrow.yml"
    narrow.write_text(POLICY.read_text(encoding="utf-8") + "monitoring: {max_psi: 0.01}\n", encoding="utf-8")
    book = scored_book.with_documents(policy=narrow)
    book.adopt("policy")
    assert requested(book) == [NEXT]
    assert monitor(book).error is None
    land_with(book, multiplied("utilisation", 1.1))
    assert book.score().error is None
    assert requested(book) == [NEXT]
