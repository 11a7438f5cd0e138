"""Field rules: missing tokens, missing codes and the texts of issues."""

import pytest

from risk_assets.domain.contract.field_rules import above, below, id_tokens, missing_codes, missing_tokens
from risk_assets.domain.contract.schema import Contract


def contract(decimal: str, *missing: str) -> Contract:
    features = {"income": {"type": "number", "reason": "r", "missing": missing}, "region": {"type": "category", "reason": "r"}}
    document = {"id": "id", "target": {"column": "t", "bad": 1}, "missing": ["NA", "-1"], "decimal": decimal, "features": features}
    return Contract.model_validate(document)


def test_missing_tokens_are_the_contract_s_and_the_feature_s() -> None:
    parsed = contract(".", "-9", "n/k")
    assert missing_tokens(parsed.features["income"], parsed) == ("", "NA", "-1", "-9", "n/k")
    assert missing_tokens(parsed.features["region"], parsed) == ("", "NA", "-1")
    assert id_tokens(parsed) == ("", "NA", "-1")


def test_missing_tokens_are_stripped_and_in_normal_form() -> None:
    parsed = contract(".", "\xa0e\u0301 ", " -9 ")
    assert missing_tokens(parsed.features["income"], parsed) == ("", "NA", "-1", "\xe9", "-9")
    assert missing_codes(parsed.features["income"], parsed) == [-1.0, -9.0]


@pytest.mark.parametrize(("decimal", "codes"), [(".", [-1.0, -9.5]), (",", [-1.0, -9.5, 0.5])])
def test_missing_codes_are_tokens_that_are_finite_numbers(decimal: str, codes: list[float]) -> None:
    parsed = contract(decimal, "-9.5" if decimal == "." else "-9,5", "0,5", "inf", "nan")
    assert missing_codes(parsed.features["income"], parsed) == codes


@pytest.mark.parametrize(("bound", "text"), [(0.0, "0"), (1e16, "10000000000000000"), (-2.5e-7, "-0.00000025"), (99999999.0, "99999999")])
def test_bounds_are_written_without_exponent(bound: float, text: str) -> None:
    assert (below(bound), above(bound)) == (f"below {text}", f"above {text}")
