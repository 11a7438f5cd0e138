"""Performance of scored dates: the job, its check and metadata, revisions, the sensor, and dates that cannot be measured."""

from pathlib import Path

import dagster as dg
import msgspec
import polars as pl
import pytest

from risk_assets.defs import checks
from risk_assets.defs.partitions import partitions
from risk_assets.defs.sensors import watch_outcomes
from risk_assets.domain.batch.hold_out import held_out
from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.lake import layout, performance_files, registry
from risk_assets.lake.performance_measurement import performance
from risk_assets.lake.tables import read_table
from risk_assets.lake.verify import verify_all
from risk_assets.runner import Result
from tests.conftest import CONTRACT, POLICY, ROOT
from tests.defs.conftest import LABELLED, NEXT, Book

LAST = LABELLED[-1]
ASSET = dg.AssetKey(["monitoring", "performance"])
TODAY = "2026-03-01"


def monitor(book: Book, date: str = NEXT) -> Result:
    return book.runner.run("performance", date)


def measured(book: Book, date: str = NEXT, today: str = TODAY) -> PerformanceReport:
    return performance(book.lake, date, book.lakehouse.contract, book.lakehouse.policy, today)


def know_outcomes(book: Book, *columns: pl.Expr, date: str = NEXT, part: float = 1.0) -> None:
    """Store the sample's outcomes of a date with other columns, or of a part of its accounts."""
    rows = pl.read_csv(ROOT / f"data/landing/outcomes_{date}.csv", infer_schema=False)
    book.land(f"outcomes_{date}.csv", rows.with_columns(*columns).head(round(part * len(rows))).write_csv().encode())
    assert book.runner.run("outcomes", date).error is None


def figures(book: Book) -> dict[str, object]:
    """Return the metadata of the newest materialization."""
    event = book.runner.instance.get_latest_materialization_event(ASSET)
    assert event and event.asset_materialization
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def requested(book: Book) -> list[str | None]:
    found = watch_outcomes(dg.build_sensor_context(instance=book.runner.instance), book.lakehouse, partitions(book.settings))
    return [request.partition_key for request in found.run_requests or ()]


def test_estimates_come_first_and_outcomes_revise_them(scored_book: Book) -> None:
    assert requested(scored_book) == [NEXT]
    assert monitor(scored_book).error is None
    first = performance_files.read(scored_book.lake, NEXT)
    assert first.report.models[0].overall is None
    assert f"no outcome of the accounts that were scored is known: risk outcomes {NEXT}" in first.report.notes
    assert requested(scored_book) == []
    know_outcomes(scored_book)
    assert requested(scored_book) == [NEXT]
    done = monitor(scored_book)
    assert (done.error, done.warnings) == (None, ())
    second = performance_files.read(scored_book.lake, NEXT)
    assert (first.revision, second.revision) == (1, 2)
    assert performance_files.read_revisions(scored_book.lake, NEXT) == (first,)
    (model,) = second.report.models
    assert model.estimate == first.report.models[0].estimate
    assert model.overall and model.ranking and model.overall.lowest is not None
    assert model.overall.rows == second.report.labelled == second.report.scored
    assert layout.curated_outcomes(NEXT) in second.made_from.inputs
    shown = figures(scored_book)
    assert shown["revision"] == 2
    assert shown["champion_observed_bad"] == model.overall.observed
    assert shown["champion_auc"] == pytest.approx(model.ranking.roc_auc, abs=1e-6)
    assert str(shown["plot"]).startswith("![observed relative to expected bads](data:image/svg+xml;base64,")
    assert "model_v001 (champion), other accounts at training" in str(shown["models"])
    assert requested(scored_book) == []


def test_restated_outcomes_are_a_revision_and_equal_ones_are_not(scored_book: Book) -> None:
    know_outcomes(scored_book)
    assert monitor(scored_book).error is None
    assert monitor(scored_book).error is None
    before = performance_files.read(scored_book.lake, NEXT)
    assert before.revision == 1
    know_outcomes(scored_book)  # the same again
    assert requested(scored_book) == []
    know_outcomes(scored_book, pl.lit("1").alias("defaulted"))
    assert requested(scored_book) == [NEXT]
    assert monitor(scored_book).status == "warning"
    after = performance_files.read(scored_book.lake, NEXT)
    assert after.revision == 2
    assert performance_files.read_revisions(scored_book.lake, NEXT) == (before,)
    assert "all outcomes of model_v001 are bad: the ranking is not measured" in after.report.notes


