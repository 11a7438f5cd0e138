"""The contract's population: rules that exclude accounts, columns that models do not use, and the customer of an account."""

from typing import Any

import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.errors import ContractError

TEXT = """\
id: account
target: {column: defaulted, bad: 1}
missing: [NA]
group: customer
exclude:
  - {reason: closed, column: status, is: [closed, charged off]}
  - {reason: already late, column: arrears, at_least: 90}
  - {reason: new, column: opened, below: 60}
features:
  arrears: {type: number, min: 0, reason: Arrears}
  opened: {type: number, format: date(%Y-%m-%d), input: false, reason: "-"}
  status: {type: category, missing: [unknown], input: false, reason: "-"}
  sex: {type: category, sensitive: true, reason: "-"}
  product: {type: category, reason: Product}
"""


def parse(text: str) -> Contract:
    return Contract.parse(text, "contract.yml")


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def test_columns_of_rules_are_stored_and_not_inputs() -> None:
    contract = parse(TEXT)
    assert contract.columns == ("account", "customer", "arrears", "opened", "status", "sex", "product")
    assert (tuple(contract.inputs), contract.numbers, contract.categories) == (("arrears", "product"), ("arrears",), ("product",))
    assert tuple(contract.request_features) == ("arrears", "product", "status", "opened")
    assert contract.outcome_columns == ("account", "defaulted")


def test_canonical_form_is_the_same_contract() -> None:
    contract = parse(TEXT)
    assert parse(contract.canonical.decode()) == contract
    assert b'"is":["closed","charged off"]' in contract.canonical


@pytest.mark.parametrize("line", ["group: customer\n", ", input: false", "  - {reason: new, column: opened, below: 60}\n"])
def test_every_key_of_the_population_is_in_the_digest(line: str) -> None:
    assert parse(TEXT.replace(line, "")).digest != parse(TEXT).digest


@pytest.mark.parametrize("bound", ["at_least", "above", "at_most", "below"])
def test_a_bound_of_zero_is_kept(bound: str) -> None:
    contract = parse(changed("at_least: 90", f"{bound}: 0"))
    assert Contract.model_validate_json(contract.canonical) == contract
    assert contract.exclude[1].bounds == (0,)


def test_unset_keys_are_not_in_the_digest(contract: Contract) -> None:
    assert not any(f'"{key}":'.encode() in contract.canonical for key in ("group", "exclude", "input", "is", "at_least"))


def test_rules_and_group_decide_values_and_input_does_not() -> None:
    digest = values_digest(parse(TEXT))
    assert values_digest(parse(changed("at_least: 90", "at_least: 60"))) != digest
    assert values_digest(parse(changed("reason: closed", "reason: shut"))) != digest
    assert values_digest(parse(changed("group: customer\n", ""))) != digest
    assert values_digest(parse(changed("min: 0, reason", "min: 0, input: false, reason"))) == digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("column: status", "column: state", "state is not a feature; add it to features, with input: false"),
        ("column: status", "column: customer", "customer is not a feature"),
        ("column: status", "column: sex", "sex is sensitive, and decisions must not rest on it"),
        ("column: status", "column: arrears", "arrears is a number; use at_least, above, at_most or below"),
        ("column: arrears", "column: product", "product is a category; use is"),
        ("at_least: 90", "at_least: 90, is: [x]", "exclude.1: set either numbers (at_least, above, at_most, below) or levels (is)"),
        (", at_least: 90", "", "exclude.1: set either numbers"),
        ("is: [closed, charged off]", "is: []", "exclude.0: set either numbers"),
        ("is: [closed, charged off]", "is: closed", "exclude.0.is: Input should be a valid list"),
        ("is: [closed, charged off]", "is: [closed, ' NA']", "a level of status means a missing value, which matches no rule"),
        ("is: [closed, charged off]", "is: [unknown]", "a level of status means a missing value"),
        ("is: [closed, charged off]", "is: [yes]", "write it in quotes"),
        ("is: [closed, charged off]", "iz: [closed]", "the allowed keys are reason, column, at_least, above, at_most, below, is"),
        ("at_least: 90", "at_least: 90, above: 80", "set at_least or above, and at_most or below, not both of a kind"),
        ("at_least: 90", "at_most: 90, below: 80", "not both of a kind"),
        ("at_least: 90", "at_least: 90, below: 90", "no number is within these bounds"),
        ("at_least: 90", "above: 90, at_most: 30", "no number is within these bounds"),
        ("at_least: 90", "at_least: .nan", "the bounds must be finite numbers"),
        ("at_least: 90", "at_least: .inf", "the bounds must be finite numbers"),
        ("reason: closed", "reason: ' '", "exclude.0.reason: must not be blank"),
        ("reason: closed, ", "", "exclude.0.reason: Field required"),
        ("group: customer", "group: account", "account is the id or the target and cannot also be the group"),
        ("group: customer", "group: defaulted", "defaulted is the id or the target and cannot also be the group"),
        ("group: customer", "group: product", "product is the group and cannot also be a feature"),
        ("group: customer", "group: id", "the name id is reserved"),
    ],
)
def test_invalid_population_is_rejected(old: str, new: str, message: str) -> None:
    with pytest.raises(ContractError) as raised:
        parse(changed(old, new))
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["group", "excluded"])
def test_names_of_the_population_are_reserved(name: str) -> None:
    with pytest.raises(ContractError, match=f"the name {name} is reserved"):
        parse(changed("  product:", f"  {name}:"))


def test_a_model_needs_an_input() -> None:
    features = {"x": {"type": "number", "input": False, "reason": "X"}, "sex": {"type": "category", "sensitive": True, "reason": "S"}}
    with pytest.raises(ValueError, match="every feature is sensitive or has input: false"):
        Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})


@pytest.mark.parametrize(
    ("bounds", "matching"),
    [
        ({"at_least": 2}, [2, 3]),
        ({"above": 2}, [3]),
        ({"at_most": 2}, [1, 2]),
        ({"below": 2}, [1]),
        ({"at_least": 2, "at_most": 2}, [2]),
        ({"above": 1, "below": 3}, [2]),
    ],
)
def test_bounds_match_numbers(bounds: dict[str, Any], matching: list[int]) -> None:
    rule = {"reason": "r", "column": "x", **bounds}
    features = {"x": {"type": "number", "reason": "X"}}
    contract = Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "exclude": [rule], "features": features})
    assert [value for value in (1, 2, 3) if contract.exclude[0].matches_number(value)] == matching
