"""Kinds of columns that `contract infer` recognises: how each is read, or why it is left out."""

import datetime
import random
from collections.abc import Callable, Sequence

import pytest

from risk_assets.domain.contract.schema import Contract
from tests.domain.contract.drafts import IDS, MONTHS, ROWS, TARGET, comment, contract_text, drawn, exclusion, feature, infer_bytes, written

DRAW = random.Random(11)
AMOUNTS = [DRAW.lognormvariate(7, 1.5) for _ in range(ROWS)]
RATES = [DRAW.uniform(3, 30) for _ in range(ROWS)]
DATES = [datetime.date(2009, 1, 1) + datetime.timedelta(days=DRAW.randrange(2500)) for _ in range(ROWS)]
EURO, POUND, NARROW = "\u20ac", "\u00a3", "\u202f"

Notation = tuple[str | None, str | None, str | None]


def notation(values: Sequence[str]) -> Notation:
    found = feature(values)
    assert found.type == "number"
    return found.format, found.decimal, found.thousands


def swapped(text: str) -> str:
    """Write a number with a decimal comma and thousands points."""
    return text.translate(str.maketrans(",.", ".,"))


PERCENTAGES: list[tuple[Callable[[float], str], Notation]] = [
    (lambda rate: f"{rate:.2f}%", ("percent", None, None)),
    (lambda rate: f"{rate:.0f}%", ("percent", None, None)),
    (lambda rate: f" {rate:.1f} % ", ("percent", None, None)),
    (lambda rate: f"{rate / 10:.3f}%", ("percent", None, None)),
    (lambda rate: f"%{rate:.1f}", ("percent", None, None)),
    (lambda rate: f"{rate - 15:.1f}%", ("percent", None, None)),
    (lambda rate: f"({rate:.1f}%)", ("percent", None, None)),
    (lambda rate: f"{rate:.2f}%".replace(".", ","), ("percent", ",", None)),
    (lambda rate: f"{rate * 100:,.1f}%", ("percent", None, ",")),
    (lambda rate: f"{rate:.2f}\uff05", ("percent", None, None)),
    (lambda rate: "" if rate > 25 else f"{rate:.2f}%", ("percent", None, None)),
]


@pytest.mark.parametrize(("write", "expected"), PERCENTAGES)
def test_percentages_are_numbers_with_a_format(write: Callable[[float], str], expected: Notation) -> None:
    values = [write(rate) for rate in RATES]
    if expected[1] == ",":
        text = contract_text({"x": values})
        assert 'decimal: ","' in text
        assert Contract.parse(text, "contract.yml").features["x"].format == "percent"
    else:
        assert notation(values) == expected
    assert "percentage points" in comment(values)


MONEY: list[tuple[Callable[[float], str], Notation]] = [
    (lambda amount: f"${amount:,.2f}", ("money", None, None)),
    (lambda amount: f"$ {amount:,.0f}", ("money", None, None)),
    (lambda amount: f"{EURO} {amount:.0f}", ("money", None, None)),
    (lambda amount: f"{amount:.2f} {EURO}", ("money", None, None)),
    (lambda amount: f"USD {amount:,.0f}", ("money", None, None)),
    (lambda amount: f"{amount:.2f} CHF", ("money", None, None)),
    (lambda amount: f"{POUND}{amount:.2f}", ("money", None, None)),
    (lambda amount: f"({amount:.2f})" if amount > 900 else f"{amount:.2f}", ("money", None, None)),
    (lambda amount: f"({amount:,.0f})", ("money", None, None)),
    (lambda amount: f"{amount:.2f}-" if amount > 900 else f"{amount:.2f}", ("money", None, None)),
    (lambda amount: f"-${amount:,.2f}" if amount > 900 else f"${amount:,.2f}", ("money", None, None)),
    (lambda amount: f"kr {amount:,.0f}".replace(",", " "), ("money", None, " ")),
    (lambda amount: f"CHF {amount:,.2f}".replace(",", "'"), ("money", None, "'")),
]


@pytest.mark.parametrize(("write", "expected"), MONEY)
def test_amounts_of_money_are_numbers_with_a_format(write: Callable[[float], str], expected: Notation) -> None:
    values = [write(amount) for amount in AMOUNTS]
    assert notation(values) == expected
    assert "Amounts of money" in comment(values)


def test_amounts_with_a_decimal_comma_set_the_contract_s_mark() -> None:
    contract = Contract.parse(contract_text({"x": [swapped(f"{amount:,.2f}") + " EUR" for amount in AMOUNTS]}), "contract.yml")
    assert (contract.decimal, contract.features["x"].format, contract.notation("x").thousands) == (",", "money", ".")