def test_wrong_outcomes_warn_with_the_evidence(scored_book: Book) -> None:
    know_outcomes(scored_book, (pl.lit(1) - pl.col("defaulted").cast(pl.Int64)).cast(pl.String).alias("defaulted"))
    done = monitor(scored_book)
    assert (done.error, done.status) == (None, "warning")
    (warning,) = done.warnings
    assert warning.startswith("performs of monitoring/performance: model_v001 (champion): ")
    assert "expected, ratio" in warning and "limits" in warning
    assert figures(scored_book)["beyond_limits"] == len(measured(scored_book).exceeded) >= 2


def test_outcomes_before_maturity_are_not_used(scored_book: Book, tmp_path: Path) -> None:
    know_outcomes(scored_book)
    edited = tmp_path / "edited.yml"
    edited.write_text(CONTRACT.read_text(encoding="utf-8").replace("matures_after_days: 0", "matures_after_days: 28"), encoding="utf-8")
    book = scored_book.with_documents(contract=edited)
    book.adopt("contract")
    early = measured(book, today="2026-02-03")
    assert (early.matured, early.labelled, early.models[0].overall) == (False, 0, None)
    assert early.notes[0].startswith("outcomes mature on 2026-02-04: until then")
    assert book.runner.run("outcomes", NEXT).error is None
    due = measured(book, today="2026-02-04")
    assert due.matured and due.labelled
    assert due.models[0].overall and due.models[0].overall.lowest is None  # it was trained on outcomes of another window
    assert "model_v001 was trained on another target than the one of the contract in force" in " ".join(due.notes)


def test_outcomes_that_become_known_later_revise_the_report(scored_book: Book, tmp_path: Path) -> None:
    edited = tmp_path / "edited.yml"
    text = CONTRACT.read_text(encoding="utf-8").replace("matures_after_days: 0", "matures_after_days: 0\n  known_at: known")
    edited.write_text(text, encoding="utf-8")
    book = scored_book.with_documents(contract=edited)
    book.adopt("contract")
    late = pl.when(pl.int_range(pl.len()) < 150).then(pl.lit("2026-01-07")).otherwise(pl.lit("2026-02-10"))
    know_outcomes(book, late.alias("known"))
    half = measured(book, today="2026-02-01")
    assert 0 < half.labelled < 160
    assert half.more_known_on == "2026-02-10"
    assert "have no outcome" in half.notes[0]
    assert half.models[0].overall and half.models[0].overall.lowest is None
    assert measured(book).more_known_on is None
    assert measured(book).labelled > half.labelled
    manifest = book.lakehouse.made_from("a run", NEXT, "curated/predictions", "curated/outcomes", policy=book.lakehouse.policy.digest)
    performance_files.write(book.lake, half, manifest)
    assert performance_files.is_current(book.lake, NEXT, book.lakehouse.policy.digest, "2026-02-09")
    assert not performance_files.is_current(book.lake, NEXT, book.lakehouse.policy.digest, "2026-02-10")


def test_dates_used_in_training_have_no_limits(book: Book) -> None:
    assert book.score(LAST).error is None
    know_outcomes(book, pl.lit("1").alias("defaulted"), date=LAST)
    found = measured(book, LAST)
    (model,) = found.models
    assert model.used_in_training and model.overall
    assert (model.overall.lowest, found.exceeded) == (None, ())
    assert f"{LAST} was used to train model_v001: its figures have no limits" in found.notes


