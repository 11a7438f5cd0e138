"""Differences between two documents, by key."""

import pytest

from risk_assets.domain.contract.differences import ABSENT, Difference, differences, named
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract

TEXT = """
id: id
target: {column: defaulted, bad: "1"}
exclude: [{reason: closed, column: city, is: [gone]}]
features:
  age: {type: number, min: 18, reason: Age}
  city: {type: category, reason: City}
"""


def changed(old: str, new: str) -> tuple[Difference, ...]:
    assert old in TEXT
    return differences(Contract.parse(TEXT, "one"), Contract.parse(TEXT.replace(old, new), "other"))


def test_equal_documents_have_no_differences() -> None:
    assert differences(Policy(), Policy()) == ()
    assert changed("id: id", "# a comment\nid: id") == ()


def test_a_changed_value_is_named_by_its_keys() -> None:
    other = Policy.model_validate({"threshold": 0.2, "training": {"holdout": 0.3}})
    assert differences(Policy(), other) == (Difference("threshold", "0.25", "0.2"), Difference("training.holdout", "0.2", "0.3"))


EXCLUDED = "[reason: closed, column: city, is: [gone{}]]"
CITY = "  city: {type: category, reason: City}"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("min: 18", "min: 21", Difference("features.age.min", "18.0", "21.0")),
        ("[gone]", "[gone, left]", Difference("exclude", EXCLUDED.format(""), EXCLUDED.format("; left"))),
        (CITY, f"{CITY}\n  x: {{type: number, reason: X}}", Difference("features.x", ABSENT, "type: number, reason: X")),
        ('bad: "1"', 'bad: "1", matures_after_days: 30', Difference("target.matures_after_days", ABSENT, "30")),
    ],
)
def test_contract_differences(old: str, new: str, found: Difference) -> None:
    assert changed(old, new) == (found,)


def test_the_order_of_features_counts() -> None:
    one, other = (Contract.parse(TEXT, "c"), Contract.parse(TEXT, "c"))
    swapped = other.model_copy(update={"features": dict(reversed(other.features.items()))})
    assert one.digest != swapped.digest
    assert differences(one, swapped) == (Difference("order of features", "age, city", "city, age"),)


def test_bands_that_one_document_has_are_differences() -> None:
    other = Policy.model_validate({"bands": {"A": 0.03, "Z": 1.0}})
    assert Difference("bands.Z", ABSENT, "1.0") in differences(Policy(), other)
    assert Difference("bands.F", "1.0", ABSENT) in differences(Policy(), other)


@pytest.mark.parametrize(("keys", "text"), [(["a"], "a"), (["a", "b"], "a, b"), (list("abcdefg"), "a, b, c, d, e and 2 more")])
def test_named_lists_the_first_keys(keys: list[str], text: str) -> None:
    assert named(keys) == text
