"""The log of bindings: a chain of sealed files in which every change is found."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest

from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.domain.governance.bindings import Binding, Change, challenge, promote, roll_back
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import binding_log, registry
from risk_assets.lake.objects import Entry
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from tests.conftest import ROOT
from tests.documents import BOUND, archived
from tests.lake.test_registry import flip, register, together

GOVERN = """
import sys
from risk_assets.domain.governance.bindings import promote, roll_back
from risk_assets.errors import ModelError
from risk_assets.lake import binding_log, registry
from risk_assets.lake.store import Store
from risk_assets.settings import load_settings

create = Store.create

def create_after_signal(store, path, content):
    print("ready", flush=True)
    sys.stdin.readline()
    return create(store, path, content)

Store.create = create_after_signal
lake = load_settings().open_lake()
history = binding_log.read(lake)
bound = {"policy": history[-1].policy, "contract": history[-1].contract}
change = roll_back(history, "bob", "worse") if sys.argv[1] == "rollback" else promote(history, sys.argv[1], "ada", "better", **bound)
try:
    print(registry.bind(lake, change).champion)
except ModelError as error:
    print(error)
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the bindings' clock."""
    return lambda time, day="2026-03-01": monkeypatch.setattr(binding_log, "utc_now", lambda: f"{day}T{time}+00:00")


@pytest.fixture
def disk_store(disk_settings: Settings) -> Store:
    """An empty lake on disk, for tests with many operations."""
    return disk_settings.open_lake()


def path(number: int) -> str:
    return f"registry/bindings/{number:06d}.json"


def promotions(store: Store, *numbers: int) -> list[Binding]:
    """Promote versions, one after the other."""
    archived(store)
    return [
        binding_log.write(store, promote(binding_log.read(store), f"model_v00{number}", "ada", "because", **BOUND)) for number in numbers
    ]


