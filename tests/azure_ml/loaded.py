"""Prints the named export folders as JSON, as azure-ai-ml's own loaders read them."""

import json
import sys
from pathlib import Path

from azure.ai.ml import load_environment, load_model, load_online_deployment, load_online_endpoint


def load_export(export: Path) -> dict[str, object]:
    endpoint = load_online_endpoint(export / "endpoint.yml")._to_rest_online_endpoint("westeurope").as_dict()
    environment = load_environment(export / "environment.yml")
    return {
        "endpoint": endpoint,
        "environment": {
            "name": environment.name,
            "version": environment.version,
            "image": environment.image,
            "conda": environment.conda_file,
        },
        "deployments": {name: load_deployment(export / f"{name}.yml") for name in ("blue", "green") if (export / f"{name}.yml").exists()},
        "models": {path.stem: load_model_asset(path) for path in [*export.glob("model_*.yml"), *export.glob("binding_*.yml")]},
    }


def load_deployment(path: Path) -> dict[str, object]:
    deployment = load_online_deployment(path)
    collector = deployment.data_collector._to_rest_object()
    return {
        "kind": type(deployment).__name__,
        "name": deployment.name,
        "endpoint": deployment.endpoint_name,
        "model": deployment.model,
        "environment": deployment.environment,
        "code": deployment.code_configuration.code,
        "script": deployment.code_configuration.scoring_script,
        "instance_type": deployment.instance_type,
        "instance_count": deployment.instance_count,
        "variables": deployment.environment_variables,
        "probes": [deployment.liveness_probe.period, deployment.readiness_probe.failure_threshold],
        "concurrent": deployment.request_settings.max_concurrent_requests_per_instance,
        "collected": {name: collection.data_collection_mode for name, collection in collector.collections.items()},
    }


def load_model_asset(path: Path) -> dict[str, object]:
    model = load_model(path)
    return {"name": model.name, "version": model.version, "type": model.type, "path": str(model.path)}


if __name__ == "__main__":
    json.dump({folder: load_export(Path(folder)) for folder in sys.argv[1:]}, sys.stdout)
