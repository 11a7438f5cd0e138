"""Tests of an export on Azure ML's own server: the same answers and problem documents as `POST /predict`."""

import json
import random
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.lake import registry
from risk_assets.lake.store import Store
from risk_serving.http.problems import Problem
from risk_serving.scoring.live_model import LiveSnapshot, build_snapshot
from tests.answered import answered
from tests.azure_ml.conftest import LOGISTIC, SCORECARD, body, environment, model, running

pytestmark = pytest.mark.long

TOLERANCE = 1e-12
Post = Callable[[str, bytes], httpx.Response]


@pytest.fixture(scope="module")
def live(shared: Store, contract: Contract, policy: Policy) -> LiveSnapshot:
    champion = registry.champion(shared)
    return build_snapshot(champion.binding, champion.arms, contract, policy, 1000)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], list[tuple[str, str, Any]]]]:
    """A local stand-in for the data collector: the settings to reach it, and what it received (event, request, rows)."""
    arrived: list[tuple[str, str, Any]] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            rows = json.loads(self.rfile.read(int(self.headers["content-length"])))
            arrived.append((self.headers["ce-type"], self.headers["ce-x-request-id"], rows))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    config = tmp_path_factory.mktemp("collector") / "config.json"
    config.write_text(json.dumps({"collections": {name: {"enabled": True} for name in ("model_inputs", "model_outputs")}}))
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as sink:
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        yield {"AZUREML_MDC_CONFIG_PATH": str(config), "AZUREML_MDC_PORT": str(sink.server_port)}, arrived
        sink.shutdown()


