"""The YAML documents of an export, for version 2 of Azure ML's CLI.

Schemas: https://learn.microsoft.com/azure/machine-learning/reference-yaml-overview.
"""

import hashlib
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence

import yaml

from risk_assets.azure_ml.options import Options
from risk_assets.azure_ml.routing import ModelAsset, Routing
from risk_assets.domain.governance.bindings import Binding

Yaml = dict[str, object]

SERVER = {
    "azureml-ai-monitoring": "1.0.0",
    "azureml-inference-server-http": "1.5.1",
    "pydantic": "2.12.5",  # the server requires a release before 2.13
}
LIBRARIES = ("msgspec", "numpy", "pandas", "PyYAML")
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest"
SCHEMAS = "https://azuremlschemas.azureedge.net/latest"
COLLECTIONS = ("model_inputs", "model_outputs")
PROBE = {"initial_delay": 10, "period": 10, "timeout": 2, "success_threshold": 1, "failure_threshold": 30}


def to_yaml(document: Mapping[str, object]) -> bytes:
    """Return a document as YAML with its keys in order."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=140).encode()


def requirements() -> list[str]:
    """Return the pinned packages that the scoring code imports: Azure ML's server, and the versions installed here."""
    pins = SERVER | {name: importlib.metadata.version(name) for name in LIBRARIES}
    return [f"{name}=={pins[name]}" for name in sorted(pins, key=str.lower)]


def conda(packages: Sequence[str]) -> Yaml:
    """Return the conda environment with these packages and this Python."""
    python = f"python={sys.version_info.major}.{sys.version_info.minor}"
    return {"name": "scoring", "channels": ["conda-forge"], "dependencies": [python, "pip", {"pip": list(packages)}]}


def environment_version(conda_file: bytes) -> str:
    """Return a version that changes with the content of the conda file."""
    return hashlib.sha256(conda_file).hexdigest()[:12]


def environment(name: str, version: str) -> Yaml:
    """Return the environment asset."""
    return {
        "$schema": f"{SCHEMAS}/environment.schema.json",
        "name": name,
        "version": version,
        "image": IMAGE,
        "conda_file": "conda.yml",
        "description": "Packages that score.py imports. The project itself is a wheel in the code folder.",
    }


def model(asset: ModelAsset, tags: Mapping[str, str]) -> Yaml:
    """Return a model asset with a tag for each model version."""
    return {
        "$schema": f"{SCHEMAS}/model.schema.json",
        "name": asset.name,
        "version": str(asset.version),
        "type": "custom_model",
        "path": f"models/{asset.folder}",
        "description": "Registered scorecards with their metadata and metrics.",
        "tags": dict(tags),
    }


def endpoint(routing: Routing, binding: Binding, options: Options) -> Yaml:
    """Return the endpoint with its traffic."""
    document: Yaml = {
        "$schema": f"{SCHEMAS}/managedOnlineEndpoint.schema.json",
        "name": options.endpoint,
        "description": "Credit-risk scoring with the live model.",
        "auth_mode": "aad_token",
        "tags": {"champion": binding.champion, "challenger": binding.challenger or "none", "binding": str(binding.seq)},
        "traffic": dict(routing.traffic),
    }
    return document | ({"mirror_traffic": dict(routing.mirror)} if routing.mirror else {})


def deployment(name: str, asset: ModelAsset, environment: str, options: Options) -> Yaml:
    """Return a deployment of a model in an environment, named as `azureml:NAME:VERSION`."""
    return {
        "$schema": f"{SCHEMAS}/managedOnlineDeployment.schema.json",
        "name": name,
        "endpoint_name": options.endpoint,
        "description": f"Serves {' and '.join(asset.model_versions)}.",
        "model": asset.reference,
        "code_configuration": {"code": "code", "scoring_script": "score.py"},
        "environment": environment,
        "environment_variables": {
            "WORKER_COUNT": str(options.workers),
            "RISK_SERVE_MAX_RECORDS": str(options.max_records),
            "RISK_SERVE_MAX_BODY_BYTES": str(options.max_body_bytes),
            "APP_INSIGHTS_LOG_RESPONSE_ENABLED": "false",  # responses contain account ids
            "SERVER_VERSION_LOG_RESPONSE_ENABLED": "false",
        },
        "instance_type": options.instance_type,
        "instance_count": options.instances,
        "request_settings": {"max_concurrent_requests_per_instance": options.workers, "request_timeout_ms": 5000},
        "liveness_probe": PROBE.copy(),
        "readiness_probe": PROBE.copy(),
        "data_collector": {"collections": {collection: {"enabled": "true"} for collection in COLLECTIONS}},
    }
