"""The digests of a contract: what makes outcomes and states of accounts stale."""

from collections.abc import Callable

import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import outcomes_digest, reads_alike, states_digest, values_digest

LANDED = """
id: customer
target: {column: defaulted, bad: 1, good: 0, matures_after_days: 30, definition: late}
features:
  days: {type: number, min: 0, reason: Days}
"""
DERIVED = LANDED.replace(
    "{column: defaulted, bad: 1, good: 0, matures_after_days: 30, definition: late}",
    "{derived: {bad_when: {column: days, at_least: 90}, within_days: 365, when_gone: good}}",
)


def changes(digest: Callable[[Contract], str], text: str, old: str, new: str) -> bool:
    """Return whether a change of the contract changes the digest."""
    assert old in text
    return digest(Contract.parse(text, "a")) != digest(Contract.parse(text.replace(old, new, 1), "b"))


@pytest.mark.parametrize(
    ("text", "old", "new", "stale"),
    [
        (LANDED, "bad: 1", "bad: 2", True),
        (LANDED, "matures_after_days: 30", "matures_after_days: 60", True),
        (LANDED, "definition: late", "definition: very late", False),
        (LANDED, "min: 0", "min: 1", False),
        (DERIVED, "within_days: 365", "within_days: 30", True),
        (DERIVED, "min: 0", "format: percent", False),  # outcomes are derived once
        (DERIVED, "reason: Days", "reason: Days late", False),
    ],
)
def test_what_makes_outcomes_stale(text: str, old: str, new: str, stale: bool) -> None:
    assert changes(outcomes_digest, text, old, new) is stale


@pytest.mark.parametrize(("old", "new", "stale"), [("at_least: 90", "at_least: 30", True), ("within_days: 365", "within_days: 30", False)])
def test_what_makes_states_stale(old: str, new: str, stale: bool) -> None:
    assert changes(states_digest, DERIVED, old, new) is stale


@pytest.mark.parametrize(
    ("old", "new", "alike"),
    [
        ("min: 0", "min: 1", False),
        ("type: number,", "type: number, missing: [-9],", False),
        ("id: customer", "id: customer\nmissing: [NA]", False),
        ("features:\n", "features:\n  more: {type: number, reason: More}\n", True),
        ("reason: Days", "reason: Late", True),
        ("id: customer", "id: client", True),
    ],
)
def test_which_contracts_read_a_feature_alike(old: str, new: str, alike: bool) -> None:
    assert old in LANDED
    assert reads_alike(Contract.parse(LANDED, "a"), Contract.parse(LANDED.replace(old, new, 1), "b"), ["days"]) is alike


def test_the_exposure_makes_nothing_stale() -> None:
    named = LANDED.replace("features:", "exposure: days\nfeatures:")
    for digest in (values_digest, outcomes_digest, states_digest):
        assert digest(Contract.parse(named, "a")) == digest(Contract.parse(LANDED, "b"))