def sealed(binding: Binding) -> bytes:
    """Return the file of a binding with a new, valid seal, as a forger would write it."""
    fields = json.loads(msgspec.json.encode(binding)) | {"seal": ""}
    fields["seal"] = hashlib.sha256(json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
    return json.dumps(fields, indent=1, ensure_ascii=False).encode()


def edit(store: Store, number: int, old: bytes, new: bytes) -> None:
    content = store.get(path(number))
    assert old in content
    store.put(path(number), content.replace(old, new, 1))


def named(problems: list[str], number: int) -> bool:
    """Return whether there are problems, and each names a binding."""
    return bool(problems) and all(path(number) in problem for problem in problems)


# --- the chain -----------------------------------------------------------------------------------------------------------


def test_a_binding_records_actor_version_time_and_reason(store: Store, clock: Callable[..., None]) -> None:
    clock("10:00:00")
    found = binding_log.write(store, Change(0, "promote", "model_v001", "ada", "the first: «à l'essai»", overrides=("stability",), **BOUND))
    written = json.loads(store.get(path(1)))
    seal = written.pop("seal")
    assert written == {
        "seq": 1,
        "action": "promote",
        "champion": "model_v001",
        "challenger": None,
        "challenger_share": None,
        "mode": "champion",
        "salt": "",
        "actor": "ada",
        "reason": "the first: «à l'essai»",
        "overrides": ["stability"],
        "policy": BOUND["policy"],
        "contract": BOUND["contract"],
        "effective_from": "2026-03-01T10:00:00+00:00",
        "recorded_at": "2026-03-01T10:00:00+00:00",
        "previous": None,
    }
    assert (found.seal, found.reason, found.overrides) == (seal, "the first: «à l'essai»", ("stability",))
    assert binding_log.read(store) == (found,)


@pytest.mark.parametrize(("share", "mode"), [(0.1, "ab"), (1 / 3, "ab"), (1e-07, "ab"), (None, "shadow")])
def test_a_challenge_records_its_share_and_salt(store: Store, share: float | None, mode: str) -> None:
    promotions(store, 1)
    found = binding_log.write(store, challenge(binding_log.read(store), "model_v002", share, "0a1b", "ada", "try it"))
    written = json.loads(store.get(path(2)))
    assert (written["champion"], written["challenger"], written["challenger_share"]) == ("model_v001", "model_v002", share)
    assert (written["mode"], written["salt"], written["action"]) == (mode, "0a1b", "challenge")
    assert binding_log.live(store) == found
    assert binding_log.verify(store) == []


def test_each_binding_has_the_hash_of_the_one_before(store: Store) -> None:
    promotions(store, 1, 2, 1)
    assert store.list("registry/bindings/") == (path(1), path(2), path(3))
    contents = [store.get(path(number)) for number in (1, 2, 3)]
    expected = [None, hashlib.sha256(contents[0]).hexdigest(), hashlib.sha256(contents[1]).hexdigest()]
    assert [json.loads(content)["previous"] for content in contents] == expected
    assert [(binding.seq, binding.champion) for binding in binding_log.read(store)] == [
        (1, "model_v001"),
        (2, "model_v002"),
        (3, "model_v001"),
    ]


def test_the_seal_is_the_hash_of_the_binding_with_an_empty_seal(store: Store) -> None:
    promotions(store, 1, 2)
    binding_log.write(store, challenge(binding_log.read(store), "model_v003", 0.1, "0a1b", "Zoë", 'so "they"\nsay €'))
    for number in (1, 2, 3):
        content = store.get(path(number))
        assert sealed(msgspec.json.decode(content, type=Binding)) == content


def test_the_head_is_the_hash_of_the_newest_file(store: Store) -> None:
    assert binding_log.head(store) is None
    heads = []
    for number in (1, 2, 3):
        promotions(store, number)
        heads.append(binding_log.head(store))
        assert heads[-1] == hashlib.sha256(store.get(path(number))).hexdigest()
    assert len(set(heads)) == 3


def test_a_binding_is_found_by_its_number(store: Store) -> None:
    first, second = promotions(store, 1, 2)
    assert (binding_log.find(store, 1), binding_log.find(store, 2)) == (first, second)
    with pytest.raises(ModelError, match=rf"{path(3)} is not in the lake.*risk history"):
        binding_log.find(store, 3)
    flip(store, path(1))
    with pytest.raises(LakeError, match=path(1)):
        binding_log.find(store, 1)


def test_the_newest_path_is_found_without_reading_files(store: Store) -> None:
    assert binding_log.newest(store) is None
    promotions(store, 1, 2)
    assert binding_log.newest(store) == path(2)
    store.put(path(999_999), b"no binding")
    store.put("registry/bindings/1000000.json", b"no binding")
    store.put("registry/bindings/notes.txt", b"no binding")
    assert binding_log.newest(store) == "registry/bindings/1000000.json"


def test_a_lake_without_bindings_is_valid_and_has_no_live_model(store: Store) -> None:
    assert (binding_log.read(store), binding_log.live(store), binding_log.verify(store)) == ((), None, [])
    assert binding_log.live(store, "2026-03-01T10:00:00+00:00") is None


# --- live bindings -------------------------------------------------------------------------------------------------------


def test_the_live_binding_is_known_for_every_instant(store: Store, clock: Callable[..., None]) -> None:
    for time, number in (("10:00:00", 1), ("11:00:00", 2), ("12:00:00", 1)):
        clock(time)
        promotions(store, number)

    def live(time: str) -> tuple[int, str] | None:
        binding = binding_log.live(store, f"2026-03-01T{time}+00:00")
        return binding and (binding.seq, binding.champion)

    assert [live(time) for time in ("00:00:00", "09:59:59")] == [None, None]
    assert [live(time) for time in ("10:00:00", "10:59:59")] == [(1, "model_v001")] * 2
    assert [live(time) for time in ("11:00:00", "11:30:00")] == [(2, "model_v002")] * 2
    assert [live(time) for time in ("12:00:00", "23:59:59")] == [(3, "model_v001")] * 2
    now = binding_log.live(store)
    assert now is not None
    assert now.seq == 3


def test_the_later_of_two_bindings_in_one_second_is_live(store: Store, clock: Callable[..., None]) -> None:
    clock("10:00:00")
    _, later = promotions(store, 2, 1)
    assert binding_log.live(store, "2026-03-01T10:00:00+00:00") == later


def test_a_binding_from_a_wrong_clock_does_not_date_later_ones(store: Store, clock: Callable[..., None]) -> None:
    clock("10:00:00")
    promotions(store, 1)
    clock("10:00:00", day="2026-03-31")
    promotions(store, 2)
    clock("10:00:05")
    (right,) = promotions(store, 3)
    assert right.effective_from == "2026-03-01T10:00:05+00:00"
    for at in ("2026-03-01T10:00:05+00:00", "2026-03-30T00:00:00+00:00", "2026-04-01T00:00:00+00:00"):
        assert binding_log.live(store, at) == right
    assert binding_log.verify(store) == []


def test_a_clock_that_goes_back_does_not_hide_a_binding(store: Store, clock: Callable[..., None]) -> None:
    clock("10:00:00")
    promotions(store, 1)
    clock("09:00:00")
    (back,) = promotions(store, 2)
    clock("09:30:00")
    binding_log.write(store, roll_back(binding_log.read(store), "ada", "because"))
    clock("10:00:01")
    promotions(store, 2)
    starts = [binding.effective_from.removeprefix("2026-03-01T") for binding in binding_log.read(store)]
    assert starts == ["10:00:00+00:00", "10:00:00+00:00", "10:00:00+00:00", "10:00:01+00:00"]
    assert back.champion == "model_v002"
    at = binding_log.live(store, "2026-03-01T10:00:00+00:00")
    assert at is not None
    assert (at.seq, at.champion) == (3, "model_v001")
    assert binding_log.live(store, "2026-03-01T09:45:00+00:00") is None


# --- concurrency ---------------------------------------------------------------------------------------------------------


def test_one_of_two_concurrent_writers_gets_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    promotions(store, 1)
    history = binding_log.read(store)
    found = together(
        monkeypatch,
        "entries",
        lambda number: binding_log.write(store, promote(history, f"model_v00{number + 1}", "ada", "because", **BOUND)),
    )
    (winner,) = (binding for binding in found if isinstance(binding, Binding))
    (loser,) = (error for error in found if isinstance(error, ModelError))
    assert "another binding was made at the same time" in str(loser)
    assert "risk live" in str(loser)
    assert binding_log.read(store) == (*history, winner)
    assert binding_log.verify(store) == []


def test_one_of_two_concurrent_first_writers_gets_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    found = together(
        monkeypatch, "entries", lambda number: binding_log.write(store, promote((), f"model_v00{number}", "ada", "because", **BOUND))
    )
    assert sorted(isinstance(outcome, Binding) for outcome in found) == [False, True]
    assert [binding for binding in found if isinstance(binding, Binding)] == list(binding_log.read(store))


def test_one_of_two_concurrent_processes_gets_an_error(disk_settings: Settings, model: TrainedModel) -> None:
    store = disk_settings.open_lake()
    register(store, model, model, model)
    promotions(store, 1, 2)
    environment = {"PATH": os.environ["PATH"], "RISK_LAKE": disk_settings.lake, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GOVERN, choice],
            env=environment,
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for choice in ("model_v003", "rollback")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [problems for _, problems in outputs] == ["", ""]
    newest = binding_log.read(store)[2:]
    assert [binding.champion for binding in newest] in (["model_v003"], ["model_v001"])
    winner = 0 if newest[0].champion == "model_v003" else 1
    assert outputs[winner][0] == f"{newest[0].champion}\n"
    assert "another binding was made at the same time" in outputs[1 - winner][0]
    assert binding_log.verify(store) == []


def test_a_change_based_on_an_older_history_is_rejected(store: Store) -> None:
    promotions(store, 1, 2)
    seen = binding_log.read(store)
    changes = [
        promote(seen, "model_v004", "ada", "better", **BOUND),
        roll_back(seen, "ada", "worse"),
        challenge(seen, "model_v004", 0.1, "s", "ada", "try it"),
    ]
    promotions(store, 3)
    for change in changes:
        with pytest.raises(ModelError, match="another binding was made"):
            binding_log.write(store, change)
    assert [binding.champion for binding in binding_log.read(store)] == ["model_v001", "model_v002", "model_v003"]


def test_a_change_is_not_written_twice(store: Store) -> None:
    change = promote((), "model_v001", "ada", "because", **BOUND)
    binding_log.write(store, change)
    with pytest.raises(ModelError, match="another binding was made"):
        binding_log.write(store, change)
    assert len(binding_log.read(store)) == 1


# --- damaged chains ------------------------------------------------------------------------------------------------------


def test_a_complete_chain_has_no_problems(store: Store) -> None:
    promotions(store, 1, 2, 3)
    binding_log.write(store, challenge(binding_log.read(store), "model_v004", 0.1, "s", "ada", "try it"))
    binding_log.write(store, roll_back(binding_log.read(store), "ada", "worse"))
    assert binding_log.verify(store) == []


def test_a_binding_that_is_written_during_a_read_is_no_gap(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    promotions(store, 1)
    listed = Store.entries

    def entries(self: Store, prefix: str) -> tuple[Entry, ...]:
        found = listed(self, prefix)
        monkeypatch.setattr(Store, "entries", listed)
        promotions(store, 2)
        return found

    monkeypatch.setattr(Store, "entries", entries)
    assert [binding.seq for binding in binding_log.read(store)] == [1]
    assert [binding.seq for binding in binding_log.read(store)] == [1, 2]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_missing_binding_is_named(store: Store, missing: int) -> None:
    promotions(store, 1, 2, 3, 4)
    store.delete(path(missing))
    assert binding_log.verify(store) == [f"{path(missing)} is missing"]


def test_each_of_several_missing_bindings_is_named(store: Store) -> None:
    promotions(store, 1, 2, 3, 4, 5)
    for missing in (1, 3, 4):
        store.delete(path(missing))
    assert binding_log.verify(store) == [f"{path(missing)} is missing" for missing in (1, 3, 4)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"because", b"Because"),
        (b"model_v002", b"model_v009"),
        (b'"ada"', b'"bob"'),
        (b"\n", b"\n "),
        (b"\n", b" "),
        (b"\n}", b"\n}\n"),
        (b'"seq"', b'"note": "agreed",\n "seq"'),
    ],
    ids=["a reason", "a champion", "an actor", "a space more", "a line less", "a line at the end", "a key more"],
)
def test_any_change_of_a_middle_binding_is_found(store: Store, old: bytes, new: bytes) -> None:
    promotions(store, 1, 2, 3)
    edit(store, 2, old, new)
    assert named(binding_log.verify(store), 2)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_flipped_bit_in_any_byte_is_found(disk_store: Store, number: int) -> None:
    promotions(disk_store, 1, 2, 3)
    content = disk_store.get(path(number))
    for at in range(len(content)):
        disk_store.put(path(number), content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert named(binding_log.verify(disk_store), number), f"byte {at}"
    disk_store.put(path(number), content)
    assert binding_log.verify(disk_store) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seq"', b'"note": "agreed by the board",\n "seq"'),
        (b'"champion"', b'"champion": "model_v009",\n "champion"'),
        (b"\n}", b"\n\n}"),
    ],
    ids=["a key more", "a key twice", "a line more"],
)
def test_any_change_of_the_newest_binding_is_found(store: Store, old: bytes, new: bytes) -> None:
    promotions(store, 1, 2, 3)
    edit(store, 3, old, new)
    assert named(binding_log.verify(store), 3)


