"""Who takes part in `serving`: how each is installed, started and asked, and where in its answer the probabilities are."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.bench.measure import BenchError, say

HERE = Path(__file__).parent
HOST = "127.0.0.1"
OURS, SEED, LIMIT = "risk_serving", "seed's design", "bare uvicorn"
UNLOGGED, COLUMNS, STREAMS = f"{OURS}, prediction log off", f"{OURS}, columns", f"{OURS}, Arrow"
ARROW = "arrow"  # the form of bodies that are not text
TOKEN = "a-token-for-the-benchmark"
INSTALLED = ".installed"

Command = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where the lake and the fitted pipeline lie, and where the rivals' environments are made."""

    root: Path
    rivals: Path

    @property
    def lake(self) -> Path:
        """The lake, with a live version."""
        return self.root / "lake"

    @property
    def model(self) -> Path:
        """The live version's fitted pipeline."""
        return self.root / "model.joblib"

    @property
    def mlflow_model(self) -> Path:
        """The same, as MLflow saves it."""
        return self.root / "mlflow_model"

    def program(self, rival: str, name: str) -> str:
        """Return a program of a rival's own environment."""
        return str(self.rivals / rival / "bin" / name)


@dataclass(frozen=True)
class Server:
    """A server that answers records with probabilities.

    `command` and `env` are told the place and the port; `requirements` names the file of its own environment, if it has one;
    `read` decodes an answer, and `probabilities` finds them in it. One without `probabilities` answers nothing, and is not compared.
    """

    name: str
    path: str
    form: str
    command: Callable[[Place, int], Command]
    probabilities: Callable[[Any], Sequence[float]] | None
    env: Callable[[Place, int], Mapping[str, str]] = lambda place, _: {"BENCH_MODEL": str(place.model)}
    headers: Mapping[str, str] = field(default_factory=dict)
    requirements: str | None = None
    read: Callable[[bytes], Any] = json.loads
    prepare: Callable[[Place], None] = lambda _: None

    def install(self, place: Place) -> None:
        """Make its environment, unless it is there with the same requirements; raises `BenchError` when that fails."""
        if self.requirements is not None:
            _install(place.rivals / self.requirements, HERE / f"{self.requirements}.txt")
        self.prepare(place)


def servers() -> tuple[Server, ...]:
    """Return all that take part, in the order of the report."""
    return (
        Server(LIMIT, "/", "records", _uvicorn("hello"), None),
        _ours(OURS, RISK_SERVE_LOG_SHARE="1"),
        _ours(UNLOGGED, RISK_SERVE_LOG_SHARE="0"),
        replace(
            _ours(COLUMNS, RISK_SERVE_LOG_SHARE="1"), form="own_columns", probabilities=lambda answer: answer["columns"]["probability"]
        ),
        _with_arrow(_ours(STREAMS, RISK_SERVE_LOG_SHARE="1")),
        Server(SEED, "/predict", "records", _uvicorn("seed_app"), lambda answer: [each["probability"] for each in answer["predictions"]]),
        Server(
            "MLServer",
            "/v2/models/risk/infer",
            "columns",
            lambda place, _: (place.program("mlserver", "mlserver"), "start", str(HERE / "mlserver_model")),
            lambda answer: answer["outputs"][0]["data"][1::2],
            env=_mlserver_settings,
            requirements="mlserver",
        ),
        Server(
            "BentoML",
            "/predict",
            "records",
            lambda place, port: (
                *(place.program("bentoml", "bentoml"), "serve", "bento_service:Risk", "--working-dir", str(HERE)),
                *("--host", HOST, "--port", str(port)),
            ),
            lambda answer: answer,
            env=lambda place, _: {
                "BENCH_MODEL": str(place.model),
                "BENTOML_HOME": str(place.root / "bentoml"),
                "BENTOML_DO_NOT_TRACK": "true",
            },
            requirements="bentoml",
        ),
        Server(
            "MLflow",
            "/invocations",
            "dataframe_records",
            lambda place, port: (
                *(place.program("mlflow", "mlflow"), "models", "serve", "--model-uri", str(place.mlflow_model), "--env-manager", "local"),
                *("--workers", "1", "--host", HOST, "--port", str(port)),
            ),
            lambda answer: [each[1] for each in answer["predictions"]],
            env=lambda place, _: {**_first_on_path(place, "mlflow"), "UVICORN_ACCESS_LOG": "false"},
            requirements="mlflow",
            prepare=_save_for_mlflow,
        ),
        Server(
            "Azure ML",
            "/score",
            "records",
            lambda place, port: (
                *(place.program("azureml", "azmlinfsrv"), "--entry_script", str(HERE / "azure_score.py"), "--worker_count", "1"),
                *("--port", str(port), "--health_port", str(port)),
            ),
            lambda answer: answer,
            env=lambda place, _: {**_first_on_path(place, "azureml"), "BENCH_MODEL": str(place.model)},
            requirements="azureml",
        ),
    )


