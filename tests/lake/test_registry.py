"""Model versions: numbered, complete or rejected, never edited; and the models of a binding."""

import hashlib
import io
import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import joblib
import msgspec
import pandas as pd
import pytest

from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.governance.artifacts import Gate, TrainedModel
from risk_assets.domain.governance.bindings import Binding, challenge, end_challenge, promote, roll_back
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import binding_log, layout, registry
from risk_assets.lake.store import Store
from tests.documents import archived

_runs = itertools.count(1)
ARTIFACTS = ["scorecard.json", "steps.json", "metrics.json", "profile.json", "example.json", "model.joblib"]


def flip(store: Store, path: str) -> None:
    """Change one byte in the middle of an object and keep its size."""
    content = bytearray(store.get(path))
    content[len(content) // 2] ^= 1
    store.put(path, bytes(content))


def failing(model: TrainedModel) -> TrainedModel:
    failed = Gate("discrimination", "failed", 0.5, 0.6, (0.4, 0.55), "AUC 0.5")
    return replace(model, gates=msgspec.structs.replace(model.gates, found=(failed,)))


def register(store: Store, *models: TrainedModel) -> list[str]:
    """Register models, each by a run of its own."""
    return [registry.register(store, model, f"run-{next(_runs)}").name for model in models]


def other(model: TrainedModel, intercept: float) -> TrainedModel:
    """Return the model with another intercept, to distinguish two versions."""
    return replace(model, scorecard=msgspec.structs.replace(model.scorecard, intercept=intercept))


def go_live(store: Store, version: str) -> Binding:
    return registry.bind(store, promote(binding_log.read(store), version, "ada", "because", **archived(store)))


def go_against(store: Store, version: str, share: float | None = 0.1) -> Binding:
    return registry.bind(store, challenge(binding_log.read(store), version, share, "0a1b", "ada", "because"))


def together(monkeypatch: pytest.MonkeyPatch, method: str, action: Callable[[int], object]) -> list[object]:
    """Run an action in two threads that wait for each other after their first read; return results and errors."""
    barrier, looked = threading.Barrier(2, timeout=20), threading.local()
    look = getattr(Store, method)

    def look_and_wait(store: Store, *arguments: object) -> object:
        found = look(store, *arguments)
        if not getattr(looked, "once", False):
            looked.once = True
            barrier.wait()
        return found

    def outcome(number: int) -> object:
        try:
            return action(number)
        except ModelError as error:
            return error

    monkeypatch.setattr(Store, method, look_and_wait)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(outcome, (1, 2)))
    monkeypatch.undo()
    return found


# --- versions ------------------------------------------------------------------------------------------------------------


def test_versions_are_numbered_and_listed_oldest_first(store: Store, model: TrainedModel) -> None:
    assert register(store, model, model, model) == ["model_v001", "model_v002", "model_v003"]
    assert [version.name for version in registry.versions(store)] == ["model_v001", "model_v002", "model_v003"]


def test_the_thousandth_version_is_newer_than_the_999th(store: Store, model: TrainedModel) -> None:
    for number in (998, 999):
        store.put(layout.version_file(layout.version_name(number), layout.CLAIM), b"{}")
    assert register(store, model, model) == ["model_v1000", "model_v1001"]
    assert [version.name for version in registry.versions(store)] == ["model_v1000", "model_v1001"]


def test_metadata_has_the_hashes_and_the_origin(store: Store, model: TrainedModel) -> None:
    register(store, model)
    metadata = json.loads(store.get("registry/model_v001/metadata.json"))
    assert metadata["model_name"] == "credit_default"
    assert metadata["version"] == "model_v001"
    assert metadata["run_id"].startswith("run-")
    assert metadata["registered_at"].endswith("+00:00")
    assert metadata["origin"]["training_date"] == "2026-01-01"
    assert "reason" not in metadata["origin"]  # as releases wrote it that had no reason: their seals stay valid
    assert metadata["origin"]["features"] == {"age": "number", "city": "category"}
    for name in ARTIFACTS:
        assert metadata["sha256"][name] == hashlib.sha256(store.get(f"registry/model_v001/{name}")).hexdigest()
    metrics = json.loads(store.get("registry/model_v001/metrics.json"))
    assert {"accuracy", "roc_auc", "n_train", "n_test", "random_state"} <= metrics.keys()
    assert metrics["n_train"] + metrics["n_test"] == 1000