def test_amounts_in_several_currencies_are_excluded() -> None:
    values = [f"{('$', EURO, 'GBP')[row % 3]} {amount:.2f}" for row, amount in enumerate(AMOUNTS)]
    assert "several currencies (" in exclusion(values)
    assert notation([f"{('$', 'USD ', 'US$')[row % 3]}{amount:.2f}" for row, amount in enumerate(AMOUNTS)]) == ("money", None, None)


THOUSANDS: list[tuple[Callable[[float], str], Notation]] = [
    (lambda amount: f"{amount:,.0f}", (None, None, ",")),
    (lambda amount: f"{amount:,.2f}", (None, None, ",")),
    (lambda amount: f"{-amount:,.0f}", (None, None, ",")),
    (lambda amount: f"{amount * 1000:,.0f}", (None, None, ",")),
    (lambda amount: f"{amount:,.0f}".replace(",", " "), (None, None, " ")),
    (lambda amount: f"{amount:,.1f}".replace(",", "\u00a0"), (None, None, " ")),
    (lambda amount: f"{amount:,.0f}".replace(",", NARROW), (None, None, " ")),
    (lambda amount: f"{amount:,.2f}".replace(",", "'"), (None, None, "'")),
    (lambda amount: f"{amount:,.2f}".replace(",", "\u2019"), (None, None, "'")),
    (lambda amount: "12,34,567" if amount > 5000 else f"{amount:,.0f}", (None, None, ",")),
]


@pytest.mark.parametrize(("write", "expected"), THOUSANDS)
def test_thousands_marks_are_recognised(write: Callable[[float], str], expected: Notation) -> None:
    values = [write(amount) for amount in AMOUNTS]
    assert notation(values) == expected
    assert "Thousands marks: " in comment(values)
    assert Contract.parse(contract_text({"x": values}), "contract.yml").decimal == "."


def test_a_thousands_point_is_recognised_beside_whole_numbers() -> None:
    values = [swapped(f"{amount:,.0f}") for amount in AMOUNTS]
    assert notation(values) == (None, ",", ".")
    assert 'set decimal: "." and remove thousands' in comment(values)


def test_a_thousands_point_is_recognised_beside_a_decimal_comma() -> None:
    text = contract_text({"ratio": drawn("0,5", "1,25"), "income": drawn("1.200", "900", "12.500")})
    contract = Contract.parse(text, "contract.yml")
    assert (contract.decimal, contract.notation("ratio").decimal, contract.notation("income").thousands) == (",", ",", ".")
    assert "seen 900 to 12500" in text


def test_three_decimals_are_not_thousands() -> None:
    assert notation([f"{rate:.3f}" for rate in RATES]) == (None, None, None)
    assert Contract.parse(contract_text({"x": [f"{rate / 40:.3f}".replace(".", ",") for rate in RATES]}), "c").decimal == ","


def test_decimal_marks_are_found_by_column() -> None:
    comma, point = [swapped(f"{rate:.2f}") for rate in RATES], [f"{rate:.2f}" for rate in RATES]
    contract = Contract.parse(contract_text({"a": comma, "b": point, "c": comma}), "contract.yml")
    assert [contract.notation(name).decimal for name in "abc"] == [",", ".", ","]
    assert (contract.decimal, contract.features["b"].decimal) == (",", ".")
    contract = Contract.parse(contract_text({"a": comma, "b": point}), "contract.yml")
    assert (contract.decimal, contract.features["a"].decimal) == (".", ",")


DATE_FORMATS = [
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%y%m%d", "%Y%m%d", "%d%m%Y", "%b-%y"),
    *("%b-%Y", "%b %Y", "%B %Y", "%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%Y-%m", "%m/%Y"),
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%d.%m.%Y %H:%M"),
]


@pytest.mark.parametrize("form", DATE_FORMATS)
def test_dates_are_excluded_with_their_format(form: str) -> None:
    reason = exclusion([date.strftime(form) for date in DATES])
    assert "it has dates written as " in reason
    assert f"format: date({form})" in reason


def test_dates_that_fit_two_formats_name_both() -> None:
    first_days = [f"{date.month:02}/{1 + date.day % 12:02}/{date.year}" for date in DATES]
    assert "written as mm/dd/yyyy (or dd/mm/yyyy)" in exclusion(first_days)


def test_dates_beside_other_values_are_named_with_their_share() -> None:
    values = [("00.00.0000" if row % 10 == 0 else f"{date:%d.%m.%Y}") for row, date in enumerate(DATES)]
    assert "written as dd.mm.yyyy" in exclusion(values)
    assert "of its distinct values" in exclusion(values)