@pytest.fixture(scope="module")
def post(server: Path, exports: dict[str, Path], collected: tuple[dict[str, str], Any]) -> Iterator[Post]:
    """Send a body to blue, to green, or to blue of the sticky export."""
    settings, _ = collected
    with ExitStack() as stack:
        clients = {name: stack.enter_context(running(server, exports["shared"], name)) for name in ("blue", "green")}
        clients["sticky"] = stack.enter_context(running(server, exports["sticky"], "blue", **settings))
        yield lambda name, content: clients[name].post("/score", content=content, headers={"content-type": "application/json"})


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """Records with missing values, missing codes, unseen levels, and without an id."""
    draw = random.Random(11)
    generated = [
        {
            "id": f"A{number:03d}",
            "age": draw.uniform(18, 90),
            "income": draw.choice([None, -9, draw.lognormvariate(10, 1)]),
            "city": draw.choice([None, "north", "south", "Zürich"]),
        }
        for number in range(120)
    ]
    return [*generated, {"age": 20.0}, {"id": None, "age": 64, "income": 1e9}]


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether two results are equal, with probabilities within the tolerance."""
    return abs(ours["probability"] - theirs["probability"]) <= TOLERANCE and {**ours, "probability": 0} == {**theirs, "probability": 0}


def test_sticky_deployment_answers_like_the_service(post: Post, live: LiveSnapshot, records: list[dict[str, Any]]) -> None:
    expected = json.loads(answered(live, body(records)).content)
    response = post("sticky", body(records))
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    found = response.json()
    assert found["model_version"] == expected["model_version"] == LOGISTIC
    assert {result["model_version"] for result in expected["results"]} == {LOGISTIC, SCORECARD}
    assert any(result["reasons"] for result in expected["results"])
    assert all(same(ours, theirs) for ours, theirs in zip(found["results"], expected["results"], strict=True))


def test_single_records_are_answered_like_the_service(post: Post, live: LiveSnapshot, records: list[dict[str, Any]]) -> None:
    for record in (*records[:5], *records[-2:]):
        found = post("sticky", body([record])).json()["results"]
        assert same(found[0], json.loads(answered(live, body([record])).content)["results"][0])


def test_blue_is_the_champion_and_green_the_challenger(post: Post, live: LiveSnapshot, records: list[dict[str, Any]]) -> None:
    expected = json.loads(answered(live, body(records)).content)["results"]
    for name, arm, version in (("blue", "champion", LOGISTIC), ("green", "challenger", SCORECARD)):
        found = post(name, body(records)).json()
        assert found["model_version"] == LOGISTIC
        assert {(result["arm"], result["model_version"]) for result in found["results"]} == {(arm, version)}
        theirs = [result for result in expected if result["arm"] == arm]
        by_id = {result["id"]: result for result in found["results"] if result["id"]}
        assert len(theirs) > 20
        assert all(same(by_id[result["id"]], result) for result in theirs if result["id"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"records": [{"age": NaN}]}',
        body([]),
        body([{"age": 17}, {"age": 30, "income": "much"}, {"age": 30, "towns": 1}, {"income": 3}]),
        body([{"age": 30}] * 1001),
    ],
)
def test_invalid_request_gets_the_services_problem_document(post: Post, live: LiveSnapshot, content: bytes) -> None:
    with pytest.raises(Problem) as rejected:
        live.decoder.decode(content)
    response = post("sticky", content)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert response.json() == json.loads(rejected.value.content(response.headers["x-request-id"]))


def test_method_media_type_and_size_are_checked(post: Post, server: Path, exports: dict[str, Path]) -> None:
    with running(server, exports["alone"], "blue", RISK_SERVE_MAX_BODY_BYTES="100") as client:
        assert client.get("/score").status_code == 405
        assert client.post("/score", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
        assert client.post("/score", json={"records": [{"age": 30}] * 10}).status_code == 413
        assert client.post("/score", json={"records": [{"age": 30}]}).status_code == 200


def test_exported_request_is_scored(post: Post, exports: dict[str, Path]) -> None:
    response = post("blue", (exports["shared"] / "request.json").read_bytes())
    assert (response.status_code, len(response.json()["results"])) == (200, 1)


def test_inputs_and_outputs_go_to_the_data_collector(post: Post, collected: tuple[dict[str, str], list[tuple[str, str, Any]]]) -> None:
    _, arrived = collected
    response = post("sticky", body([{"id": "kept", "age": 30.5, "city": "north"}, {"age": 40}, {"age": 111}]))
    request = response.headers["x-request-id"]
    for _ in range(100):
        found = {event: rows for event, of, rows in arrived if of == request}
        if len(found) == 2:
            break
        threading.Event().wait(0.05)
    assert found["azureml.inference.model_inputs"] == [
        {"id": "kept", "age": 30.5, "income": None, "city": "north"},
        {"id": None, "age": 40.0, "income": None, "city": None},
        {"id": None, "age": 111.0, "income": None, "city": None},
    ]
    results = response.json()["results"]
    *outputs, old = found["azureml.inference.model_outputs"]
    assert (old["status"], old["excluded"], old["probability"]) == ("not eligible", results[2]["excluded"], None)
    assert results.pop() == {"id": None, **{name: old[name] for name in ("status", "excluded", "arm", "model_version")}}
    for row, result in zip(outputs, results, strict=True):
        assert (row["status"], row["excluded"]) == ("scored", None)
        assert (row["id"], row["prediction"], row["model_version"], row["arm"]) == tuple(
            result[name] for name in ("id", "prediction", "model_version", "arm")
        )
        assert (row["points"], row["band"], row["reasons"]) == (result["points"], result["band"], result["reasons"])
        assert (row["issues"], row["challenger_probability"]) == (None, None)
        assert row["probability"] == pytest.approx(result["probability"], abs=1e-9)  # the collector keeps ten digits


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("scorecard.json", None, "is not the version that was exported"),
        (
            "example.json",
            b'{"record": {"age": 30.0}, "probability": 0.999}',
            "does not reproduce the probability stored with its example",
        ),
    ],
)
def test_changed_model_is_not_served(
    server: Path, exports: dict[str, Path], tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    mounted = shutil.copytree(model(exports["alone"], "blue"), tmp_path / "model")
    path = mounted / LOGISTIC / name
    path.write_bytes(path.read_bytes() + b" " if content is None else content)
    settings = environment(exports["alone"], "blue", AZUREML_MODEL_DIR=str(mounted))
    command = [server / "python", "-c", "import score; score.init()"]
    run = subprocess.run(command, check=False, cwd=exports["alone"] / "code", env=settings, capture_output=True, text=True)
    assert run.returncode != 0
    assert why in run.stderr
