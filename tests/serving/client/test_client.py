"""A client that is generated from `/openapi.json` has types, passes mypy, and works."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.prepared import locked
from tests.serving.conftest import LOGISTIC, Service

USER = Path(__file__).with_name("user.py")
PINNED = Path(__file__).with_name("requirements.txt")
SECONDS = 300


@pytest.fixture(scope="module")
def generator() -> Path:
    """The generator's command, in a venv that is kept until its requirements change."""
    venv = Path(sys.prefix) / "client"
    digest = hashlib.sha256(PINNED.read_bytes() + sys.version.encode()).hexdigest()
    installed = venv / "installed"
    with locked(venv.with_suffix(".lock")):
        if not installed.exists() or installed.read_text() != digest:
            shutil.rmtree(venv, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            install = [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", PINNED]
            subprocess.run(install, check=True)
            installed.write_text(digest)
    return venv / "bin/openapi-python-client"


@pytest.fixture(scope="module")
def client(generator: Path, service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated package `risk_client`; every operation of the document is in it."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_bytes(service.client.get("/openapi.json").content)
    (folder / "config.yml").write_text("post_hooks: []")
    command = [generator, "generate", "--path", "openapi.json", "--config", "config.yml", "--meta", "none", "--output-path", "risk_client"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0 and "Warning" not in done.stdout + done.stderr, done.stdout + done.stderr
    return folder


@pytest.mark.long
def test_generated_client_has_every_operation(client: Path, service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    expected = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert {path.stem for path in (client / "risk_client/api").glob("*/*.py")} - {"__init__"} == expected


@pytest.mark.long
def test_program_on_the_generated_client_is_typed_and_runs(client: Path, service: Service, records: list[dict[str, Any]]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(client), "MYPYPATH": str(client)}
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={client / 'mypy'}", "--config-file="]
    for command in (["-m", "mypy", *options, str(USER)], [str(USER), service.url, json.dumps(records[0])]):
        done = subprocess.run(
            [sys.executable, *command], cwd=client, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == LOGISTIC
