"""The policy archive: one file for each policy, under the hash of its content."""

import hashlib
import json

import pytest

from risk_assets.domain.contract.policy import Policy
from risk_assets.errors import LakeError
from risk_assets.lake import document_archive, layout
from risk_assets.lake.store import Store
from risk_assets.settings import Settings

TEXT = "threshold: 0.25\nbands: {A: 0.1, B: 0.5, C: 1}\n"


@pytest.fixture
def disk_store(disk_settings: Settings) -> Store:
    """An empty lake on disk, for tests with many operations."""
    return disk_settings.open_lake()


def parse(text: str) -> Policy:
    return Policy.parse(text, "my-policy.yml")


def archived(store: Store, policy: Policy) -> Policy:
    """Archive a policy and return it as it is read back."""
    document_archive.archive(store, policy)
    return document_archive.read(store, Policy, policy.digest)


def path(policy: Policy) -> str:
    return f"registry/policies/{policy.digest}.json"


def test_a_policy_is_stored_under_the_hash_of_its_file(store: Store, policy: Policy) -> None:
    document_archive.archive(store, policy)
    (only,) = store.list("registry/policies/")
    assert only == path(policy)
    assert hashlib.sha256(store.get(only)).hexdigest() == policy.digest
    assert json.loads(store.get(only))["bands"] == {"A": 0.03, "B": 0.08, "C": 0.15, "D": 0.25, "E": 0.45, "F": 1}


def test_a_policy_round_trips(store: Store, policy: Policy) -> None:
    for written in (policy, parse(TEXT)):
        found = archived(store, written)
        assert (found, found.digest) == (written, written.digest)


def test_floats_round_trip_exactly(store: Store) -> None:
    third, tiny = 0.1 + 0.2, 5e-324
    found = archived(
        store,
        parse(
            f"threshold: {third!r}\nbands: {{A: {tiny!r}, B: 0.3333333333333333, C: 0.9999999999999999, D: 1}}\n"
            f"points: {{base: -1.7976931348623157e+308, odds: 1.0e-7, pdo: 19.999999999999996}}\n"
        ),
    )
    assert found.threshold == 0.30000000000000004
    assert list(found.bands.values()) == [tiny, 1 / 3, 1 - 2**-53, 1]
    assert (found.points.base, found.points.odds, found.points.pdo) == (-1.7976931348623157e308, 1e-7, 20 - 2**-48)


@pytest.mark.parametrize(
    "names",
    [("low", "high", "extreme"), ("C", "B", "A"), ("10", "9", "1"), ("ß", "Zürich", "a b", "安全"), ("b", "a", "B", "A", "")],
)
def test_bands_keep_their_order(store: Store, names: tuple[str, ...]) -> None:
    bounds = [(at + 1) / len(names) for at in range(len(names))]
    written = Policy.model_validate({"threshold": 0.25, "bands": dict(zip(names, bounds, strict=True))})
    found = archived(store, written)
    assert list(found.bands.items()) == list(zip(names, bounds, strict=True))
    assert found == written


def test_policies_that_differ_in_band_names_are_stored_apart(store: Store) -> None:
    texts = [f"threshold: 0.25\nbands: {{{bands}}}\n" for bands in ("A: 0.5, B: 1", "B: 0.5, A: 1", "A: 0.5, C: 1")]
    written = [parse(text) for text in texts]
    for policy in written:
        document_archive.archive(store, policy)
    assert len(store.list("registry/policies/")) == 3
    assert [list(document_archive.read(store, Policy, policy.digest).bands) for policy in written] == [["A", "B"], ["B", "A"], ["A", "C"]]


def test_equal_policies_are_stored_once(store: Store) -> None:
    document_archive.archive(store, parse(TEXT))
    document_archive.archive(store, parse(TEXT))
    document_archive.archive(store, parse("# ours\nbands: {A: 0.10, B: 0.5, C: 1.0}\nreasons: 4\nthreshold: 0.25\npoints: {base: 600}\n"))
    assert len(store.list("registry/policies/")) == 1
    document_archive.archive(store, parse(f"{TEXT}reasons: 3\n"))
    assert len(store.list("registry/policies/")) == 2


def test_a_stored_policy_that_was_changed_is_repaired(store: Store, policy: Policy) -> None:
    for damage in (b"", policy.canonical[:-1] + b"]"):
        store.put(path(policy), damage)
        document_archive.archive(store, policy)
        assert document_archive.read(store, Policy, policy.digest) == policy


def test_a_policy_with_one_changed_byte_is_rejected(disk_store: Store, policy: Policy) -> None:
    document_archive.archive(disk_store, policy)
    content = disk_store.get(path(policy))
    for at in range(len(content)):
        disk_store.put(path(policy), content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(LakeError, match=rf"{path(policy)} was changed.*backup"):
            document_archive.read(disk_store, Policy, policy.digest)


@pytest.mark.parametrize("damage", [b"", b" ", b"\xff"])
def test_an_emptied_or_extended_policy_is_rejected(store: Store, policy: Policy, damage: bytes) -> None:
    document_archive.archive(store, policy)
    store.put(path(policy), store.get(path(policy)) + damage if damage else damage)
    with pytest.raises(LakeError, match=rf"{path(policy)} was changed"):
        document_archive.read(store, Policy, policy.digest)


def test_a_missing_policy_is_named(store: Store, policy: Policy) -> None:
    document_archive.archive(store, parse(TEXT))
    with pytest.raises(LakeError, match=rf"{path(policy)} is not in the lake.*backup"):
        document_archive.read(store, Policy, policy.digest)


def test_a_policy_of_another_release_is_rejected(disk_store: Store) -> None:
    content = b'{"threshold": 0.25, "bands": {"A": 1}, "colour": "green"}'
    digest = hashlib.sha256(content).hexdigest()
    disk_store.put(layout.policy(digest), content)
    with pytest.raises(LakeError, match="another release"):
        document_archive.read(disk_store, Policy, digest)
