"""Tests of the live model: a new version is used as a whole after it is verified, or not at all."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.governance.bindings import Change
from risk_assets.lake import binding_log, document_archive, layout, registry
from risk_assets.lake.store import Store
from risk_serving.scoring.live_model import LiveModel, LiveSnapshot
from risk_serving.settings import ServingSettings
from tests.conftest import CONTRACT, POLICY
from tests.serving.conftest import LOGISTIC, SCORECARD, Service, challenge, promote, roll_back

SHARE, SALT = 0.4, "pepper"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Copies of the bound contract and the bound policy for one test."""
    return {file.stem: Path(shutil.copy(file, tmp_path)) for file in (CONTRACT, POLICY)}


@pytest.fixture
def live(lake: Store, files: dict[str, Path]) -> LiveModel:
    """A live model that a test refreshes itself."""
    made = LiveModel(ServingSettings(lake=lake.url, contract=files["contract"], policy=files["policy"], _env_file=None))
    made.refresh()
    assert made.problem is None
    return made


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def bind_documents(lake: Store, files: dict[str, Path]) -> None:
    """Write a binding with the documents in the files, without a check that the versions fit."""
    contract = Contract.parse(files["contract"].read_text(encoding="utf-8"), "contract.yml")
    policy = Policy.parse(files["policy"].read_text(encoding="utf-8"), "policy.yml")
    document_archive.archive(lake, contract, policy)
    latest = binding_log.read(lake)[-1]
    change = Change(latest.seq, "adopt_contract", latest.champion, "ann", "a test", policy=policy.digest, contract=contract.digest)
    binding_log.write(lake, change)


def bind_unchecked(lake: Store, version: str) -> None:
    """Write a binding to a version without a check of its files."""
    latest = binding_log.read(lake)[-1]
    change = Change(latest.seq, "promote", version, "ann", "a test", policy=latest.policy, contract=latest.contract)
    binding_log.write(lake, change)


def roll_forward(lake: Store) -> None:
    """Write another binding with the same versions and documents."""
    bind_unchecked(lake, binding_log.read(lake)[-1].champion)