def test_a_version_round_trips(store: Store, model: TrainedModel) -> None:
    register(store, model)
    version = registry.read_version(store, "model_v001")
    assert (version.metrics, version.metadata.gates, version.metadata.origin) == (model.metrics, model.gates, model.origin)
    assert registry.read_scorecard(store, "model_v001") == VersionedScorecard("model_v001", model.scorecard)
    assert registry.read_steps(store, "model_v001") == model.steps
    assert registry.read_example(store, "model_v001") == model.example


def test_concurrent_trainings_get_two_numbers(store: Store, model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    found = together(monkeypatch, "names", lambda number: registry.register(store, model, f"run-{number}"))
    versions = [version for version in found if isinstance(version, registry.ModelVersion)]
    assert sorted(version.name for version in versions) == ["model_v001", "model_v002"]
    assert {version.metadata.run_id for version in registry.versions(store)} == {"run-1", "run-2"}
    for version in versions:
        assert registry.read_version(store, version.name).metadata == version.metadata


def test_an_unfinished_version_is_not_listed_or_overwritten(store: Store, model: TrainedModel) -> None:
    register(store, model)
    store.put("registry/model_v002/claim.json", b"{}")
    store.put("registry/model_v002/scorecard.json", b"{}")
    assert register(store, model) == ["model_v003"]
    assert [version.name for version in registry.versions(store)] == ["model_v001", "model_v003"]
    with pytest.raises(ModelError, match=r"registry/model_v002 is not in the lake or is incomplete.*risk models"):
        registry.read_version(store, "model_v002")
    with pytest.raises(ModelError, match="model_v002"):
        go_live(store, "model_v002")


def test_a_failed_registration_leaves_a_gap_and_no_version(store: Store, model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Store.put

    def full_at_the_pipeline(self: Store, path: str, content: bytes) -> None:
        if path.endswith("model.joblib"):
            raise LakeError("the disk is full")
        put(self, path, content)

    monkeypatch.setattr(Store, "put", full_at_the_pipeline)
    with pytest.raises(LakeError):
        register(store, model)
    monkeypatch.undo()
    assert registry.versions(store) == ()
    assert register(store, model) == ["model_v002"]


def test_a_repeated_run_completes_its_version(store: Store, model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Store.put

    def killed_at_the_metadata(self: Store, path: str, content: bytes) -> None:
        if path.endswith("metadata.json"):
            raise LakeError("killed")
        put(self, path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "put", killed_at_the_metadata)
        with pytest.raises(LakeError):
            registry.register(store, model, "run-a", "run-a")
    assert register(store, model) == ["model_v002"]
    assert registry.register(store, model, "run-b", "run-a").name == "model_v001"
    assert registry.register(store, model, "run-c", "run-a").name == "model_v001"
    assert registry.register(store, other(model, 0.5), "run-d", "run-a").name == "model_v003"
    assert registry.read_version(store, "model_v001").metadata.run_id == "run-b"


def test_a_lake_without_a_registry_has_no_versions(store: Store) -> None:
    assert registry.versions(store) == ()
    with pytest.raises(ModelError, match="risk models"):
        registry.read_version(store, "model_v001")


def test_an_unknown_folder_in_the_registry_is_ignored(store: Store, model: TrainedModel) -> None:
    register(store, model)
    store.put("registry/model_v001_backup/metadata.json", b"{}")
    assert [version.name for version in registry.versions(store)] == ["model_v001"]
    assert register(store, model) == ["model_v002"]


def test_the_newest_version_of_a_training_date_is_found(store: Store, model: TrainedModel) -> None:
    other = replace(model, origin=msgspec.structs.replace(model.origin, training_date="2026-01-02"))
    register(store, model, model, other)
    assert registry.newest_of(store, "2026-01-01").name == "model_v002"
    with pytest.raises(ModelError, match="risk train 2026-01-09"):
        registry.newest_of(store, "2026-01-09")


# --- integrity ---------------------------------------------------------------------------------------------------------


def test_a_changed_scorecard_is_rejected_and_named(store: Store, model: TrainedModel) -> None:
    register(store, model)
    flip(store, "registry/model_v001/scorecard.json")
    with pytest.raises(ModelError, match=r"registry/model_v001/scorecard\.json is not the file that was registered"):
        registry.read_scorecard(store, "model_v001")


def test_a_changed_points_table_is_rejected_and_named(store: Store, model: TrainedModel) -> None:
    register(store, model)
    flip(store, "registry/model_v001/steps.json")
    with pytest.raises(ModelError, match=r"registry/model_v001/steps\.json is not the file that was registered"):
        registry.read_steps(store, "model_v001")


def test_the_pickled_pipeline_reproduces_the_example(store: Store, model: TrainedModel) -> None:
    register(store, model)
    example = json.loads(store.get("registry/model_v001/example.json"))
    assert list(example["record"]) == ["age", "city"]
    pipeline = joblib.load(io.BytesIO(store.get("registry/model_v001/model.joblib")))
    assert pipeline.predict_proba(pd.DataFrame([example["record"]]))[0, 1] == pytest.approx(example["probability"], abs=1e-12)


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_changed_or_missing_example_is_rejected_and_named(store: Store, model: TrainedModel, damage: str) -> None:
    register(store, model)
    path = "registry/model_v001/example.json"
    flip(store, path) if damage == "changed" else store.delete(path)
    state = "not the file that was registered" if damage == "changed" else "missing"
    with pytest.raises(ModelError, match=rf"registry/model_v001/example\.json is {state}"):
        registry.read_example(store, "model_v001")


def test_changed_metrics_are_rejected_and_named(store: Store, model: TrainedModel) -> None:
    register(store, model)
    flip(store, "registry/model_v001/metrics.json")
    with pytest.raises(ModelError, match=r"registry/model_v001/metrics\.json is not the file that was registered"):
        registry.read_version(store, "model_v001")


@pytest.mark.parametrize("file", ["metrics.json", "metadata.json"])
def test_a_damaged_version_does_not_hide_the_others(store: Store, model: TrainedModel, file: str) -> None:
    register(store, model, model, model)
    flip(store, f"registry/model_v002/{file}")
    assert [version.name for version in registry.versions(store)] == ["model_v001", "model_v003"]
    (problem,) = registry.damaged(store)
    assert f"registry/model_v002/{file}" in problem
    assert register(store, model) == ["model_v004"]


def test_a_flipped_gate_in_metadata_is_found(store: Store, model: TrainedModel) -> None:
    register(store, failing(model))
    content = store.get("registry/model_v001/metadata.json")
    store.put("registry/model_v001/metadata.json", content.replace(b'"status": "failed"', b'"status": "passed"', 1))
    assert store.get("registry/model_v001/metadata.json") != content
    with pytest.raises(LakeError, match=r"registry/model_v001/metadata\.json was changed since it was written"):
        registry.read_version(store, "model_v001")


@pytest.mark.parametrize("name", ARTIFACTS)
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_an_incomplete_version_is_not_bound(store: Store, model: TrainedModel, name: str, damage: str) -> None:
    register(store, model)
    path = f"registry/model_v001/{name}"
    flip(store, path) if damage == "changed" else store.delete(path)
    with pytest.raises(ModelError, match=path.replace(".", r"\.")):
        go_live(store, "model_v001")
    assert binding_log.read(store) == ()


def test_a_version_without_a_listed_file_is_not_bound(store: Store, model: TrainedModel) -> None:
    register(store, model)
    metadata = json.loads(store.get("registry/model_v001/metadata.json"))
    metadata["seal"] = None  # as in a version of an earlier release
    metadata["sha256"]["notes.md"] = hashlib.sha256(b"notes").hexdigest()
    store.put("registry/model_v001/metadata.json", json.dumps(metadata).encode())
    with pytest.raises(ModelError, match=r"notes\.md is missing"):
        go_live(store, "model_v001")
    assert binding_log.read(store) == ()


@pytest.mark.parametrize("name", ["model_v001_backup", "model_v", "bindings", "../registry/model_v001", ""])
def test_a_name_that_is_not_a_version_is_rejected(store: Store, model: TrainedModel, name: str) -> None:
    register(store, model)
    for path in store.list("registry/model_v001/"):
        store.copy(path, path.replace("model_v001", "model_v001_backup"))
    for use in (registry.read_version, registry.read_scorecard, registry.read_steps, registry.read_example, go_live):
        with pytest.raises(ModelError, match="risk models"):
            use(store, name)
    assert binding_log.read(store) == ()


@pytest.mark.parametrize("name", ARTIFACTS)
def test_a_changed_file_of_a_trained_model_is_named(store: Store, model: TrainedModel, name: str) -> None:
    registry.write_trained(store, "2026-01-01", model, "run-1")
    flip(store, f"training/model_2026-01-01/run-1/{name}")
    with pytest.raises(ModelError, match=rf"training/model_2026-01-01/run-1/{name} is not the file".replace(".", r"\.")):
        registry.read_trained(store, "2026-01-01")


def test_a_changed_live_version_is_not_used(store: Store, model: TrainedModel) -> None:
    register(store, model)
    go_live(store, "model_v001")
    flip(store, "registry/model_v001/scorecard.json")
    for read in (registry.champion, registry.find_live):
        with pytest.raises(ModelError, match=r"scorecard\.json"):
            read(store)


@pytest.mark.parametrize("damage", [b"{", b"", b"[]", b'{"model_name": "\xff"}'])
def test_damaged_metadata_names_its_folder(store: Store, model: TrainedModel, damage: bytes) -> None:
    register(store, model)
    store.put("registry/model_v001/metadata.json", damage)
    with pytest.raises(LakeError, match=r"registry/model_v001"):
        registry.read_version(store, "model_v001")


# --- trained models ----------------------------------------------------------------------------------------------------


def test_a_trained_model_round_trips_and_is_replaced(store: Store, model: TrainedModel) -> None:
    registry.write_trained(store, "2026-01-01", model, "run-1")
    assert registry.read_trained(store, "2026-01-01") == model
    registry.write_trained(store, "2026-01-01", failing(model), "run-2")
    assert registry.read_trained(store, "2026-01-01") == failing(model)


def test_a_missing_trained_model_names_the_asset(store: Store) -> None:
    with pytest.raises(ModelError, match="Train it: risk train 2026-01-01"):
        registry.read_trained(store, "2026-01-01")


# --- the models of a binding -------------------------------------------------------------------------------------------


def test_no_live_model_is_an_error_with_the_command(store: Store, model: TrainedModel) -> None:
    register(store, model)
    assert (binding_log.live(store), registry.find_live(store)) == (None, None)
    with pytest.raises(ModelError, match=r"no model is live yet.*risk train DATE"):
        registry.champion(store)


def test_a_missing_version_is_not_bound(store: Store, model: TrainedModel) -> None:
    register(store, model)
    with pytest.raises(ModelError, match=r"model_v009.*risk models"):
        go_live(store, "model_v009")
    assert binding_log.read(store) == ()
    first = go_live(store, "model_v001")
    with pytest.raises(ModelError, match=r"model_v009.*risk models"):
        go_against(store, "model_v009")
    assert binding_log.read(store) == (first,)


@pytest.mark.parametrize("name", ARTIFACTS)
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_an_incomplete_challenger_is_not_bound(store: Store, model: TrainedModel, name: str, damage: str) -> None:
    register(store, model, model)
    first = go_live(store, "model_v001")
    path = f"registry/model_v002/{name}"
    flip(store, path) if damage == "changed" else store.delete(path)
    with pytest.raises(ModelError, match=path.replace(".", r"\.")):
        go_against(store, "model_v002", None)
    assert binding_log.read(store) == (first,)


def test_a_damaged_champion_is_not_bound_again(store: Store, model: TrainedModel) -> None:
    register(store, model, model, model)
    for version in ("model_v001", "model_v002"):
        go_live(store, version)
    flip(store, "registry/model_v001/model.joblib")
    with pytest.raises(ModelError, match=r"registry/model_v001/model\.joblib"):
        registry.bind(store, roll_back(binding_log.read(store), "ada", "worse"))
    flip(store, "registry/model_v002/profile.json")
    with pytest.raises(ModelError, match=r"registry/model_v002/profile\.json"):
        go_against(store, "model_v003")
    assert len(binding_log.read(store)) == 2


def test_the_challenge_of_a_damaged_version_can_end(store: Store, model: TrainedModel) -> None:
    register(store, model, model)
    go_live(store, "model_v001")
    go_against(store, "model_v002")
    flip(store, "registry/model_v002/scorecard.json")
    with pytest.raises(ModelError, match=r"registry/model_v002/scorecard\.json"):
        registry.champion(store)
    registry.bind(store, end_challenge(binding_log.read(store), "ada", "broken"))
    assert registry.champion(store).arms == Arms(VersionedScorecard("model_v001", model.scorecard))


def test_a_change_based_on_an_older_history_is_not_bound(store: Store, model: TrainedModel) -> None:
    register(store, model, model, model)
    go_live(store, "model_v001")
    change = promote(binding_log.read(store), "model_v003", "ada", "because", **archived(store))
    go_live(store, "model_v002")
    with pytest.raises(ModelError, match=r"another binding was made.*risk live"):
        registry.bind(store, change)
    assert registry.champion(store).version == "model_v002"


def test_the_champion_is_the_bound_version_with_its_scorecard(store: Store, model: TrainedModel) -> None:
    second = other(model, 0.5)
    register(store, model, second, model)
    binding = go_live(store, "model_v002")
    champion = registry.champion(store)
    assert (champion.version, champion.binding) == ("model_v002", binding)
    assert champion.arms == Arms(VersionedScorecard("model_v002", second.scorecard))
    assert registry.find_live(store) == VersionedScorecard("model_v002", second.scorecard)


@pytest.mark.parametrize("share", [0.25, None])
def test_the_arms_of_a_challenge_are_both_models(store: Store, model: TrainedModel, share: float | None) -> None:
    second = other(model, 0.5)
    register(store, model, second)
    go_live(store, "model_v001")
    binding = go_against(store, "model_v002", share)
    expected = Arms(VersionedScorecard("model_v001", model.scorecard), VersionedScorecard("model_v002", second.scorecard), share, "0a1b")
    assert registry.arms(store, binding) == expected
    assert registry.champion(store).arms == expected
    assert registry.find_live(store) == VersionedScorecard("model_v001", model.scorecard)


def test_the_champion_of_an_instant_has_its_own_models(store: Store, model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    second = other(model, 0.5)
    register(store, model, second)
    times = iter([f"2026-03-01T{hour}:00:00+00:00" for hour in (10, 11, 12)])
    monkeypatch.setattr(binding_log, "utc_now", lambda: next(times))
    go_live(store, "model_v001")
    go_against(store, "model_v002", None)
    go_live(store, "model_v002")
    first, later = VersionedScorecard("model_v001", model.scorecard), VersionedScorecard("model_v002", second.scorecard)
    found = [registry.bound(store, binding_log.live(store, f"2026-03-01T{hour}:59:59+00:00")).arms for hour in (10, 11, 12)]
    assert found == [Arms(first), Arms(first, later, None, "0a1b"), Arms(later)]


def test_no_version_is_live_before_the_first_binding(store: Store, model: TrainedModel) -> None:
    register(store, model)
    go_live(store, "model_v001")
    assert binding_log.live(store, "2020-01-01T00:00:00+00:00") is None
    with pytest.raises(ModelError, match="no model is live yet"):
        registry.bound(store, None)


# --- versions of a run -------------------------------------------------------------------------------------------------


def test_a_run_finds_only_the_version_it_registered(store: Store, model: TrainedModel) -> None:
    registry.register(store, model, "run-a")
    registry.register(store, other(model, -3.0), "retry-of-b", "run-b")
    found = [registry.registered_by(store, run) for run in ("run-a", "run-b", "retry-of-b", "run-c")]
    assert found == ["model_v001", "model_v002", None, None]


def test_a_claimed_number_without_a_version_is_not_registered(store: Store, model: TrainedModel) -> None:
    registry.register(store, model, "run-a")
    store.delete("registry/model_v001/metadata.json")
    assert registry.registered_by(store, "run-a") is None


def test_damaged_metrics_do_not_hide_other_versions(store: Store, model: TrainedModel) -> None:
    later = replace(model, origin=msgspec.structs.replace(model.origin, training_date="2026-01-02"))
    register(store, later, model, failing(later))
    for name in ("model_v001", "model_v003"):
        flip(store, f"registry/{name}/metrics.json")
    assert registry.newest_of(store, "2026-01-01").name == "model_v002"
    with pytest.raises(ModelError, match="model_v003"):
        registry.newest_of(store, "2026-01-02")


def test_a_version_with_damaged_metrics_does_not_go_live(store: Store, model: TrainedModel) -> None:
    register(store, model)
    flip(store, "registry/model_v001/metrics.json")
    with pytest.raises(ModelError, match=r"registry/model_v001/metrics\.json"):
        go_live(store, "model_v001")
