"""Columns that may be recorded after the outcome: left out, or kept with a warning."""

import random

import pytest

from risk_assets.domain.contract.leakage import after_event_name
from risk_assets.domain.contract.schema import Contract
from tests.domain.contract.drafts import MONTHS, ROWS, TARGET, contract_text, draft, drawn, exclusion, feature

BAD = [label == "1" for label in TARGET]
DRAW = random.Random(2)


def noisy(good: float, bad: float, spread: float) -> list[str]:
    return [f"{DRAW.gauss(bad if is_bad else good, spread):.4f}" for is_bad in BAD]


ALMOST_PERFECT = {
    "a number, high for all bad": [str(row % 97 + 1000 * is_bad) for row, is_bad in enumerate(BAD)],
    "a number, low for all bad": [str(row % 97 - 1000 * is_bad) for row, is_bad in enumerate(BAD)],
    "a number with a bad value in the middle": [["3", "1", "2", "5"][row % 4] for row in range(ROWS)],
    "a category": [["lost", "open", "open", "paid"][row % 4] for row in range(ROWS)],
    "a noisy number": noisy(0, 3, 1),
    "a noisy number, low for bad": noisy(3, 0, 1),
    "a flag": ["Y" if is_bad else "N" for is_bad in BAD],
    "a percentage": [f"{is_bad * 50 + row % 40}%" for row, is_bad in enumerate(BAD)],
    "money": [f"$ {is_bad * 5000 + row % 400}" for row, is_bad in enumerate(BAD)],
    "a flag with exceptions": ["Y" if is_bad and row % 80 else "N" for row, is_bad in enumerate(BAD)],
}


@pytest.mark.parametrize("what", ALMOST_PERFECT)
def test_a_column_that_predicts_the_target_is_excluded(what: str) -> None:
    assert "it predicts the target almost perfectly (AUC " in exclusion(ALMOST_PERFECT[what])
    (warning,) = draft({"x": ALMOST_PERFECT[what]}).warnings
    assert warning.startswith("x: left out, because it predicts the target")


FILLED_IN_ONE_CLASS = {
    "a number of all bad": [MONTHS[row] if is_bad else "" for row, is_bad in enumerate(BAD)],
    "a number of most bad": [MONTHS[row] if is_bad and row % 3 else "" for row, is_bad in enumerate(BAD)],
    "a number of all good": ["" if is_bad else MONTHS[row] for row, is_bad in enumerate(BAD)],
    "a number of half of the good": ["" if is_bad or row % 2 else MONTHS[row] for row, is_bad in enumerate(BAD)],
    "a category of the bad": [("agency" if row % 8 else "court") if is_bad else "NA" for row, is_bad in enumerate(BAD)],
    "a date of the bad": [f"2015-{row % 12 + 1:02}-{row % 28 + 1:02}" if is_bad else "" for row, is_bad in enumerate(BAD)],
    "money of the bad": [f"${row * 37 % 991}.00" if is_bad else "" for row, is_bad in enumerate(BAD)],
    "a constant of the bad": ["x" if is_bad else "" for is_bad in BAD],
    "text of the bad": [f"note {row}" if is_bad else "" for row, is_bad in enumerate(BAD)],
    "a number of the bad and one good": [MONTHS[row] if is_bad or row == 1 else "" for row, is_bad in enumerate(BAD)],
}


@pytest.mark.parametrize("what", FILLED_IN_ONE_CLASS)
def test_a_column_filled_in_one_class_is_excluded(what: str) -> None:
    kind = "good" if "good" in what and "bad" not in what else "bad"
    assert f"filled almost only in {kind} rows" in exclusion(FILLED_IN_ONE_CLASS[what])
    (warning,) = draft({"x": FILLED_IN_ONE_CLASS[what]}).warnings
    assert "filled almost only in" in warning


VALUE_IN_ONE_CLASS = {
    "a level": ["agency" if is_bad and row % 8 else ("branch", "web")[row % 2] for row, is_bad in enumerate(BAD)],
    "a number": ["7" if is_bad and row % 8 else str(row % 5) for row, is_bad in enumerate(BAD)],
    "a level with an exception": ["agency" if (is_bad and row % 8) or row == 1 else ("a", "b")[row % 2] for row, is_bad in enumerate(BAD)],
    "a level of good rows": [("a", "b")[row // 4 % 2] if is_bad or row % 2 else "c" for row, is_bad in enumerate(BAD)],
    "a percentage": ["47%" if is_bad and row % 8 else f"{row % 5}%" for row, is_bad in enumerate(BAD)],
}


@pytest.mark.parametrize("what", VALUE_IN_ONE_CLASS)
def test_a_value_in_one_class_is_kept_with_a_warning(what: str) -> None:
    found = draft({"x": VALUE_IN_ONE_CLASS[what]})
    assert "x" in Contract.parse(found.text, "contract.yml").features
    kind = "good" if "good" in what else "bad"
    assert any(f"occurs almost only in {kind} rows" in warning for warning in found.warnings)
    assert all(f"# WARNING: {warning.removeprefix('x: ')}" in found.text for warning in found.warnings)
    assert "agency" not in found.text


def test_a_nonzero_number_in_one_class_is_kept_with_a_warning() -> None:
    values = [f"{row * 31 % 997}.5" if is_bad and row % 8 else "0" for row, is_bad in enumerate(BAD)]
    assert any("other than 0 almost only in bad rows" in warning for warning in draft({"x": values}).warnings)


HARMLESS = {
    "few rows of one class": ["rare" if is_bad and row < 160 else ("a", "b")[row % 3 % 2] for row, is_bad in enumerate(BAD)],
    "a value in both classes": drawn("a", "b", "c"),
    "missing in both classes": drawn("", "1", "2"),
    "a level of lower risk": ["a" if row * 7 % 12 < (4 if is_bad else 9) else "b" for row, is_bad in enumerate(BAD)],
    "rare levels": [f"{'bad' if is_bad else 'good'} {row % 100}" for row, is_bad in enumerate(BAD)],
    "a noisy number": noisy(0, 1, 1),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_other_columns_have_no_warning(what: str) -> None:
    found = draft({"x": HARMLESS[what]})
    assert found.warnings == ()
    assert "x" in Contract.parse(found.text, "contract.yml").features


AFTER_EVENT = [
    *("recoveries", "total_recoveries", "Recovery", "settlement_amount", "SettlementDate", "collection_recovery_fee", "collections"),
    *("total_pymnt", "total_pymnt_inv", "last_pymnt_amnt", "chargeoff", "ChargeOffAmount", "written_off", "lgd", "total_rec_prncp"),
]


@pytest.mark.parametrize("name", AFTER_EVENT)
def test_a_name_of_an_after_the_event_column_is_a_warning(name: str) -> None:
    found = draft({name: MONTHS[::-1]})
    assert feature(MONTHS[::-1], name).type == "number"
    assert [warning.split(":")[0] for warning in found.warnings] == [name]
    assert "usually recorded after the outcome" in found.text


@pytest.mark.parametrize("name", ["income", "payment_ratio", "balance", "discovery", "term", "months_since_missed", "reclaimed"])
def test_other_names_are_not_after_the_event(name: str) -> None:
    assert after_event_name(name) is None


def test_leaks_are_not_reported_for_unlabelled_rows() -> None:
    labels = ["" if row % 2 else label for row, label in enumerate(TARGET)]
    assert "bad_loan" in contract_text({"months_2": MONTHS})
    assert draft({"bad_loan": labels, "x": drawn("a", "b")}).warnings == ()
