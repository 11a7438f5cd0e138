"""Writes what an Azure ML managed online endpoint needs to answer as the live binding says: assets, deployments, traffic, code.

The files follow the vendor's YAML schemas of its CLI, version 2:
https://learn.microsoft.com/azure/machine-learning/reference-yaml-overview.
"""

import ast
import hashlib
import importlib.metadata
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import SHADOW, Binding
from risk_assets.domain.scorecard.scorecard import Example
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.errors import LakeError, ModelError, RiskError
from risk_assets.lake import layout, registry
from risk_assets.lake.store import Store

BLUE, GREEN = "blue", "green"
MOST_MIRRORED = 50
SCRIPT = "risk_serving/azureml/score.py"
PACKAGES = ("risk_assets", "risk_serving")
SERVER = {
    "azureml-ai-monitoring": "1.0.0",
    "azureml-inference-server-http": "1.5.1",
    "pydantic": "2.12.5",  # the server takes no newer series
}
LIBRARIES = ("msgspec", "numpy", "pandas", "PyYAML")
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest"
SCHEMAS = "https://azuremlschemas.azureedge.net/latest"
COLLECTED = ("model_inputs", "model_outputs")
PROBE = {"initial_delay": 10, "period": 10, "timeout": 2, "success_threshold": 1, "failure_threshold": 30}

Files = dict[str, bytes]
_ENDPOINT = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{1,30}[a-zA-Z0-9]")


@dataclass(frozen=True)
class Options:
    """What a person may choose.

    Attributes
    ----------
    endpoint
        The endpoint's name, unique in its Azure region.
    instance_type, instances, workers
        The machines of each deployment, how many, and the processes on each: one for a core.
    mirror
        The percentage of requests that are copied to a challenger in shadow, 1 to 50.
    sticky
        Whether one deployment holds the live binding as a whole, and draws the arms by account, as batch does.
    max_records, max_body_bytes
        How large a request may be.
    """

    endpoint: str = "credit-default"
    instance_type: str = "Standard_DS3_v2"
    instances: int = 1
    workers: int = 4
    mirror: int = MOST_MIRRORED
    sticky: bool = False
    max_records: int = 1000
    max_body_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True)
class Exported:
    """What was written: the traffic and the mirrored traffic, in percent by deployment, and what is to be known of it."""

    traffic: Mapping[str, int]
    mirror: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Model:
    """A model asset: a folder of versions, under a name and a number of Azure ML's."""

    folder: str
    name: str
    number: int
    versions: tuple[str, ...]

    @property
    def reference(self) -> str:
        return f"azureml:{self.name}:{self.number}"


def export_binding(store: Store, contract: Contract, policy: Policy, folder: Path, options: Options) -> Exported:
    """Write an export of the live binding to a folder that is not there or empty; nothing is left of one that fails.

    Raises
    ------
    RiskError
        When the folder holds something, an option is out of its range, no version is live, or one is not whole or does not
        fit the contract.
    """
    _require(options)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RiskError(f"{folder} is not empty. Name a folder that is not there yet: an export is never mixed with another.")
    champion = registry.champion(store)
    for model in champion.arms.models:
        require_fit(model, contract)
    exported = _traffic(champion.binding, options)
    documents = {"contract": contract, "policy": policy}
    packed = {f"code/{name}.yml": _yaml(document.model_dump(mode="json")) for name, document in documents.items()}
    _write(folder, _files(store, champion.binding, exported, options) | packed)
    return exported


def _require(options: Options) -> None:
    if not _ENDPOINT.fullmatch(options.endpoint):
        raise RiskError("an endpoint's name has 3 to 32 letters, digits and hyphens, begins with a letter and does not end with a hyphen.")
    if not 1 <= options.mirror <= MOST_MIRRORED:
        raise RiskError(f"the mirrored traffic must lie between 1 and {MOST_MIRRORED} %: Azure ML copies no more.")


def _traffic(binding: Binding, options: Options) -> Exported:
    """Return who gets which percentage of the requests, in whole numbers: Azure ML takes no others."""
    if options.sticky or binding.challenger is None:
        return Exported({BLUE: 100}, {}, ())
    if binding.mode == SHADOW:
        note = (
            f"The challenger is in shadow: Azure ML copies {options.mirror} % of the requests to it, {MOST_MIRRORED} % at most. "
            "With --sticky, blue holds both versions, and both score every record."
        )
        return Exported({BLUE: 100}, {GREEN: options.mirror}, (note,))
    assert binding.challenger_share is not None
    exact = round(100 * binding.challenger_share, 9)
    whole = min(max(int(exact + 0.5), 1), 99)
    rounded = f"The challenger's share of {exact:g} % is rounded to {whole} %: Azure ML takes whole percentages."
    return Exported({BLUE: 100 - whole, GREEN: whole}, {}, (NOT_STICKY, *([rounded] if exact != whole else [])))