@pytest.mark.parametrize(
    ("name", "values", "unit"),
    [
        ("open_date", [str(39_000 + row) for row in range(ROWS)], "days"),
        ("OpenDate", [str(1_200_000_000 + 86_400 * (row * 7 % 2000)) for row in range(ROWS)], "seconds"),
    ],
)
def test_numbers_of_days_are_excluded_if_named_a_date(name: str, values: list[str], unit: str) -> None:
    assert unit in exclusion(values, name)
    assert unit not in exclusion(values, "reading")


def test_six_digit_amounts_are_not_dates() -> None:
    assert notation([str(DRAW.randint(100_000, 999_999)) for _ in range(ROWS)]) == (None, None, None)


def test_a_declared_date_is_read_as_days_before_the_snapshot() -> None:
    line = exclusion([f"{date:%d.%m.%Y}" for date in DATES])
    declared = 'type: number, format: "date(%d.%m.%Y)"'
    text = f"id: id\ntarget: {{column: t, bad: 1}}\nfeatures:\n  x: {{{declared}, reason: X}}\n"
    assert "format: date(%d.%m.%Y)" in line
    assert Contract.parse(text, "contract.yml").dates == ("x",)


FEW_CODES = {
    "leading zeros": drawn("007", "123", "045"),
    "two digits": drawn("01", "12", "07", "10"),
    "one leading zero": drawn("12", "34", "05"),
    "sic": drawn("1311", "6021", "7372"),
    "naics code": drawn("522110", "236220", "541110"),
    "productCode": drawn("1", "12", "140"),
    "zip": [f"{30_000 + row % 40}" for row in range(ROWS)],
    "zip_code": drawn("940xx", "100xx", "606xx"),
    "plz": drawn("50667", "10115", "80331"),
    "ZIP4": drawn("94105-1234", "10001-0001"),
    "post": drawn("SW1A 1AA", "EC1A 1BB", "W1A 0AX"),
    "code postal": drawn("75001", "13001", "69002"),
}


@pytest.mark.parametrize("name", FEW_CODES)
def test_few_codes_are_a_category(name: str) -> None:
    assert feature(FEW_CODES[name], name).type == "category"


MANY_CODES = {
    "zip": ([str(DRAW.randint(10_000, 99_999)) for _ in range(ROWS)], "postal codes"),
    "ZipCode": ([f"{DRAW.randint(500, 99_999):05}" for _ in range(ROWS)], "postal codes"),
    "postal_code": ([f"{DRAW.randint(100, 999)}xx" for _ in range(ROWS)], "postal codes"),
    "plz": ([str(DRAW.randint(1000, 9999)) for _ in range(ROWS)], "postal codes"),
    "area": ([f"{DRAW.randint(10_000, 99_999)}-{DRAW.randint(1000, 9999)}" for _ in range(ROWS)], "postal codes"),
    "branch": ([f"{DRAW.randint(0, 9999):04}" for _ in range(ROWS)], "leading zeros"),
    "branch_code": ([str(DRAW.randint(1, 9999)) for _ in range(ROWS)], "codes, as the column's name says"),
    "mcc": ([str(DRAW.randint(1000, 9999)) for _ in range(ROWS)], "codes, as the column's name says"),
    "phone": ([str(DRAW.randint(2 * 10**9, 9 * 10**9)) for _ in range(ROWS)], "codes of equal width"),
    "account": ([str(DRAW.randint(10**11, 10**12 - 1)) for _ in range(ROWS)], "codes of equal width"),
    "sequence": ([f"{row:05}" for row in range(ROWS)], "leading zeros"),
}


@pytest.mark.parametrize("name", MANY_CODES)
def test_many_codes_are_excluded_with_their_kind(name: str) -> None:
    values, kind = MANY_CODES[name]
    assert kind in exclusion(values, name)
    assert "an id" not in exclusion(values, name)


def test_numbers_of_equal_width_are_noted_as_possible_codes() -> None:
    assert "Every number has 5 digits." in comment([str(DRAW.randint(10_000, 99_999)) for _ in range(ROWS)])
    assert "digits" not in comment([str(DRAW.randint(300, 850)) for _ in range(ROWS)])
    assert feature(drawn("0.5", "0", "-0.25")).type == "number"


DURATIONS = [
    drawn(" 36 months", " 60 months"),
    drawn("10+ years", "< 1 year", "1 year", "2 years", "n/a"),
    drawn("30 days", "60 days", "90 days"),
    drawn("5 yrs", "6 yrs"),
    drawn("1yrs 11mon", "0yrs 0mon", "2yrs 3mon"),
    drawn("3 y", "4 y"),
    drawn("12m", "24m", "36m"),
    drawn("2 weeks", "4 weeks"),
    drawn("36 Monate", "60 Monate"),
    drawn("1.5 years", "2.5 years"),
    drawn("> 5 years", "1 year"),
    [f"{row % 90} months" for row in range(ROWS)],
]


