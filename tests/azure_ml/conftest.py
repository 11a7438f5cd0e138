"""Lakes with a champion, alone or with a challenger; their exports; and Azure ML's own inference server."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml

from risk_assets.azure_ml.export import export_binding
from risk_assets.azure_ml.options import Options
from risk_assets.azure_ml.routing import Routing
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import GROUP, OUTCOME, SNAPSHOT, Contract
from risk_assets.domain.governance.bindings import challenge, promote
from risk_assets.domain.training.train import train
from risk_assets.lake import binding_log, document_archive, registry
from risk_assets.lake.format import open_lake
from risk_assets.lake.store import Store, open_store
from tests.conftest import ROOT
from tests.prepared import locked

LOGISTIC, SCORECARD = "model_v001", "model_v002"
PINNED = Path(__file__).with_name("requirements.txt")
START_SECONDS = 30

CONTRACT = """
id: id
target: {column: defaulted, bad: "1", good: "0"}
exclude:
  - {reason: over 110, column: age, above: 110}
features:
  age: {type: number, min: 18, max: 120, required: true, risk: down, reason: Age}
  income: {type: number, missing: ["-9"], risk: down, reason: Income}
  city: {type: category, reason: City}
"""

# The server's command, but on localhost: it has no option for the address.
AZMLINFSRV = """
from azureml_inference_server_http import constants
constants.DEFAULT_HOST = "127.0.0.1"
from azureml_inference_server_http.amlserver import run
run()
"""


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.parse(CONTRACT, "contract.yml")


@pytest.fixture(scope="session")
def policy() -> Policy:
    return Policy.parse((ROOT / "data/policy.yml").read_text(encoding="utf-8"), "data/policy.yml")


@pytest.fixture(scope="session")
def registered(contract: Contract, policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a lake with two registered versions. The logistic one is live."""
    random = np.random.default_rng(7)
    age, income = random.uniform(18, 80, 2000), random.lognormal(10, 1, 2000)
    bad = (random.uniform(0, 1, 2000) < 1 / (1 + np.exp((age - 40) / 6 + np.log(income / 2e4)))).astype(np.int64)
    city = np.where(np.arange(2000) % 3 == 0, "north", "south")
    columns = {"age": age, "income": np.where(np.arange(2000) % 10 == 0, np.nan, income), "city": city}
    frame = pd.DataFrame({**columns, OUTCOME: bad, SNAPSHOT: "2026-01-01", GROUP: [f"A{row}" for row in range(2000)]})
    folder = tmp_path_factory.mktemp("registered")
    store = open_lake(str(folder))
    for estimator in ("logistic", "scorecard"):
        registry.register(store, train(frame, "2026-01-01", contract, policy.with_estimator(estimator), live=None), "run")
    document_archive.archive(store, contract, policy)
    registry.bind(store, promote((), LOGISTIC, "ada", "because", policy=policy.digest, contract=contract.digest))
    return folder


def challenged(registered: Path, folder: Path, share: float | None) -> Store:
    """Return a copy of the lake with the scorecard as challenger: for a share of the accounts, or in shadow."""
    shutil.copytree(registered, folder)
    store = open_store(str(folder))
    registry.bind(store, challenge(binding_log.read(store), SCORECARD, share, "0a1b", "ada", "because"))
    return store


@pytest.fixture(scope="session")
def alone(registered: Path) -> Store:
    return open_store(str(registered))


@pytest.fixture(scope="session")
def shared(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A lake whose challenger scores 30 % of the accounts."""
    return challenged(registered, tmp_path_factory.mktemp("shared") / "lake", 0.3)


@pytest.fixture(scope="session")
def shadow(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return challenged(registered, tmp_path_factory.mktemp("shadow") / "lake", None)


@pytest.fixture(scope="session")
def write(contract: Contract, policy: Policy) -> Callable[..., Routing]:
    """Export a lake: `write(store, folder, **options)`."""

    def written(store: Store, folder: Path, **options: object) -> Routing:
        return export_binding(store, folder, Options(**options))  # type: ignore[arg-type]

    return written


@pytest.fixture(scope="session")
def exports(
    alone: Store, shared: Store, shadow: Store, write: Callable[..., Routing], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """An export of each kind, by name."""
    folder = tmp_path_factory.mktemp("exports")
    write(alone, folder / "alone")
    write(shared, folder / "shared")
    write(shadow, folder / "shadow", mirror=20)
    write(shared, folder / "sticky", sticky=True)
    return {name: folder / name for name in ("alone", "shared", "shadow", "sticky")}


@pytest.fixture(scope="session")
def server(exports: dict[str, Path]) -> Path:
    """The `bin` folder of a venv with the requirements of an export; it is kept until they change."""
    venv, requirements = Path(sys.prefix) / "azureml", exports["alone"] / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes() + PINNED.read_bytes() + sys.version.encode()).hexdigest()
    installed = venv / "installed"
    with locked(venv.with_suffix(".lock")):
        if not installed.exists() or installed.read_text() != digest:
            shutil.rmtree(venv, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            install = [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, "--requirement", requirements, "--constraint", PINNED], check=True)
            installed.write_text(digest)
    return venv / "bin"


def environment(export: Path, deployment: str, **variables: str) -> dict[str, str]:
    """Return the environment variables of a deployment's server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE", "AML_", "PYTHON"))}
    return kept | yaml.safe_load((export / f"{deployment}.yml").read_text())["environment_variables"] | variables


def model(export: Path, deployment: str) -> Path:
    """Return a folder with only the model of a deployment, as Azure mounts it."""
    reference = yaml.safe_load((export / f"{deployment}.yml").read_text())["model"].removeprefix("azureml:")
    documents = [yaml.safe_load(path.read_text()) for path in [*export.glob("model_*.yml"), *export.glob("binding_*.yml")]]
    (path,) = [document["path"] for document in documents if f"{document['name']}:{document['version']}" == reference]
    there = export / "mounted" / deployment
    if not there.exists():
        shutil.copytree(export / path, there / Path(path).name)
    return there


@contextmanager
def running(server: Path, export: Path, deployment: str, **variables: str) -> Iterator[httpx.Client]:
    """Run Azure ML's server on a deployment of an export, and yield a client to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        server / "python",
        "-c",
        AZMLINFSRV,
        "--entry_script",
        "score.py",
        "--model_dir",
        model(export, deployment),
        "--port",
        str(port),
    ]
    settings = environment(export, deployment, **{"WORKER_COUNT": "1", **variables})
    with (export / f"{deployment}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=export / "code", env=settings, stdout=log, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            _wait(client, process, export / f"{deployment}.log")
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _wait(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    started = time.monotonic()
    while True:
        try:
            client.get("/")
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() - started < START_SECONDS, log.read_text()
            time.sleep(0.05)
        else:
            return


def body(records: object) -> bytes:
    """Return a request's body."""
    return json.dumps({"records": records}).encode()
