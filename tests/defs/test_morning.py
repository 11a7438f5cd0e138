"""The morning report of a book: what the job stores, and what it says of nights that went wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from msgspec.structs import replace

from risk_assets.defs.partitions import partitions
from risk_assets.defs.sensors import watch_reports
from risk_assets.domain.monitoring.performance_report import PooledModel, Verdict
from risk_assets.domain.monitoring.report import OnlineShift, Parity
from risk_assets.domain.morning.facts import ChallengerVerdict, MorningReport, OnlineParity
from risk_assets.lake import drift_files, layout, morning_files, performance_files, registry, run_log
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.manifests import require_manifest
from risk_assets.lake.morning_facts import CollectedReport, Sources, morning_report
from risk_assets.lake.notes import Notes
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.tables import read_table
from risk_assets.lake.verify import verify_all
from tests.defs.conftest import NEXT, Book, copied, prepared

AFTER = "2026-01-08"
ASSET = dg.AssetKey(["reports", "morning"])


def collected(book: Book, date: str, now: str | None = None) -> CollectedReport:
    """Return the report of a date, made at its deadline or at another instant."""
    calendar, contract = book.settings.calendar, book.lakehouse.contract
    return morning_report(Sources(book.lake, book.landing, calendar, contract), date, now or calendar.late_from(date), Notes())


def reported(book: Book, date: str, now: str | None = None) -> MorningReport:
    return collected(book, date, now).report


def stored(book: Book, date: str) -> MorningReport:
    """Make the report of a date by its job, and return it as it is stored."""
    assert book.runner.run("morning_report", date).error is None
    return morning_files.read(book.lake, date).report


def log(book: Book, date: str, status: str, timestamp: str, job: str = "daily_scoring", **more: str) -> None:
    """Add a run to the run log; the predictions of a date were made by the run `own`."""
    run_id = more.pop("run_id", f"{job}-{status}-{timestamp}")
    run_log.add(book.lake, RunRecord(timestamp=timestamp, date=date, job=job, status=status, run_id=run_id, **more))


def land_changed(book: Book, date: str, *changes: pl.Expr, source: str | None = None) -> None:
    """Land the sample's accounts of a date with other values."""
    book.land_sample(f"accounts_{source or date}.csv")
    rows = pl.read_csv(book.landing.get(f"accounts_{source or date}.csv"), infer_schema=False)
    book.land(f"accounts_{date}.csv", rows.with_columns(changes).write_csv().encode())


@contextmanager
def _two_dates(scored: Path, folder: Path) -> Iterator[Book]:
    with copied(scored, folder) as book:
        book.land_sample(f"accounts_{AFTER}.csv")
        assert book.score(AFTER).error is None
        yield book


