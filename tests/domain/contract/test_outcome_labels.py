"""Which label of a target means bad, and when `--bad` is required."""

import re
from collections.abc import Sequence

import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import ContractError
from tests.domain.contract.drafts import IDS, MONTHS, ROWS, TARGET, drawn, infer_bytes, written


def target_text(labels: Sequence[str], bad: str | None = None, name: str = "outcome") -> str:
    return infer_bytes(written({"id": IDS, "months": MONTHS, name: labels}), "id", name, bad)


def target_of(labels: Sequence[str], bad: str | None = None, name: str = "outcome") -> tuple[str, str | None]:
    target = Contract.parse(target_text(labels, bad, name), "contract.yml").target
    return target.bad, target.good


def one_in_four(first: str, second: str) -> list[str]:
    """Three of four rows have the first label."""
    return [(first, second)[row % 4 == 0] for row in range(ROWS)]


@pytest.mark.parametrize(
    ("labels", "bad", "good"),
    [
        (("0", "1"), "1", "0"),
        (("0.0", "1.0"), "1.0", "0.0"),
        (("Good", "Bad"), "Bad", "Good"),
        (("good", "bad"), "bad", "good"),
        (("N", "Y"), "Y", "N"),
        (("No", "Yes"), "Yes", "No"),
        (("False", "True"), "True", "False"),
        (("FALSE", "TRUE"), "TRUE", "FALSE"),
        (("1", "2"), "2", "1"),
        (("2", "1"), "1", "2"),
        (("nein", "ja"), "ja", "nein"),
    ],
)
def test_the_bad_label_of_customary_pairs(labels: tuple[str, str], bad: str, good: str) -> None:
    """In each pair, three of four rows have the first label."""
    assert target_of([labels[row % 4 == 0] for row in range(ROWS)]) == (bad, good)


def test_labels_1_and_2_are_marked_as_a_guess() -> None:
    assert 'bad: "2"  # a guess, because it is the rarer label' in target_text([str(1 + (row % 4 == 0)) for row in range(ROWS)])
    assert 'bad: "2"  # a guess, because 1 and 2 are equally frequent' in target_text(["1", "2"] * (ROWS // 2))


def test_unlabelled_rows_are_not_a_third_label() -> None:
    assert target_of(drawn("0", "1", "", "NA", weights=[4, 2, 1, 1])) == ("1", "0")


def test_the_bad_option_overrides_the_convention() -> None:
    assert target_of(TARGET, "0") == ("0", "1")
    assert target_of(drawn("paid", "charged off"), "charged off") == ("charged off", "paid")


def test_an_unknown_pair_requires_the_bad_option() -> None:
    with pytest.raises(ContractError, match=r'--bad "charged off" .* or --bad "paid"'):
        target_of(drawn("paid", "charged off"))


def test_the_bad_option_must_be_a_label_of_the_target() -> None:
    with pytest.raises(ContractError, match=r"2 is not a value of the target outcome \(0, 1\)"):
        target_of(TARGET, "2")


def test_a_target_must_have_two_labels() -> None:
    with pytest.raises(ContractError, match=r"3 distinct values, in [0-9]+, [0-9]+, [0-9]+ rows; it must have two"):
        target_of(drawn(0, 1, 2))
    with pytest.raises(ContractError, match="1 distinct value;"):
        target_of(["0"] * ROWS)
    with pytest.raises(ContractError, match="0 distinct values;"):
        target_of([""] * ROWS)


@pytest.mark.parametrize("values", [3, 6])
def test_errors_do_not_show_target_values(values: int) -> None:
    with pytest.raises(ContractError) as raised:
        target_of([f"secret{row % values}" for row in range(ROWS)])
    assert f"{values} distinct values" in str(raised.value)
    assert "secret" not in str(raised.value)


GOOD_NAMES = ["good", "repaid", "approved", "isPaid", "LOAN_APPROVED", "current", "paid_back", "fully paid", "accepted", "performing"]
NEGATED_NAMES = ["non_default", "NoDefault", "not bad", "never_late", "not_delinquent"]


@pytest.mark.parametrize("name", [*GOOD_NAMES, *NEGATED_NAMES])
@pytest.mark.parametrize("labels", [("0", "1"), ("N", "Y"), ("2", "1")])
def test_a_name_that_means_good_requires_the_bad_option(name: str, labels: tuple[str, str]) -> None:
    values = one_in_four(*labels)
    with pytest.raises(ContractError, match="may mean a good outcome") as raised:
        target_of(values, name=name)
    assert all(f'--bad "{label}"' in str(raised.value) for label in labels)
    assert target_of(values, labels[0], name) == labels
    assert target_of(values, labels[1], name) == labels[::-1]


@pytest.mark.parametrize(
    "name", ["bad", "default", "not_paid", "non_performing", "outcome", "loan_status", "Delinquent90", "target", "y", "goods"]
)
def test_other_names_do_not_require_the_bad_option(name: str) -> None:
    assert target_of(one_in_four("0", "1"), name=name) == ("1", "0")


def test_labels_good_and_bad_do_not_require_the_bad_option() -> None:
    assert target_of(one_in_four("good", "bad"), name="good_or_bad") == ("bad", "good")


@pytest.mark.parametrize(
    "labels", [("1", "0"), ("Y", "N"), ("yes", "no"), ("TRUE", "FALSE"), ("bad", "good"), ("1.0", "0.0"), ("ja", "nein")]
)
def test_mostly_bad_rows_require_the_bad_option(labels: tuple[str, str]) -> None:
    values = one_in_four(*labels)
    with pytest.raises(ContractError, match=re.escape("75.0% of the labelled rows would be bad")) as raised:
        target_of(values)
    assert f'--bad "{labels[0]}" (75.0% bad)' in str(raised.value)
    assert f'--bad "{labels[1]}" (25.0% bad)' in str(raised.value)
    assert target_of(values, labels[0]) == labels


def test_half_of_the_rows_can_be_bad() -> None:
    assert target_of(["0", "1"] * (ROWS // 2)) == ("1", "0")
