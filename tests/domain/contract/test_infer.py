"""Inferring a draft contract from a CSV."""

import random
from collections.abc import Sequence

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.column_names import reason_text
from risk_assets.domain.contract.draft import MATURITY_WARNING
from risk_assets.domain.contract.infer import SAMPLE_ROWS, infer
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import ContractError
from tests.domain.contract.drafts import (
    IDS,
    MONTHS,
    ROWS,
    TARGET,
    comment,
    contract_text,
    drawn,
    exclusion,
    feature,
    infer_bytes,
    written,
)


def with_codes(values: Sequence[str], *codes: str) -> list[str]:
    """Put each code in ten rows, both good and bad."""
    mixed = list(values)
    for position, code in enumerate(codes):
        for row in range(position, 130, 13):
            mixed[row] = code
    return mixed


def test_the_text_of_a_draft_contract() -> None:
    columns = {
        "id": IDS,
        "LIMIT_BAL": [str(row % 37 * 10) for row in range(ROWS)],
        "region": drawn("north", "south", "unknown"),
        "default.next": TARGET,
    }
    assert infer_bytes(written(columns), "id", "default.next") == (
        "# Draft contract for book.csv, inferred from 400 rows.\n"
        "# Types, labels and missing codes are guesses. Someone who knows the data must review every line.\n"
        "# Each `reason` is derived from the column name. Edit it: it may be sent to customers.\n"
        "# With `risk`, a reason must say that the value is high (up) or low (down).\n"
        "# `seen` is the range of the numbers in these rows, not a limit. Set min and max where limits exist.\n"
        "id: id\n"
        "target:\n"
        '  column: "default.next"\n'
        '  bad: "1"  # by convention; 25.0% of labelled rows\n'
        '  good: "0"\n'
        f"  # WARNING: {MATURITY_WARNING}\n"
        "  matures_after_days: 0\n"
        "features:\n"
        "  LIMIT_BAL:\n"
        "    type: number  # seen 0 to 360\n"
        "    min: 0\n"
        "    required: true  # never missing in these rows\n"
        '    reason: "Limit bal"\n'
        "  region:\n"
        "    # 3 levels seen.\n"
        "    type: category\n"
        '    reason: "Region"\n'
    )


def test_columns_are_classified_as_number_or_category() -> None:
    assert feature(drawn("1.5", "-2", "+3", "4e2", "")).type == "number"
    assert feature(drawn("own", "rent", "unknown", "7")).type == "category"


def test_min_0_needs_many_rows_and_no_negative_value() -> None:
    assert (feature(drawn(0, 1, 2.5)).min, feature(drawn(-1, 0, 1, 2, -2.5)).min) == (0, None)
    few = {"id": IDS[:99], "months": MONTHS[:99], "outcome": TARGET[:99]}
    few_rows = Contract.parse(infer_bytes(written(few), "id", "outcome"), "contract.yml")
    assert few_rows.features["months"].min is None


def test_a_decimal_comma_is_detected() -> None:
    content = written({"id": IDS, "ratio": drawn("0,5", "1,25", "3"), "months": MONTHS, "outcome": TARGET}, ";")
    contract = Contract.parse(infer_bytes(content, "id", "outcome"), "contract.yml")
    assert (contract.decimal, contract.features["ratio"].type, contract.features["months"].type) == (",",) + ("number",) * 2


def test_a_number_can_have_a_few_unreadable_values() -> None:
    values = [*MONTHS[:-2], "#VALUE!", "12 years"]
    assert feature(values).type == "number"
    text = comment(values)
    assert "Unreadable numbers in 2 of 400 rows" in text
    assert "VALUE" not in text
    assert "12 years" not in text


@pytest.mark.parametrize("codes", [["-9"], ["-9", "-8", "-7"], ["999"], ["9999"], ["99999999"], ["-9", "9999"]])
def test_customary_codes_far_from_other_values_mean_missing(codes: list[str]) -> None:
    found = feature(with_codes(MONTHS, *codes))
    assert set(found.missing) == set(codes)
    assert found.min == 0
    assert "seen 18 to 79" in comment(with_codes(MONTHS, *codes))


def test_96_and_98_mean_missing_beside_small_counts() -> None:
    assert feature(with_codes(drawn(*range(14)), "96", "98")).missing == ("96", "98")


def test_minus_one_means_missing_only_after_a_gap() -> None:
    assert feature(with_codes(MONTHS, "-1")).missing == ("-1",)
    assert feature(drawn(-1, 1)).missing == ()
    months = with_codes(drawn(*range(60)), "-1")
    assert feature(months).missing == ()
    assert "-1 is the only negative value" in comment(months)


