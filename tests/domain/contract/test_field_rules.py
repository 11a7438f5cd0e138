"""What must hold of what may stand in a field: tokens and codes for "not known", and numbers told in full."""

import pytest

from risk_assets.domain.contract.field_rules import above, below, id_tokens, missing_codes, missing_tokens
from risk_assets.domain.contract.schema import Contract


def contract(decimal: str, *missing: str) -> Contract:
    features = {"income": {"type": "number", "reason": "r", "missing": missing}, "region": {"type": "category", "reason": "r"}}
    told = {"id": "id", "target": {"column": "t", "bad": 1}, "missing": ["NA", "-1"], "decimal": decimal, "features": features}
    return Contract.model_validate(told)


def test_a_column_has_the_contract_s_tokens_its_own_and_the_empty_one() -> None:
    made = contract(".", "-9", "n/k")
    assert missing_tokens(made.features["income"], made) == ("", "NA", "-1", "-9", "n/k")
    assert missing_tokens(made.features["region"], made) == ("", "NA", "-1")
    assert id_tokens(made) == ("", "NA", "-1")


@pytest.mark.parametrize(("decimal", "codes"), [(".", [-1.0, -9.5]), (",", [-1.0, -9.5, 0.5])])
def test_the_codes_are_the_tokens_that_are_finite_numbers_by_the_decimal_mark(decimal: str, codes: list[float]) -> None:
    made = contract(decimal, "-9.5" if decimal == "." else "-9,5", "0,5", "inf", "nan")
    assert missing_codes(made.features["income"], made) == codes


@pytest.mark.parametrize(("bound", "told"), [(0.0, "0"), (1e16, "10000000000000000"), (-2.5e-7, "-0.00000025"), (99999999.0, "99999999")])
def test_a_bound_is_told_in_full(bound: float, told: str) -> None:
    assert (below(bound), above(bound)) == (f"below {told}", f"above {told}")
