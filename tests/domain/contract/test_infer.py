"""What must hold when a first contract is inferred from a file that nobody has described."""

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


def why_left_out(values: Sequence[str], name: str = "x") -> str:
    text = contract_text({name: values})
    assert name not in Contract.parse(text, "contract.yml").features
    (line,) = (line for line in text.splitlines() if line.startswith(f"  # {name} is left out: "))
    return line


def comment(values: Sequence[str]) -> str:
    """Return all that the contract says about a column."""
    return contract_text({"x": values}).split("\n  x:\n")[1]


def drawn(*values: object, weights: Sequence[int] | None = None) -> list[str]:
    return [str(value) for value in random.Random(1).choices(values, weights, k=ROWS)]


def with_codes(values: Sequence[str], *codes: str) -> list[str]:
    """Put each code in ten rows, good and bad alike."""
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


def test_a_first_contract_reads_like_this() -> None:
    columns = {
        "id": IDS,
        "LIMIT_BAL": [str(row % 37 * 10) for row in range(ROWS)],
        "region": drawn("north", "south", "unknown"),
        "default.next": TARGET,
    }
    assert infer_bytes(written(columns), "id", "default.next") == (
        "# A first contract for book.csv, from its 400 rows.\n"
        "# It is a guess from values: let someone who knows the data check each line.\n"
        "# Each `reason` is only made from the column's name: write what customers may be told before they are.\n"
        "# `seen` is what the numbers span here and no limit: write min and max where there are any.\n"
        "id: id\n"
        "target:\n"
        '  column: "default.next"\n'
        '  bad: "1"  # by custom; 25.0% of the labelled rows\n'
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


def test_numbers_and_categories_are_told_apart() -> None:
    assert feature(drawn("1.5", "-2", "+3", "4e2", "")).type == "number"
    assert feature(drawn("own", "rent", "unknown", "7")).type == "category"


def test_zero_is_the_floor_only_where_nothing_is_below_and_rows_are_many() -> None:
    assert (feature(drawn(0, 1, 2.5)).min, feature(drawn(-1, 0, 1, 2, -2.5)).min) == (0, None)
    few = {"id": IDS[:99], "age": AGES[:99], "outcome": TARGET[:99]}
    few_rows = Contract.parse(infer_bytes(written(few), "id", "outcome"), "contract.yml")
    assert few_rows.features["age"].min is None


def test_a_decimal_comma_is_found_and_said() -> None:
    content = written({"id": IDS, "ratio": drawn("0,5", "1,25", "3"), "age": AGES, "outcome": TARGET}, ";")
    contract = Contract.parse(infer_bytes(content, "id", "outcome"), "contract.yml")
    assert (contract.decimal, contract.features["ratio"].type, contract.features["age"].type) == (",",) + ("number",) * 2


def test_a_comma_between_thousands_is_no_decimal_comma() -> None:
    amounts = drawn("1,234", "12,500", "900", "1,234,567")
    assert "thousands" in why_left_out(amounts)
    assert Contract.parse(contract_text({"x": amounts}), "contract.yml").decimal == "."


def test_a_point_between_thousands_is_told_where_the_decimal_mark_is_a_comma() -> None:
    text = contract_text({"ratio": drawn("0,5", "1,25"), "income": drawn("1.200", "900", "12.500")})
    assert "# income is left out: its numbers have marks between the thousands" in text


def test_a_few_unreadable_values_do_not_make_a_number_a_category() -> None:
    values = [*AGES[:-2], "#VALUE!", "12 years"]
    assert feature(values).type == "number"
    said = comment(values)
    assert "2 of 400 rows hold no number here" in said
    assert "VALUE" not in said
    assert "12 years" not in said


@pytest.mark.parametrize("codes", [["-9"], ["-9", "-8", "-7"], ["999"], ["9999"], ["99999999"], ["-9", "9999"]])
def test_customary_codes_far_from_the_rest_mean_missing(codes: list[str]) -> None:
    found = feature(with_codes(AGES, *codes))
    assert set(found.missing) == set(codes)
    assert found.min == 0
    assert "seen 18 to 79" in comment(with_codes(AGES, *codes))


def test_96_and_98_beside_small_counts_mean_missing() -> None:
    assert feature(with_codes(drawn(*range(14)), "96", "98")).missing == ("96", "98")


def test_minus_one_means_missing_only_where_a_gap_parts_it_from_many_values() -> None:
    assert feature(with_codes(AGES, "-1")).missing == ("-1",)
    assert feature(drawn(-1, 1)).missing == ()
    months = with_codes(drawn(*range(60)), "-1")
    assert feature(months).missing == ()
    assert "-1 is all there is below 0" in comment(months)


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
def test_a_plain_valid_value_is_no_code_for_missing(values: list[str]) -> None:
    assert feature(values).missing == ()


def test_a_code_that_stands_once_is_no_code() -> None:
    assert feature(["999", *AGES[1:]]).missing == ()


def test_a_very_low_code_is_found_below_values_of_both_signs() -> None:
    assert feature(with_codes(drawn(*range(-20, 41)), "-999")).missing == ("-999",)


def test_tokens_of_text_that_mean_missing_are_found() -> None:
    assert feature(with_codes(AGES, "NA", "?", "NULL", "unknown")).missing == ("?", "unknown")
    assert feature(with_codes(drawn("own", "rent"), "NA", "?", "NULL", "unknown")).missing == ("?",)


def test_a_level_that_every_contract_reads_as_missing_is_pointed_out() -> None:
    assert "None is read as not known" in comment(drawn("guarantor", "co-applicant", "None"))


def test_few_whole_numbers_stay_numbers_and_the_choice_is_pointed_out() -> None:
    assert feature(drawn(1, 2)).type == "number"
    assert "type: category" in comment(drawn(1, 2))
    assert "type: category" not in comment(drawn(0, 1))
    assert "type: category" not in comment(AGES)


def test_leading_zeros_make_text() -> None:
    assert feature(drawn("007", "123", "045")).type == "category"
    assert "leading zeros" in comment(drawn("007", "123", "045"))
    assert feature(drawn("0.5", "0", "-0.25")).type == "number"
    assert "as an id does" in why_left_out([f"{row:05}" for row in range(ROWS)])


@pytest.mark.parametrize("values", [["7"] * ROWS, drawn("7", ""), drawn("7", "7.0"), ["x"] * ROWS])
def test_a_constant_column_is_left_out(values: list[str]) -> None:
    assert "the same in every row" in why_left_out(values)


def test_a_constant_beside_codes_for_missing_is_left_out() -> None:
    assert "the same in every row" in why_left_out(drawn("7", "unknown"))


def test_an_empty_column_is_left_out() -> None:
    assert "it is empty" in why_left_out(drawn("", "NA", "?"))


def test_columns_like_an_id_are_left_out() -> None:
    shuffled = random.Random(3).sample(range(1, ROWS + 1), ROWS)
    sparse = random.Random(3).sample(range(10**9), ROWS)
    assert "as an id does" in why_left_out([f"name {row}" for row in range(ROWS)])
    assert "numbers the rows" in why_left_out([str(row) for row in range(ROWS)])
    assert "numbers the rows" in why_left_out([str(row) for row in shuffled])
    assert "numbers the rows" in why_left_out([str(row) for row in sparse], "customer_id")
    assert feature([str(row) for row in sparse]).type == "number"


def test_an_unnamed_row_number_is_left_out() -> None:
    content = b"," + written({"id": IDS, "age": AGES, "outcome": TARGET})
    lines = content.split(b"\n")
    numbered = b"\n".join([lines[0], *(f"{row * 50_001 % 99_991},".encode() + line for row, line in enumerate(lines[1:-1]))])
    text = infer_bytes(numbered, "id", "outcome")
    assert "# unnamed_1 is left out: it numbers the rows" in text


def test_an_empty_id_means_the_unnamed_first_column() -> None:
    content = written({"": IDS, "age": AGES, "outcome": TARGET})
    assert Contract.parse(infer_bytes(content, "", "outcome"), "contract.yml").id == "unnamed_1"


def test_a_category_of_more_than_100_levels_is_left_out() -> None:
    assert feature([f"level {row % 100}" for row in range(ROWS)]).type == "category"
    assert "101 levels" in why_left_out([f"level {row % 101}" for row in range(ROWS)])


@pytest.mark.parametrize("name", ["account_id", "issues", "bad"])
def test_a_reserved_name_is_left_out(name: str) -> None:
    assert "Rename it at the source" in why_left_out(AGES, name)


def test_a_column_named_id_that_is_not_the_id_is_left_out_and_the_comment_says_why() -> None:
    text = infer_bytes(written({"customer": IDS, "id": AGES, "age": AGES[::-1], "outcome": TARGET}), "customer", "outcome")
    contract = Contract.parse(text, "contract.yml")
    assert (contract.id, tuple(contract.features)) == ("customer", ("age",))
    assert "  # id is left out: the product uses this name itself. Rename it at the source to use it.\n" in text


@pytest.mark.parametrize(
    ("leak", "what"),
    [
        ([str(row + 1000 * (row % 4 == 0)) for row in range(ROWS)], "a number that is high for all bad"),
        ([str(row - 1000 * (row % 4 == 0)) for row in range(ROWS)], "a number that is low for all bad"),
        ([["3", "1", "2", "5"][row % 4] for row in range(ROWS)], "a number with a bad value in the middle"),
        ([["lost", "open", "open", "paid"][row % 4] for row in range(ROWS)], "a category"),
        ([AGES[row] if row % 4 == 0 else "" for row in range(ROWS)], "a number known only for the bad"),
    ],
)
def test_a_column_that_gives_the_target_away_is_left_out(leak: list[str], what: str) -> None:
    assert "gives the target away (AUC 1.000" in why_left_out(leak), what


def test_levels_of_few_rows_give_nothing_away() -> None:
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
def test_the_bad_label_of_customary_pairs_is_chosen(labels: tuple[str, str], bad: str, good: str) -> None:
    """In each pair the first label stands in three rows of four."""
    assert target_of([labels[row % 4 == 0] for row in range(ROWS)]) == (bad, good)


def test_the_guess_for_1_and_2_is_said() -> None:
    assert 'bad: "2"  # the rarer one is a guess' in target_text([str(1 + (row % 4 == 0)) for row in range(ROWS)])
    assert 'bad: "2"  # 1 and 2 are equally frequent, 2 is a guess' in target_text(["1", "2"] * (ROWS // 2))


def test_unlabelled_rows_are_no_third_label() -> None:
    assert target_of(drawn("0", "1", "", "NA")) == ("1", "0")


def test_the_person_s_choice_of_bad_wins() -> None:
    assert target_of(TARGET, "0") == ("0", "1")
    assert target_of(drawn("paid", "charged off"), "charged off") == ("charged off", "paid")


def test_an_unknown_pair_asks_for_bad() -> None:
    with pytest.raises(ContractError, match='--bad "charged off" or --bad "paid"'):
        target_of(drawn("paid", "charged off"))


def test_a_bad_that_the_target_does_not_hold_is_refused() -> None:
    with pytest.raises(ContractError, match=r"2 is no value of the target outcome \(0, 1\)"):
        target_of(TARGET, "2")


def test_a_target_that_has_not_two_labels_is_refused() -> None:
    with pytest.raises(ContractError, match=r"3 distinct values \(0, 1, 2\)"):
        target_of(drawn(0, 1, 2))
    with pytest.raises(ContractError, match="1 distinct values"):
        target_of(["0"] * ROWS)
    with pytest.raises(ContractError, match="0 distinct values where"):
        target_of([""] * ROWS)


def test_the_values_of_a_target_of_many_are_not_shown() -> None:
    with pytest.raises(ContractError) as refusal:
        target_of([f"secret{row % 6}" for row in range(ROWS)])
    assert "6 distinct values" in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(("id_column", "target"), [("nr", "outcome"), ("id", "default"), ("", "outcome")])
def test_a_missing_column_is_named_with_those_there_are(id_column: str, target: str) -> None:
    content = written({"id": IDS, "age": AGES, "outcome": TARGET})
    with pytest.raises(ContractError, match="It has: id, age, outcome"):
        infer_bytes(content, id_column, target)


def test_one_column_can_not_be_id_and_target() -> None:
    with pytest.raises(ContractError, match="both the id and the target"):
        infer_bytes(written({"id": IDS, "age": AGES}), "id", "id")


def test_a_file_without_any_feature_is_refused_with_the_reasons() -> None:
    with pytest.raises(ContractError, match=r"no column that could be a feature:\n  # x is left out: it is the same"):
        infer_bytes(written({"id": IDS, "x": ["1"] * ROWS, "outcome": TARGET}), "id", "outcome")


def test_rows_that_share_an_id_are_counted() -> None:
    content = written({"id": ["A1", "", *IDS[2:-1], "A5"], "age": AGES, "outcome": TARGET})
    assert "id: id  # 2 rows repeat an id or have none" in infer_bytes(content, "id", "outcome")


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


def test_any_name_comes_back_from_the_yaml_as_it_was() -> None:
    content = written({"the id": IDS, **dict.fromkeys(NAMES, AGES), "no": TARGET})
    contract = Contract.parse(infer_bytes(content, "the id", "no"), "contract.yml")
    assert (contract.id, contract.target.column, tuple(contract.features)) == ("the id", "no", tuple(NAMES))


@settings(deadline=None)
@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), token=st.text(min_size=1, max_size=5))
def test_any_text_makes_a_contract_that_can_be_read(name: str, token: str) -> None:
    if name in {"id", "outcome", "bad", "issues", "account_id"}:
        return
    values = drawn("a", "b", token if token.isprintable() else "c")
    frame = pl.DataFrame({"id": IDS, "age": AGES, name: values, "outcome": TARGET} | ({"age": AGES} if name == "age" else {}))
    text = infer(frame.lazy(), frame.columns, "id", "outcome", None, name)
    assert tuple(Contract.parse(text, "contract.yml").features) == tuple(frame.columns[1:-1])


def test_comments_hold_no_value_of_a_row() -> None:
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
def test_a_first_reason_is_made_from_the_name(column: str, text: str) -> None:
    assert reason_text(column) == text


def test_only_the_first_rows_of_a_long_file_are_looked_at_and_that_is_said() -> None:
    rows = SAMPLE_ROWS + 1
    columns = {
        "id": pl.Series(range(rows)).cast(pl.String),
        "age": pl.Series([*([20, 30, 40, 50] * (SAMPLE_ROWS // 4)), 999_999]).cast(pl.String),
        "outcome": pl.Series([*([0, 0, 0, 0, 1] * (SAMPLE_ROWS // 5)), 0]).cast(pl.String),
    }
    whole = infer(pl.LazyFrame(columns), list(columns), "id", "outcome", None, "book.csv")
    exact = infer(pl.LazyFrame(columns).head(SAMPLE_ROWS), list(columns), "id", "outcome", None, "book.csv")
    assert "from its first 200,000 rows; the others were not looked at" in whole
    assert "seen 20 to 50" in whole
    assert "from its 200,000 rows." in exact
    assert yaml.safe_load(whole) == yaml.safe_load(exact)
