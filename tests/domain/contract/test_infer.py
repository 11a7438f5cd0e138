"""Inferring a draft contract from a CSV."""

import csv
import io
import random
from collections.abc import Mapping, Sequence

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.infer import SAMPLE_ROWS, infer, reason_text
from risk_assets.domain.contract.schema import Contract, Feature
from risk_assets.domain.ingest.csv_dialect import sniff
from risk_assets.errors import ContractError

ROWS = 400
DRAW = random.Random(5)
IDS = [f"A{row}" for row in range(ROWS)]
TARGET = [str(int(row % 4 == 0)) for row in range(ROWS)]
AGES = [str(DRAW.randint(18, 79)) for _ in range(ROWS)]

Columns = Mapping[str, Sequence[str]]


def written(columns: Columns, separator: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def infer_bytes(content: bytes, id_column: str, target: str, bad: str | None = None) -> str:
    dialect = sniff(content, "book.csv")
    frame = pl.read_csv(
        content,
        separator=dialect.separator,
        has_header=False,
        skip_rows=1,
        schema=dict.fromkeys(dialect.columns, pl.String),
        empty_string_is_null=False,
    )
    return infer(frame.lazy(), dialect.columns, id_column, target, bad, "book.csv")


def contract_text(columns: Columns) -> str:
    return infer_bytes(written({"id": IDS, "bad_loan": TARGET, "age": AGES} | dict(columns)), "id", "bad_loan")


def feature(values: Sequence[str]) -> Feature:
    text = contract_text({"x": values})
    return Contract.parse(text, "contract.yml").features["x"]


def exclusion(values: Sequence[str], name: str = "x") -> str:
    text = contract_text({name: values})
    assert name not in Contract.parse(text, "contract.yml").features
    (line,) = (line for line in text.splitlines() if line.startswith(f"  # {name} is left out: "))
    return line


def comment(values: Sequence[str]) -> str:
    """Return the lines of the contract about a column."""
    return contract_text({"x": values}).split("\n  x:\n")[1]


def drawn(*values: object, weights: Sequence[int] | None = None) -> list[str]:
    return [str(value) for value in random.Random(1).choices(values, weights, k=ROWS)]


def with_codes(values: Sequence[str], *codes: str) -> list[str]:
    """Put each code in ten rows, both good and bad."""
    mixed = list(values)
    for position, code in enumerate(codes):
        for row in range(position, 130, 13):
            mixed[row] = code
    return mixed


def target_text(labels: Sequence[str], bad: str | None = None) -> str:
    return infer_bytes(written({"id": IDS, "age": AGES, "outcome": labels}), "id", "outcome", bad)


def target_of(labels: Sequence[str], bad: str | None = None) -> tuple[str, str | None]:
    target = Contract.parse(target_text(labels, bad), "contract.yml").target
    return target.bad, target.good


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
        "# `seen` is the range of the numbers in these rows, not a limit. Set min and max where limits exist.\n"
        "id: id\n"
        "target:\n"
        '  column: "default.next"\n'
        '  bad: "1"  # by convention; 25.0% of labelled rows\n'
        '  good: "0"\n'
        "features:\n"
        "  LIMIT_BAL:\n"
        "    type: number  # seen 0 to 360\n"
        "    min: 0\n"
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
    few = {"id": IDS[:99], "age": AGES[:99], "outcome": TARGET[:99]}
    few_rows = Contract.parse(infer_bytes(written(few), "id", "outcome"), "contract.yml")
    assert few_rows.features["age"].min is None


def test_a_decimal_comma_is_detected() -> None:
    content = written({"id": IDS, "ratio": drawn("0,5", "1,25", "3"), "age": AGES, "outcome": TARGET}, ";")
    contract = Contract.parse(infer_bytes(content, "id", "outcome"), "contract.yml")
    assert (contract.decimal, contract.features["ratio"].type, contract.features["age"].type) == (",",) + ("number",) * 2


def test_a_thousands_comma_is_not_a_decimal_comma() -> None:
    amounts = drawn("1,234", "12,500", "900", "1,234,567")
    assert "thousands" in exclusion(amounts)
    assert Contract.parse(contract_text({"x": amounts}), "contract.yml").decimal == "."


def test_a_thousands_point_is_detected_beside_a_decimal_comma() -> None:
    text = contract_text({"ratio": drawn("0,5", "1,25"), "income": drawn("1.200", "900", "12.500")})
    assert "# income is left out: its numbers have thousands separators" in text


def test_a_number_can_have_a_few_unreadable_values() -> None:
    values = [*AGES[:-2], "#VALUE!", "12 years"]
    assert feature(values).type == "number"
    text = comment(values)
    assert "Unreadable numbers in 2 of 400 rows" in text
    assert "VALUE" not in text
    assert "12 years" not in text


@pytest.mark.parametrize("codes", [["-9"], ["-9", "-8", "-7"], ["999"], ["9999"], ["99999999"], ["-9", "9999"]])
def test_customary_codes_far_from_other_values_mean_missing(codes: list[str]) -> None:
    found = feature(with_codes(AGES, *codes))
    assert set(found.missing) == set(codes)
    assert found.min == 0
    assert "seen 18 to 79" in comment(with_codes(AGES, *codes))


def test_96_and_98_mean_missing_beside_small_counts() -> None:
    assert feature(with_codes(drawn(*range(14)), "96", "98")).missing == ("96", "98")


def test_minus_one_means_missing_only_after_a_gap() -> None:
    assert feature(with_codes(AGES, "-1")).missing == ("-1",)
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
    assert feature(["999", *AGES[1:]]).missing == ()


def test_a_very_low_code_is_found_beside_negative_values() -> None:
    assert feature(with_codes(drawn(*range(-20, 41)), "-999")).missing == ("-999",)


def test_text_tokens_for_missing_are_found() -> None:
    assert feature(with_codes(AGES, "NA", "?", "NULL", "unknown")).missing == ("?", "unknown")
    assert feature(with_codes(drawn("own", "rent"), "NA", "?", "NULL", "unknown")).missing == ("?",)


def test_a_level_that_is_a_default_missing_token_is_noted() -> None:
    assert "Read as missing, as in every column: None." in comment(drawn("guarantor", "co-applicant", "None"))


def test_few_distinct_numbers_stay_a_number_with_a_note() -> None:
    assert feature(drawn(1, 2)).type == "number"
    assert "type: category" in comment(drawn(1, 2))
    assert "type: category" not in comment(drawn(0, 1))
    assert "type: category" not in comment(AGES)


def test_leading_zeros_make_a_category() -> None:
    assert feature(drawn("007", "123", "045")).type == "category"
    assert "leading zeros" in comment(drawn("007", "123", "045"))
    assert feature(drawn("0.5", "0", "-0.25")).type == "number"
    assert "looks like an id" in exclusion([f"{row:05}" for row in range(ROWS)])


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
    content = b"," + written({"id": IDS, "age": AGES, "outcome": TARGET})
    lines = content.split(b"\n")
    numbered = b"\n".join([lines[0], *(f"{row * 50_001 % 99_991},".encode() + line for row, line in enumerate(lines[1:-1]))])
    text = infer_bytes(numbered, "id", "outcome")
    assert "# unnamed_1 is left out: it looks like a row number" in text


def test_an_empty_id_option_means_the_unnamed_first_column() -> None:
    content = written({"": IDS, "age": AGES, "outcome": TARGET})
    assert Contract.parse(infer_bytes(content, "", "outcome"), "contract.yml").id == "unnamed_1"


def test_a_category_of_more_than_100_levels_is_excluded() -> None:
    assert feature([f"level {row % 100}" for row in range(ROWS)]).type == "category"
    assert "101 levels" in exclusion([f"level {row % 101}" for row in range(ROWS)])


@pytest.mark.parametrize("name", ["account_id", "issues", "bad"])
def test_a_reserved_name_is_excluded(name: str) -> None:
    assert "Rename it at the source" in exclusion(AGES, name)


def test_a_column_named_id_beside_the_id_is_excluded() -> None:
    text = infer_bytes(written({"customer": IDS, "id": AGES, "age": AGES[::-1], "outcome": TARGET}), "customer", "outcome")
    contract = Contract.parse(text, "contract.yml")
    assert (contract.id, tuple(contract.features)) == ("customer", ("age",))
    assert "  # id is left out: the name is reserved. Rename it at the source to use it.\n" in text


@pytest.mark.parametrize(
    ("leak", "what"),
    [
        ([str(row + 1000 * (row % 4 == 0)) for row in range(ROWS)], "a number, high for all bad"),
        ([str(row - 1000 * (row % 4 == 0)) for row in range(ROWS)], "a number, low for all bad"),
        ([["3", "1", "2", "5"][row % 4] for row in range(ROWS)], "a number with a bad value in the middle"),
        ([["lost", "open", "open", "paid"][row % 4] for row in range(ROWS)], "a category"),
        ([AGES[row] if row % 4 == 0 else "" for row in range(ROWS)], "a number known only for the bad"),
    ],
)
def test_a_column_that_leaks_the_target_is_excluded(leak: list[str], what: str) -> None:
    assert "predicts the target almost perfectly (AUC 1.000 alone)" in exclusion(leak), what


def test_levels_with_few_rows_do_not_count_as_leakage() -> None:
    rare = [f"{'bad' if row % 4 == 0 else 'good'} {row % 100}" for row in range(ROWS)]
    assert feature(rare).type == "category"


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
    ],
)
def test_the_bad_label_of_customary_pairs(labels: tuple[str, str], bad: str, good: str) -> None:
    """In each pair, three of four rows have the first label."""
    assert target_of([labels[row % 4 == 0] for row in range(ROWS)]) == (bad, good)