@pytest.mark.parametrize("values", DURATIONS)
def test_durations_are_a_category_with_a_reason(values: list[str]) -> None:
    assert feature(values).type == "category"
    assert "Durations such as 36 months" in comment(values)
    assert "Convert them at the source" in comment(values)


def test_many_durations_are_excluded_with_their_kind() -> None:
    assert "it has durations" in exclusion([f"{row} days" for row in range(ROWS)])


FLAGS = [("TRUE", "FALSE"), ("true", "false"), ("Y", "N"), ("yes", "no"), ("Yes", "No"), ("T", "F"), ("on", "off"), ("ja", "nein")]
FLAGS += [("J", "N"), ("True", "False")]


@pytest.mark.parametrize("values", FLAGS)
def test_flags_are_a_category(values: tuple[str, str]) -> None:
    assert feature(drawn(*values)).type == "category"
    assert "A flag such as TRUE and FALSE" in comment(drawn(*values))


MIXED = [
    ([f"{rate:.2f}%" if row % 10 else "see file" for row, rate in enumerate(RATES)], "percentages in 90.0%"),
    ([f"${amount:,.2f}" if row % 10 else "call" for row, amount in enumerate(AMOUNTS)], "amounts of money in 90.0%"),
    ([f"{amount:.3f}" if row % 10 else f"{row} pcs" for row, amount in enumerate(AMOUNTS)], "numbers in 90.0%"),
]


@pytest.mark.parametrize(("values", "kind"), MIXED)
def test_numbers_mixed_with_text_are_excluded_with_their_kind(values: list[str], kind: str) -> None:
    reason = exclusion(values)
    assert kind in reason
    assert "an id" not in reason
    assert "list them under missing" in reason


def test_the_columns_of_a_dressed_file_are_all_named() -> None:
    """The kinds of a real export beside each other, as in a file that nobody cleaned."""
    columns = {
        "acct": IDS,
        "rate": [f"{rate:.2f}%" for rate in RATES],
        "term": drawn(" 36 months", " 60 months"),
        "income": [f"{1000 + amount:,.0f}" for amount in AMOUNTS],
        "usd": [f"${amount:,.2f}" for amount in AMOUNTS],
        "opened": [f"{date:%d.%m.%Y}" for date in DATES],
        "neg": [f"({amount:.0f})" if row % 2 else f"{amount:.0f}" for row, amount in enumerate(AMOUNTS)],
        "money": [f"{EURO} {amount:.0f}" for amount in AMOUNTS],
        "zip": [str(DRAW.randint(10_000, 99_999)) for _ in range(ROWS)],
        "months": MONTHS,
        "bad": TARGET,
    }
    text = infer_bytes(written(columns), "acct", "bad")
    contract = Contract.parse(text, "contract.yml")
    assert {name: (found.type, found.format) for name, found in contract.features.items()} == {
        "rate": ("number", "percent"),
        "term": ("category", None),
        "income": ("number", None),
        "usd": ("number", "money"),
        "neg": ("number", "money"),
        "money": ("number", "money"),
        "months": ("number", None),
    }
    assert contract.features["income"].thousands == ","
    assert "an id" not in text


@pytest.mark.parametrize(
    "values",
    [
        [f"{row * 37 % 997}.56CR" for row in range(ROWS)],
        [f"{row % 90} {('CR', 'DR')[row % 2]}" for row in range(ROWS)],
        [f"{row * 37 % 997}.{row % 90:02d}{('CR', 'dr.')[row % 2]}" for row in range(ROWS)],
        [f"{row * 37 % 9997:,}.00{' CR' if row % 5 == 0 else ''}" for row in range(ROWS)],
        [f"${row * 37 % 9997:,} {('Cr', 'Dr')[row % 2]}" for row in range(ROWS)],
        [f"{row * 37 % 9997} EUR CR" for row in range(ROWS)],
        [f"{row * 37 % 997},56 CR" for row in range(ROWS)],
    ],
)
def test_credit_and_debit_amounts_are_left_out(values: list[str]) -> None:
    assert "it has amounts in accounting notation, with CR for credit and DR for debit." in exclusion(values)


@pytest.mark.parametrize("values", [["CR", "DR"], ["A1 CR", "B2 DR"], ["1", "2"], ["cr 1", "dr 2"]])
def test_other_text_is_not_accounting_notation(values: list[str]) -> None:
    assert "accounting notation" not in contract_text({"x": drawn(*values)})
