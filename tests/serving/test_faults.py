"""Tests of failures: the service answers what it can, reports the cause, and recovers without a restart."""

import os
import re
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.governance.bindings import adopt_policy
from risk_assets.lake import binding_log, document_archive, layout, registry
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.conftest import CONTRACT, POLICY
from tests.serving.conftest import LOGISTIC, SCORECARD, Service, promote
from tests.serving.scoring.test_live_model import bind_unchecked

pytestmark = pytest.mark.long

Records = list[dict[str, Any]]
SOON = {"RISK_SERVE_REFRESH_SECONDS": "0.1", "RISK_SERVE_LOG_SECONDS": "0.1"}
FOLLOWED = 2.0


def readiness(service: Service) -> str:
    status: str = service.client.get("/health/ready").json()["status"]
    return status


def version(service: Service) -> str:
    found: str = service.client.get("/model").json()["model_version"]
    return found


def until_stale(service: Service) -> None:
    service.until(lambda: readiness(service) == "stale")
    service.until(lambda: service.metric("risk_serving_stale") == 1)


def until_ready(service: Service) -> None:
    service.until(lambda: readiness(service) == "ready")
    service.until(lambda: service.metric("risk_serving_stale") == 0)


def warnings(service: Service) -> list[str]:
    return [line for line in service.errors.splitlines() if line.startswith("WARNING")]


def test_service_without_a_model_is_503_and_recovers(
    serve: Callable[..., Service], served_book: Path, tmp_path: Path, records: Records
) -> None:
    service = serve(tmp_path / "lake", **SOON)
    for answer in (service.predict(records[:1]), service.client.get("/model"), service.client.get("/health/ready")):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
    assert service.predict(records[:1]).json()["type"] == "urn:risk-serving:no-model"
    assert service.client.get("/health/live").status_code == 200
    service.until(lambda: service.metric("risk_serving_stale") == 1)
    (tmp_path / "lake").mkdir(exist_ok=True)
    shutil.copy(served_book / "lake" / layout.FORMAT, tmp_path / "lake")  # first: the service looks while the lake is copied
    shutil.copytree(
        served_book / "lake", tmp_path / "lake", dirs_exist_ok=True, ignore=shutil.ignore_patterns("online", "bindings", ".tmp")
    )
    shutil.copytree(served_book / "lake" / layout.BINDINGS, tmp_path / "lake" / layout.BINDINGS)
    until_ready(service)
    assert service.scored(records[:1])[0]["model_version"] == LOGISTIC
    assert len(warnings(service)) == 1


def test_previous_version_serves_while_the_new_one_is_damaged(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, **SOON)
    good = service.scored(records[:3])
    path = f"registry/{SCORECARD}/{layout.SCORECARD}"
    original = lake.get(path)
    lake.put(path, original[:-20] + b" " + original[-19:])
    bind_unchecked(lake, SCORECARD)
    until_stale(service)
    failures = service.metric("risk_serving_reload_failures_total")
    assert failures >= 1
    service.until(lambda: service.metric("risk_serving_reload_failures_total") > failures)
    assert service.scored(records[:3]) == good
    assert service.client.get("/health/ready").status_code == 200
    assert version(service) == LOGISTIC
    assert path in service.client.get("/model").json()["problem"]
    assert len(warnings(service)) == 1
    lake.put(path, original)
    until_ready(service)
    assert version(service) == SCORECARD
    assert service.client.get("/model").json()["problem"] is None


def test_binding_to_a_missing_version_is_not_followed(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, **SOON)
    bind_unchecked(lake, "model_v404")
    until_stale(service)
    assert service.scored(records[:1])[0]["model_version"] == LOGISTIC
    assert len(warnings(service)) == 1
    assert "model_v404" in warnings(service)[0]
    promote(lake, SCORECARD)
    until_ready(service)
    assert version(service) == SCORECARD