def _uvicorn(module: str) -> Callable[[Place, int], Command]:
    app = f"tests.bench.rivals.{module}:app"
    return lambda _, port: (sys.executable, "-m", "uvicorn", app, "--host", HOST, "--port", str(port), "--no-access-log")


def _ours(name: str, **settings: str) -> Server:
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    return Server(
        name,
        "/predict",
        "records",
        lambda _, port: (sys.executable, "-m", "risk_serving", "--host", HOST, "--port", str(port)),
        lambda answer: [each["probability"] for each in answer["results"]],
        env=lambda place, _: {"RISK_LAKE": place.lake.as_uri(), "RISK_SERVE_TOKENS": f"bench:score:{digest}", **settings},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )


def _with_arrow(server: Server) -> Server:
    headers = {**server.headers, "Content-Type": "application/vnd.apache.arrow.stream"}
    return replace(server, form=ARROW, headers=headers, read=_read_stream, probabilities=lambda table: table["probability"].to_pylist())


def _read_stream(content: bytes) -> Any:
    import pyarrow as pa  # here, because a child's peak memory counts from that of its parent

    return pa.ipc.open_stream(content).read_all()


def _mlserver_settings(place: Place, port: int) -> dict[str, str]:
    ports = {"MLSERVER_HTTP_PORT": str(port), "MLSERVER_GRPC_PORT": str(port + 1), "MLSERVER_METRICS_PORT": str(port + 2)}
    quick = {"MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_DEBUG": "false"}
    return {"MLSERVER_HOST": HOST, "MLSERVER_MODEL_URI": str(place.model), **ports, **quick}


def _first_on_path(place: Place, rival: str) -> dict[str, str]:
    return {"PATH": f"{place.rivals / rival / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def _save_for_mlflow(place: Place) -> None:
    shutil.rmtree(place.mlflow_model, ignore_errors=True)
    _run((place.program("mlflow", "python"), str(HERE / "mlflow_model.py"), str(place.model), str(place.mlflow_model)))


def _install(environment: Path, requirements: Path) -> None:
    wanted, kept = requirements.read_text(encoding="utf-8"), environment / INSTALLED
    if kept.is_file() and kept.read_text(encoding="utf-8") == wanted:
        return
    say(f"set-up: {environment.name}'s own environment, {environment}")
    shutil.rmtree(environment, ignore_errors=True)
    _run((sys.executable, "-m", "venv", str(environment)))
    pip = (str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run((*pip, "--no-deps", "--requirement", str(requirements)))
    kept.write_text(wanted, encoding="utf-8")


def _run(command: Command) -> None:
    with tempfile.TemporaryFile() as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
        if status:
            out.seek(0)
            raise BenchError(last_line(out.read().decode(errors="replace")) or f"{command[0]} ended with {status}")


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
