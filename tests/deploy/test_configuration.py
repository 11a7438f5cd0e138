"""The shipped dagster.yaml and workspace.yaml files: each is loaded by Dagster with the environment that it names."""

import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.instance import InstanceRef
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster_azure.blob import AzureBlobComputeLogManager
from dagster_azure.container_apps import AcaRunLauncher
from dagster_k8s import K8sRunLauncher
from dagster_k8s.job import construct_dagster_k8s_job
from dagster_postgres.auth import AzureWifTokenProvider
from kubernetes.config import incluster_config
from sqlalchemy import text

from tests.conftest import ROOT
from tests.deploy.dockerfile import image_variables
from tests.deploy.postgres import PASSWORD, Database

DEPLOY = ROOT / ".deploy"
FILES = sorted(path.parent.name for path in DEPLOY.glob("*/dagster.yaml"))
SUBSCRIPTION = "/subscriptions/0/resourceGroups/risk/providers"
AZURE = {
    "AZURE_CLIENT_ID": "client",
    "AZURE_CONTAINER_APPS_ENVIRONMENT_ID": f"{SUBSCRIPTION}/Microsoft.App/managedEnvironments/risk",
    "AZURE_IDENTITY_ID": f"{SUBSCRIPTION}/Microsoft.ManagedIdentity/userAssignedIdentities/risk",
    "AZURE_REGION": "westeurope",
    "AZURE_RESOURCE_GROUP": "risk",
    "AZURE_STORAGE_ACCOUNT_NAME": "risklake",
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
    "DAGSTER_K8S_NAMESPACE": "risk",
    "RISK_LAKE": "az://lake/book",
    "RISK_LANDING": "az://landing/book",
}


@pytest.fixture(scope="module", params=FILES)
def kind(request: pytest.FixtureRequest) -> str:
    """The folder of a shipped file."""
    return str(request.param)


@pytest.fixture(scope="module")
def databases(postgres: Database) -> dict[str, Database]:
    return {kind: postgres.create("configuration") for kind in FILES}


@pytest.fixture(scope="module")
def instances(databases: dict[str, Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dg.DagsterInstance]]:
    """Every shipped file, loaded as Dagster's processes load it, on a real Postgres."""
    with ExitStack() as opened, pytest.MonkeyPatch.context() as patch:
        _in_cluster(tmp_path_factory.mktemp("pod"), patch)
        patch.setattr(AzureWifTokenProvider, "_fetch_token", lambda _: (PASSWORD, 2.0**40))
        yield {kind: opened.enter_context(_load(kind, databases[kind], tmp_path_factory.mktemp(kind), patch)) for kind in FILES}


@pytest.fixture
def instance(kind: str, instances: dict[str, dg.DagsterInstance]) -> dg.DagsterInstance:
    return instances[kind]


def test_the_history_is_stored_in_postgres(instance: dg.DagsterInstance, databases: dict[str, Database], kind: str) -> None:
    run = instance.create_run_for_job(_empty_job())
    assert run.run_id in {record.run_id for record in instance.get_runs()}
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        assert connection.execute(text("SELECT current_database()")).scalar() == databases[kind].name
        encrypted = connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
        assert encrypted.scalar() is True


