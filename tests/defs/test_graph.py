"""The graph as a team relies on it: keys, groups, dependencies, partitions, jobs and what starts them."""

import tomllib
from datetime import UTC, datetime

import dagster as dg
import pytest
import yaml

from risk_assets.definitions import build
from risk_assets.defs.failures import KILLED, PARTITION_TAG
from risk_assets.defs.partitions import partitions
from risk_assets.defs.schedules import weekly_training
from risk_assets.defs.sensors import log_failed_runs, sensors
from risk_assets.lake import layout
from risk_assets.lake.landing import file_name
from risk_assets.runner import WORKSPACE_YAML
from risk_assets.settings import Settings
from tests.conftest import ROOT
from tests.defs.conftest import NEXT, Book

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
    "logs/batch_runs": ("logs", True, {"curated/predictions", "curated/review_list"}),
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


def test_the_graph_is_the_one_that_is_promised(definitions: dg.Definitions) -> None:
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


def test_each_job_makes_its_assets(definitions: dg.Definitions) -> None:
    for name, keys in JOBS.items():
        job = definitions.resolve_job_def(name)
        assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == keys


def test_every_asset_has_an_owner_a_text_kinds_and_a_code_version(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        assert spec.owners and spec.description and spec.kinds and spec.code_version, spec.key


def test_the_definitions_can_be_loaded(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_workspace_and_pyproject_agree() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dagster"]
    workspace = (ROOT / "workspace.yaml").read_text(encoding="utf-8")
    (location,) = yaml.safe_load(workspace)["load_from"]
    assert location["python_module"] == {"module_name": tool["module_name"], "location_name": tool["code_location_name"]}
    assert yaml.safe_load(WORKSPACE_YAML) == yaml.safe_load(workspace)


def test_the_nightly_schedule_asks_for_the_day_that_ended(definitions: dg.Definitions) -> None:
    schedule = definitions.resolve_schedule_def("nightly")
    at = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at, repository_def=definitions.get_repository_def())
        (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.partition_key == "2026-03-04"


def test_training_is_weekly_and_ends_with_the_day_before() -> None:
    at = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
    request = weekly_training(dg.build_schedule_context(scheduled_execution_time=at))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-03-01"


def test_a_landed_file_asks_for_its_date_once_and_strangers_are_passed_over(book: Book) -> None:
    for name in (file_name("outcomes", NEXT), "accounts_2999-01-01.csv", "accounts_backup.csv", "notes.txt"):
        book.land(name, b"x\n1\n")
    context = dg.build_sensor_context(resources={"lakehouse": book.lakehouse})
    requests = list(sensors(partitions(book.settings))[0](context) or ())
    asked = {(request.job_name, request.partition_key, request.run_key) for request in requests if isinstance(request, dg.RunRequest)}
    assert ("daily_scoring", NEXT, f"accounts_{NEXT}") in asked
    assert ("outcomes", NEXT, f"outcomes_{NEXT}") in asked
    assert len(asked) == len(requests) == 14


def test_the_landing_sensor_is_off_and_the_log_of_killed_runs_is_on(definitions: dg.Definitions) -> None:
    states = {sensor.name: sensor.default_status for sensor in definitions.sensors or ()}
    assert states == {"landing": dg.DefaultSensorStatus.STOPPED, "log_failed_runs": dg.DefaultSensorStatus.RUNNING}


def test_a_run_that_was_killed_has_its_row(book: Book) -> None:
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
    assert (row["date"], row["status"], row["run_id"], row["error"]) == (NEXT, "failure", run.run_id, KILLED)


def test_paths_are_spelled_for_every_table(definitions: dg.Definitions) -> None:
    tables = {"raw/accounts", "raw/outcomes", "curated/features", "curated/predictions", "curated/review_list"}
    assert set(layout.PATHS) == tables