def _models(binding: Binding, options: Options) -> dict[str, _Model]:
    """Return the model of each deployment."""
    live = [name for name in (binding.champion, binding.challenger) if name]
    if options.sticky and len(live) > 1:
        return {BLUE: _Model(f"binding_{binding.seq:06d}", f"{registry.MODEL_NAME}_binding", binding.seq, tuple(live))}
    models = (_Model(name, registry.MODEL_NAME, int(name.rpartition("_v")[2]), (name,)) for name in live)
    return dict(zip((BLUE, GREEN), models, strict=False))


def _files(store: Store, binding: Binding, exported: Exported, options: Options) -> Files:
    models = _models(binding, options)
    environment = _environment(options)
    files = _code(Path(__file__).parents[1]) | environment
    files["code/binding.json"] = msgspec.json.format(msgspec.json.encode(binding), indent=1)
    digests = {}
    for model in models.values():
        for version in model.versions:
            artifacts, digests[version] = _artifacts(store, version)
            if version == binding.champion and layout.EXAMPLE in artifacts:
                files["request.json"] = _request(artifacts[layout.EXAMPLE])
            inner = model.folder if model.versions == (version,) else f"{model.folder}/{version}"
            files |= {f"models/{inner}/{name}": content for name, content in artifacts.items()}
        files[f"{model.folder}.yml"] = _yaml(_model(model, store))
    files["code/scorecards.json"] = msgspec.json.format(msgspec.json.encode(digests), indent=1)
    files["endpoint.yml"] = _yaml(_endpoint(exported, binding, options))
    asset = f"azureml:{options.endpoint}:{_version(environment['conda.yml'])}"
    for name, model in models.items():
        files[f"{name}.yml"] = _yaml(_deployment(name, model, asset, options))
    files["deploy.sh"] = _script(models, asset, options).encode()
    files["README.md"] = _readme(models, exported, binding, options).encode()
    return files


def _artifacts(store: Store, version: str) -> tuple[Files, str]:
    """Return a version's files to the byte, but for the pickle, and the SHA-256 of its scorecard."""
    digests = registry.read_version(store, version).metadata.sha256
    names = [name for name in digests if name != layout.PIPELINE]
    files = {layout.METADATA: store.get(layout.version_file(version, layout.METADATA))}
    for name in names:
        content = store.find(layout.version_file(version, name))
        if content is None or hashlib.sha256(content).hexdigest() != digests[name]:
            raise ModelError(
                f"{layout.version_file(version, name)} is not the file that was registered. Restore it from a backup and export again."
            )
        files[name] = content
    return files, digests[layout.SCORECARD]


def _request(example: bytes) -> bytes:
    """Return a request that works, of a version's made-up record."""
    record = {name: value for name, value in msgspec.json.decode(example, type=Example).record.items() if value is not None}
    return msgspec.json.format(msgspec.json.encode({"records": [{"id": "EXAMPLE", **record}]}), indent=1)


def _model(model: _Model, store: Store) -> dict[str, Any]:
    tags = {}
    for version in model.versions:
        found = registry.read_version(store, version)
        tags[version] = f"trained for {found.metadata.origin.training_date}, AUC {found.metrics.roc_auc:.4f}"
    return {
        "$schema": f"{SCHEMAS}/model.schema.json",
        "name": model.name,
        "version": str(model.number),
        "type": "custom_model",
        "path": f"models/{model.folder}",
        "description": "Scorecards as they were registered, with their metadata and figures.",
        "tags": tags,
    }