def test_one_run_of_a_date_at_a_time(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    queue = instance.get_concurrency_config().run_queue_config
    assert queue
    assert 0 < queue.max_concurrent_runs <= 10
    assert queue.tag_concurrency_limits == [{"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}]


def test_crashed_runs_are_retried_and_errors_are_not(instance: dg.DagsterInstance) -> None:
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries > 0
    assert instance.run_retries_retry_on_asset_or_op_failure is False


def test_runs_that_hang_are_ended(instance: dg.DagsterInstance) -> None:
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_runtime_seconds == 4 * 3600
    assert instance.run_monitoring_start_timeout_seconds >= 300
    assert instance.run_monitoring_cancel_timeout_seconds >= 120
    assert instance.run_monitoring_max_resume_run_attempts == 0


def test_ticks_are_removed_and_nothing_is_reported_to_dagster(instance: dg.DagsterInstance) -> None:
    schedule = instance.get_tick_retention_settings(InstigatorType.SCHEDULE)
    sensor = instance.get_tick_retention_settings(InstigatorType.SENSOR)
    assert all(days > 0 for days in (*schedule.values(), *sensor.values()))
    assert instance.telemetry_enabled is False
    assert instance.nux_enabled is False


def test_the_file_contains_no_secret(instance: dg.DagsterInstance, kind: str) -> None:
    database = _config(kind)["storage"]["postgres"]["postgres_db"]
    assert database.get("password", {"env": "DAGSTER_POSTGRES_PASSWORD"}) == {"env": "DAGSTER_POSTGRES_PASSWORD"}
    assert PASSWORD not in str(instance.get_ref().to_dict())  # which every run gets on its command line


def test_one_machine_also_works_on_sqlite(tmp_path: Path) -> None:
    config = _config("machine")
    del config["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as instance:
        assert list(instance.get_runs()) == []


def test_a_kubernetes_run_is_a_job_without_privileges(instances: dict[str, dg.DagsterInstance]) -> None:
    launcher = instances["kubernetes"].run_launcher
    assert isinstance(launcher, K8sRunLauncher)
    assert launcher.supports_check_run_worker_health
    context = launcher.get_container_context_for_run(instances["kubernetes"].create_run_for_job(_empty_job()))
    config = context.get_k8s_job_config("risk:0.1.0", launcher)
    spec = construct_dagster_k8s_job(config, ["dagster"], "run", user_defined_k8s_config=context.run_k8s_config).to_dict()["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    environment = [(source["config_map_ref"] or source["secret_ref"])["name"] for source in container["env_from"]]
    assert environment == ["risk-settings", "risk-secrets"]
    assert container["security_context"]["run_as_non_root"] is True
    assert {"DAGSTER_HOME": image_variables()["DAGSTER_HOME"]}.items() <= {each["name"]: each["value"] for each in container["env"]}.items()
    assert spec["ttl_seconds_after_finished"] == 24 * 3600
    assert (context.namespace, spec["template"]["spec"]["service_account_name"]) == ("risk", "risk-run")


@pytest.mark.parametrize("on_azure", ["kubernetes", "container-apps"])
def test_logs_of_steps_are_stored_in_blob_storage(instances: dict[str, dg.DagsterInstance], on_azure: str) -> None:
    logs = instances[on_azure].compute_log_manager
    assert isinstance(logs, AzureBlobComputeLogManager)
    assert logs.upload_interval == 30


def test_container_apps_jobs_get_the_environment_without_secrets(instances: dict[str, dg.DagsterInstance]) -> None:
    launcher = instances["container-apps"].run_launcher
    assert isinstance(launcher, AcaRunLauncher)
    assert launcher.supports_check_run_worker_health
    assert set(_variables(_config("container-apps"))) <= set(launcher.env_vars)
    assert not [name for name in launcher.env_vars if re.search("PASSWORD|KEY|TOKEN|SECRET|CONNECTION", name)]


def test_the_workspace_names_the_code_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_CODE_SERVER_HOST", "code-server")
    monkeypatch.setenv("RISK_CODE_SERVER_PORT", "4000")
    origins = location_origins_from_yaml_paths([str(DEPLOY / "workspace.yaml")])
    assert [(each.location_name, each.host, each.port) for each in origins] == [("risk", "code-server", 4000)]  # type: ignore[attr-defined]


def _config(kind: str) -> Any:
    return yaml.safe_load((DEPLOY / kind / "dagster.yaml").read_text(encoding="utf-8"))


def _empty_job() -> dg.JobDefinition:
    return dg.JobDefinition(name="empty", graph_def=dg.GraphDefinition(name="empty"))


def _variables(value: Any) -> Iterator[str]:
    """Yield the names of the variables that a configuration reads."""
    if isinstance(value, dict):
        if isinstance(value.get("env"), str):
            yield value["env"]
        for each in value.values():
            yield from _variables(each)


@contextmanager
def _load(kind: str, database: Database, home: Path, patch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    (home / "dagster.yaml").write_bytes((DEPLOY / kind / "dagster.yaml").read_bytes())
    for name, value in {**AZURE, **database.environment}.items():
        patch.setenv(name, value)
    with warnings.catch_warnings(), dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance:
        warnings.simplefilter("ignore", dg.BetaWarning)  # AcaRunLauncher
        assert instance.run_launcher
        assert instance.compute_log_manager
        yield instance


def _in_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Kubernetes' client the files and variables that a pod has."""
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("token", encoding="utf-8")
    authority.write_text("authority", encoding="utf-8")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
