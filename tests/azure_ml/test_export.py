"""What must hold of an export: the vendor's loaders read it as it is meant, its commands come in order, and it is whole or not there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from risk_assets.azure_ml.export import Exported
from risk_assets.cli import azure
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import ModelError, RiskError
from risk_assets.lake.store import Store, open_store
from tests.azure_ml.conftest import CONTRACT, LOGISTIC, SCORECARD, challenged

Write = Callable[..., Exported]


@pytest.fixture(scope="module")
def loaded(exports: dict[str, Path]) -> dict[str, Any]:
    """What azure-ai-ml reads in each export; in a process of its own, whose warnings are the vendor's."""
    script = Path(__file__).with_name("loaded.py")
    run = subprocess.run([sys.executable, script, *exports.values()], check=True, capture_output=True, text=True)
    return dict(zip(exports, json.loads(run.stdout).values(), strict=True))


@pytest.mark.parametrize(
    ("kind", "traffic", "mirrored"),
    [
        ("alone", {"blue": 100}, {}),
        ("shared", {"blue": 70, "green": 30}, {}),
        ("shadow", {"blue": 100}, {"green": 20}),
        ("sticky", {"blue": 100}, {}),
    ],
)
def test_the_endpoint_splits_the_traffic_as_the_binding_says(
    loaded: dict[str, Any], kind: str, traffic: dict[str, int], mirrored: dict[str, int]
) -> None:
    properties = loaded[kind]["endpoint"]["properties"]
    assert (properties["traffic"], properties["mirrorTraffic"], properties["authMode"]) == (traffic, mirrored, "AADToken")
    assert set(loaded[kind]["deployments"]) == set(traffic) | set(mirrored)


@pytest.mark.parametrize(
    ("kind", "models"),
    [
        ("alone", {"blue": ("credit_default:1", [LOGISTIC])}),
        ("shared", {"blue": ("credit_default:1", [LOGISTIC]), "green": ("credit_default:2", [SCORECARD])}),
        ("shadow", {"blue": ("credit_default:1", [LOGISTIC]), "green": ("credit_default:2", [SCORECARD])}),
        ("sticky", {"blue": ("credit_default_binding:2", [LOGISTIC, SCORECARD])}),
    ],
)
def test_blue_serves_the_champion_and_green_the_challenger(
    loaded: dict[str, Any], kind: str, models: dict[str, tuple[str, list[str]]]
) -> None:
    found = loaded[kind]
    paths = {f"{model['name']}:{model['version']}": Path(model["path"]) for model in found["models"].values()}
    for name, (reference, versions) in models.items():
        assert found["deployments"][name]["model"] == reference
        assert sorted(path.parent.name for path in paths[reference].rglob("scorecard.json")) == versions
    assert {model["type"] for model in found["models"].values()} == {"custom_model"}


@pytest.mark.parametrize("kind", ["alone", "shared", "shadow", "sticky"])
def test_a_deployment_names_what_the_export_holds(loaded: dict[str, Any], exports: dict[str, Path], kind: str) -> None:
    environment = loaded[kind]["environment"]
    for name, deployment in loaded[kind]["deployments"].items():
        assert (deployment["kind"], deployment["name"], deployment["endpoint"]) == ("ManagedOnlineDeployment", name, "credit-default")
        assert deployment["environment"] == f"{environment['name']}:{environment['version']}"
        assert (exports[kind] / deployment["code"] / deployment["script"]).is_file()
        assert deployment["collected"] == {"model_inputs": "enabled", "model_outputs": "enabled"}
        assert (deployment["instance_type"], deployment["instance_count"]) == ("Standard_DS3_v2", 1)
        assert deployment["variables"]["WORKER_COUNT"] == str(deployment["concurrent"])
    packages = next(entry["pip"] for entry in environment["conda"]["dependencies"] if isinstance(entry, dict))
    assert packages == (exports[kind] / "requirements.txt").read_text().splitlines()
    assert all("==" in package for package in packages)


def test_an_export_holds_the_versions_to_the_byte_but_for_the_pickle(exports: dict[str, Path], shared: Store) -> None:
    for version in (LOGISTIC, SCORECARD):
        folder = exports["shared"] / "models" / version
        files = {path.name for path in folder.iterdir()}
        assert files == {"scorecard.json", "metadata.json", "metrics.json", "example.json", "profile.json", "steps.json"}
        assert all((folder / name).read_bytes() == shared.get(f"registry/{version}/{name}") for name in files)