def test_a_shadow_and_a_challenger_are_measured_apart(two_versions: Book) -> None:
    assert two_versions.runner.govern(action="challenge", version="model_v002", reason="a test") is None
    assert two_versions.score().error is None
    know_outcomes(two_versions)
    champion, shadow = measured(two_versions).models
    assert (champion.role, shadow.role, shadow.version) == ("champion", "shadow", "model_v002")
    assert champion.overall and shadow.overall and champion.overall.rows == shadow.overall.rows
    assert champion.overall.expected != shadow.overall.expected
    assert shadow.bands.shown
    assert two_versions.runner.govern(action="end_challenge", reason="a test") is None
    assert two_versions.runner.govern(action="challenge", version="model_v002", share=0.4, reason="a test") is None
    assert two_versions.score().error is None
    ours, theirs = measured(two_versions).models
    assert theirs.role == "challenger"
    assert ours.overall and theirs.overall and ours.overall.rows + theirs.overall.rows == champion.overall.rows


def test_bands_move_between_dates_a_month_apart(scored_book: Book) -> None:
    later = "2026-02-04"
    rows = pl.read_csv(scored_book.landing.get(f"accounts_{NEXT}.csv"), infer_schema=False)
    scored_book.land(f"accounts_{later}.csv", rows.write_csv().encode())
    assert scored_book.score(later).error is None
    found = measured(scored_book, later).migration
    assert found and found.since == NEXT
    assert measured(scored_book).migration is None
    same = [found.accounts[at][at] for at in range(len(found.now))]
    others = {cell for at, cells in enumerate(found.accounts) for to, cell in enumerate(cells) if to != at}
    assert others == {None}
    assert sum(filter(None, same)) > 200


def test_a_missing_share_of_outcomes_leaves_figures_without_limits(scored_book: Book) -> None:
    know_outcomes(scored_book, part=0.5)
    found = measured(scored_book)
    assert "have no outcome (checks.max_without_outcome 5.0%): figures have no limits" in found.notes[0]
    assert found.models[0].overall and found.models[0].overall.lowest is None


def test_reports_are_stored_on_disk_and_on_azure(stored_versions: Book) -> None:
    stored_versions.land_sample(f"accounts_{NEXT}.csv")
    assert stored_versions.score().error is None
    assert monitor(stored_versions).error is None
    know_outcomes(stored_versions)
    assert monitor(stored_versions).error is None
    assert performance_files.read(stored_versions.lake, NEXT).revision == 2
    assert performance_files.problems(stored_versions.lake, NEXT) == []
    assert requested(stored_versions) == []


def test_verify_finds_changed_and_lost_revisions(scored_book: Book) -> None:
    assert monitor(scored_book).error is None
    know_outcomes(scored_book)
    assert monitor(scored_book).error is None
    lake, path = scored_book.lake, layout.performance_revision(NEXT, 1)
    content = lake.get(path)
    lake.put(path, content.replace(b'"revision": 1', b'"revision": 7'))
    assert any("was changed since it was written" in problem for found in verify_all(lake) for problem in found.problems)
    lake.delete(path)
    assert performance_files.problems(lake, NEXT) == [f"{path} is missing"]


def test_a_write_that_was_killed_is_repeated(scored_book: Book) -> None:
    lake, made_from = scored_book.lake, scored_book.lakehouse.made_from("a run", NEXT, "curated/predictions")
    first, later = measured(scored_book), msgspec.structs.replace(measured(scored_book), more_known_on="2026-04-01")
    assert performance_files.write(lake, first, made_from) == 1
    assert lake.create(layout.performance_revision(NEXT, 1), lake.get(layout.performance(NEXT)))  # killed before the report was replaced
    assert performance_files.write(lake, later, made_from) == 2
    assert [found.report for found in performance_files.read_revisions(lake, NEXT)] == [first]
    assert performance_files.problems(lake, NEXT) == []


@pytest.mark.parametrize("content", [b"", b"{}", b'{"report": 1}'])
def test_a_damaged_report_is_made_again(scored_book: Book, content: bytes) -> None:
    scored_book.lake.put(layout.performance(NEXT), content)
    assert performance_files.problems(scored_book.lake, NEXT)
    assert requested(scored_book) == [NEXT]
    manifest = scored_book.lakehouse.made_from("a run", NEXT, "curated/predictions")
    assert performance_files.write(scored_book.lake, measured(scored_book), manifest) == 1
    assert performance_files.problems(scored_book.lake, NEXT) == []


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
    assert f"registry/model_v001 is not in the lake or is incomplete, so the performance of {NEXT}" in error
    assert "Restore its folder from a backup" in error


