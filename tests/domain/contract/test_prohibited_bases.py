"""Prohibited bases: recognised by name, written as sensitive, and kept out of models."""

import pytest

from risk_assets.domain.contract.prohibited_bases import prohibited_basis
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import ContractError
from tests.domain.contract.drafts import IDS, MONTHS, TARGET, contract_text, drawn, feature, infer_bytes, written

CERTAIN = {
    "race": [
        "race",
        "Race",
        "ethnicity",
        "ETHNIC_GROUP",
        "applicantRace",
        "race_ethnicity",
        "co_applicant_race",
        "racial",
        "tribe",
        "caste",
    ],
    "religion": ["religion", "Religion", "religious_affiliation", "creed", "RELIGION_CD"],
    "national origin": ["nationality", "national_origin", "country_of_birth", "birthplace", "PlaceOfBirth", "NATIONALITY_CODE"],
    "sex": ["sex", "SEX", "gender", "CODE_GENDER", "applicant_sex", "isFemale", "Gender1", "male", "is_male", "customerGender"],
    "marital status": ["marital_status", "MARRIAGE", "maritalStatus", "married", "NAME_FAMILY_STATUS", "civil_status", "personal_status"],
    "age": ["age", "AGE", "Age", "age_years", "customer_age", "AgeGroup", "age_band", "DAYS_BIRTH", "birth_date", "DateOfBirth", "dob"],
    "color": ["skin_color", "SkinColour", "color", "Colour", "COLOR", "applicant_color", "colour_code"],
    "public assistance": ["public_assistance", "welfare"],
}
POSSIBLE = [
    "vehicle_color",
    "card colour",
    "citizenship",
    "foreign_worker",
    "account_age",
    "vehicle_age",
    "age_of_oldest_account",
    "language",
]
OTHER = ["income", "sexes", "average", "mortgage", "usage", "stage", "trace", "bureau_score", "region", "embrace", "wage", "page", "months"]


@pytest.mark.parametrize(("basis", "name"), [(basis, name) for basis, names in CERTAIN.items() for name in names])
def test_prohibited_bases_are_recognised_by_name(basis: str, name: str) -> None:
    found = prohibited_basis(name)
    assert found is not None
    assert (found.name, found.is_certain) == (basis, True)
    assert "12 CFR 1002.2(z) and 1002.6(b)" in found.note


@pytest.mark.parametrize("name", POSSIBLE)
def test_a_possible_basis_is_a_suggestion(name: str) -> None:
    text = contract_text({name: drawn("a", "b", "c")})
    assert not Contract.parse(text, "contract.yml").features[name].sensitive
    assert "set sensitive: true" in text


@pytest.mark.parametrize("name", OTHER)
def test_other_names_are_not_prohibited_bases(name: str) -> None:
    assert prohibited_basis(name) is None


def test_a_prohibited_basis_is_sensitive() -> None:
    contract = Contract.parse(contract_text({"sex": drawn("f", "m"), "AGE": MONTHS[::-1]}), "contract.yml")
    assert [name for name, found in contract.features.items() if found.sensitive] == ["sex", "AGE"]
    assert (contract.numbers, contract.categories, contract.all_categories) == (("months",), (), ("sex",))


def test_age_cites_the_exception_for_scoring_systems() -> None:
    text = contract_text({"age": MONTHS[::-1]})
    assert "1002.6(b)(2) allows age in an empirically derived, demonstrably and statistically sound" in text
    assert "1002.6(b)(2)" not in contract_text({"sex": drawn("f", "m")})


def test_a_sensitive_column_has_no_rules_that_stop_scoring() -> None:
    found = feature(MONTHS[::-1], "age")
    assert (found.min, found.required, found.sensitive) == (None, False, True)


def test_few_sensitive_numbers_are_groups() -> None:
    assert feature(drawn(1, 2), "SEX").type == "category"
    assert feature(MONTHS, "AGE").type == "number"


def test_dates_of_birth_are_excluded_with_the_rule() -> None:
    text = contract_text({"dob": [f"{1950 + row % 50}-0{1 + row % 9}-1{row % 9}" for row in range(len(IDS))]})
    assert "# dob is left out: it has dates written as yyyy-mm-dd" in text
    assert "Prohibited basis (age): ECOA, Regulation B, 12 CFR 1002.2(z) and 1002.6(b). If you add it, set sensitive: true." in text
    assert "remove sensitive" not in text


@pytest.mark.parametrize("name", ["color", "colour"])
def test_a_color_is_sensitive(name: str) -> None:
    assert feature(drawn("a", "b", "c"), name).sensitive


def test_a_file_with_only_prohibited_bases_is_rejected() -> None:
    with pytest.raises(ContractError, match="no column that can be a feature of a model"):
        infer_bytes(written({"id": IDS, "sex": drawn("f", "m"), "outcome": TARGET}), "id", "outcome")