def _environment(options: Options) -> Files:
    """Return the environment's files: the libraries that this export was made with, and the server with what it demands."""
    pins = SERVER | {name: importlib.metadata.version(name) for name in LIBRARIES}
    requirements = [f"{name}=={pins[name]}" for name in sorted(pins, key=str.lower)]
    python = f"python={sys.version_info.major}.{sys.version_info.minor}"
    conda = _yaml({"name": "scoring", "channels": ["conda-forge"], "dependencies": [python, "pip", {"pip": requirements}]})
    environment = {
        "$schema": f"{SCHEMAS}/environment.schema.json",
        "name": options.endpoint,
        "version": _version(conda),
        "image": IMAGE,
        "conda_file": "conda.yml",
        "description": "What score.py imports beside the code that is deployed with it.",
    }
    lines = "".join(f"{line}\n" for line in requirements)
    return {"environment.yml": _yaml(environment), "conda.yml": conda, "requirements.txt": lines.encode()}


def _endpoint(exported: Exported, binding: Binding, options: Options) -> dict[str, Any]:
    endpoint: dict[str, Any] = {
        "$schema": f"{SCHEMAS}/managedOnlineEndpoint.schema.json",
        "name": options.endpoint,
        "description": "Credit-risk scoring by the live model.",
        "auth_mode": "aad_token",
        "tags": {"champion": binding.champion, "challenger": binding.challenger or "none", "binding": str(binding.seq)},
        "traffic": dict(exported.traffic),
    }
    return endpoint | ({"mirror_traffic": dict(exported.mirror)} if exported.mirror else {})


def _deployment(name: str, model: _Model, environment: str, options: Options) -> dict[str, Any]:
    return {
        "$schema": f"{SCHEMAS}/managedOnlineDeployment.schema.json",
        "name": name,
        "endpoint_name": options.endpoint,
        "description": f"Serves {' and '.join(model.versions)}.",
        "model": model.reference,
        "code_configuration": {"code": "code", "scoring_script": "score.py"},
        "environment": environment,
        "environment_variables": {
            "WORKER_COUNT": str(options.workers),
            "RISK_SERVE_MAX_RECORDS": str(options.max_records),
            "RISK_SERVE_MAX_BODY_BYTES": str(options.max_body_bytes),
            "APP_INSIGHTS_LOG_RESPONSE_ENABLED": "false",  # answers hold ids
            "SERVER_VERSION_LOG_RESPONSE_ENABLED": "false",
        },
        "instance_type": options.instance_type,
        "instance_count": options.instances,
        "request_settings": {"max_concurrent_requests_per_instance": options.workers, "request_timeout_ms": 5000},
        "liveness_probe": PROBE.copy(),
        "readiness_probe": PROBE.copy(),
        "data_collector": {"collections": {collection: {"enabled": "true"} for collection in COLLECTED}},
    }


def _code(root: Path) -> Files:
    """Return the scoring script, and the project's own modules that it needs: the package is on no index."""
    script = (root / SCRIPT).read_bytes()
    files, waiting = {"code/score.py": script}, [*_imported(script)]
    while waiting:
        path = _source(root, waiting.pop())
        if path and f"code/{path}" not in files:
            files[f"code/{path}"] = content = (root / path).read_bytes()
            waiting += _imported(content)
    return files


def _imported(source: bytes) -> Iterator[str]:
    """Yield the names that a source may import of the project: packages, modules, and what they hold."""
    for node in ast.walk(ast.parse(source)):
        names: Sequence[str] = ()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] in PACKAGES:
                yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _source(root: Path, name: str) -> str | None:
    """Return the file of a module or package, relative to the root; None when the name is neither."""
    path = name.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if (root / file).is_file()), None)


def _script(models: Mapping[str, _Model], environment: str, options: Options) -> str:
    """Return the commands that bring an export to Azure, each of which may be run again."""
    name, (_, asset, version) = options.endpoint, environment.split(":")
    assets = [("model", model.name, str(model.number), f"{model.folder}.yml") for model in models.values()]
    assets.append(("environment", asset, version, "environment.yml"))
    lines = [
        "#!/usr/bin/env bash",
        "# Usage: ./deploy.sh RESOURCE_GROUP WORKSPACE, after az login. It may be run again: what is there is updated or left.",
        "set -euo pipefail",
        'workspace=(--resource-group "${1:?resource group}" --workspace-name "${2:?workspace}")',
        'cd "$(dirname "$0")"',
        'there() { az ml "$@" "${workspace[@]}" --output none 2>/dev/null; }',
        'run() { az ml "$@" "${workspace[@]}"; }',
        "",
        "# Assets are never changed: a version that is there stays.",
        *(f"there {kind} show --name {of} --version {at} || run {kind} create --file {file}" for kind, of, at, file in assets),
        "",
        "# Traffic can be sent to deployments that are there, and to no others: so it comes last.",
        f"there online-endpoint show --name {name} || run online-endpoint create --name {name} --auth-mode aad_token",
        f"for deployment in {' '.join(models)}; do",
        f"  if there online-deployment show --name $deployment --endpoint-name {name}; then action=update; else action=create; fi",
        "  run online-deployment $action --file $deployment.yml",
        "done",
        "run online-endpoint update --file endpoint.yml",
    ]
    return "\n".join(lines) + "\n"


