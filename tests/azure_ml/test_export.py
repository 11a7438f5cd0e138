"""Exports: Azure ML's loaders accept the documents, the deploy script runs in order, and an export is complete or absent."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from risk_assets.azure_ml.routing import Routing
from risk_assets.cli import azure
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import ModelError, RiskError
from risk_assets.lake.store import Store, open_store
from tests.azure_ml.conftest import CONTRACT, LOGISTIC, SCORECARD, challenged

Write = Callable[..., Routing]


@pytest.fixture(scope="module")
def loaded(exports: dict[str, Path]) -> dict[str, Any]:
    """Each export as azure-ai-ml loads it, in a process of its own because the package emits warnings."""
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
def test_endpoint_splits_traffic_as_the_binding(
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
def test_blue_serves_champion_and_green_challenger(loaded: dict[str, Any], kind: str, models: dict[str, tuple[str, list[str]]]) -> None:
    found = loaded[kind]
    paths = {f"{model['name']}:{model['version']}": Path(model["path"]) for model in found["models"].values()}
    for name, (reference, versions) in models.items():
        assert found["deployments"][name]["model"] == reference
        assert sorted(path.parent.name for path in paths[reference].rglob("scorecard.json")) == versions
    assert {model["type"] for model in found["models"].values()} == {"custom_model"}


@pytest.mark.parametrize("kind", ["alone", "shared", "shadow", "sticky"])
def test_deployments_refer_to_exported_files(loaded: dict[str, Any], exports: dict[str, Path], kind: str) -> None:
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


def test_versions_are_copied_without_the_pickle(exports: dict[str, Path], shared: Store) -> None:
    for version in (LOGISTIC, SCORECARD):
        folder = exports["shared"] / "models" / version
        files = {path.name for path in folder.iterdir()}
        assert files == {"scorecard.json", "metadata.json", "metrics.json", "example.json", "profile.json", "steps.json"}
        assert all((folder / name).read_bytes() == shared.get(f"registry/{version}/{name}") for name in files)


def test_code_contains_current_contract_and_policy(exports: dict[str, Path], contract: Contract, policy: Policy) -> None:
    code = exports["alone"] / "code"
    assert Contract.parse((code / "contract.yml").read_text(), "contract.yml") == contract
    assert Policy.parse((code / "policy.yml").read_text(), "policy.yml") == policy


def test_wheel_in_code_has_all_modules_and_templates(exports: dict[str, Path]) -> None:
    (wheel,) = (exports["alone"] / "code").glob("*.whl")
    root = Path(__file__).parents[2]
    modules = {path.relative_to(root).as_posix() for name in ("risk_assets", "risk_serving") for path in (root / name).rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        assert modules | {"risk_assets/azure_ml/templates/deploy.sh"} <= set(archive.namelist())
        assert not [name for name in archive.namelist() if "__pycache__" in name]


def test_pip_installs_the_wheel_and_its_command(exports: dict[str, Path], tmp_path: Path) -> None:
    (wheel,) = (exports["alone"] / "code").glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*install, "--target", tmp_path, wheel], check=True)
    assert (tmp_path / "bin/risk").is_file()
    assert (tmp_path / "risk_serving/azureml/score.py").read_bytes() == (exports["alone"] / "code/score.py").read_bytes()


def test_an_installed_wheel_builds_the_same_wheel(exports: dict[str, Path], tmp_path: Path) -> None:
    (wheel,) = (exports["alone"] / "code").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]); import risk_assets.azure_ml.wheel as built; "
        "print(built.__file__); print(hashlib.sha256(built.build_wheel()[1]).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", script, tmp_path], check=True, capture_output=True, text=True)
    module, digest = run.stdout.split()
    assert Path(module).is_relative_to(tmp_path)
    assert digest == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_modules_load_from_the_wheel_itself(exports: dict[str, Path]) -> None:
    (wheel,) = (exports["alone"] / "code").glob("*.whl")
    script = "import sys; sys.path.insert(0, sys.argv[1]); import risk_serving.scoring.scorer as loaded; print(loaded.__file__)"
    run = subprocess.run([sys.executable, "-c", script, wheel], check=True, capture_output=True, text=True)
    assert Path(run.stdout.strip()).is_relative_to(wheel)


def test_equal_lakes_give_equal_exports(write: Write, alone: Store, exports: dict[str, Path], tmp_path: Path) -> None:
    write(alone, tmp_path / "again")
    files = [path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert all((tmp_path / "again" / file).read_bytes() == (exports["alone"] / file).read_bytes() for file in files)


@pytest.mark.parametrize(("share", "green"), [(0.125, 13), (0.001, 1), (0.999, 99), (0.29, 29)])
def test_a_share_is_rounded_to_whole_percent_with_a_note(write: Write, registered: Path, tmp_path: Path, share: float, green: int) -> None:
    routing = write(challenged(registered, tmp_path / "lake", share), tmp_path / "export")
    assert routing.traffic == {"blue": 100 - green, "green": green}
    assert any("rounded" in note for note in routing.notes) == (share != 0.29)
    assert all(note in (tmp_path / "export/README.md").read_text() for note in routing.notes)
    assert "--sticky" in (tmp_path / "export/README.md").read_text()


@pytest.mark.parametrize("kind", ["alone", "shared", "shadow", "sticky"])
def test_readme_and_script_have_no_placeholders(exports: dict[str, Path], kind: str) -> None:
    readme, script = ((exports[kind] / name).read_text() for name in ("README.md", "deploy.sh"))
    assert readme.startswith("# credit-default: the live model")
    assert "at most 1000 records and 4194304" in readme
    assert "--model_dir ../models/" in readme
    assert ("--name green" in readme) == (kind in {"alone", "sticky"})
    assert not [part for text in (readme, script) for part in text.split("%")[1:] if part[:1].isalpha()]


def test_deploy_script_is_ordered_and_repeatable(exports: dict[str, Path], tmp_path: Path) -> None:
    """A stub of `az` logs its arguments, and reports assets as existing once the file `there` exists."""
    az = tmp_path / "bin/az"
    az.parent.mkdir()
    az.write_text(f'#!/usr/bin/env bash\necho "$*" >> {tmp_path}/calls\nif [ "$3" = show ]; then test -e {tmp_path}/there; fi\n')
    az.chmod(0o755)
    variables = {**os.environ, "PATH": f"{az.parent}:{os.environ['PATH']}"}

    def changes() -> list[str]:
        (tmp_path / "calls").unlink(missing_ok=True)
        subprocess.run([exports["shared"] / "deploy.sh", "group", "space"], env=variables, check=True)
        lines = (tmp_path / "calls").read_text().splitlines()
        assert all("--resource-group group --workspace-name space" in line for line in lines)
        done = [line.removeprefix("ml ").partition(" --resource-group")[0] for line in lines if " show " not in line]
        files = [part for line in done for part in line.split() if part.endswith(".yml")]
        assert all((exports["shared"] / file).is_file() for file in files)
        return done

    assert changes() == [
        "model create --file model_v001.yml",
        "model create --file model_v002.yml",
        "environment create --file environment.yml",
        "online-endpoint create --name credit-default --auth-mode aad_token",
        "online-deployment create --file blue.yml",
        "online-deployment create --file green.yml",
        "online-endpoint update --file endpoint.yml",
    ]
    (tmp_path / "there").touch()
    assert changes() == [
        "online-deployment update --file blue.yml",
        "online-deployment update --file green.yml",
        "online-endpoint update --file endpoint.yml",
    ]


def test_export_requires_a_new_or_empty_folder(write: Write, alone: Store, tmp_path: Path) -> None:
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
def test_options_that_azure_rejects_raise(write: Write, alone: Store, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(RiskError):
        write(alone, tmp_path / "export", **options)
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("name", ["scorecard.json", "metrics.json", "steps.json"])
def test_a_changed_version_is_not_exported(write: Write, registered: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(registered, tmp_path / "lake")
    path = tmp_path / "lake/registry" / LOGISTIC / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match=name):
        write(open_store(str(tmp_path / "lake")), tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_export_requires_a_live_version(write: Write, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    with pytest.raises(ModelError, match="no model is live yet"):
        write(open_store(str(tmp_path / "lake")), tmp_path / "export")


def test_command_exports_the_live_binding(shadow: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "contract.yml").write_text(CONTRACT)
    monkeypatch.setenv("RISK_LAKE", shadow.url)
    monkeypatch.setenv("RISK_CONTRACT", str(tmp_path / "contract.yml"))
    app = typer.Typer()
    app.command()(azure.export)
    result = CliRunner().invoke(app, [str(tmp_path / "export"), "--mirror", "30", "--endpoint", "scores"], catch_exceptions=False)
    assert result.exit_code == 0
    assert (tmp_path / "export/green.yml").is_file()
    assert "endpoint scores, traffic blue 100 %; copies to green 30 %" in result.output
