"""Retrainings in the lake: one request for a date, what starts the cool-down, and damaged files."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import pytest

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.errors import LakeError
from risk_assets.lake import layout, registry, retraining
from risk_assets.lake.store import Store

DATE = "2026-03-01"
WEEK = Policy.parse("monitoring: {retraining: {cool_down_days: 7}}\n", "a test")


def until(store: Store, date: str = DATE) -> str | None:
    return retraining.cooling_down_until(store, WEEK, date)


def test_a_retraining_is_requested_once(store: Store) -> None:
    assert retraining.request(store, DATE, "drift")
    assert not retraining.request(store, DATE, "performance")
    assert retraining.read(store, DATE).reason == "drift"


def test_several_sensors_at_once_request_one(store: Store) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda number: retraining.request(store, DATE, f"sensor {number}"), range(8)))
    assert found.count(True) == 1
    assert retraining.read(store, DATE).reason == f"sensor {found.index(True)}"


def test_sensors_with_the_same_reason_at_the_same_instant_request_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retraining, "utc_now", lambda: "2026-03-02T06:00:00+00:00")
    assert [retraining.request(store, DATE, "drift") for _ in range(3)] == [True, False, False]


def test_a_request_counts_on_its_own_date_only(store: Store) -> None:
    retraining.request(store, DATE, "drift")
    assert until(store) == "2026-03-02"
    assert until(store, "2026-03-02") is None


def test_a_retraining_that_was_started_counts_for_the_cool_down(store: Store) -> None:
    retraining.request(store, DATE, "drift")
    retraining.start(store, DATE, "drift", "run-1")
    assert [until(store, f"2026-03-{day:02d}") for day in (1, 2, 7, 8)] == ["2026-03-08", "2026-03-08", "2026-03-08", None]
    assert until(store, "2026-02-28") is None


def test_the_request_and_each_start_are_kept(store: Store) -> None:
    retraining.request(store, DATE, "drift")
    for number in (1, 2):
        retraining.start(store, DATE, f"reason {number}", f"run-{number}")
    first = retraining.read(store, DATE)
    assert (first.reason, first.run_id) == ("drift", None)
    assert {(found.reason, found.run_id) for found in retraining.read_starts(store, DATE)} == {("reason 1", "run-1"), ("reason 2", "run-2")}
    assert retraining.problems(store, DATE) == []


def test_a_start_without_a_request_is_kept_beside_later_ones(store: Store) -> None:
    retraining.start(store, DATE, "drift", "run-1")
    assert not retraining.request(store, DATE, "performance")
    retraining.start(store, DATE, "a second look", "run-2")
    assert (retraining.read(store, DATE).run_id, [found.run_id for found in retraining.read_starts(store, DATE)]) == ("run-1", ["run-2"])


def test_a_changed_or_missing_record_is_a_problem(store: Store) -> None:
    retraining.request(store, DATE, "drift")
    retraining.start(store, DATE, "drift", "run-1")
    path = layout.retraining_start(DATE, "run-1")
    store.put(path, store.get(path).replace(b"drift", b"other"))
    store.delete(layout.retraining(DATE))
    missing, changed = retraining.problems(store, DATE)
    assert missing == f"{layout.retraining(DATE)} is missing"
    assert changed.startswith(f"{path} was changed since it was written")


def test_a_version_counts_from_its_training_date(store: Store, model: TrainedModel) -> None:
    trained = replace(model, origin=msgspec.structs.replace(model.origin, training_date=DATE))
    for other in (model, trained, model):  # the newest version is of an earlier date
        registry.register(store, other, f"run-{other.origin.training_date}-{len(registry.names(store))}")
    assert [until(store, f"2026-03-{day:02d}") for day in (1, 7, 8)] == ["2026-03-08", "2026-03-08", None]
    assert until(store, "2026-02-28") is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"date": 1}'])
def test_a_damaged_file_counts_as_started_and_is_named(store: Store, content: bytes) -> None:
    store.put(layout.retraining(DATE), content)
    with pytest.raises(LakeError, match=rf"monitoring/retraining_{DATE}.json cannot be read. Restore it from a backup"):
        retraining.read(store, DATE)
    assert until(store, "2026-03-05") == "2026-03-08"


def test_a_changed_file_is_named(store: Store) -> None:
    retraining.request(store, DATE, "drift")
    store.put(layout.retraining(DATE), store.get(layout.retraining(DATE)).replace(b"drift", b"other"))
    with pytest.raises(LakeError, match="was changed since it was written"):
        retraining.read(store, DATE)


def test_a_date_without_a_retraining_names_the_command(store: Store) -> None:
    with pytest.raises(LakeError, match=f"risk train {DATE} --reason WHY"):
        retraining.read(store, DATE)


def test_without_a_live_version_none_is_due(store: Store) -> None:
    assert retraining.retraining_due(store, WEEK, DATE) is None