def test_an_edited_policy_is_reported_and_not_used_until_adopted(
    serve: Callable[..., Service], lake: Store, tmp_path: Path, records: Records
) -> None:
    contract, policy = (Path(shutil.copy(file, tmp_path)) for file in (CONTRACT, POLICY))
    service = serve(lake, RISK_CONTRACT=str(contract), RISK_POLICY=str(policy))
    before = service.scored(records)
    safe = next(place for place, result in enumerate(before) if 0.05 < result["probability"] < 0.08)
    assert service.client.get("/health/ready").json()["unused_files"] is None
    policy.write_text(policy.read_text(encoding="utf-8") + "threshold: 0.05\n", encoding="utf-8")
    contract.write_text("not: a contract", encoding="utf-8")
    differing = {"status": "ready", "model_version": LOGISTIC, "unused_files": "policy, contract"}
    assert service.until(lambda: service.client.get("/health/ready").json() == differing) < FOLLOWED
    edited = Policy.parse(policy.read_text(encoding="utf-8"), "policy.yml")
    time.sleep(FOLLOWED)
    assert service.scored(records) == before
    document_archive.archive(lake, edited)
    registry.bind(lake, adopt_policy(binding_log.read(lake), edited.digest, "ann", "a lower cut-off"))
    assert service.until(lambda: service.scored([records[safe]])[0]["prediction"] == 1) < FOLLOWED
    assert len(service.scored([records[safe]])[0]["reasons"]) > 0


def test_the_service_needs_no_files_of_contract_and_policy(
    serve: Callable[..., Service], lake: Store, tmp_path: Path, records: Records
) -> None:
    service = serve(lake, RISK_CONTRACT=str(tmp_path / "none.yml"), RISK_POLICY=str(tmp_path / "none.yml"))
    assert service.scored(records[:1])[0]["model_version"] == LOGISTIC
    assert service.client.get("/health/ready").json()["unused_files"] == "policy, contract"
    reported = [line for line in warnings(service) if "none.yml cannot be read" in line]
    assert len(reported) == 2


def test_look_that_does_not_end_is_stale(serve: Callable[..., Service], lake: Store, tmp_path: Path, records: Records) -> None:
    contract = Path(shutil.copy(CONTRACT, tmp_path))
    content = contract.read_bytes()
    service = serve(lake, RISK_CONTRACT=str(contract), RISK_SERVE_STALE_SECONDS="0.3", **SOON)
    until_ready(service)
    good = service.scored(records[:1])
    contract.rename(tmp_path / "away")
    os.mkfifo(tmp_path / "pipe")  # reading it waits for a writer
    (tmp_path / "pipe").rename(contract)
    until_stale(service)
    assert "has not ended" in service.client.get("/model").json()["problem"]
    assert service.client.get("/health/ready").status_code == 200
    assert service.scored(records[:1]) == good
    with contract.open("wb") as pipe:
        (tmp_path / "away").rename(contract)
        pipe.write(content)
    until_ready(service)


def test_look_that_does_not_end_delays_neither_start_nor_stop(serve: Callable[..., Service], lake: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "contract.yml")
    service = serve(lake, RISK_CONTRACT=str(tmp_path / "contract.yml"), RISK_SERVE_STALE_SECONDS="0.3", **SOON)
    until_stale(service)
    assert service.stop() == 0


def test_missing_lake_delays_the_log_and_not_the_answers(
    serve: Callable[..., Service], lake: Store, tmp_path: Path, records: Records
) -> None:
    service = serve(lake, **SOON)
    good = service.scored(records[:2])
    service.until(lambda: len(logged(lake)) == 1)
    (tmp_path / "lake").rename(tmp_path / "away")
    until_stale(service)
    for _ in range(3):
        assert service.scored(records[:2]) == good
    time.sleep(0.3)
    assert service.client.get("/model").json()["model_version"] == LOGISTIC
    assert not (tmp_path / "lake").exists()
    (tmp_path / "away").rename(tmp_path / "lake")
    until_ready(service)
    promote(lake, SCORECARD)
    service.until(lambda: version(service) == SCORECARD)
    service.stop()
    assert len(logged(lake)) == 4
    logged_warnings = warnings(service)
    for message in ("cannot load the live model", "cannot write the prediction log"):
        assert sum(message in warning for warning in logged_warnings) == 1
    assert len(logged_warnings) == 2


