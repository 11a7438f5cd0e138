"""One machine as `.deploy/README.md` describes it: code server, webserver and daemon on Postgres, from the shipped files."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from risk_assets.lake import run_log
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from tests.conftest import ROOT
from tests.defs.conftest import NEXT
from tests.deploy.postgres import Database
from tests.deploy.processes import ending_with_parent, free_port
from tests.deploy.queries import BACKFILL, CODE, EVENTS, JOB_ASSETS, LAUNCH, RUNS, SCHEDULER, START_SCHEDULE, START_SENSOR, STOP_SENSOR
from tests.deploy.runs import Run

LOCATION, REPOSITORY, JOB = "risk", "__repository__", "daily_scoring"
CODE_SERVER, WEBSERVER, DAEMON = "dagster api grpc", "dagster-webserver", "dagster-daemon"
POLL_SECONDS = 0.5
START_SECONDS = 120
STOP_SECONDS = 20
ROW_SECONDS = 90
RUN_SECONDS = 180
REPOSITORY_SELECTOR = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}


@dataclass
class Deployment:
    """The processes of a machine, and the requests that the UI sends."""

    folder: Path
    book: Settings
    environment: dict[str, str]
    ports: dict[str, int]
    client: httpx.Client
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def lake(self) -> Store:
        return self.book.open_lake()

    def land(self, *dates: str) -> None:
        """Land the sample's accounts for dates, complete: each is a folder with one file and `_SUCCESS`."""
        accounts = (ROOT / f"data/landing/accounts_{NEXT}.csv").read_bytes()
        for date in dates:
            self.book.open_landing().put(f"accounts_{date}/part-0.csv", accounts)
            self.book.open_landing().put(f"accounts_{date}/_SUCCESS", b"")

    def start(self, *names: str) -> None:
        """Start processes with the commands of the README, on their ports."""
        for name in names:
            command = re.sub(r"-p \d+", f"-p {self.ports.get(name)}", _documented(name))
            arguments = [part.replace("$DAGSTER_HOME", self.environment["DAGSTER_HOME"]) for part in shlex.split(command)]
            program = Path(sys.executable).with_name(arguments[0])
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    ending_with_parent([program, *arguments[1:]]),
                    cwd=self.folder,
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def kill(self, name: str) -> None:
        """Kill a process without a chance to clean up, as the machine's memory limit does; its children go on."""
        self.processes[name].kill()
        self.processes[name].wait()

    def kill_with_children(self, name: str) -> None:
        """Kill a process and its children, as a restart of the machine does."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def is_healthy(self, name: str) -> bool:
        """Return what the image's health check says about a process."""
        command = [sys.executable, ROOT / ".deploy/health.py", str(self.processes[name].pid)]
        return subprocess.run(command, env=self.environment, check=False).returncode == 0

    def stop(self) -> None:
        """Stop all processes and their children."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _kill_group(process.pid)

    def query(self, document: str, **variables: Any) -> Any:
        """Return the only field of the answer to a GraphQL request; fail if it is an error."""
        answer = self.client.post("/graphql", json={"query": document, "variables": variables}).json()
        assert "errors" not in answer, answer
        (result,) = answer["data"].values()
        assert not isinstance(result, dict) or "message" not in result, result
        return result

    def launch(self, date: str) -> str:
        """Launch a date as the button *Materialize* of the job does; return the run's id."""
        nodes = self.query(JOB_ASSETS, pipeline={"pipelineName": JOB, **REPOSITORY_SELECTOR})
        keys = [{"path": node["assetKey"]["path"]} for node in nodes]
        tags = [{"key": "dagster/partition", "value": date}, {"key": "dagster/from_ui", "value": "true"}]
        parameters = {
            "mode": "default",
            "executionMetadata": {"tags": tags},
            "runConfigData": "{}",
            "selector": {**REPOSITORY_SELECTOR, "pipelineName": JOB, "assetSelection": keys},
        }
        return str(self.query(LAUNCH, executionParams=parameters)["run"]["id"])

    def backfill(self, dates: list[str]) -> str:
        """Launch a backfill of dates as the UI does; return its id."""
        nodes = self.query(JOB_ASSETS, pipeline={"pipelineName": JOB, **REPOSITORY_SELECTOR})
        parameters = {
            "tags": [{"key": "dagster/from_ui", "value": "true"}],
            "assetSelection": [{"path": node["assetKey"]["path"]} for node in nodes],
            "partitionNames": dates,
            "fromFailure": False,
            "selector": {"partitionSetName": f"{JOB}_partition_set", "repositorySelector": REPOSITORY_SELECTOR},
        }
        return str(self.query(BACKFILL, backfillParams=parameters)["backfillId"])

    def start_schedule(self, name: str) -> None:
        self.query(START_SCHEDULE, selector={**REPOSITORY_SELECTOR, "scheduleName": name})

    @contextmanager
    def sensor(self, name: str) -> Iterator[None]:
        """Switch a sensor on in the block."""
        started = self.query(START_SENSOR, selector={**REPOSITORY_SELECTOR, "sensorName": name})
        yield
        self.query(STOP_SENSOR, id=started["sensorState"]["id"])

    def runs(self, date: str) -> list[Run]:
        """Return the runs of a date, the oldest first."""
        found = self.query(RUNS, tags=[{"key": "dagster/partition", "value": date}])["results"]
        return sorted((Run.parse(run) for run in found), key=lambda run: run.created)

    def run(self, run_id: str) -> Run:
        (found,) = self.query(RUNS, ids=[run_id])["results"]
        return Run.parse(found)

    def worker(self, run_id: str) -> int:
        """Wait until a run has finished its first step, and return the id of its process."""
        self.wait(lambda: "Finished execution of step" in self.messages(run_id), f"run {run_id} did not start", RUN_SECONDS, 0.05)
        return int(re.findall(r"\(pid: (\d+)\)", self.messages(run_id))[0])

    def messages(self, run_id: str) -> str:
        """Return the messages of a run's events."""
        return "\n".join(event["message"] for event in self.query(EVENTS, id=run_id)["events"])

    def ended(self, date: str) -> list[Run]:
        """Wait until the runs of a date have ended and the last one will not be retried; return them, the oldest first."""
        self.wait(lambda: _all_ended(self.runs(date)), f"a run of {date} did not end", RUN_SECONDS)
        return self.runs(date)

    def statuses(self, date: str) -> list[str]:
        """Wait until each run of a date has its row; return the statuses of the rows, in the order of the runs."""
        runs = self.ended(date)
        self.wait(lambda: {run.id for run in runs} <= self.rows().keys(), f"a run of {date} has no row", ROW_SECONDS)
        return [self.rows()[run.id]["status"] for run in runs]

    def rows(self) -> dict[str, dict[str, str]]:
        """Return the rows of the run log by run id."""
        return {row["run_id"]: row for row in run_log.read(self.lake).values()}

    def wait(self, condition: Callable[[], bool], message: str, seconds: float, interval: float = POLL_SECONDS) -> None:
        """Wait until a condition is true; fail with a message and the ends of the logs if it is not in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(interval)
        pytest.fail(f"{message} in {seconds:.0f} s\n{self._logs()}")

    def has_code(self) -> bool:
        """Return whether the webserver answers, and it has loaded the code."""
        try:
            return bool(self.query(CODE, name=LOCATION)["locationOrLoadError"]["__typename"] == "RepositoryLocation")
        except (httpx.TransportError, AssertionError):
            return False

    def is_loaded(self) -> bool:
        """Return whether the webserver answers, it has loaded the code, and the daemon is alive."""
        try:
            return self.has_code() and bool(self.query(SCHEDULER)["daemonHealth"]["daemonStatus"]["healthy"])
        except (httpx.TransportError, AssertionError):
            return False

    def _logs(self) -> str:
        tails = {path.name: path.read_text(encoding="utf-8", errors="replace")[-1500:] for path in self.folder.glob("*.log")}
        return "\n".join(f"== {name}\n{tail}" for name, tail in tails.items())


@contextmanager
def deployed(folder: Path, book: Settings, database: Database, **variables: str) -> Iterator[Deployment]:
    """Run the three processes over the lake of a book until the block ends."""
    for path in ("machine/dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / ".deploy" / path, folder)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_", "DAGSTER_"))}
    ports = {CODE_SERVER: free_port(), WEBSERVER: free_port()}
    settings = {
        "DAGSTER_HOME": str(folder),
        "RISK_CODE_SERVER_HOST": "127.0.0.1",
        "RISK_CODE_SERVER_PORT": str(ports[CODE_SERVER]),
        "RISK_CONTRACT": str(book.contract),
        "RISK_LAKE": book.lake,
        "RISK_LANDING": book.landing,
        "RISK_POLICY": str(book.policy),
        "OPENBLAS_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
    }
    environment = {**clean, **settings, **database.environment, **variables}
    client = httpx.Client(base_url=f"http://127.0.0.1:{ports[WEBSERVER]}", timeout=60, trust_env=False)
    deployment = Deployment(folder, book, environment, ports, client)
    try:
        deployment.start(CODE_SERVER, WEBSERVER)  # it makes the tables: a daemon that makes them at the same time can end one of the two
        deployment.wait(deployment.has_code, "the webserver did not start", START_SECONDS)
        deployment.start(DAEMON)
        deployment.wait(deployment.is_loaded, "the deployment did not start", START_SECONDS)
        yield deployment
    finally:
        client.close()
        deployment.stop()


def _documented(name: str) -> str:
    """Return the command of a process on one machine from the README."""
    lines = (ROOT / ".deploy/README.md").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith(name))


def _all_ended(runs: list[Run]) -> bool:
    return bool(runs) and all(run.ended for run in runs) and not runs[-1].will_retry


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