def test_labels_1_and_2_are_marked_as_a_guess() -> None:
    assert 'bad: "2"  # a guess, because it is the rarer label' in target_text([str(1 + (row % 4 == 0)) for row in range(ROWS)])
    assert 'bad: "2"  # a guess, because 1 and 2 are equally frequent' in target_text(["1", "2"] * (ROWS // 2))


def test_unlabelled_rows_are_not_a_third_label() -> None:
    assert target_of(drawn("0", "1", "", "NA")) == ("1", "0")


def test_the_bad_option_overrides_the_convention() -> None:
    assert target_of(TARGET, "0") == ("0", "1")
    assert target_of(drawn("paid", "charged off"), "charged off") == ("charged off", "paid")


def test_an_unknown_pair_requires_the_bad_option() -> None:
    with pytest.raises(ContractError, match='--bad "charged off" or --bad "paid"'):
        target_of(drawn("paid", "charged off"))


def test_the_bad_option_must_be_a_label_of_the_target() -> None:
    with pytest.raises(ContractError, match=r"2 is not a value of the target outcome \(0, 1\)"):
        target_of(TARGET, "2")


def test_a_target_must_have_two_labels() -> None:
    with pytest.raises(ContractError, match=r"3 distinct values \(0, 1, 2\)"):
        target_of(drawn(0, 1, 2))
    with pytest.raises(ContractError, match="1 distinct values"):
        target_of(["0"] * ROWS)
    with pytest.raises(ContractError, match="0 distinct values;"):
        target_of([""] * ROWS)


def test_errors_do_not_show_many_target_values() -> None:
    with pytest.raises(ContractError) as raised:
        target_of([f"secret{row % 6}" for row in range(ROWS)])
    assert "6 distinct values" in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(("id_column", "target"), [("nr", "outcome"), ("id", "default"), ("", "outcome")])
def test_a_missing_column_is_reported_with_the_existing_ones(id_column: str, target: str) -> None:
    content = written({"id": IDS, "age": AGES, "outcome": TARGET})
    with pytest.raises(ContractError, match="It has: id, age, outcome"):
        infer_bytes(content, id_column, target)


def test_id_and_target_must_differ() -> None:
    with pytest.raises(ContractError, match="both the id and the target"):
        infer_bytes(written({"id": IDS, "age": AGES}), "id", "id")


def test_a_file_without_features_lists_why() -> None:
    with pytest.raises(ContractError, match=r"no column that can be a feature:\n  # x is left out: all known values are equal"):
        infer_bytes(written({"id": IDS, "x": ["1"] * ROWS, "outcome": TARGET}), "id", "outcome")


def test_rows_that_share_an_id_are_counted() -> None:
    content = written({"id": ["A1", "", *IDS[2:-1], "A5"], "age": AGES, "outcome": TARGET})
    assert "id: id  # 2 rows have no id or repeat one" in infer_bytes(content, "id", "outcome")


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
    content = written({"the id": IDS, **dict.fromkeys(NAMES, AGES), "no": TARGET})
    contract = Contract.parse(infer_bytes(content, "the id", "no"), "contract.yml")
    assert (contract.id, contract.target.column, tuple(contract.features)) == ("the id", "no", tuple(NAMES))


@settings(deadline=None)
@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), token=st.text(min_size=1, max_size=5))
def test_any_text_makes_a_valid_contract(name: str, token: str) -> None:
    if name in {"id", "outcome", "bad", "issues", "account_id"}:
        return
    values = drawn("a", "b", token if token.isprintable() else "c")
    frame = pl.DataFrame({"id": IDS, "age": AGES, name: values, "outcome": TARGET} | ({"age": AGES} if name == "age" else {}))
    text = infer(frame.lazy(), frame.columns, "id", "outcome", None, name)
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
        "age": pl.Series([*([20, 30, 40, 50] * (SAMPLE_ROWS // 4)), 999_999]).cast(pl.String),
        "outcome": pl.Series([*([0, 0, 0, 0, 1] * (SAMPLE_ROWS // 5)), 0]).cast(pl.String),
    }
    whole = infer(pl.LazyFrame(columns), list(columns), "id", "outcome", None, "book.csv")
    exact = infer(pl.LazyFrame(columns).head(SAMPLE_ROWS), list(columns), "id", "outcome", None, "book.csv")
    assert "inferred from the first 200,000 rows; later rows were not read" in whole
    assert "seen 20 to 50" in whole
    assert "inferred from 200,000 rows." in exact
    assert yaml.safe_load(whole) == yaml.safe_load(exact)
