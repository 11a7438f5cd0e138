"""The asset graph: keys, groups, dependencies, partitions, jobs, schedules and sensors."""

import tomllib
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
import yaml

from risk_assets.definitions import build
from risk_assets.defs.failures import KILLED, PARTITION_TAG
from risk_assets.defs.partitions import partitions
from risk_assets.defs.sensors import log_failed_runs, log_outcomes
from risk_assets.lake import layout
from risk_assets.runner import WORKSPACE_YAML
from risk_assets.settings import Settings
from tests.conftest import ROOT
from tests.defs.conftest import LABELLED, NEXT, Book

GRAPH = {
    "raw/accounts": ("raw", True, set()),
    "raw/outcomes": ("raw", True, set()),
    "curated/features": ("curated", True, {"raw/accounts"}),
    "training/model": ("training", True, {"curated/features", "raw/outcomes"}),
    "registry/model_version": ("registry", True, {"training/model"}),
    "registry/impact": ("registry", True, {"registry/model_version"}),
    "registry/champion": ("registry", False, {"registry/impact"}),
    "curated/predictions": ("curated", True, {"curated/features", "registry/champion"}),
    "curated/review_list": ("curated", True, {"curated/features", "curated/predictions"}),
    "logs/batch_runs": ("logs", True, {"raw/accounts", "curated/features", "curated/predictions", "curated/review_list"}),
}
JOBS = {
    "daily_scoring": {"raw/accounts", "curated/features", "curated/predictions", "curated/review_list", "logs/batch_runs"},
    "outcomes": {"raw/outcomes"},
    "training": {"training/model", "registry/model_version", "registry/impact", "registry/champion"},
    "governance": {"registry/champion"},
}


@pytest.fixture
def definitions(disk_settings: Settings) -> dg.Definitions:
    return build(disk_settings)