def flip_a_byte(lake: Store, file: str) -> None:
    path = f"registry/{SCORECARD}/{file}"
    content = bytearray(lake.get(path))
    content[len(content) // 2] ^= 1
    lake.put(path, bytes(content))


def change_example_probability(lake: Store) -> None:
    """Store another probability with the example, and the matching hash in the metadata."""
    folder = f"registry/{SCORECARD}"
    example = json.loads(lake.get(f"{folder}/{layout.EXAMPLE}"))
    content = json.dumps({**example, "probability": example["probability"] + 1e-8}).encode()
    metadata = json.loads(lake.get(f"{folder}/{layout.METADATA}"))
    metadata["sha256"][layout.EXAMPLE] = hashlib.sha256(content).hexdigest()
    lake.put(f"{folder}/{layout.EXAMPLE}", content)
    lake.put(f"{folder}/{layout.METADATA}", json.dumps(metadata).encode())


FAULTS: dict[str, Callable[[Store], None]] = {
    "a byte of the scorecard": lambda lake: flip_a_byte(lake, layout.SCORECARD),
    "a byte of the example": lambda lake: flip_a_byte(lake, layout.EXAMPLE),
    "a byte of the metrics": lambda lake: flip_a_byte(lake, layout.METRICS),
    "another probability for the example": change_example_probability,
    "no scorecard": lambda lake: lake.delete(f"registry/{SCORECARD}/{layout.SCORECARD}"),
    "no metadata": lambda lake: lake.delete(f"registry/{SCORECARD}/{layout.METADATA}"),
    "metadata that is not JSON": lambda lake: lake.put(f"registry/{SCORECARD}/{layout.METADATA}", b"{"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_corrupt_version_is_not_used_until_it_is_restored(
    lake: Store, live: LiveModel, fault: Callable[[Store], None], caplog: pytest.LogCaptureFixture
) -> None:
    files = {path: lake.get(path) for path in lake.list(f"registry/{SCORECARD}/")}
    before = live.current
    promote(lake, SCORECARD)
    fault(lake)
    for attempts in (1, 2, 3):
        live.refresh()
        assert live.current is before
        assert live.failures == attempts
    assert live.problem is not None
    assert SCORECARD in live.problem
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    for path, content in files.items():
        lake.put(path, content)
    live.refresh()
    assert version_of(live) == SCORECARD
    assert live.problem is None
    assert live.failures == 3


def test_challenger_is_verified_like_a_champion(lake: Store, live: LiveModel) -> None:
    before = live.current
    challenge(lake, SCORECARD, SHARE, SALT)
    change_example_probability(lake)
    live.refresh()
    assert live.current is before
    assert live.failures == 1


def test_binding_to_a_missing_version_is_skipped(lake: Store, live: LiveModel) -> None:
    before = live.current
    bind_unchecked(lake, "model_v404")
    live.refresh()
    assert live.current is before
    assert live.problem is not None
    assert "model_v404" in live.problem
    promote(lake, SCORECARD)
    live.refresh()
    assert version_of(live) == SCORECARD
    assert live.problem is None


def test_edited_binding_is_not_followed(lake: Store, live: LiveModel) -> None:
    before = live.current
    promote(lake, SCORECARD)
    path = binding_log.newest(lake)
    assert path is not None
    lake.put(path, lake.get(path).replace(b"a test", b"a jest"))
    live.refresh()
    assert live.current is before
    assert live.problem is not None
    assert path in live.problem


def test_unchanged_state_is_not_loaded_again(lake: Store, live: LiveModel) -> None:
    before = live.current
    live.refresh()
    assert live.current is before


def test_snapshot_in_use_does_not_change_on_promotion(lake: Store, live: LiveModel) -> None:
    before = live.current
    assert before is not None
    promote(lake, SCORECARD)
    live.refresh()
    assert before.version == LOGISTIC
    roll_back(lake)
    live.refresh()
    assert version_of(live) == LOGISTIC


def test_contract_without_a_models_feature_is_not_used(lake: Store, live: LiveModel, files: dict[str, Path]) -> None:
    before = live.current
    edit(files["contract"], "  bureau_score:\n", "  bureau_points:\n")
    bind_documents(lake, files)
    live.refresh()
    assert live.current is before
    assert live.problem is not None
    assert "bureau_score" in live.problem


@pytest.mark.parametrize("kind", ["contracts", "policies"])
def test_damaged_document_keeps_the_live_model_and_is_reported(lake: Store, live: LiveModel, kind: str) -> None:
    before = live.current
    (path,) = lake.list(f"registry/{kind}/")
    content = lake.get(path)
    lake.delete(path)
    roll_forward(lake)
    live.refresh()
    assert live.current is before
    assert live.problem is not None and path in live.problem
    lake.put(path, content)
    live.refresh()
    assert live.problem is None


def test_feature_name_with_a_quote_is_reported(lake: Store, live: LiveModel, files: dict[str, Path]) -> None:
    edit(files["contract"], "features:\n\n", "features:\n  'a\"b': {type: number, reason: R}\n\n")
    bind_documents(lake, files)
    live.refresh()
    assert live.problem is not None and "rename it" in live.problem
    assert live.current is not None and 'a"b' not in [field.name for field in live.current.decoder.fields]


def test_bound_policy_is_used_and_the_file_is_not(lake: Store, live: LiveModel, files: dict[str, Path]) -> None:
    edit(files["policy"], "training:", "threshold: 0.2\ntraining:")
    live.refresh()
    assert live.current is not None and live.current.policy.threshold == 0.25
    assert [file.kind for file in live.unused_files] == ["policy"]
    bind_documents(lake, files)
    live.refresh()
    assert live.current is not None and live.current.policy.threshold == 0.2
    assert live.unused_files == ()


@pytest.mark.parametrize("name", ["contract", "policy"])
def test_unreadable_file_is_reported_and_not_needed(live: LiveModel, files: dict[str, Path], name: str) -> None:
    for content in (b"[", b"\xff\xfe", b""):
        files[name].write_bytes(content)
        live.refresh()
        assert [file.kind for file in live.unused_files] == [name]
    files[name].unlink()
    live.refresh()
    assert live.problem is None
    assert [file.kind for file in live.unused_files] == [name]


def test_missing_lake_keeps_the_live_model_and_is_reported(lake: Store, live: LiveModel, tmp_path: Path) -> None:
    before = live.current
    (tmp_path / "lake").rename(tmp_path / "away")
    live.refresh()
    assert live.current is before
    assert live.problem is not None
    assert "RISK_LAKE" in live.problem
    (tmp_path / "away").rename(tmp_path / "lake")
    live.refresh()
    assert live.problem is None


def test_age_counts_from_the_binding(lake: Store, live: LiveModel) -> None:
    bound = binding_log.live(lake)
    assert live.current is not None
    assert bound is not None
    since = datetime.now(UTC) - timedelta(seconds=live.current.age)
    assert abs(since - datetime.fromisoformat(bound.effective_from)) < timedelta(seconds=2)


def version_of(live: LiveModel) -> str:
    current: LiveSnapshot | None = live.current
    assert current is not None
    return current.version


# --- over HTTP --------------------------------------------------------------------------------------------------------


def test_model_route_returns_binding_metrics_and_gates(served_book: Path, service: Service) -> None:
    folder = served_book / "lake"
    bound = json.loads((folder / layout.binding(1)).read_bytes())
    metadata, metrics = (json.loads((folder / f"registry/{LOGISTIC}/{name}").read_bytes()) for name in (layout.METADATA, layout.METRICS))
    document = service.client.get("/model").json()
    assert document["model_version"] == LOGISTIC
    assert {name: document["binding"][name] for name in ("effective_from", "actor", "reason", "champion", "mode")} == {
        name: bound[name] for name in ("effective_from", "actor", "reason", "champion", "mode")
    }
    assert not {"salt", "seal", "previous"} & document["binding"].keys()
    assert document["metrics"] == metrics
    assert document["origin"]["features"] == metadata["origin"]["features"]
    assert document["gates"] == metadata["gates"]["found"]
    assert document["problem"] is None


@pytest.mark.parametrize(("version", "estimator"), [(LOGISTIC, "logistic"), (SCORECARD, "scorecard")])
def test_models_route_returns_any_registered_version(service: Service, version: str, estimator: str) -> None:
    document = service.client.get(f"/models/{version}").json()
    assert document["model_version"] == version
    assert document["origin"]["estimator"] == estimator
    assert document["origin"]["features"]["region"] == "category"
    assert 0.5 < document["metrics"]["roc_auc"] < 1


@pytest.mark.parametrize("name", ["model_v404", "model_v", "MODEL_V001", "bindings", "model_v001.", "%2e%2e", "model_v001%00", "a%20b"])
def test_missing_version_is_404(service: Service, name: str) -> None:
    answer = service.client.get(f"/models/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


def test_damaged_version_is_503(serve: Callable[..., Service], lake: Store) -> None:
    lake.put(f"registry/{SCORECARD}/{layout.METRICS}", b"{}")
    service = serve(lake)
    answer = service.client.get(f"/models/{SCORECARD}")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert f"registry/{SCORECARD}/{layout.METRICS} is not the file that was registered" in answer.json()["detail"]
    assert service.client.get(f"/models/{LOGISTIC}").status_code == 200


@pytest.fixture(scope="module")
def accounts(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records of 300 accounts; the last 100 have no id."""
    return [*records[:200], *({**record, "id": None} for record in records[200:250]), *(without_id(record) for record in records[250:300])]


def without_id(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "id"}


def test_challenger_has_the_same_share_in_every_service(serve: Callable[..., Service], lake: Store, accounts: list[dict[str, Any]]) -> None:
    challenge(lake, SCORECARD, SHARE, SALT)
    card = registry.read_scorecard(lake, LOGISTIC)
    expected = Arms(card, registry.read_scorecard(lake, SCORECARD), SHARE, SALT).challenged([record.get("id") for record in accounts])
    assert 0.25 < np.mean(expected[:200]) < 0.55
    assert not any(expected[200:])
    services = [serve(lake), serve(lake)]
    results = services[0].scored(accounts)
    assert [result["arm"] for result in results] == ["challenger" if challenged else "champion" for challenged in expected]
    assert [result["model_version"] for result in results] == [SCORECARD if challenged else LOGISTIC for challenged in expected]
    assert [services[1].scored([record])[0]["arm"] for record in accounts[:40]] == [result["arm"] for result in results[:40]]
    assert services[0].metric("risk_serving_scores_total", arm="challenger", version=SCORECARD) == sum(expected)
    assert services[0].metric("risk_serving_scores_total", arm="champion", version=LOGISTIC) == len(expected) - sum(expected)


def test_shadow_is_logged_and_does_not_change_results(
    serve: Callable[..., Service], service: Service, lake: Store, accounts: list[dict[str, Any]]
) -> None:
    challenge(lake, SCORECARD, None, SALT)
    shadowed = serve(lake)
    assert shadowed.scored(accounts) == service.scored(accounts)
    assert shadowed.scored(accounts[:2]) == service.scored(accounts[:2])
    shadowed.stop()
    promote(lake, SCORECARD)
    alone = [result["probability"] for result in serve(lake).scored(accounts)]
    logged = logged_outputs(lake)
    assert len(logged) == len(accounts) + 2
    assert {output["challenger_version"] for output in logged} == {SCORECARD}
    assert [output["challenger_probability"] for output in logged] == pytest.approx([*alone, *alone[:2]], abs=1e-12)


def logged_outputs(lake: Store) -> list[dict[str, Any]]:
    """Return the results in the prediction log, in the order they were written."""
    paths = [path for path in lake.list(f"{layout.ONLINE_LOG}/model_outputs/") if path.endswith(".jsonl")]
    return [output for path in paths for line in lake.get(path).splitlines() for output in msgspec.json.decode(line)["data"]]