@pytest.mark.parametrize("damage", [b"{", b"[]", b"null", b'{"seq": 2}', b"PK\x03\x04"])
def test_a_file_that_is_not_a_binding_is_named(store: Store, damage: bytes) -> None:
    promotions(store, 1, 2, 3)
    for number in (2, 3):
        content = store.get(path(number))
        store.put(path(number), damage)
        assert named(binding_log.verify(store), number)
        with pytest.raises(LakeError, match=path(number)):
            binding_log.read(store)
        store.put(path(number), content)


def test_an_empty_newest_binding_does_not_count(store: Store) -> None:
    first, second = promotions(store, 1, 2)
    store.put(path(3), b"")
    assert (binding_log.read(store), binding_log.live(store), binding_log.newest(store)) == ((first, second), second, path(2))
    assert named(binding_log.verify(store), 3)
    (third,) = promotions(store, 4)
    assert (third.seq, binding_log.live(store)) == (4, third)
    assert binding_log.read(store) == (first, second, third)
    assert named(binding_log.verify(store), 3)


@pytest.mark.parametrize("number", [1, 2])
def test_an_older_binding_that_was_emptied_is_named(store: Store, number: int) -> None:
    promotions(store, 1, 2, 3)
    store.put(path(number), b"")
    assert named(binding_log.verify(store), number)
    with pytest.raises(LakeError, match=path(number)):
        binding_log.read(store)