def test_promotion_in_a_lake_on_azure_is_followed(
    serve: Callable[..., Service], served_book: Path, azurite: Azurite, records: Records, service: Service
) -> None:
    folder = served_book / "lake"
    settings = Settings(lake="az://lake/served", AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string, _env_file=None)
    lake = settings.open_lake()
    for path in sorted((folder / "registry").rglob("*.json*")):
        lake.put(path.relative_to(folder).as_posix(), path.read_bytes())
    for name in (LOGISTIC, SCORECARD):
        lake.put(f"registry/{name}/{layout.PIPELINE}", (folder / f"registry/{name}/{layout.PIPELINE}").read_bytes())
    online = serve("az://lake/served", AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string)
    assert online.scored(records[:3]) == service.scored(records[:3])
    promote(lake, SCORECARD)
    assert online.until(lambda: version(online) == SCORECARD) < FOLLOWED
    answered = online.scored(records[:3])
    online.stop()
    assert [request["data"][0]["id"] for request in logged(lake)] == [answered[0]["id"]] * 2


def test_shutdown_finishes_open_requests_and_the_log(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, RISK_SERVE_LOG_SECONDS="60")
    for record in records[:20]:
        service.scored([record])
    with open_request(service, {"records": records[20:21]}) as request:
        service.process.terminate()
        service.until(lambda: is_closed(service))
        assert service.process.poll() is None
        answer = request.finish()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert service.stop() == 0
    ids = {output["id"] for request in logged(lake) for output in request["data"]}
    assert ids == {record["id"] for record in records[:21]}
    lines = [line for line in service.output.splitlines() if '"/predict"' in line]
    assert len(lines) == 21
    assert "Traceback" not in service.errors


def test_incomplete_body_does_not_block_shutdown(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, RISK_SERVE_BODY_SECONDS="0.5")
    with open_request(service, {"records": records[:1]}):
        started = time.monotonic()
        service.stop()
        assert time.monotonic() - started < 3


class HalfRequest:
    """A request with half of its body sent."""

    def __init__(self, service: Service, content: object) -> None:
        url = httpx.URL(service.url)
        body = msgspec.json.encode(content)
        self._rest = body[len(body) // 2 :]
        self._socket = socket.create_connection((url.host, url.port or 0), timeout=10)
        head = f"POST /predict HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body[: len(body) // 2])

    def __enter__(self) -> "HalfRequest":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def finish(self) -> bytes:
        """Send the rest and return the answer."""
        self._socket.sendall(self._rest)
        return self.answer()

    def answer(self) -> bytes:
        """Return the answer: its head and body may arrive apart."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        size = re.search(rb"content-length: ([0-9]+)", received)
        assert size is not None, received
        while len(received.partition(b"\r\n\r\n")[2]) < int(size[1]):
            received += self._more()
        return received

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        assert data, "the service has closed the connection"
        return data


def open_request(service: Service, content: object) -> HalfRequest:
    """Send half of a request, and wait until the service has started on it."""
    before = service.metric("risk_serving_in_flight")
    half = HalfRequest(service, content)
    service.until(lambda: service.metric("risk_serving_in_flight") > before)
    return half


def is_closed(service: Service) -> bool:
    url = httpx.URL(service.url)
    try:
        socket.create_connection((url.host, url.port or 0), timeout=1).close()
    except OSError:
        return True
    return False


def logged(lake: Store) -> list[dict[str, Any]]:
    """Return the output lines of the prediction log."""
    paths = [path for path in lake.list(f"{layout.ONLINE_LOG}/model_outputs/") if path.endswith(".jsonl")]
    return [msgspec.json.decode(line) for path in paths for line in lake.get(path).splitlines()]
