"""The sample of a date's requests: bounded in files, bytes and records, the same each time, and fair."""

import pytest

from risk_assets.lake import layout, online_files, online_sample
from risk_assets.lake.online_sample import OnlineSample, sample
from risk_assets.lake.store import Store
from tests.lake.test_online_log import DATE, answer, event, lines, outputs, path, write


def sampled(store: Store) -> OnlineSample:
    found = sample(store, DATE, lambda _: None)
    assert found
    return found


def requests(store: Store) -> list[str]:
    return [each.request for each in sampled(store).records]


def test_all_records_of_a_small_log_are_in_the_sample(store: Store) -> None:
    assert sample(store, DATE, lambda _: None) is None
    write(store, DATE, "r1", "r2")
    write(store, DATE, "r3", name=1)
    found = sampled(store)
    assert (found.files, found.pairs, found.read, found.problems) == (4, 2, 2, 0)
    assert sorted(each.request for each in found.records) == ["r1", "r2", "r3"]


def test_the_number_of_files_is_bounded(disk_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in range(30):
        write(disk_store, DATE, f"r{name}", name=name)
    monkeypatch.setattr(online_sample, "SAMPLE_FILES", 10)
    read: list[str] = []
    find = Store.find
    monkeypatch.setattr(Store, "find", lambda self, path: (read.append(path), find(self, path))[1])
    found = sampled(disk_store)
    assert (found.files, found.pairs, found.read, len(found.records), len(set(read))) == (60, 30, 10, 10, 20)
    assert {int(each.request[1:]) for each in found.records} != set(range(10))  # not the first ones
    assert requests(disk_store) == [each.request for each in found.records]


def test_the_bytes_of_files_are_bounded(disk_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in range(10):
        write(disk_store, DATE, f"r{name}", name=name)
    size = len(disk_store.get(path(DATE, layout.ONLINE_OUTPUTS)))
    monkeypatch.setattr(online_sample, "SAMPLE_BYTES", 3 * size)
    assert sampled(disk_store).read == 3
    monkeypatch.setattr(online_sample, "SAMPLE_BYTES", 1)
    assert sampled(disk_store).read == 1


def test_the_number_of_records_is_bounded(disk_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large request does not displace small ones: each record has the same chance."""
    many = [{"id": f"A{number}"} for number in range(500)]
    answers = [answer(id=record["id"]) for record in many]
    disk_store.put(path(DATE, layout.ONLINE_INPUTS), lines(event("large", many)))
    disk_store.put(path(DATE, layout.ONLINE_OUTPUTS), lines(outputs("large", *answers)))
    write(disk_store, DATE, *(f"r{number}" for number in range(500)), name=1)
    monkeypatch.setattr(online_sample, "SAMPLE_RECORDS", 100)
    found = sampled(disk_store).records
    assert len(found) == len({(each.request, each.position) for each in found}) == 100
    assert 25 < sum(each.request == "large" for each in found) < 75
    assert all(each.answer.id == (f"A{each.position}" if each.request == "large" else "A1") for each in found)


def test_damaged_lines_are_counted_and_reported(disk_store: Store) -> None:
    write(disk_store, DATE, "r1")
    for name in (1, 2):
        write(disk_store, DATE, f"r{name + 1}", name=name)
    disk_store.put(path(DATE, layout.ONLINE_OUTPUTS, 1), b"{\n")
    disk_store.delete(path(DATE, layout.ONLINE_OUTPUTS, 2))
    messages: list[str] = []
    found = sample(disk_store, DATE, messages.append)
    assert found and [each.request for each in found.records] == ["r1"]
    assert found.problems == len(messages) == 3
    assert any(f"{path(DATE, layout.ONLINE_OUTPUTS, 2)} is missing" in message for message in messages)


def test_requests_that_are_being_written_are_not_a_problem(disk_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(disk_store, DATE, "r1")
    write(disk_store, DATE, "r2", name=1)
    disk_store.delete(path(DATE, layout.ONLINE_OUTPUTS, 1))
    monkeypatch.setattr(online_files, "utc_now", lambda: f"{DATE}T12:00:00+00:00")
    found = sampled(disk_store)
    assert (found.files, found.pairs, found.problems, [each.request for each in found.records]) == (3, 1, 0, ["r1"])
