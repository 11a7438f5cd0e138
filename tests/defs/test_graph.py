"""The asset graph: keys, groups, dependencies, partitions, jobs, schedules and sensors."""

import tomllib
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
import yaml

from risk_assets.definitions import build
from risk_assets.defs.partitions import partitions
from risk_assets.lake import layout
from risk_assets.runner import WORKSPACE_YAML
from risk_assets.settings import Settings
from tests.conftest import ROOT
from tests.defs.conftest import Book

GRAPH = {
    "raw/accounts": ("raw", True, set()),
    "raw/outcomes": ("raw", True, set()),
    "curated/features": ("curated", True, {"raw/accounts"}),
    "curated/account_states": ("curated", True, {"curated/features", "curated/account_states"}),
    "curated/outcomes": ("curated", True, {"raw/outcomes", "curated/features", "curated/account_states"}),
    "training/model": ("training", True, {"curated/features", "curated/outcomes"}),
    "registry/model_version": ("registry", True, {"training/model"}),
    "registry/impact": ("registry", True, {"registry/model_version"}),
    "registry/champion": ("registry", False, {"registry/impact"}),
    "curated/predictions": ("curated", True, {"curated/features", "registry/champion"}),
    "curated/review_list": ("curated", True, {"curated/features", "curated/predictions"}),
    "monitoring/drift": ("monitoring", True, {"curated/features", "curated/predictions"}),
    "monitoring/performance": ("monitoring", True, {"curated/features", "curated/predictions", "curated/outcomes"}),
    "monitoring/alerts": (
        "monitoring",
        True,
        {"monitoring/drift", "monitoring/performance", "monitoring/alerts", "logs/batch_runs", "registry/champion"},
    ),
    "reports/morning": (
        "reports",
        True,
        {
            "raw/accounts",
            "curated/features",
            "curated/predictions",
            "curated/review_list",
            "monitoring/drift",
            "monitoring/performance",
            "monitoring/alerts",
            "registry/champion",
        },
    ),
    "logs/batch_runs": ("logs", True, {"raw/accounts", "curated/features", "curated/predictions", "curated/review_list"}),
}
JOBS = {
    "daily_scoring": {"raw/accounts", "curated/features", "curated/predictions", "curated/review_list"},
    "outcomes": {"raw/outcomes", "curated/outcomes"},
    "account_states": {"curated/account_states"},
    "training": {"training/model", "registry/model_version", "registry/impact", "registry/champion"},
    "governance": {"registry/champion"},
    "monitoring": {"monitoring/drift"},
    "performance": {"monitoring/performance"},
    "morning_report": {"reports/morning"},
    "alerts": {"monitoring/alerts"},
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


def test_the_morning_report_is_of_the_day_before_at_its_deadline(disk_settings: Settings) -> None:
    settings = disk_settings.model_copy(update={"deadline": time(7, 15), "business_days": "mon-fri"})
    (morning,) = (schedule for schedule in build(settings).schedules or () if schedule.name == "morning")
    assert morning.cron_schedule == "15 7 * * *"
    assert partition(tick(settings, "morning", datetime(2026, 3, 5, 7, 15, tzinfo=UTC))) == "2026-03-04"
    assert "2026-03-07 is not a business day" in str(tick(settings, "morning", datetime(2026, 3, 8, 7, 15, tzinfo=UTC)))


def test_weekly_training_requests_the_day_before(disk_settings: Settings) -> None:
    assert partition(tick(disk_settings, "weekly_training", datetime(2026, 3, 2, 4, 0, tzinfo=UTC))) == "2026-03-01"


def test_schedules_follow_the_calendar(disk_settings: Settings) -> None:
    settings = disk_settings.model_copy(update={"time_zone": "Europe/Berlin", "scoring_time": time(3, 30), "business_days": "mon-fri"})
    schedules = {schedule.name: schedule for schedule in build(settings).schedules or ()}
    assert {(name, schedule.cron_schedule, schedule.execution_timezone) for name, schedule in schedules.items()} == {
        ("nightly", "30 3 * * *", "Europe/Berlin"),
        ("morning", "0 6 * * *", "Europe/Berlin"),
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


def test_only_the_sensors_that_start_runs_are_off(definitions: dg.Definitions) -> None:
    off, on = dg.DefaultSensorStatus.STOPPED, dg.DefaultSensorStatus.RUNNING
    states = {sensor.name: sensor.default_status for sensor in definitions.sensors or ()}
    logs = {"log_scored_runs": on, "log_failed_runs": on, "log_canceled_runs": on}
    asked = dict.fromkeys(
        ("landing", "posted_outcomes", "monitor_scored", "monitor_outcomes", "derived_outcomes", "retrain", "alerts", "report_again"), off
    )
    assert states == {**asked, "late_files": on, "deliver_alerts": on, "killed_runs": on, **logs}


def test_every_sensor_and_schedule_is_documented(definitions: dg.Definitions) -> None:
    readme = (ROOT / "risk_assets/README.md").read_text(encoding="utf-8")
    for automation in (*(definitions.sensors or ()), *(definitions.schedules or ())):
        assert f"`{automation.name}`" in readme, automation.name


def test_every_table_has_a_path(definitions: dg.Definitions) -> None:
    curated = {"curated/features", "curated/outcomes", "curated/account_states", "curated/predictions", "curated/review_list"}
    written_with_predictions = {"curated/account_index"}
    assert set(layout.PATHS) == {"raw/accounts", "raw/outcomes", *curated, *written_with_predictions}


def test_runs_started_by_risk_are_located_and_tagged(scored_book: Book) -> None:
    assert scored_book.score().error is None
    run = scored_book.runner.instance.get_run_records(limit=1)[0].dagster_run
    assert run.remote_job_origin is not None
    assert (run.remote_job_origin.location_name, run.remote_job_origin.job_name) == ("risk", "daily_scoring")
    assert run.tags["risk/source"] == "risk" and run.tags["risk/started_by"]