def test_an_export_holds_contract_and_policy_in_force(exports: dict[str, Path], contract: Contract, policy: Policy) -> None:
    code = exports["alone"] / "code"
    assert Contract.parse((code / "contract.yml").read_text(), "contract.yml") == contract
    assert Policy.parse((code / "policy.yml").read_text(), "policy.yml") == policy


@pytest.mark.parametrize(("share", "green"), [(0.125, 13), (0.001, 1), (0.999, 99), (0.29, 29)])
def test_a_share_becomes_a_whole_percentage_and_that_is_said(
    write: Write, registered: Path, tmp_path: Path, share: float, green: int
) -> None:
    exported = write(challenged(registered, tmp_path / "lake", share), tmp_path / "export")
    assert exported.traffic == {"blue": 100 - green, "green": green}
    assert any("rounded" in note for note in exported.notes) == (share != 0.29)
    assert all(note in (tmp_path / "export/README.md").read_text() for note in exported.notes)
    assert "--sticky" in (tmp_path / "export/README.md").read_text()


def test_the_commands_come_in_order_and_may_be_given_again(exports: dict[str, Path], tmp_path: Path) -> None:
    """Azure can't run here: a stand-in for `az` remembers what it is told, and what is there."""
    az = tmp_path / "bin/az"
    az.parent.mkdir()
    az.write_text(f'#!/usr/bin/env bash\necho "$*" >> {tmp_path}/told\nif [ "$3" = show ]; then test -e {tmp_path}/there; fi\n')
    az.chmod(0o755)
    variables = {**os.environ, "PATH": f"{az.parent}:{os.environ['PATH']}"}

    def told() -> list[str]:
        (tmp_path / "told").unlink(missing_ok=True)
        subprocess.run([exports["shared"] / "deploy.sh", "group", "space"], env=variables, check=True)
        lines = (tmp_path / "told").read_text().splitlines()
        assert all("--resource-group group --workspace-name space" in line for line in lines)
        done = [line.removeprefix("ml ").partition(" --resource-group")[0] for line in lines if " show " not in line]
        files = [part for line in done for part in line.split() if part.endswith(".yml")]
        assert all((exports["shared"] / file).is_file() for file in files)
        return done

    assert told() == [
        "model create --file model_v001.yml",
        "model create --file model_v002.yml",
        "environment create --file environment.yml",
        "online-endpoint create --name credit-default --auth-mode aad_token",
        "online-deployment create --file blue.yml",
        "online-deployment create --file green.yml",
        "online-endpoint update --file endpoint.yml",
    ]
    (tmp_path / "there").touch()
    assert told() == [
        "online-deployment update --file blue.yml",
        "online-deployment update --file green.yml",
        "online-endpoint update --file endpoint.yml",
    ]


def test_an_export_goes_into_an_empty_folder_and_into_no_other(write: Write, alone: Store, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    write(alone, folder)
    with pytest.raises(RiskError, match="is not empty"):
        write(alone, folder)
    (tmp_path / "file").touch()
    with pytest.raises(RiskError, match="is not empty"):
        write(alone, tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "file"]


@pytest.mark.parametrize(
    "options",
    [{"endpoint": "ab"}, {"endpoint": "1-endpoint"}, {"endpoint": "ends-"}, {"endpoint": "a" * 33}, {"mirror": 0}, {"mirror": 51}],
)
def test_what_azure_does_not_take_is_refused(write: Write, alone: Store, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(RiskError):
        write(alone, tmp_path / "export", **options)
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("name", ["scorecard.json", "metrics.json", "steps.json"])
def test_a_version_that_is_not_whole_is_not_exported(write: Write, registered: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(registered, tmp_path / "lake")
    path = tmp_path / "lake/registry" / LOGISTIC / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match=name):
        write(open_store(str(tmp_path / "lake")), tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_without_a_live_version_nothing_is_exported(write: Write, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    with pytest.raises(ModelError, match="no model is live yet"):
        write(open_store(str(tmp_path / "lake")), tmp_path / "export")


def test_the_command_exports_and_says_what_it_did(shadow: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "contract.yml").write_text(CONTRACT)
    monkeypatch.setenv("RISK_LAKE", shadow.url)
    monkeypatch.setenv("RISK_CONTRACT", str(tmp_path / "contract.yml"))
    app = typer.Typer()
    app.command()(azure.export)
    result = CliRunner().invoke(app, [str(tmp_path / "export"), "--mirror", "30", "--endpoint", "scores"], catch_exceptions=False)
    assert result.exit_code == 0
    assert (tmp_path / "export/green.yml").is_file()