@pytest.mark.parametrize(
    "values",
    [
        drawn(*range(-2, 9)),
        drawn(-2, -1, 0, 2, 3, 4, 5, 6, 7, 8),
        drawn(-1, *range(9)),
        drawn(-2, -1, 0, weights=[1, 1, 40]),
        drawn(*range(-9, 10)),
        drawn(*range(100)),
        drawn(*range(0, 100, 3), 96, 98),
        drawn(*range(300, 1000, 3), 999),
        [str(row * 37 % 100_003 - 20_000) for row in range(ROWS - 2)] + ["-9", "-1"],
        drawn(0, 41_310, 9_000, 50, 99_999),
    ],
)
def test_valid_values_are_not_missing_codes(values: list[str]) -> None:
    assert feature(values).missing == ()


def test_a_code_must_occur_more_than_once() -> None:
    assert feature(["999", *MONTHS[1:]]).missing == ()


def test_a_very_low_code_is_found_beside_negative_values() -> None:
    assert feature(with_codes(drawn(*range(-20, 41)), "-999")).missing == ("-999",)


def test_text_tokens_for_missing_are_found() -> None:
    assert feature(with_codes(MONTHS, "NA", "?", "NULL", "unknown")).missing == ("?", "unknown")
    assert feature(with_codes(drawn("own", "rent"), "NA", "?", "NULL", "unknown")).missing == ("?",)


def test_a_column_with_missing_values_has_a_text_for_them() -> None:
    assert feature(with_codes(MONTHS, "-1")).reason_missing is not None
    assert feature(drawn(-1, 1)).reason_missing is None


def test_a_level_that_is_a_default_missing_token_is_noted() -> None:
    assert "Read as missing, as in every column: None." in comment(drawn("guarantor", "co-applicant", "None"))


def test_few_distinct_numbers_stay_a_number_with_a_note() -> None:
    assert feature(drawn(1, 2)).type == "number"
    assert "type: category" in comment(drawn(1, 2))
    assert "type: category" not in comment(drawn(0, 1))
    assert "type: category" not in comment(MONTHS)


@pytest.mark.parametrize("values", [["7"] * ROWS, drawn("7", ""), drawn("7", "7.0"), ["x"] * ROWS])
def test_a_constant_column_is_excluded(values: list[str]) -> None:
    assert "all known values are equal" in exclusion(values)


def test_a_constant_with_missing_tokens_is_excluded() -> None:
    assert "all known values are equal" in exclusion(drawn("7", "unknown"))


def test_an_empty_column_is_excluded() -> None:
    assert "all values are missing" in exclusion(drawn("", "NA", "?"))


def test_columns_like_an_id_are_excluded() -> None:
    shuffled = random.Random(3).sample(range(1, ROWS + 1), ROWS)
    sparse = random.Random(3).sample(range(10**9), ROWS)
    assert "looks like an id" in exclusion([f"name {row}" for row in range(ROWS)])
    assert "looks like a row number" in exclusion([str(row) for row in range(ROWS)])
    assert "looks like a row number" in exclusion([str(row) for row in shuffled])
    assert "looks like a row number" in exclusion([str(row) for row in sparse], "customer_id")
    assert feature([str(row) for row in sparse]).type == "number"


def test_an_unnamed_row_number_is_excluded() -> None:
    content = b"," + written({"id": IDS, "months": MONTHS, "outcome": TARGET})
    lines = content.split(b"\n")
    numbered = b"\n".join([lines[0], *(f"{row * 50_001 % 99_991},".encode() + line for row, line in enumerate(lines[1:-1]))])
    text = infer_bytes(numbered, "id", "outcome")
    assert "# unnamed_1 is left out: it looks like a row number" in text


def test_an_empty_id_option_means_the_unnamed_first_column() -> None:
    content = written({"": IDS, "months": MONTHS, "outcome": TARGET})
    assert Contract.parse(infer_bytes(content, "", "outcome"), "contract.yml").id == "unnamed_1"


def test_a_category_of_more_than_100_levels_is_excluded() -> None:
    assert feature([f"level {row % 100}" for row in range(ROWS)]).type == "category"
    assert "101 levels" in exclusion([f"level {row % 101}" for row in range(ROWS)])


@pytest.mark.parametrize("name", ["account_id", "issues", "bad", "group", "excluded"])
def test_a_reserved_name_is_excluded(name: str) -> None:
    assert "Rename it at the source" in exclusion(MONTHS, name)


def test_a_column_named_id_beside_the_id_is_excluded() -> None:
    text = infer_bytes(written({"customer": IDS, "id": MONTHS, "months": MONTHS[::-1], "outcome": TARGET}), "customer", "outcome")
    contract = Contract.parse(text, "contract.yml")
    assert (contract.id, tuple(contract.features)) == ("customer", ("months",))
    assert "  # id is left out: the name is reserved. Rename it at the source to use it.\n" in text


@pytest.mark.parametrize(("id_column", "target"), [("nr", "outcome"), ("id", "default"), ("", "outcome")])
def test_a_missing_column_is_reported_with_the_existing_ones(id_column: str, target: str) -> None:
    content = written({"id": IDS, "months": MONTHS, "outcome": TARGET})
    with pytest.raises(ContractError, match="It has: id, months, outcome"):
        infer_bytes(content, id_column, target)