def test_outcomes_of_another_contract_name_the_command(scored_book: Book, tmp_path: Path) -> None:
    know_outcomes(scored_book)
    edited = tmp_path / "edited.yml"
    edited.write_text(CONTRACT.read_text(encoding="utf-8").replace("matures_after_days: 0", "matures_after_days: 7"), encoding="utf-8")
    book = scored_book.with_documents(contract=edited)
    book.adopt("contract")
    error = str(monitor(book).error)
    assert f"curated/outcomes_{NEXT}.parquet was made under another contract" in error
    assert f"risk outcomes {NEXT}" in error


def test_another_policy_makes_the_report_again(scored_book: Book, tmp_path: Path) -> None:
    know_outcomes(scored_book)
    assert monitor(scored_book).error is None
    strict = tmp_path / "strict.yml"
    strict.write_text(POLICY.read_text(encoding="utf-8") + "monitoring: {max_calibration_ratio: 3}\n", encoding="utf-8")
    book = scored_book.with_documents(policy=strict)
    book.adopt("policy")
    assert requested(book) == [NEXT]
    overall = measured(book).models[0].overall
    assert overall and overall.highest is not None and overall.highest >= 3


def test_a_report_round_trips(scored_book: Book) -> None:
    know_outcomes(scored_book)
    found = measured(scored_book)
    assert msgspec.json.decode(msgspec.json.encode(found), type=PerformanceReport) == found
    assert registry.read_version(scored_book.lake, "model_v001").metrics.other_accounts.roc_auc == found.models[0].training[0].roc_auc


def test_derived_outcomes_have_a_vintage_until_they_mature(scored_book: Book, tmp_path: Path) -> None:
    edited = tmp_path / "derived.yml"
    rule = "  derived: {bad_when: {column: days_past_due, at_least: 1}, within_days: 10, when_gone: unknown}\n"
    text = CONTRACT.read_text(encoding="utf-8")
    edited.write_text(text.replace('  column: defaulted\n  bad: "1"\n  good: "0"\n  matures_after_days: 0\n', rule), encoding="utf-8")
    book = scored_book.with_documents(contract=edited)
    book.adopt("contract")
    end = "2026-01-14"
    for date in (*LABELLED, NEXT, end):
        book.land(f"accounts_{end}.csv", book.landing.get(f"accounts_{NEXT}.csv"))
        assert book.runner.run("daily_scoring", date, "raw/accounts", "curated/features").error is None
        assert book.runner.run("account_states", date).error is None
    before, after = measured(book, today="2026-01-13"), measured(book, today=end)
    assert (before.vintage, before.more_known_on) == (None, end)
    assert after.vintage and [point.days for point in after.vintage.points] == [7]
    assert 0 < after.vintage.points[0].now.bad < after.vintage.points[0].now.accounts <= after.scored
    assert (after.matured, after.models[0].overall, after.more_known_on) == (False, None, None)


def test_flagged_accounts_that_are_held_out_are_reported_apart(scored_book: Book, tmp_path: Path) -> None:
    holding = tmp_path / "holding.yml"
    holding.write_text(POLICY.read_text(encoding="utf-8") + "threshold: 0.05\nreview: {size: 20, hold_out: 0.3}\n", encoding="utf-8")
    book = scored_book.with_documents(policy=holding)
    book.adopt("policy")
    assert book.score().error is None
    predicted = read_table(book.lake, layout.predictions(NEXT))
    held = set(predicted.filter(held_out(0.3)).collect()["account_id"])
    listed = read_table(book.lake, layout.review(NEXT)).collect()["account_id"]
    assert len(held) > 10 and len(listed) == 20
    assert not held & set(listed)
    check = checks.riskiest_first(book.lakehouse, NEXT)
    assert check.passed and check.metadata["held_out"].value == len(held)
    know_outcomes(book)
    assert monitor(book).error is None
    (model,) = performance_files.read(book.lake, NEXT).report.models
    parts = {part.name: part for part in model.flagged.shown}
    assert (parts["on the review list"].rows, parts["held out"].rows) == (20, len(held))
    assert figures(book)["champion_held_out_ratio"] == pytest.approx(parts["held out"].ratio, rel=1e-5)
    assert "| flagged, held out |" in str(figures(book)["parts"])
