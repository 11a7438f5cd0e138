"""Export of the live binding as an Azure ML managed online endpoint: models, environment, deployments, traffic, code."""

from collections.abc import Mapping
from pathlib import Path

from risk_assets.azure_ml import documents, files
from risk_assets.azure_ml.files import Files, VersionFiles
from risk_assets.azure_ml.options import Options
from risk_assets.azure_ml.routing import BLUE, GREEN, ModelAsset, Routing, model_assets, route
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.errors import RiskError
from risk_assets.lake import layout, registry
from risk_assets.lake.documents import of_binding
from risk_assets.lake.store import Store

UNUSED_GREEN = (
    "A `green` deployment of an earlier challenge receives no requests but costs money. Delete it: "
    "`az ml online-deployment delete --name green --endpoint-name {endpoint}`."
)


def export_binding(store: Store, folder: Path, options: Options) -> Routing:
    """Write an export of the live binding, with its contract and policy, to a new or empty folder; a failed export writes nothing.

    Raises
    ------
    RiskError
        If the folder is not empty, no version is live, or a version is incomplete or does not fit the bound contract.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RiskError(f"{folder} is not empty. Choose a new folder: an export never mixes with other files.")
    champion = registry.champion(store)
    binding, bound = champion.binding, of_binding(store, champion.binding)
    for model in champion.arms.models:
        require_fit(model, bound.contract)
    routing, assets = route(binding, options), model_assets(binding, options)
    versions = {name: files.read_version(store, name) for asset in assets.values() for name in asset.model_versions}
    exported = files.code(binding, versions, {"contract": bound.contract, "policy": bound.policy}) | _models(assets, versions)
    example = versions[binding.champion].files.get(layout.EXAMPLE)
    if example is not None:
        exported["request.json"] = files.request(example)
    files.write(folder, exported | _deployments(binding, routing, assets, options))
    return routing


def _models(assets: Mapping[str, ModelAsset], versions: Mapping[str, VersionFiles]) -> Files:
    exported: Files = {}
    for asset in assets.values():
        for name in asset.model_versions:
            exported |= {f"{asset.path(name)}/{file}": content for file, content in versions[name].files.items()}
        exported[asset.file] = documents.to_yaml(documents.model(asset, {name: versions[name].summary for name in asset.model_versions}))
    return exported


def _deployments(binding: Binding, routing: Routing, assets: Mapping[str, ModelAsset], options: Options) -> Files:
    """Return environment, endpoint and deployments, and the README and script to deploy them."""
    packages = documents.requirements()
    conda = documents.to_yaml(documents.conda(packages))
    version = documents.environment_version(conda)
    environment = f"azureml:{options.endpoint}:{version}"
    return {
        "requirements.txt": "".join(f"{package}\n" for package in packages).encode(),
        "conda.yml": conda,
        "environment.yml": documents.to_yaml(documents.environment(options.endpoint, version)),
        "endpoint.yml": documents.to_yaml(documents.endpoint(routing, binding, options)),
        **{f"{name}.yml": documents.to_yaml(documents.deployment(name, asset, environment, options)) for name, asset in assets.items()},
        "deploy.sh": _script(assets, version, options),
        "README.md": _readme(binding, routing, assets, options),
    }


def _script(assets: Mapping[str, ModelAsset], environment_version: str, options: Options) -> bytes:
    kinds = [("model", asset.name, str(asset.version), asset.file) for asset in assets.values()]
    kinds.append(("environment", options.endpoint, environment_version, "environment.yml"))
    commands = [
        f"exists {kind} show --name {name} --version {version} || run {kind} create --file {file}" for kind, name, version, file in kinds
    ]
    return files.fill("deploy.sh", {"endpoint": options.endpoint, "assets": "\n".join(commands), "deployments": " ".join(assets)})


def _readme(binding: Binding, routing: Routing, assets: Mapping[str, ModelAsset], options: Options) -> bytes:
    rows = (
        f"| `{name}` | {', '.join(asset.model_versions)} | {routing.traffic.get(name, 0)} % | {routing.mirror.get(name, 0)} % |"
        for name, asset in assets.items()
    )
    notes = list(routing.notes) if GREEN in assets else [*routing.notes, UNUSED_GREEN.format(endpoint=options.endpoint)]
    return files.fill(
        "README.md",
        {
            "endpoint": options.endpoint,
            "seq": binding.seq,
            "mode": binding.mode,
            "since": binding.effective_from,
            "deployments": "\n".join(rows),
            "notes": "\n\n".join(notes),
            "model": f"models/{assets[BLUE].folder}",
            "records": options.max_records,
            "bytes": options.max_body_bytes,
        },
    )