def test_only_an_empty_binding_is_no_binding(store: Store) -> None:
    store.put(path(1), b"")
    assert (binding_log.read(store), binding_log.live(store)) == ((), None)
    (first,) = promotions(store, 1)
    assert (first.seq, binding_log.read(store)) == (2, (first,))
    assert named(binding_log.verify(store), 1)


def test_a_binding_that_is_not_utf_8_is_named(disk_store: Store) -> None:
    promotions(disk_store, 1, 2)
    edit(disk_store, 2, b"because", b"b\xffcause")
    assert named(binding_log.verify(disk_store), 2)
    with pytest.raises(LakeError, match=path(2)):
        binding_log.live(disk_store)


def test_a_resealed_binding_does_not_match_the_next_one(store: Store) -> None:
    _, middle, _, _ = promotions(store, 1, 2, 3, 4)
    store.put(path(2), sealed(msgspec.structs.replace(middle, reason="always agreed")))
    assert binding_log.find(store, 2).reason == "always agreed"  # valid without its neighbours
    (problem,) = binding_log.verify(store)
    assert path(2) in problem
    assert path(3) in problem


def test_a_resealed_newest_binding_changes_the_head(store: Store) -> None:
    kept = promotions(store, 1, 2)[1]
    before = binding_log.head(store)
    store.put(path(2), sealed(msgspec.structs.replace(kept, reason="always agreed")))
    assert binding_log.head(store) != before


