"""A lake with a live logistic model and a registered scorecard, and the service on it as a process."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from prometheus_client.parser import text_string_to_metric_families

from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, GROUP, ISSUES
from risk_assets.domain.governance import bindings
from risk_assets.lake import binding_log, layout, registry
from risk_assets.lake.store import Store, open_store
from tests.conftest import CONTRACT, POLICY
from tests.defs.conftest import NEXT, copied, trained_book
from tests.prepared import prepared
from tests.serving.auth.issuer import Issuer, Keys, serve_issuer

LOGISTIC, SCORECARD = "model_v001", "model_v002"
START_SECONDS = 20
STOP_SECONDS = 20


@pytest.fixture(scope="session")
def served_book(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a book: `model_v001` (logistic) is live, `model_v002` (scorecard) is registered, one date is scored."""

    def make(folder: Path) -> None:
        with copied(trained_book(tmp_path_factory, worker_id), folder) as book:
            assert book.score().error is None
            book.register_scorecard()

    own = tmp_path_factory.mktemp("served")  # the worker's services write their logs there
    shutil.copytree(prepared("served", tmp_path_factory, worker_id, make), own, dirs_exist_ok=True)
    return own


@pytest.fixture
def lake(served_book: Path, tmp_path: Path) -> Store:
    """A copy of the lake for one test, without what other services have written or write now."""
    shutil.copytree(served_book / "lake", tmp_path / "lake", ignore=shutil.ignore_patterns("online", "posted", ".tmp"))
    return open_store(str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def records(served_book: Path) -> list[dict[str, Any]]:
    """The scored date's accounts without issues, as records of a request; missing values are null."""
    found = pl.read_parquet(served_book / "lake" / layout.features(NEXT)).filter(pl.col(ISSUES).is_null()).drop(GROUP, EXCLUDED, ISSUES)
    return found.rename({ACCOUNT_ID: "id"}).to_dicts()


class Service:
    """The service as a process, and a client to it."""

    def __init__(self, lake: str, *arguments: str, **variables: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        secure = "--ssl-certfile" in arguments
        self.url = f"{'https' if secure else 'http'}://127.0.0.1:{port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_"))}
        files = {"RISK_LAKE": lake, "RISK_CONTRACT": str(CONTRACT), "RISK_POLICY": str(POLICY)}
        command = [sys.executable, "-m", "risk_serving", "--port", str(port), *arguments]
        self._outputs = (tempfile.TemporaryFile(), tempfile.TemporaryFile())  # noqa: SIM115 - closed with the service; files never fill up, pipes do
        self.process = subprocess.Popen(
            command,
            env=environment | files | {"RISK_SERVE_DRAIN_SECONDS": "0"} | variables,
            stdout=self._outputs[0],
            stderr=self._outputs[1],
        )
        self.client = httpx.Client(base_url=self.url, timeout=30, verify=not secure, trust_env=False)
        self._wait()

    @property
    def output(self) -> str:
        """What the service has written to stdout so far."""
        return self._read(0)

    @property
    def errors(self) -> str:
        """What the service has written to stderr so far."""
        return self._read(1)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels, 0 if there are none."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def kilobytes(self, what: str) -> int:
        """Return the process's memory: `VmRSS` is the resident size, `VmHWM` its maximum so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1])

    def predict(self, records: object, **headers: str) -> httpx.Response:
        return self.client.post("/predict", json={"records": records}, headers=headers)

    def scored(self, records: object) -> list[dict[str, Any]]:
        """Return the results of records that must be scored."""
        answer = self.predict(records)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def until(self, condition: Callable[[], bool], seconds: float = 5) -> float:
        """Wait until a condition is true and return the seconds it took."""
        started = time.monotonic()
        while not condition():
            assert time.monotonic() - started < seconds, "the condition did not become true"
            time.sleep(0.02)
        return time.monotonic() - started

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        """Stop, and close the files of stdout and stderr."""
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            for file in self._outputs:
                file.close()

    def _read(self, which: int) -> str:
        file = self._outputs[which].fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode()

    def _wait(self) -> None:
        started = time.monotonic()
        while True:
            try:
                self.client.get("/health/live")
            except httpx.TransportError:
                if self.process.poll() is not None or time.monotonic() - started > START_SECONDS:
                    self.process.kill()
                    self.process.wait()
                    raise AssertionError(self.errors) from None
                time.sleep(0.05)
            else:
                return


@contextmanager
def serving(lake: Store | Path | str, *arguments: str, **variables: str) -> Iterator[Service]:
    """Run the service on a lake, with variables such as `RISK_SERVE_MAX_RECORDS="10"`."""
    service = Service(lake.url if isinstance(lake, Store) else str(lake), *arguments, **variables)
    try:
        yield service
    finally:
        service.close()


@pytest.fixture(scope="session")
def service(served_book: Path) -> Iterator[Service]:
    """A service that tests share; they must not change the live version."""
    with serving(served_book / "lake") as running:
        yield running


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Start services for one test: `serve(lake, RISK_SERVE_…="…")`."""
    with ExitStack() as running:
        yield lambda lake, *arguments, **variables: running.enter_context(serving(lake, *arguments, **variables))


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Three keys: the issuer's, its next one, and a foreign one."""
    with ThreadPoolExecutor(3) as pool:
        first, second, third = pool.map(lambda _: rsa.generate_private_key(65537, 2048), range(3))
    return first, second, third


@pytest.fixture
def issuer(keys: Keys) -> Iterator[Issuer]:
    """An issuer that publishes the first key."""
    with serve_issuer(keys[0]) as issuer:
        yield issuer


def promote(lake: Store, version: str) -> None:
    """Promote a version."""
    origin = registry.read_version(lake, version).metadata.origin
    change = bindings.promote(binding_log.read(lake), version, "ann", "a test", policy=origin.policy, contract=origin.contract)
    registry.bind(lake, change)


def roll_back(lake: Store) -> None:
    """Roll back to the previous version."""
    registry.bind(lake, bindings.roll_back(binding_log.read(lake), "ann", "a test"))


def challenge(lake: Store, version: str, share: float | None, salt: str) -> None:
    """Set a challenger; without a share it scores in shadow."""
    registry.bind(lake, bindings.challenge(binding_log.read(lake), version, share, salt, "ann", "a test"))


def token_entry(name: str, token: str, *roles: str) -> str:
    """Return an entry of RISK_SERVE_TOKENS."""
    return f"{name}:{'+'.join(roles)}:{hashlib.sha256(token.encode()).hexdigest()}"
