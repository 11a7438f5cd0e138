"""The row of a run is added once, when its outcome is known, by the runner or by a sensor."""

from pathlib import Path

import dagster as dg
import pytest

from risk_assets.definitions import build
from risk_assets.defs.failures import CANCELED, KILLED, PARTITION_TAG
from risk_assets.defs.outcomes import record_outcome, upload_spooled
from risk_assets.defs.resources import Lakehouse
from risk_assets.defs.sensors import LOG_SENSORS
from risk_assets.lake import layout, run_log
from risk_assets.lake.spool import open_spool
from tests.defs.conftest import LABELLED, NEXT, Book

LOG = dg.AssetKey(["logs", "batch_runs"])
SENSORS = {sensor.name: sensor for sensor in LOG_SENSORS}


def run_elsewhere(book: Book, job: str = "daily_scoring") -> str:
    """Run a date as the daemon does, not by the runner, and return the run's id."""
    definition = book.runner.definitions.resolve_job_def(job)
    return definition.execute_in_process(instance=book.runner.instance, partition_key=NEXT, raise_on_error=False).run_id


def ended(book: Book, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """Return a run that ends with a status before its first step."""
    instance = book.runner.instance
    run = instance.create_run_for_job(book.runner.definitions.resolve_job_def("daily_scoring"), tags={PARTITION_TAG: NEXT})
    report = instance.report_run_failed if status == dg.DagsterRunStatus.FAILURE else instance.report_run_canceled
    report(run, message="the process is gone")
    return run


def tick(book: Book, name: str, run_id: str, event_type: dg.DagsterEventType) -> None:
    """Evaluate a sensor for a run that has ended."""
    instance = book.runner.instance
    run = instance.get_run_by_id(run_id)
    event = instance.all_logs(run_id, of_type=event_type)[0].dagster_event
    assert run is not None and event is not None
    context = dg.build_run_status_sensor_context(
        sensor_name=name, dagster_instance=instance, dagster_run=run, dagster_event=event, resources={"lakehouse": book.lakehouse}
    )
    SENSORS[name](context)


def materializations(book: Book) -> list[dg.AssetMaterialization]:
    records = book.runner.instance.fetch_materializations(LOG, limit=10).records
    return [record.asset_materialization for record in records if record.asset_materialization]


def test_a_run_of_the_daemon_has_its_row_from_the_sensor(book: Book) -> None:
    run_id = run_elsewhere(book)
    assert book.log() == []
    for _ in range(2):
        tick(book, "log_scored_runs", run_id, dg.DagsterEventType.RUN_SUCCESS)
    (row,) = book.log()
    assert (row["run_id"], row["date"], row["status"], row["model_version"]) == (run_id, NEXT, "success", "model_v001")
    (materialized,) = materializations(book)
    assert materialized.partition == NEXT
    assert {"mean_score", "scores", "status", "seconds", "path"} <= materialized.metadata.keys()


def test_the_runner_and_the_sensor_add_one_row(scored_book: Book) -> None:
    (row,) = scored_book.log()
    assert scored_book.score().error is None
    run_id = scored_book.log()[-1]["run_id"]
    tick(scored_book, "log_scored_runs", run_id, dg.DagsterEventType.RUN_SUCCESS)
    assert [found["run_id"] for found in scored_book.log()] == [row["run_id"], run_id]
    assert len(materializations(scored_book)) == 1


@pytest.mark.parametrize(
    ("status", "event", "sensor", "error"),
    [
        (dg.DagsterRunStatus.FAILURE, dg.DagsterEventType.RUN_FAILURE, "log_failed_runs", KILLED),
        (dg.DagsterRunStatus.CANCELED, dg.DagsterEventType.RUN_CANCELED, "log_canceled_runs", CANCELED),
    ],
)
def test_a_run_that_did_not_end_by_itself_has_a_row(
    book: Book, status: dg.DagsterRunStatus, event: dg.DagsterEventType, sensor: str, error: str
) -> None:
    run = ended(book, status)
    for _ in range(2):
        tick(book, sensor, run.run_id, event)
    (row,) = book.log()
    assert (row["date"], row["status"], row["run_id"], row["error"]) == (NEXT, "failed", run.run_id, error)
    assert materializations(book) == []


def test_a_row_never_has_the_figures_of_another_run(book: Book) -> None:
    first = run_elsewhere(book)
    assert book.score().error is None
    record_outcome(book.lakehouse, book.runner.instance, first)
    by_run = {row["run_id"]: row for row in book.log()}
    assert by_run.pop(first)["mean_score"] == ""
    assert [row["mean_score"] != "" for row in by_run.values()] == [True]


def test_a_run_that_scores_nothing_has_no_row(book: Book) -> None:
    assert book.runner.run("daily_scoring", NEXT, "raw/accounts").error is None
    assert book.log() == []


def test_a_run_under_way_has_no_row(book: Book) -> None:
    run = book.runner.instance.create_run_for_job(book.runner.definitions.resolve_job_def("daily_scoring"), tags={PARTITION_TAG: NEXT})
    assert record_outcome(book.lakehouse, book.runner.instance, run.run_id) == ()
    assert book.log() == []


def test_materializing_the_log_adds_rows_that_are_missing(book: Book) -> None:
    scored, failed = run_elsewhere(book), ended(book, dg.DagsterRunStatus.FAILURE)
    assert book.log() == []
    for _ in range(2):
        job = book.runner.definitions.resolve_implicit_global_asset_job_def()
        done = job.execute_in_process(instance=book.runner.instance, partition_key=NEXT, asset_selection=[LOG])
        assert done.success
    assert {row["run_id"]: row["status"] for row in book.log()} == {scored: "success", failed.run_id: "failed"}
    assert [found.metadata["added"].value for found in materializations(book)] == [0, 2]


def unreachable(book: Book) -> Lakehouse:
    """Put a file in the place of the lake, and return the lakehouse."""
    lake = book.lake.folder
    assert lake is not None
    lake.rename(lake.with_name("away"))
    lake.write_bytes(b"")
    return book.lakehouse


def reachable(book: Book) -> None:
    lake = Path(book.settings.lake.removeprefix("file://"))
    lake.unlink()
    lake.with_name("away").rename(lake)


def test_a_row_waits_on_disk_while_the_lake_cannot_be_reached(book: Book) -> None:
    run_id = run_elsewhere(book)
    (warning,) = record_outcome(unreachable(book), book.runner.instance, run_id)
    assert "until the next command can add it" in warning
    (waiting,) = upload_spooled(book.lakehouse, book.runner.instance)
    assert "wait in" in waiting
    reachable(book)
    (added,) = upload_spooled(book.lakehouse, book.runner.instance)
    assert "is in the run log now" in added
    (row,) = book.log()
    assert (row["run_id"], row["status"]) == (run_id, "success")
    assert row["mean_score"], "the figures are read when the lake can be reached again"
    assert open_spool(book.settings.dagster_home, book.settings.lake).paths() == ()
    assert len(materializations(book)) == 1


def test_a_failed_run_shows_its_own_error_while_the_lake_is_away(book: Book) -> None:
    messages: list[str] = []
    object.__setattr__(book.runner, "notify", messages.append)
    unreachable(book)
    error = book.score().error
    assert error is not None and "is a file: set RISK_LAKE" in error
    assert len(messages) == 1 and "until the next command can add it" in messages[0]
    reachable(book)
    upload_spooled(book.lakehouse, book.runner.instance)
    (row,) = book.log()
    assert (row["status"], row["error"]) == ("failed", error)


def test_a_crash_after_the_last_step_is_not_logged_as_success(book: Book) -> None:
    """All assets of the date exist, but the run's end is missing, as after a kill."""
    assert book.runner.run("daily_scoring", NEXT, "raw/accounts", "curated/features").error is None
    run = book.runner.instance.create_run_for_job(book.runner.definitions.resolve_job_def("daily_scoring"), tags={PARTITION_TAG: NEXT})
    book.runner.instance.report_run_failed(run, message="the process is gone")
    record_outcome(book.lakehouse, book.runner.instance, run.run_id)
    assert [row["status"] for row in run_log.read(book.lake).values()] == ["failed"]
    assert book.lake.size(layout.run_record(NEXT, run.run_id))


def test_outcomes_with_warnings_have_a_row_in_the_run_log(book: Book) -> None:
    date = LABELLED[0]
    assert book.runner.run("outcomes", date).status == "success"
    assert book.log() == []
    header, *rows = book.landing.get(f"outcomes_{date}.csv").splitlines(keepends=True)
    book.land(f"outcomes_{date}.csv", b"".join([header, rows[0][:-2] + b"?\n", *rows[1:]]))
    assert book.runner.run("outcomes", date).status == "warning"
    (row,) = book.log()
    assert (row["date"], row["job"], row["status"], row["error"]) == (date, "outcomes", "warning", "")
    assert "bad_rate of raw/outcomes: bad rate" in row["warnings"] and "1 line with an unknown label" in row["warnings"]


def test_the_sensor_logs_outcomes_with_warnings_once(book: Book) -> None:
    instance, date = book.runner.instance, LABELLED[0]
    header, *rows = book.landing.get(f"outcomes_{date}.csv").splitlines(keepends=True)
    book.land(f"outcomes_{date}.csv", b"".join([header, rows[0][:-2] + b"?\n", *rows[1:]]))
    assert build(book.settings).resolve_job_def("outcomes").execute_in_process(instance=instance, partition_key=date).success
    assert book.log() == []
    run = instance.get_run_records(limit=1)[0].dagster_run
    for _ in range(2):
        assert record_outcome(book.lakehouse, instance, run.run_id) == ()
    assert [(row["date"], row["job"], row["status"]) for row in book.log()] == [(date, "outcomes", "warning")]
