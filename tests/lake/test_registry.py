"""What must hold of versions and bindings: numbered without gaps that lie, whole or refused, never edited."""

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import pytest

from risk_assets.domain.errors import LakeError, ModelError
from risk_assets.domain.model import TrainedModel
from risk_assets.domain.promotion import Gate
from risk_assets.lake import layout, registry
from risk_assets.lake.store import Store

ARTIFACTS = ["scorecard.json", "metrics.json", "profile.json", "model.joblib"]


def flip(store: Store, path: str) -> None:
    """Change one byte in the middle of an object and keep its size."""
    content = bytearray(store.get(path))
    content[len(content) // 2] ^= 1
    store.put(path, bytes(content))


def failing(model: TrainedModel) -> TrainedModel:
    return replace(model, gates=(Gate("auc_floor", False, "AUC 0.5, floor 0.6"),))


def register(store: Store, *models: TrainedModel) -> list[str]:
    return [registry.register(store, model, f"run-{number}").name for number, model in enumerate(models, start=1)]


def together(monkeypatch: pytest.MonkeyPatch, method: str, action: Callable[[int], object]) -> list[object]:
    """Run an action in two threads that wait for each other after they have looked at the lake; return results and errors."""
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the registry's clock."""
    return lambda time: monkeypatch.setattr(registry, "utc_now", lambda: f"2026-03-01T{time}+00:00")


# --- versions ------------------------------------------------------------------------------------------------------------


def test_versions_get_consecutive_numbers_and_are_listed_oldest_first(store: Store, model: TrainedModel) -> None:
    assert register(store, model, model, model) == ["model_v001", "model_v002", "model_v003"]
    assert [version.name for version in registry.versions(store)] == ["model_v001", "model_v002", "model_v003"]


def test_the_thousandth_version_is_newer_than_the_999th(store: Store, model: TrainedModel) -> None:
    for number in (998, 999):
        store.put(f"{layout.version(number)}/{layout.CLAIM}", b"{}")
    assert register(store, model, model) == ["model_v1000", "model_v1001"]
    assert [version.name for version in registry.versions(store)] == ["model_v1000", "model_v1001"]


def test_a_version_holds_its_artifacts_with_their_hashes_and_says_where_it_is_from(store: Store, model: TrainedModel) -> None:
    register(store, model)
    metadata = json.loads(store.get("registry/model_v001/metadata.json"))
    assert metadata["model_name"] == "credit_default"
    assert metadata["version"] == "model_v001"
    assert metadata["run_id"] == "run-1"
    assert metadata["registered_at"].endswith("+00:00")
    assert metadata["origin"]["training_date"] == "2026-01-01"
    assert metadata["origin"]["features"] == {"age": "number", "city": "category"}
    for name in ARTIFACTS:
        assert metadata["sha256"][name] == hashlib.sha256(store.get(f"registry/model_v001/{name}")).hexdigest()
    metrics = json.loads(store.get("registry/model_v001/metrics.json"))
    assert {"accuracy", "roc_auc", "n_train", "n_test", "random_state"} <= metrics.keys()
    assert metrics["n_train"] + metrics["n_test"] == 1000


def test_a_version_comes_back_as_it_was_registered(store: Store, model: TrainedModel) -> None:
    register(store, model)
    version = registry.read_version(store, "model_v001")
    assert (version.metrics, version.metadata.gates, version.metadata.origin) == (model.metrics, model.gates, model.origin)
    assert registry.read_scorecard(store, "model_v001") == model.scorecard


def test_two_trainers_at_the_same_moment_get_two_numbers(store: Store, model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    found = together(monkeypatch, "names", lambda number: registry.register(store, model, f"run-{number}"))
    versions = [version for version in found if isinstance(version, registry.ModelVersion)]
    assert sorted(version.name for version in versions) == ["model_v001", "model_v002"]
    assert {version.metadata.run_id for version in registry.versions(store)} == {"run-1", "run-2"}
    for version in versions:
        assert registry.read_version(store, version.name).metadata == version.metadata


def test_a_claimed_but_unfinished_folder_is_no_version_and_its_number_is_not_used_again(store: Store, model: TrainedModel) -> None:
    register(store, model)
    store.put("registry/model_v002/claim.json", b"{}")
    store.put("registry/model_v002/scorecard.json", b"{}")
    assert register(store, model) == ["model_v003"]
    assert [version.name for version in registry.versions(store)] == ["model_v001", "model_v003"]
    with pytest.raises(ModelError, match=r"registry/model_v002 is not in the lake, or not whole.*risk models"):
        registry.read_version(store, "model_v002")
    with pytest.raises(ModelError, match="model_v002"):
        registry.bind(store, "model_v002", "somebody", "why not")


def test_a_training_that_breaks_while_it_registers_leaves_a_gap_and_no_version(
    store: Store, model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_lake_without_a_registry_has_no_versions(store: Store) -> None:
    assert registry.versions(store) == ()
    with pytest.raises(ModelError, match="risk models"):
        registry.read_version(store, "model_v001")


def test_a_strangers_folder_in_the_registry_is_ignored(store: Store, model: TrainedModel) -> None:
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


def test_a_version_whose_scorecard_changed_by_one_byte_is_refused_and_named(store: Store, model: TrainedModel) -> None:
    register(store, model)
    flip(store, "registry/model_v001/scorecard.json")
    with pytest.raises(ModelError, match=r"registry/model_v001/scorecard\.json is not the file that was registered"):
        registry.read_scorecard(store, "model_v001")


def test_a_version_whose_metrics_changed_by_one_byte_is_refused_and_named(store: Store, model: TrainedModel) -> None:
    register(store, model)
    flip(store, "registry/model_v001/metrics.json")
    for read in (lambda: registry.read_version(store, "model_v001"), lambda: registry.versions(store)):
        with pytest.raises(ModelError, match=r"registry/model_v001/metrics\.json is not the file that was registered"):
            read()


@pytest.mark.parametrize("name", ARTIFACTS)
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_version_that_is_not_whole_is_not_bound(store: Store, model: TrainedModel, name: str, damage: str) -> None:
    register(store, model)
    path = f"registry/model_v001/{name}"
    flip(store, path) if damage == "changed" else store.delete(path)
    with pytest.raises(ModelError, match=path.replace(".", r"\.")):
        registry.bind(store, "model_v001", "somebody", "tried")
    assert registry.bindings(store) == ()


def test_a_version_whose_metadata_lists_a_file_that_is_not_there_is_not_bound(store: Store, model: TrainedModel) -> None:
    register(store, model)
    metadata = json.loads(store.get("registry/model_v001/metadata.json"))
    metadata["sha256"]["notes.md"] = hashlib.sha256(b"notes").hexdigest()
    store.put("registry/model_v001/metadata.json", json.dumps(metadata).encode())
    with pytest.raises(ModelError, match=r"notes\.md is missing"):
        registry.bind(store, "model_v001", "somebody", "tried")
    assert registry.bindings(store) == ()


@pytest.mark.parametrize("name", ["model_v001_backup", "model_v", "bindings", "../registry/model_v001", ""])
def test_what_is_no_versions_name_is_neither_read_nor_bound(store: Store, model: TrainedModel, name: str) -> None:
    register(store, model)
    for path in store.list("registry/model_v001/"):
        store.copy(path, path.replace("model_v001", "model_v001_backup"))
    for use in (registry.read_version, registry.read_scorecard, lambda store, name: registry.bind(store, name, "ada", "because")):
        with pytest.raises(ModelError, match="risk models"):
            use(store, name)
    assert registry.bindings(store) == ()


@pytest.mark.parametrize("name", ARTIFACTS)
def test_a_trained_model_that_is_not_whole_is_refused_and_the_file_named(store: Store, model: TrainedModel, name: str) -> None:
    registry.write_trained(store, "2026-01-01", model, "run-1")
    flip(store, f"training/model_2026-01-01/{name}")
    with pytest.raises(ModelError, match=rf"training/model_2026-01-01/{name} is not the file".replace(".", r"\.")):
        registry.read_trained(store, "2026-01-01")


def test_a_live_version_that_changed_is_not_used(store: Store, model: TrainedModel) -> None:
    register(store, model)
    registry.bind(store, "model_v001", "somebody", "first")
    flip(store, "registry/model_v001/scorecard.json")
    for read in (registry.champion, registry.find_live):
        with pytest.raises(ModelError, match=r"scorecard\.json"):
            read(store)


def test_metadata_that_can_not_be_read_names_its_folder(store: Store, model: TrainedModel) -> None:
    register(store, model)
    store.put("registry/model_v001/metadata.json", b"{")
    with pytest.raises(LakeError, match=r"registry/model_v001"):
        registry.read_version(store, "model_v001")


# --- trained models ----------------------------------------------------------------------------------------------------


def test_a_trained_model_comes_back_as_it_was_and_a_later_one_takes_its_place(store: Store, model: TrainedModel) -> None:
    registry.write_trained(store, "2026-01-01", model, "run-1")
    assert registry.read_trained(store, "2026-01-01") == model
    registry.write_trained(store, "2026-01-01", failing(model), "run-2")
    assert registry.read_trained(store, "2026-01-01") == failing(model)


def test_a_date_without_a_trained_model_says_what_to_materialize(store: Store) -> None:
    with pytest.raises(ModelError, match="Materialize training/model for 2026-01-01"):
        registry.read_trained(store, "2026-01-01")


# --- bindings ----------------------------------------------------------------------------------------------------------


def test_a_binding_says_who_made_what_live_when_and_why(store: Store, model: TrainedModel, clock: Callable[[str], None]) -> None:
    register(store, model)
    clock("10:00:00")
    registry.bind(store, "model_v001", "ada", "first model")
    assert json.loads(store.get("registry/bindings/000001.json")) == {
        "seq": 1,
        "champion": "model_v001",
        "challenger": None,
        "challenger_share": None,
        "mode": "champion",
        "actor": "ada",
        "reason": "first model",
        "effective_from": "2026-03-01T10:00:00+00:00",
        "recorded_at": "2026-03-01T10:00:00+00:00",
        "previous": None,
    }


def test_each_binding_bears_the_hash_of_the_bytes_of_the_one_before(store: Store, model: TrainedModel) -> None:
    register(store, model, model)
    for version in ("model_v001", "model_v002", "model_v001"):
        registry.bind(store, version, "ada", "because")
    paths = [f"registry/bindings/00000{number}.json" for number in (1, 2, 3)]
    assert list(store.list("registry/bindings/")) == paths
    contents = [store.get(path) for path in paths]
    expected = [None, hashlib.sha256(contents[0]).hexdigest(), hashlib.sha256(contents[1]).hexdigest()]
    assert [json.loads(content)["previous"] for content in contents] == expected
    assert [(binding.seq, binding.champion) for binding in registry.bindings(store)] == [
        (1, "model_v001"),
        (2, "model_v002"),
        (3, "model_v001"),
    ]


def test_what_was_live_is_told_for_every_instant(store: Store, model: TrainedModel, clock: Callable[[str], None]) -> None:
    register(store, model, model)
    for time, version in (("10:00:00", "model_v001"), ("11:00:00", "model_v002"), ("12:00:00", "model_v001")):
        clock(time)
        registry.bind(store, version, "ada", "because")

    def live(time: str) -> str | None:
        binding = registry.live(store, f"2026-03-01T{time}+00:00")
        return binding.champion if binding else None

    assert live("09:59:59") is None
    assert [live(time) for time in ("10:00:00", "10:59:59", "11:00:00", "11:30:00", "12:00:00", "23:00:00")] == [
        *["model_v001"] * 2,
        *["model_v002"] * 2,
        *["model_v001"] * 2,
    ]
    now = registry.live(store)
    assert now is not None
    assert (now.seq, now.champion) == (3, "model_v001")


def test_of_two_bindings_in_one_second_the_later_is_live(store: Store, model: TrainedModel, clock: Callable[[str], None]) -> None:
    register(store, model, model)
    clock("10:00:00")
    for version in ("model_v002", "model_v001"):
        registry.bind(store, version, "ada", "because")
    at = registry.live(store, "2026-03-01T10:00:00+00:00")
    assert at is not None
    assert (at.seq, at.champion) == (2, "model_v001")


def test_of_two_binders_at_the_same_moment_one_wins_and_the_other_is_told(
    store: Store, model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(store, model, model)
    found = together(monkeypatch, "list", lambda number: registry.bind(store, f"model_v00{number}", "ada", "because"))
    winners = [binding for binding in found if isinstance(binding, registry.Binding)]
    errors = [error for error in found if isinstance(error, ModelError)]
    assert (len(winners), len(errors)) == (1, 1)
    assert "risk live" in str(errors[0])
    assert registry.bindings(store) == tuple(winners)


def test_without_a_binding_no_model_is_live_and_the_command_is_named(store: Store, model: TrainedModel) -> None:
    register(store, model)
    assert (registry.live(store), registry.find_live(store), registry.bindings(store)) == (None, None, ())
    with pytest.raises(ModelError, match=r"no model is live yet.*risk train DATE"):
        registry.champion(store)


def test_a_version_that_is_not_there_is_not_bound(store: Store, model: TrainedModel) -> None:
    register(store, model)
    with pytest.raises(ModelError, match=r"model_v009.*risk models"):
        registry.bind(store, "model_v009", "ada", "because")
    assert registry.bindings(store) == ()


def test_the_champion_is_the_bound_version_with_its_scorecard(store: Store, model: TrainedModel) -> None:
    register(store, model, model)
    registry.bind(store, "model_v002", "ada", "because")
    champion = registry.champion(store)
    assert (champion.version, champion.scorecard) == ("model_v002", model.scorecard)
    live = registry.find_live(store)
    assert live is not None
    assert (live.version, live.scorecard) == ("model_v002", model.scorecard)


# --- candidates --------------------------------------------------------------------------------------------------------


def test_the_candidate_is_the_newest_version_that_passes_its_gates(store: Store, model: TrainedModel) -> None:
    assert model.gates
    assert all(gate.passed for gate in model.gates)
    assert registry.candidate(store) is None
    register(store, model, model, failing(model))
    found = registry.candidate(store)
    assert found is not None
    assert found.name == "model_v002"


def test_a_version_with_damaged_metrics_does_not_hide_the_candidate_nor_another_dates_version(store: Store, model: TrainedModel) -> None:
    other = replace(model, origin=msgspec.structs.replace(model.origin, training_date="2026-01-02"))
    register(store, other, model, failing(other))
    for name in ("model_v001", "model_v003"):
        flip(store, f"registry/{name}/metrics.json")
    found = registry.candidate(store)
    assert found is not None
    assert found.name == "model_v002"
    assert registry.newest_of(store, "2026-01-01").name == "model_v002"
    with pytest.raises(ModelError, match="model_v003"):
        registry.newest_of(store, "2026-01-02")


def test_a_candidate_whose_metrics_are_damaged_is_found_but_does_not_go_live(store: Store, model: TrainedModel) -> None:
    register(store, model)
    flip(store, "registry/model_v001/metrics.json")
    found = registry.candidate(store)
    assert found is not None
    with pytest.raises(ModelError, match=r"registry/model_v001/metrics\.json"):
        registry.bind(store, found.name, "ada", "because")


def test_a_version_that_is_live_or_older_is_no_candidate(store: Store, model: TrainedModel) -> None:
    register(store, model, model, failing(model))
    registry.bind(store, "model_v002", "ada", "because")
    assert registry.candidate(store) is None


def test_a_rollback_is_not_undone_but_a_newer_version_is_a_candidate(store: Store, model: TrainedModel) -> None:
    register(store, model, model, model)
    for version in ("model_v001", "model_v003", "model_v001"):
        registry.bind(store, version, "ada", "because")
    assert registry.candidate(store) is None
    register(store, failing(model), model)
    found = registry.candidate(store)
    assert found is not None
    assert found.name == "model_v005"