def test_a_rewritten_chain_changes_the_head(store: Store) -> None:
    made = promotions(store, 1, 2, 3)
    before = binding_log.head(store)
    store.put(path(2), sealed(msgspec.structs.replace(made[1], champion="model_v009")))
    store.put(path(3), sealed(msgspec.structs.replace(made[2], previous=hashlib.sha256(store.get(path(2))).hexdigest())))
    assert binding_log.verify(store) == []
    assert binding_log.head(store) != before


def test_a_binding_under_another_number_is_named(store: Store) -> None:
    promotions(store, 1, 2, 3)
    store.copy(path(1), path(2))
    assert binding_log.verify(store)[0] == f"{path(2)} was changed since it was written. Restore it from a backup."
    assert path(3) in binding_log.verify(store)[1]


def test_a_first_binding_with_a_predecessor_is_named(store: Store) -> None:
    first = promotions(store, 1)[0]
    store.put(path(1), sealed(msgspec.structs.replace(first, previous="0" * 64)))
    assert binding_log.verify(store) == [f"{path(1)} follows a binding that is missing"]


# --- reading damaged logs ------------------------------------------------------------------------------------------------


def test_a_changed_newest_binding_blocks_reads_and_writes(store: Store) -> None:
    promotions(store, 1, 2)
    change = promote(binding_log.read(store), "model_v003", "ada", "because", **BOUND)
    edit(store, 2, b"model_v002", b"model_v001")
    reads: tuple[Callable[[], object], ...] = (
        lambda: binding_log.live(store),
        lambda: binding_log.live(store, "2100-01-01T00:00:00+00:00"),
        lambda: binding_log.read(store),
        lambda: binding_log.head(store),
        lambda: binding_log.write(store, change),
        lambda: registry.champion(store),
    )
    for read in reads:
        with pytest.raises(LakeError, match=rf"{path(2)} was changed since it was written.*backup"):
            read()
    assert store.size(path(3)) is None


def test_an_older_binding_under_the_newest_number_is_rejected(disk_store: Store) -> None:
    promotions(disk_store, 1, 2, 3)
    disk_store.copy(path(1), path(3))
    with pytest.raises(LakeError, match=path(3)):
        binding_log.live(disk_store)


def test_a_history_with_a_gap_cannot_be_rolled_back(disk_store: Store) -> None:
    # without number 2, model_v001 would appear to be live before model_v003
    promotions(disk_store, 1, 2, 3)
    disk_store.delete(path(2))
    with pytest.raises((LakeError, ModelError), match=path(2)):
        roll_back(binding_log.read(disk_store), "ada", "worse")


def test_a_history_without_its_promotions_is_rejected(disk_store: Store) -> None:
    promotions(disk_store, 1, 2)
    binding_log.write(disk_store, roll_back(binding_log.read(disk_store), "ada", "worse"))
    disk_store.delete(path(1))
    disk_store.delete(path(2))
    with pytest.raises((LakeError, ModelError)):
        roll_back(binding_log.read(disk_store), "ada", "worse")


@pytest.mark.parametrize("name", [".DS_Store", "notes.txt", "000003.json.bak"])
def test_an_unknown_file_among_the_bindings_is_ignored_or_named(disk_store: Store, name: str) -> None:
    promotions(disk_store, 1, 2, 3)
    binding_log.write(disk_store, roll_back(binding_log.read(disk_store), "ada", "worse"))
    unknown = f"registry/bindings/{name}"
    disk_store.put(unknown, b"ours") if name != "000003.json.bak" else disk_store.copy(path(3), unknown)
    assert all(unknown in problem for problem in binding_log.verify(disk_store))
    try:
        assert [binding.seq for binding in binding_log.read(disk_store)] == [1, 2, 3, 4]
        now = binding_log.live(disk_store)
    except LakeError as error:
        assert unknown in str(error)
    else:
        assert now is not None
        assert (now.seq, now.champion) == (4, "model_v002")