@pytest.fixture(scope="session")
def twice_scored(scored: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    def make(folder: Path) -> None:
        with _two_dates(scored, folder):
            pass

    return prepared("twice_scored", tmp_path_factory, worker_id, make)


@pytest.fixture
def two_dates(twice_scored: Path, tmp_path: Path) -> Iterator[Book]:
    """The book with two scored dates, `NEXT` and `AFTER`."""
    with copied(twice_scored, tmp_path / "book") as copy:
        yield copy


def table(book: Book, path: str) -> pl.DataFrame:
    return read_table(book.lake, path).collect()


def test_the_job_stores_facts_page_text_and_index(two_dates: Book) -> None:
    report = stored(two_dates, AFTER)
    lake = two_dates.lake
    assert report.shown_date == AFTER
    page = lake.get(layout.morning_page(AFTER)).decode()
    assert report.work_list.items[0].account in page
    text = lake.get(layout.morning_text(AFTER)).decode()
    assert report.verdict.sentence.split(".")[0].replace("\n", " ") in " ".join(text.split())
    assert "AC0" not in text
    assert layout.morning_page(AFTER).rpartition("/")[2] in lake.get(layout.MORNING_INDEX).decode()
    event = two_dates.runner.instance.get_latest_materialization_event(ASSET)
    assert event and event.asset_materialization
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert (metadata["state"], metadata["scored"], metadata["shown_date"]) == ("backfilled", 300, AFTER)
    assert "AC0" not in str(metadata)


def test_a_report_is_stored_on_disk_and_on_azure(stored_versions: Book) -> None:
    stored_versions.land_sample(f"accounts_{NEXT}.csv")
    assert stored_versions.score().error is None
    report = stored(stored_versions, NEXT)
    assert (report.shown_date, report.notes[0].partition(":")[0]) == (NEXT, "features that moved")
    assert report.data.arrived_at is not None and report.data.arrived_at >= "2026-11"
    assert [pending.version for pending in report.decisions.pending] == ["model_v002"]
    assert morning_files.problems(stored_versions.lake, NEXT) == []


def test_figures_are_those_of_the_predictions(two_dates: Book) -> None:
    report = reported(two_dates, AFTER)
    facts = require_manifest(two_dates.lake, layout.predictions(AFTER)).facts_as(PredictionFacts)
    before = require_manifest(two_dates.lake, layout.predictions(NEXT)).facts_as(PredictionFacts)
    rows = table(two_dates, layout.predictions(AFTER)).hstack(table(two_dates, layout.features(AFTER)).select("balance"))
    figures = report.figures
    assert figures is not None and (figures.previous, figures.exposure) == (NEXT, "balance")
    flagged = figures.named("flagged")
    assert (flagged.value, flagged.previous) == (facts.predicted_bad, before.predicted_bad)
    assert figures.named("flagged exposure").value == pytest.approx(rows.filter(prediction=1)["balance"].sum(), abs=0.01)
    assert figures.named("expected bads").value == pytest.approx(rows["probability"].sum())
    day = report.series[-1]
    assert day.bands == dict(sorted(rows.group_by("band").len().iter_rows()))
    assert report.scores is not None and report.scores.counts == tuple(facts.histogram.values())


def test_changes_are_those_between_the_tables(two_dates: Book) -> None:
    changes = reported(two_dates, AFTER).changes
    columns = ("account_id", "points", "prediction")
    now, before = (table(two_dates, layout.predictions(date)).select(columns) for date in (AFTER, NEXT))
    both = now.join(before, on="account_id", suffix="_before")
    assert changes is not None and changes.since == NEXT
    assert changes.newly_flagged.count == both.filter(prediction=1, prediction_before=0).height
    assert changes.worse.count == both.filter(pl.col("points") <= pl.col("points_before") - 10).height
    assert changes.new_accounts.count == now.join(before, on="account_id", how="anti").height
    assert changes.gone.count == before.join(now, on="account_id", how="anti").height
    lists = [set(table(two_dates, layout.review(date))["account_id"]) for date in (AFTER, NEXT)]
    assert {account.account for account in changes.new_on_list.accounts} == lists[0] - lists[1]
    assert changes.causes is None  # there is no drift report


def test_the_work_list_is_the_review_list(two_dates: Book) -> None:
    report = reported(two_dates, AFTER)
    review = table(two_dates, layout.review(AFTER))
    items = report.work_list.items
    assert [item.account for item in items] == review["account_id"].to_list()
    assert [item.points_before for item in items] == review["points_before"].to_list()
    before = set(table(two_dates, layout.review(NEXT))["account_id"])
    assert {item.account: item.days_listed for item in items} == {item.account: 1 + (item.account in before) for item in items}
    assert {item.account for item in items if "new on the list" in item.categories} == {item.account for item in items} - before
    balance = dict(table(two_dates, layout.features(AFTER)).select("account_id", "balance").iter_rows())
    assert {item.account: item.exposure for item in items} == {item.account: balance[item.account] for item in items}
    for item, text in zip(items, review["changes"], strict=True):
        for change in item.changes:
            assert change.feature in text and f"({change.points:+d} points)" in text


def test_days_on_the_list_continue_those_of_the_report_before(two_dates: Book) -> None:
    stored(two_dates, NEXT)
    report = morning_files.read(two_dates.lake, NEXT)
    longer = [replace(item, days_listed=9) for item in report.report.work_list.items]
    changed = replace(report.report, work_list=replace(report.report.work_list, items=tuple(longer)))
    morning_files.write(two_dates.lake, changed, report.inputs, report.run_id)
    found = reported(two_dates, AFTER).work_list.items
    assert {item.days_listed for item in found} == {10, 1}


def test_a_report_made_again_is_the_same(two_dates: Book) -> None:
    assert collected(two_dates, AFTER) == collected(two_dates, AFTER)


def test_earlier_dates_are_read_from_their_reports(two_dates: Book) -> None:
    earlier = stored(two_dates, NEXT).series[-1]
    assert earlier.bands
    two_dates.lake.delete(layout.review(NEXT))
    report = reported(two_dates, AFTER)
    assert report.series[-2] == earlier
    assert report.figures is not None and report.figures.named("flagged exposure").previous == earlier.exposure


def test_the_series_forgets_a_report_of_other_predictions(two_dates: Book) -> None:
    stored(two_dates, NEXT)
    land_changed(two_dates, NEXT, pl.lit("0").alias("missed_payments_12m"))
    assert two_dates.score(NEXT).error is None
    assert reported(two_dates, AFTER).series[-2].bands is None


def test_no_file_arrived(two_dates: Book) -> None:
    date = "2026-01-09"
    report = reported(two_dates, date)
    assert report.verdict.states == ("no file",)
    assert report.verdict.sentence == "9 Jan 2026: NOT SCORED: no file arrived by 06:00. Showing yesterday's list."
    shown = reported(two_dates, AFTER)
    assert (report.shown_date, report.figures, report.changes) == (AFTER, shown.figures, shown.changes)
    assert report.work_list == shown.work_list
    assert (report.series[-1].incident, report.data.rows, report.data.arrived_at) == ("no file", None, None)


def test_before_the_deadline_the_file_is_awaited(two_dates: Book) -> None:
    assert reported(two_dates, "2026-01-09", "2026-01-10T05:59:00+00:00").verdict.state == "waiting"


def test_an_incident_stays_in_the_series(two_dates: Book) -> None:
    stored(two_dates, "2026-01-09")
    series = {day.date: day for day in reported(two_dates, "2026-01-10").series}
    assert series["2026-01-09"].incident == "no file"


def test_a_late_file_is_known_from_the_run_log(two_dates: Book) -> None:
    log(two_dates, "2026-01-09", "late", "2026-01-10T06:00:01+00:00", job="landing", error="no accounts landed")
    report = reported(two_dates, "2026-01-10")
    assert {day.date: day.incident for day in report.series}["2026-01-09"] == "no file"


def test_a_blocked_night(two_dates: Book) -> None:
    date = "2026-01-09"
    land_changed(two_dates, date, pl.lit("").alias("utilisation"))
    assert two_dates.score(date).status == "blocked"
    report = stored(two_dates, date)
    assert (report.verdict.state, report.verdict.severity, report.shown_date) == ("blocked", "bad", AFTER)
    assert report.verdict.sentence.endswith("_share of curated/features. Showing yesterday's list.")
    assert "NOT SCORED: a check stopped the run: " in report.verdict.sentence
    assert "issue_share of curated/features: 100.0%" in report.verdict.details[0]
    assert (report.data.issues[0].column, report.data.issues[0].rules) == ("utilisation", {"missing": 300})
    assert report.data.with_issues == 300
    assert report.series[-1].incident == "blocked"


def test_a_file_without_a_column_is_not_said_to_have_no_issues(two_dates: Book) -> None:
    date = "2026-01-09"
    two_dates.land_sample(f"accounts_{date}.csv")
    rows = pl.read_csv(two_dates.landing.get(f"accounts_{date}.csv"), infer_schema=False)
    two_dates.land(f"accounts_{date}.csv", rows.drop("utilisation").write_csv().encode())
    assert two_dates.score(date).status == "blocked"
    data = stored(two_dates, date).data
    assert (data.rows, data.with_issues, data.issues) == (300, None, ())
    assert data.not_checked is not None and "utilisation" in data.not_checked
    page = two_dates.lake.get(layout.morning_page(date)).decode()
    assert "The rows were not checked." in page and "No row has an issue." not in page


def test_issues_of_an_earlier_file_are_not_shown(two_dates: Book) -> None:
    assert reported(two_dates, AFTER).data.with_issues == 0
    land_changed(two_dates, AFTER, source=NEXT)
    assert two_dates.runner.run("daily_scoring", AFTER, "raw/accounts").error is None
    assert reported(two_dates, AFTER).data.with_issues is None


def test_a_failed_night(two_dates: Book) -> None:
    date = "2026-01-09"
    two_dates.land(f"accounts_{date}.csv", b"")
    assert two_dates.score(date).status == "failed"
    report = stored(two_dates, date)
    assert (report.verdict.state, report.shown_date) == ("failed", AFTER)
    assert "NOT SCORED: the run failed:" in report.verdict.sentence
    assert "AC0" not in report.verdict.sentence


def test_a_file_that_no_run_has_scored(two_dates: Book) -> None:
    two_dates.land_sample("accounts_2026-01-09.csv")
    report = reported(two_dates, "2026-01-09")
    assert "NOT SCORED: the file arrived, and no run has scored it." in report.verdict.sentence


def test_other_accounts_landed_after_the_date_was_scored(two_dates: Book) -> None:
    land_changed(two_dates, AFTER, source=NEXT)
    report = reported(two_dates, AFTER)
    assert "stale" in report.verdict.states
    assert report.shown_date == AFTER


def test_features_that_were_made_again_are_newer_than_the_scores(two_dates: Book) -> None:
    land_changed(two_dates, AFTER, source=NEXT)
    assert two_dates.runner.run("daily_scoring", AFTER, "raw/accounts", "curated/features").error is None
    report = reported(two_dates, AFTER)
    assert "stale" in report.verdict.states
    assert report.figures is not None
    assert report.figures.named("flagged exposure").value is None  # the exposures are of other rows
    assert report.figures.exposure is None


def test_a_landing_folder_that_is_gone_changes_nothing(two_dates: Book) -> None:
    two_dates.landing.delete(f"accounts_{AFTER}.csv")
    report = reported(two_dates, AFTER)
    assert "stale" not in report.verdict.states
    assert report.data.arrived_at is None and report.data.stored_at is not None


def test_damaged_predictions(two_dates: Book) -> None:
    manifest = layout.manifest(layout.predictions(AFTER))
    two_dates.lake.put(manifest, two_dates.lake.get(manifest)[:-100])
    report = stored(two_dates, AFTER)
    assert (report.verdict.state, report.shown_date) == ("damaged", NEXT)
    assert f"NOT SCORED: {manifest} cannot be read. Showing yesterday's list." in report.verdict.sentence


def test_without_indexes_the_report_is_the_same(two_dates: Book) -> None:
    report = reported(two_dates, AFTER)
    assert report.changes is not None and report.changes.new_on_list.count
    for date in (NEXT, AFTER):
        two_dates.lake.delete(layout.manifest(layout.account_index(date)))
    assert reported(two_dates, AFTER) == report


def test_an_index_is_enough_for_the_changes(two_dates: Book) -> None:
    report = reported(two_dates, AFTER)
    for path in map(layout.predictions, (NEXT, AFTER)):
        two_dates.lake.put(path, two_dates.lake.get(path).replace(b"AC", b"XX", 1))
    assert reported(two_dates, AFTER) == report


def test_damaged_earlier_predictions_without_an_index_leave_out_the_changes(two_dates: Book) -> None:
    path = layout.predictions(NEXT)
    two_dates.lake.delete(layout.manifest(layout.account_index(NEXT)))
    two_dates.lake.put(path, two_dates.lake.get(path).replace(b"AC", b"XX", 1))
    report = reported(two_dates, AFTER)
    assert report.changes is None
    assert any(note.startswith(f"changes since {NEXT}: {path}") for note in report.notes)
    assert report.work_list.items and report.series[-1].bands


def test_a_missing_review_list_is_noted(two_dates: Book) -> None:
    two_dates.lake.delete(layout.manifest(layout.review(AFTER)))
    report = stored(two_dates, AFTER)
    assert report.work_list.items == ()
    assert any(note.startswith(f"work list: {layout.review(AFTER)}") for note in report.notes)
    assert report.figures is not None and report.figures.named("flagged").value == report.work_list.flagged


def test_a_review_list_of_other_predictions_is_not_shown(two_dates: Book) -> None:
    land_changed(two_dates, AFTER, source=NEXT)
    made = two_dates.runner.run("daily_scoring", AFTER, "raw/accounts", "curated/features", "curated/predictions")
    assert made.error is None
    report = stored(two_dates, AFTER)
    assert report.work_list.items == ()
    assert any("was made from other predictions. Run the date: risk run 2026-01-08" in note for note in report.notes)


def test_damaged_bindings_are_noted(two_dates: Book) -> None:
    path = layout.binding(1)
    two_dates.lake.put(path, two_dates.lake.get(path).replace(b"dagster", b"someone"))
    report = stored(two_dates, AFTER)
    assert any(note.startswith(f"decisions: {path}") for note in report.notes)
    assert any(note.startswith("contract and policy") for note in report.notes)
    assert report.model.version is None and report.model.scored_by == "model_v001"
    assert report.figures is not None


def test_a_lake_without_a_live_model(empty_book: Book) -> None:
    empty = reported(empty_book, NEXT)
    assert (empty.verdict.state, empty.shown_date, len(empty.series)) == ("no file", None, 1)
    empty_book.land_sample(f"accounts_{NEXT}.csv")
    assert empty_book.score().status == "failed"
    report = stored(empty_book, NEXT)
    assert report.verdict.state == "failed"
    assert "no model is live yet" in report.verdict.sentence
    assert report.verdict.sentence.endswith("No earlier date was scored.")
    assert (report.shown_date, report.figures, report.model.version, report.work_list.items) == (None, None, None, ())
    assert report.data.rows == 300


def test_the_first_scored_date_has_no_yesterday(scored_book: Book) -> None:
    report = stored(scored_book, NEXT)
    assert report.changes is None and len(report.series) == 1
    assert all(not item.categories and item.days_listed == 1 for item in report.work_list.items)
    assert report.figures is not None and report.figures.previous is None


def test_a_date_without_business(two_dates: Book) -> None:
    settings = two_dates.settings.model_copy(update={"business_days": "mon-thu"})
    report = reported(Book(settings, two_dates.runner), "2026-01-09")  # a Friday
    assert (report.verdict.state, report.verdict.severity, report.series[-1].incident) == ("not expected", "good", None)


def test_a_run_with_warnings_and_a_release(two_dates: Book) -> None:
    run_id = require_manifest(two_dates.lake, layout.predictions(AFTER)).made_from.run_id
    two_dates.lake.delete(layout.run_record(AFTER, run_id))
    log(two_dates, AFTER, "warning", f"{AFTER}T23:00:00+00:00", run_id=run_id, warnings="row_count", released="missing_share by ann: why")
    report = reported(two_dates, AFTER)
    assert (report.verdict.state, report.decisions.released) == ("warning", "missing_share by ann: why")
    assert report.verdict.states == ("warning", "on time")  # by the time of its first run
    assert "2 warnings." in report.verdict.sentence
    assert report.verdict.details == ("released: missing_share by ann: why", "warning: row_count")


def test_a_date_that_was_first_scored_after_the_deadline(two_dates: Book) -> None:
    log(two_dates, AFTER, "success", "2026-01-09T07:30:00+00:00", run_id="earlier")
    report = reported(two_dates, AFTER)
    assert report.verdict.state == "late" and "after the deadline" in report.verdict.sentence
    assert report.series[-1].incident == "late"
    settings = two_dates.settings.model_copy(update={"time_zone": "America/New_York"})
    there = reported(Book(settings, two_dates.runner), AFTER)
    assert there.verdict.state == "on time"
    assert there.data.deadline == "2026-01-09T06:00-05:00"


def test_a_later_run_that_failed_is_a_warning(two_dates: Book) -> None:
    log(two_dates, AFTER, "failed", "2999-01-01T00:00:00+00:00", error="the disk is full")
    report = reported(two_dates, AFTER)
    assert "warning" in report.verdict.states and report.shown_date == AFTER
    assert report.verdict.details == ("failed: the disk is full",)


def test_failures_of_other_jobs_do_not_matter(two_dates: Book) -> None:
    log(two_dates, AFTER, "failed", "2999-01-01T00:00:00+00:00", job="monitoring", error="no drift")
    assert reported(two_dates, AFTER).verdict.details == ()


def test_a_new_version_is_marked(two_versions: Book) -> None:
    assert two_versions.score().error is None
    assert two_versions.runner.govern(action="promote", version="model_v002", reason="better") is None
    two_versions.land_sample(f"accounts_{AFTER}.csv")
    assert two_versions.score(AFTER).error is None
    report = reported(two_versions, AFTER)
    assert "model changed" in report.verdict.states
    assert report.series[-1].new_version == "model_v002" and report.series[-2].new_version is None
    assert (report.decisions.decided[0].action, report.decisions.decided[0].reason) == ("promote", "better")
    assert report.model.version == report.model.scored_by == "model_v002"


def test_drift_gives_features_and_causes(two_dates: Book) -> None:
    assert two_dates.runner.run("monitoring", AFTER).error is None
    report = reported(two_dates, AFTER)
    assert report.data.moved_on == AFTER
    points = [abs(feature.points or 0.0) for feature in report.data.moved]
    assert points == sorted(points, reverse=True) and len(points) >= 10
    assert report.changes is not None
    causes = report.changes.causes
    assert causes is not None
    assert causes.now - causes.before == causes.features + causes.model + causes.policy + causes.joined + causes.left
    assert causes.joined == report.changes.flagged_new + report.changes.flagged_returned


def test_drift_and_alerts_are_in_the_verdict_of_their_date(two_dates: Book) -> None:
    land_changed(two_dates, AFTER, pl.lit("0.99").alias("utilisation"))
    for job in ("daily_scoring", "monitoring", "alerts"):
        assert two_dates.runner.run(job, AFTER).error is None
    report = reported(two_dates, AFTER)
    assert report.data.score_beyond or any(feature.beyond for feature in report.data.moved)
    assert {"drift", "open alerts"} <= {*report.verdict.states} and report.verdict.severity == "attention"
    assert "Utilisation" in report.verdict.sentence and "open alert" in report.verdict.sentence
    assert "Nothing unusual" not in report.verdict.sentence
    later = reported(two_dates, "2026-01-09")
    assert later.data.moved_on == AFTER and later.verdict.states == ("no file", "open alerts")


def test_open_alerts_are_those_of_the_newest_report(two_dates: Book) -> None:
    date = "2026-01-09"
    log(two_dates, date, "failed", "2026-01-10T02:00:00+00:00", error="the disk is full")
    assert reported(two_dates, date).decisions.alerts_on is None
    assert two_dates.runner.run("alerts", date).error is None
    found = reported(two_dates, date).decisions
    assert found.alerts_on == date and found.alerts
    assert all(alert.is_new and alert.evidence and alert.next_step for alert in found.alerts)
    assert "run" in {alert.kind for alert in found.alerts}
    later = reported(two_dates, "2026-01-10").decisions
    assert (later.alerts_on, later.alerts) == (date, found.alerts)


def test_reports_are_made_again_when_more_is_known(two_dates: Book) -> None:
    def requested() -> list[str | None]:
        found = watch_reports(two_dates.lakehouse, partitions(two_dates.settings)).run_requests or ()
        return [request.partition_key for request in found]

    date = "2026-01-09"
    assert requested() == []  # there is no report
    for day in (AFTER, date):
        stored(two_dates, day)
    assert requested() == []
    two_dates.land_sample(f"accounts_{date}.csv")
    assert two_dates.score(date).error is None
    assert requested() == [date]
    assert stored(two_dates, date).shown_date == date
    assert requested() == []
    assert two_dates.runner.run("monitoring", AFTER).error is None
    assert requested() == [AFTER]
    two_dates.lake.put(layout.morning(date), b"{")
    assert requested() == [AFTER, date]


def test_performance_of_a_matured_date(two_dates: Book) -> None:
    assert reported(two_dates, AFTER).model.outcomes_on == NEXT
    two_dates.land_sample(f"outcomes_{NEXT}.csv")
    assert two_dates.runner.run("outcomes", NEXT).error is None
    assert two_dates.runner.run("performance", NEXT).error is None
    model = reported(two_dates, AFTER).model
    (measured,) = model.measured
    assert model.is_measured and measured.is_evaluated and not measured.used_in_training
    assert (measured.date, measured.version, measured.role, model.outcomes_on) == (NEXT, "model_v001", "champion", None)
    assert measured.overall.rows == 300 and measured.auc is not None and measured.bands
    assert "other accounts" in {holdout.name for holdout in measured.holdouts}


def test_performance_on_a_date_that_trained_the_version_has_its_note(two_dates: Book) -> None:
    two_dates.land_sample(f"outcomes_{NEXT}.csv")
    for job in ("outcomes", "performance"):
        assert two_dates.runner.run(job, NEXT).error is None
    found = performance_files.read(two_dates.lake, NEXT)
    models = tuple(replace(model, used_in_training=True) for model in found.report.models)
    note = f"{NEXT} was used to train model_v001: its figures have no limits"
    performance_files.write(two_dates.lake, replace(found.report, models=models, notes=(note,)), found.made_from)
    model = reported(two_dates, AFTER).model
    assert model.measured[0].used_in_training and not model.is_measured
    assert model.measured_notes == (note,)


def test_without_outcomes_the_model_has_its_holdouts_and_its_estimate(two_dates: Book) -> None:
    before = stored(two_dates, AFTER).model
    assert before.expected is None and not before.is_measured
    assert [holdout.name for holdout in before.holdouts] == ["other accounts", "later dates"]
    metrics = registry.read_version(two_dates.lake, "model_v001").metrics
    assert (before.holdouts[0].auc, before.holdouts[0].interval) == (metrics.roc_auc, metrics.other_accounts.roc_auc_interval)
    assert two_dates.runner.run("performance", AFTER).error is None
    assert morning_files.outdated_dates(two_dates.lake, 1) == (AFTER,)
    found = reported(two_dates, AFTER)
    assert found.model.expected is not None and found.figures is not None
    expected = found.figures.named("expected bads").value
    assert (found.model.expected.version, found.model.expected.rows) == ("model_v001", 300)
    assert found.model.expected.bads == pytest.approx(expected)
    performance = performance_files.read(two_dates.lake, AFTER)
    performance_files.write(two_dates.lake, performance.report, replace(performance.made_from, inputs={}))
    assert reported(two_dates, AFTER).model.expected is None  # an estimate of other predictions


def test_the_verdict_on_a_challenger_and_the_parity_of_the_service(two_dates: Book) -> None:
    two_dates.land_sample(f"outcomes_{NEXT}.csv")
    for job, date in (("outcomes", NEXT), ("performance", NEXT), ("monitoring", AFTER)):
        assert two_dates.runner.run(job, date).error is None
    lake = two_dates.lake
    performance, drift = performance_files.read(lake, NEXT), drift_files.read(lake, AFTER)
    one, two = (PooledModel(version, 300, 30, 31.0, 30, (25.0, 35.0), 0.8) for version in ("model_v001", "model_v002"))
    verdict = Verdict("shadow", "undecided", 3, "2026-01-05", NEXT, one, two, 0.01, (-0.02, 0.04), "2026-03-12")
    performance_files.write(lake, replace(performance.report, verdict=verdict), performance.made_from)
    online = OnlineShift(files=1, parity=Parity(records=100, differing=2, problems=1))
    drift_files.write(lake, replace(drift.report, online=online), drift.made_from)
    model = reported(two_dates, AFTER).model
    assert model.verdict == ChallengerVerdict(
        "model_v001", "model_v002", "shadow", "undecided", 3, "2026-01-05", NEXT, 0.01, (-0.02, 0.04), "2026-03-12"
    )
    assert model.parity == OnlineParity(AFTER, records=100, differing=2, problems=1) and not model.parity.agrees


def test_long_and_odd_ids(two_dates: Book) -> None:
    ids = dict(zip(table(two_dates, layout.review(AFTER))["account_id"], ["x" * 10_000, "=1+1", "<script>\u202e"], strict=False))
    land_changed(two_dates, AFTER, pl.col("account_id").replace(ids))
    assert two_dates.score(AFTER).error is None
    report = stored(two_dates, AFTER)
    assert [item.account for item in report.work_list.items[:3]] == list(ids.values())
    assert all(item.exposure is not None and item.categories for item in report.work_list.items[:3])
    assert report.changes is not None
    assert {account.account for account in report.changes.new_accounts.accounts} >= set(ids.values())
    assert set(ids) <= {account.account for account in report.changes.gone.accounts}
    assert b"<script>" not in two_dates.lake.get(layout.morning_page(AFTER))


def test_a_changed_report_is_found_and_not_used(two_dates: Book) -> None:
    stored(two_dates, NEXT)
    path = layout.morning(NEXT)
    two_dates.lake.put(path, two_dates.lake.get(path).replace(b'"flagged": ', b'"flagged": 1', 1))
    assert morning_files.problems(two_dates.lake, NEXT) == [f"{path} was changed since it was written. Make it: risk report {NEXT}."]
    (found,) = (part for part in verify_all(two_dates.lake) if part.what == "morning reports")
    assert found.problems
    assert reported(two_dates, AFTER).series[-2].bands is None


def test_a_report_that_cannot_be_read_names_the_command(two_dates: Book) -> None:
    assert "Make it: risk report 2026-01-08." in morning_files.problems(two_dates.lake, AFTER)[0]
    two_dates.lake.put(layout.morning(AFTER), b"{")
    assert "cannot be read" in morning_files.problems(two_dates.lake, AFTER)[0]
    assert reported(two_dates, "2026-01-09").shown_date == AFTER


def test_the_report_names_what_it_was_made_from(two_dates: Book) -> None:
    inputs = collected(two_dates, AFTER).inputs
    assert inputs[layout.predictions(AFTER)] == require_manifest(two_dates.lake, layout.predictions(AFTER)).identity
    assert {layout.predictions(NEXT), layout.review(AFTER), layout.features(AFTER), layout.accounts(AFTER)} <= inputs.keys()