def test_id_and_target_must_differ() -> None:
    with pytest.raises(ContractError, match="both the id and the target"):
        infer_bytes(written({"id": IDS, "months": MONTHS}), "id", "id")


def test_a_file_without_features_lists_why() -> None:
    with pytest.raises(ContractError, match=r"no column that can be a feature of a model:\n  # x is left out: all known values are equal"):
        infer_bytes(written({"id": IDS, "x": ["1"] * ROWS, "outcome": TARGET}), "id", "outcome")


def test_rows_that_share_an_id_are_counted() -> None:
    content = written({"id": ["A1", "", *IDS[2:-1], "A5"], "months": MONTHS, "outcome": TARGET})
    assert "id: id  # 3 rows have no id or share one: they would not be scored" in infer_bytes(content, "id", "outcome")


NAMES = [
    "default.next-month",
    "limit bal",
    "yes",
    "null",
    "1",
    "a: b",
    "# x",
    "pay#2",
    'say "hi"',
    "two\nlines",
    "é",
    "-",
]


def test_column_names_survive_yaml() -> None:
    content = written({"the id": IDS, **dict.fromkeys(NAMES, MONTHS), "no": TARGET})
    contract = Contract.parse(infer_bytes(content, "the id", "no"), "contract.yml")
    assert (contract.id, contract.target.column, tuple(contract.features)) == ("the id", "no", tuple(NAMES))


@settings(deadline=None)
@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), token=st.text(min_size=1, max_size=5))
def test_any_text_makes_a_valid_contract(name: str, token: str) -> None:
    if name in {"id", "outcome", "bad", "issues", "account_id", "group", "excluded"}:
        return
    values = drawn("a", "b", token if token.isprintable() else "c")
    frame = pl.DataFrame({"id": IDS, "months": MONTHS, name: values, "outcome": TARGET} | ({"months": MONTHS} if name == "months" else {}))
    text = infer(frame.lazy(), frame.columns, "id", "outcome", None, name).text
    assert tuple(Contract.parse(text, "contract.yml").features) == tuple(frame.columns[1:-1])


def test_comments_contain_no_values_of_rows() -> None:
    text = contract_text({"street": drawn("Elm", "Oak"), "amount": drawn(31337, 40404, 5, 99, 7, 11111, 60606)})
    assert not any(value in text for value in ("Elm", "Oak", "31337", "40404", "11111"))
    assert "seen 5 to 60606" in text


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("LIMIT_BAL", "Limit bal"),
        ("default.payment.next.month", "Default payment next month"),
        ("DebtRatio", "Debt ratio"),
        ("NumberOfTime30-59DaysPastDueNotWorse", "Number of time 30-59 days past due not worse"),
        ("debt-to-income", "Debt to income"),
        ("_", "_"),
        ("\r", "A column without a name"),
    ],
)
def test_reason_text_is_derived_from_the_column_name(column: str, text: str) -> None:
    assert reason_text(column) == text


def test_only_the_first_rows_of_a_long_file_are_read() -> None:
    rows = SAMPLE_ROWS + 1
    columns = {
        "id": pl.Series(range(rows)).cast(pl.String),
        "months": pl.Series([*([20, 30, 40, 50] * (SAMPLE_ROWS // 4)), 999_999]).cast(pl.String),
        "outcome": pl.Series([*([0, 0, 0, 0, 1] * (SAMPLE_ROWS // 5)), 0]).cast(pl.String),
    }
    whole = infer(pl.LazyFrame(columns), list(columns), "id", "outcome", None, "book.csv").text
    exact = infer(pl.LazyFrame(columns).head(SAMPLE_ROWS), list(columns), "id", "outcome", None, "book.csv").text
    assert "inferred from the first 200,000 rows; later rows were not read" in whole
    assert "seen 20 to 50" in whole
    assert "inferred from 200,000 rows." in exact
    assert yaml.safe_load(whole) == yaml.safe_load(exact)


@pytest.mark.parametrize("name", ["customer_id", "ClientNo", "BORROWER", "cust.nr"])
def test_a_customer_with_several_accounts_is_offered_as_group(name: str) -> None:
    customers = [f"C{row // 2 if row < 100 else row:05d}" for row in range(ROWS)]
    text = contract_text({name: customers})
    (line,) = [line for line in text.splitlines() if line.startswith("# group: ")]
    assert "350 values in 400 rows" in line and "C0000" not in text
    grouped = text.replace("# group: ", "group: ").split("\n")
    assert Contract.parse("\n".join(grouped), "contract.yml").group == name


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customer_id", [f"C{row:05d}" for row in range(ROWS)]),
        ("customer_id", [f"C{row % 30:05d}" for row in range(ROWS)]),
        ("customer_income", [str(row // 2) for row in range(ROWS)]),
        ("batch_id", [f"C{row // 2:05d}" for row in range(ROWS)]),
    ],
)
def test_other_columns_are_not_offered_as_group(name: str, values: Sequence[str]) -> None:
    assert "# group" not in contract_text({name: values})