def _readme(models: Mapping[str, _Model], exported: Exported, binding: Binding, options: Options) -> str:
    deployments = "\n".join(
        f"| `{name}` | {', '.join(model.versions)} | {exported.traffic.get(name, 0)} % | {exported.mirror.get(name, 0)} % |"
        for name, model in models.items()
    )
    text = README.format(
        endpoint=options.endpoint,
        seq=binding.seq,
        mode=binding.mode,
        since=binding.effective_from,
        deployments=deployments,
        notes="".join(f"{note}\n\n" for note in exported.notes),
        leftover="" if GREEN in models else LEFTOVER.format(endpoint=options.endpoint),
        model=f"models/{models[BLUE].folder}",
        records=options.max_records,
        bytes=options.max_body_bytes,
    )
    return text.rstrip() + "\n"


def _write(folder: Path, files: Files) -> None:
    """Write files to a folder, all or none."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as work:
            made = Path(work) / folder.name
            for name, content in files.items():
                path = made / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            (made / "deploy.sh").chmod(0o755)
            if folder.exists():
                folder.rmdir()
            shutil.move(made, folder)
    except OSError as error:
        raise LakeError(f"{folder} can't be written ({error.strerror}). Name another folder, or make room.") from error


def _version(content: bytes) -> str:
    """Return a version that changes with the content."""
    return hashlib.sha256(content).hexdigest()[:12]


def _yaml(content: Mapping[str, Any]) -> bytes:
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=140).encode()


NOT_STICKY = """Azure ML draws the deployment of each request by chance, not by account: an account may be answered by the champion today
and by the challenger tomorrow, and one without an id by either. With --sticky, blue holds both versions and draws by account, as batch
does."""
README = """# {endpoint}: the live model as an Azure ML managed online endpoint

Binding {seq} of the lake (mode `{mode}`), live since {since}.
It is a copy: after a promotion, rollback or challenge, export to another folder and deploy that.

| deployment | versions | requests | copies of requests |
|---|---|---|---|
{deployments}

{notes}## Deploy

    az extension add --name ml
    az login
    ./deploy.sh RESOURCE_GROUP WORKSPACE

It registers the models and the environment, makes the endpoint where there is none, makes or updates the deployments, and sends
the traffic to them last. It may be run again. {leftover}

Who calls the endpoint needs the role *AzureML Data Scientist*, or one with
`Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action`. Then:

    az ml online-endpoint invoke --name {endpoint} --request-file request.json --resource-group RESOURCE_GROUP --workspace-name WORKSPACE

Requests, answers and problems are those of `POST /predict`: `{{"records": [{{"id": "A1", ...}}]}}`, at most {records} records and
{bytes} bytes. Each deployment asks for the features that its own versions need.

## Try it here

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    cd code && RISK_SERVE_MAX_RECORDS={records} RISK_SERVE_MAX_BODY_BYTES={bytes} \\
        ../venv/bin/azmlinfsrv --entry_script score.py --model_dir ../{model}
    curl http://127.0.0.1:5001/score -H 'Content-Type: application/json' -d @request.json   # in another terminal, here

## What is what

- `model_*.yml` or `binding_*.yml`, `models/`: the versions as they were registered, to the byte, without the pickle.
- `environment.yml`, `conda.yml`: the image, and the libraries with their versions; `requirements.txt` are the same.
- `endpoint.yml`, `blue.yml`, `green.yml`: the endpoint with its traffic, and the deployments.
- `request.json`: the record that the live version was registered with; no customer's.
- `code/`: `score.py`, the modules that it needs, contract, policy and binding, and the hashes of the scorecards: a deployment
  whose model is another one does not start.

The deployments hand features and results to Azure ML's data collector (`model_inputs`, `model_outputs`), for its monitors; take
`data_collector` out to keep none.
"""
LEFTOVER = """A `green` deployment of an earlier challenge gets no more requests but costs:
`az ml online-deployment delete --name green --endpoint-name {endpoint}` takes it away."""