def test_the_graph(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {
        key.to_user_string(): (
            graph.get(key).group_name,
            graph.get(key).partitions_def is not None,
            {parent.to_user_string() for parent in graph.get(key).parent_keys},
        )
        for key in graph.materializable_asset_keys
    }
    assert found == GRAPH


def test_the_assets_of_each_job(definitions: dg.Definitions) -> None:
    for name, keys in JOBS.items():
        job = definitions.resolve_job_def(name)
        assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == keys


def test_assets_have_owner_description_kinds_and_code_version(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        assert spec.owners and spec.description and spec.kinds and spec.code_version, spec.key


def test_the_definitions_are_loadable(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_workspace_and_pyproject_agree() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dagster"]
    workspace = (ROOT / "workspace.yaml").read_text(encoding="utf-8")
    (location,) = yaml.safe_load(workspace)["load_from"]
    assert location["python_module"] == {"module_name": tool["module_name"], "location_name": tool["code_location_name"]}
    assert yaml.safe_load(WORKSPACE_YAML) == yaml.safe_load(workspace)


def tick(settings: Settings, name: str, at: datetime) -> dg.RunRequest | str:
    """Return what a schedule requests at an instant, or why it skips."""
    definitions = build(settings)
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at, repository_def=definitions.get_repository_def())
        result = definitions.resolve_schedule_def(name).evaluate_tick(context)
    return result.run_requests[0] if result.run_requests else str(result.skip_message)


def partition(requested: dg.RunRequest | str) -> str | None:
    assert isinstance(requested, dg.RunRequest)
    return requested.partition_key


def test_the_nightly_schedule_requests_the_day_before(disk_settings: Settings) -> None:
    assert partition(tick(disk_settings, "nightly", datetime(2026, 3, 5, 2, 0, tzinfo=UTC))) == "2026-03-04"


def test_weekly_training_requests_the_day_before(disk_settings: Settings) -> None:
    assert partition(tick(disk_settings, "weekly_training", datetime(2026, 3, 2, 4, 0, tzinfo=UTC))) == "2026-03-01"


def test_schedules_follow_the_calendar(disk_settings: Settings) -> None:
    settings = disk_settings.model_copy(update={"time_zone": "Europe/Berlin", "scoring_time": time(3, 30), "business_days": "mon-fri"})
    schedules = {schedule.name: schedule for schedule in build(settings).schedules or ()}
    assert {(name, schedule.cron_schedule, schedule.execution_timezone) for name, schedule in schedules.items()} == {
        ("nightly", "30 3 * * *", "Europe/Berlin"),
        ("weekly_training", "30 5 * * 1", "Europe/Berlin"),
    }
    berlin = ZoneInfo("Europe/Berlin")
    # the morning after a Saturday, and the one after the clocks went forward on Sunday 29 March 2026
    assert "2026-03-28 is not a business day" in str(tick(settings, "nightly", datetime(2026, 3, 29, 3, 30, tzinfo=berlin)))
    assert partition(tick(settings, "nightly", datetime(2026, 3, 31, 3, 30, tzinfo=berlin))) == "2026-03-30"


def test_partitions_end_with_the_end_date(disk_settings: Settings) -> None:
    dates = partitions(disk_settings.model_copy(update={"end_date": date(2026, 1, 28)}))
    assert dates.daily.get_last_partition_key() == "2026-01-28"
    assert dates.why_missing("2026-01-28") is None
    assert "the last date is 2026-01-28 (RISK_END_DATE). Set RISK_END_DATE to 2026-01-29 or later" in str(dates.why_missing("2026-01-29"))
    assert "the first date is 2026-01-01 (RISK_START_DATE)" in str(dates.why_missing("2025-12-31"))
    assert "the day has not ended" in str(partitions(disk_settings).why_missing("2999-01-01"))
    assert "is not a date" in str(dates.why_missing("2026-1-1"))


def test_only_the_landing_sensor_is_off(definitions: dg.Definitions) -> None:
    off, on = dg.DefaultSensorStatus.STOPPED, dg.DefaultSensorStatus.RUNNING
    states = {sensor.name: sensor.default_status for sensor in definitions.sensors or ()}
    assert states == {"landing": off, "late_files": on, "log_failed_runs": on, "log_outcomes": on}


def test_a_killed_run_has_a_row_in_the_run_log(book: Book) -> None:
    instance = book.runner.instance
    job = build(book.settings).resolve_job_def("daily_scoring")
    run = instance.create_run_for_job(job, tags={PARTITION_TAG: NEXT})
    instance.report_run_failed(run, message="the process is gone")
    event = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)[0].dagster_event
    assert event is not None
    failed = instance.get_run_by_id(run.run_id)
    assert failed is not None
    context = dg.build_run_status_sensor_context(
        sensor_name="log_failed_runs",
        dagster_instance=instance,
        dagster_run=failed,
        dagster_event=event,
        resources={"lakehouse": book.lakehouse},
    ).for_run_failure()
    for _ in range(2):
        log_failed_runs(context)
    (row,) = book.log()
    assert (row["date"], row["status"], row["run_id"], row["error"]) == (NEXT, "failed", run.run_id, KILLED)


def test_outcomes_with_warnings_have_a_row_in_the_run_log(book: Book) -> None:
    date = LABELLED[0]
    assert book.runner.run("outcomes", date).status == "success"
    assert book.log() == []
    header, *rows = book.landing.get(f"outcomes_{date}.csv").splitlines(keepends=True)
    book.land(f"outcomes_{date}.csv", b"".join([header, rows[0][:-2] + b"?\n", *rows[1:]]))
    assert book.runner.run("outcomes", date).status == "warning"
    (row,) = book.log()
    assert (row["date"], row["job"], row["status"], row["error"]) == (date, "outcomes", "warning", "")
    assert "bad_rate of raw/outcomes: bad rate" in row["warnings"] and "1 lines with an unknown label" in row["warnings"]


def test_the_sensor_logs_outcomes_with_warnings_once(book: Book) -> None:
    instance, date = book.runner.instance, LABELLED[0]
    header, *rows = book.landing.get(f"outcomes_{date}.csv").splitlines(keepends=True)
    book.land(f"outcomes_{date}.csv", b"".join([header, rows[0][:-2] + b"?\n", *rows[1:]]))
    assert build(book.settings).resolve_job_def("outcomes").execute_in_process(instance=instance, partition_key=date).success
    assert book.log() == []
    run = instance.get_run_records(limit=1)[0].dagster_run
    event = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_SUCCESS)[0].dagster_event
    assert event is not None
    context = dg.build_run_status_sensor_context(
        sensor_name="log_outcomes",
        dagster_instance=instance,
        dagster_run=run,
        dagster_event=event,
        resources={"lakehouse": book.lakehouse},
    )
    for _ in range(2):
        log_outcomes(context)
    assert [(row["date"], row["job"], row["status"]) for row in book.log()] == [(date, "outcomes", "warning")]


def test_every_table_has_a_path(definitions: dg.Definitions) -> None:
    tables = {"raw/accounts", "raw/outcomes", "curated/features", "curated/predictions", "curated/review_list"}
    assert set(layout.PATHS) == tables


def test_runs_started_by_risk_are_located_and_tagged(scored_book: Book) -> None:
    assert scored_book.score().error is None
    run = scored_book.runner.instance.get_run_records(limit=1)[0].dagster_run
    assert run.remote_job_origin is not None
    assert (run.remote_job_origin.location_name, run.remote_job_origin.job_name) == ("risk", "daily_scoring")
    assert run.tags["risk/source"] == "risk" and run.tags["risk/started_by"]
