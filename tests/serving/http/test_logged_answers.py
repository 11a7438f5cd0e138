"""Tests of what the prediction log has: each answer as it was sent, and what decided it; and of the mode `required`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec

from risk_assets.lake import binding_log, layout
from risk_assets.lake.store import Store
from tests.serving.conftest import LOGISTIC, SCORECARD, Service, challenge, promote, token_entry
from tests.serving.http.test_predict import problem
from tests.serving.test_faults import Records, logged, version

TOKEN = "only-a-test"
MANY = 40


def logged_by_id(lake: Store, collection: str) -> dict[str, dict[str, Any]]:
    """Return the lines of a collection by request id; each request must be there once."""
    paths = lake.list(f"{layout.ONLINE_LOG}/{collection}/")
    lines = [msgspec.json.decode(line) for path in paths for line in lake.get(path).splitlines()]
    found = {line["correlationid"]: line for line in lines}
    assert len(found) == len(lines)
    return found


def test_log_has_each_answer_as_it_was_sent(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, RISK_SERVE_TOKENS=token_entry("loans", TOKEN, "score", "operate"))
    service.client.headers["Authorization"] = f"Bearer {TOKEN}"
    columns = {name: [record[name] for record in records[:40]] for name in records[0]}
    contents: list[dict[str, Any]] = [
        {"records": records[:1]},
        {"records": records[:40]},
        {"records": records[:2], "explain": True},
        {"records": [{**records[0], "balance": -1}, *records[1:3]], "on_error": "skip"},
        {"columns": columns},
        {"dataframe_split": {"columns": list(columns), "data": [list(record.values()) for record in records[:2]]}},
    ]
    answers = [service.client.post("/predict", json=content) for content in contents]
    promote(lake, SCORECARD)
    service.until(lambda: version(service) == SCORECARD)
    answers.append(service.predict(records[:5]))
    challenge(lake, LOGISTIC, 0.5, "salt")
    service.until(lambda: service.client.get("/model").json()["binding"]["challenger"] == LOGISTIC)
    answers.append(service.predict(records[:50]))
    assert {answer.status_code for answer in answers} == {200}
    service.stop()
    inputs, outputs = (logged_by_id(lake, collection) for collection in ("model_inputs", "model_outputs"))
    assert inputs.keys() == outputs.keys() == {answer.headers["x-request-id"] for answer in answers}
    bindings = {binding.seq: binding for binding in binding_log.read(lake)}
    for answer in answers:
        line = outputs[answer.headers["x-request-id"]]
        assert line["data"] == answer.json()["results"]
        assert len(inputs[line["correlationid"]]["data"]) == len(line["data"])
        binding = bindings[line["binding"]]
        assert (line["caller"], line["contract"], line["policy"]) == ("loans", binding.contract, binding.policy)
        assert answer.json()["model_version"] == binding.champion
    assert [outputs[answer.headers["x-request-id"]]["binding"] for answer in answers] == [1] * 6 + [2, 3]
    assert inputs[answers[4].headers["x-request-id"]]["data"] == records[:40]


def test_answer_is_in_the_lake_if_it_must_be(serve: Callable[..., Service], lake: Store, records: Records) -> None:
    service = serve(lake, RISK_SERVE_LOG="required")

    def send(number: int) -> str:
        answer = httpx.post(f"{service.url}/predict", json={"records": records[number : number + 1]}, timeout=10, trust_env=False)
        assert answer.status_code == 200
        return answer.headers["x-request-id"]

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(send, range(MANY)))
    service.process.kill()
    service.process.wait()
    inputs, outputs = (logged_by_id(lake, collection) for collection in ("model_inputs", "model_outputs"))
    assert inputs.keys() == outputs.keys() == set(answered)


def test_answer_that_cannot_be_logged_is_not_sent(serve: Callable[..., Service], lake: Store, tmp_path: Path, records: Records) -> None:
    service = serve(lake, RISK_SERVE_LOG="required")
    assert service.predict(records[:1]).status_code == 200
    (tmp_path / "lake").rename(tmp_path / "away")
    for _ in range(3):
        rejected = service.predict(records[:2])
        assert "prediction log" in problem(rejected, 503, "not-logged")["detail"]
        assert int(rejected.headers["retry-after"]) == 1
    service.until(lambda: service.metric("risk_serving_dropped_total", what="predictions") == 6)
    (tmp_path / "away").rename(tmp_path / "lake")
    service.until(lambda: service.predict(records[:1]).status_code == 200)
    service.stop()
    statuses = [msgspec.json.decode(line)["status"] for line in service.output.splitlines() if '"/predict"' in line]
    assert statuses.count(200) == 2
    assert len(logged(lake)) in (2, 3)  # the first of the rejected requests was being written
    assert not (tmp_path / "away").exists()
