"""Number formats of a contract: percent, money, dates, decimal and thousands marks, as validation reads them."""

import datetime
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.schema import ISSUES, RAGGED, Contract
from risk_assets.domain.ingest.labels import labels
from risk_assets.domain.ingest.validation import feature_descriptions, repeated_ids, validate
from risk_assets.errors import ContractError

SNAPSHOT = "2026-01-10"
UNREADABLE = "x: unreadable"
TARGET = {"column": "t", "bad": 1}


def contract(**more: Any) -> Contract:
    feature = {"type": "number", "reason": "r"} | more
    return Contract.model_validate({"id": "id", "target": TARGET, "features": {"x": feature}})


def read(texts: Sequence[str], snapshot: str | None = SNAPSHOT, **feature: Any) -> list[tuple[float | None, str | None]]:
    frame = pl.LazyFrame({"id": [f"a{row}" for row in range(len(texts))], "x": texts}).with_columns(pl.lit(None, pl.String).alias(RAGGED))
    how = contract(**feature)
    found = validate(frame, how, repeated_ids(frame, how), date=snapshot).collect(engine="streaming")
    assert found.schema["x"] == pl.Float64
    return found.select("x", ISSUES).rows()


def value(text: str, **feature: Any) -> float | None:
    """Return the value of a readable text; None if it has the issue `unreadable`."""
    ((number, issue),) = read([text], **feature)
    assert issue in (None, UNREADABLE)
    assert (number is None) == (issue == UNREADABLE)
    return number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("24.49%", 24.49),
        ("12 %", 12),
        ("%5", 5),
        ("0%", 0),
        ("-3.5%", -3.5),
        ("(3%)", -3),
        ("3%-", -3),
        ("\u22124%", -4),
        ("5\uff05", 5),
        ("120.0%", 120),
        (" 7% ", 7),
    ],
)
def test_percent_is_in_percentage_points(text: str, number: float) -> None:
    assert value(text, format="percent") == number


@pytest.mark.parametrize("text", ["24.49", "1%%", "%", "1,5%", "x%", "1e2%", "12%34", "1 2%", "12%!"])
def test_a_text_that_is_not_a_percentage_is_unreadable(text: str) -> None:
    assert value(text, format="percent") is None


def test_percentages_follow_the_decimal_mark() -> None:
    assert value("24,49%", format="percent", decimal=",") == 24.49
    assert value("24.49%", format="percent", decimal=",") is None
    assert value("1,200.5%", format="percent", thousands=",") == 1200.5


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$59,915.00", 59915),
        ("\u20ac 235", 235),
        ("235 \u20ac", 235),
        ("USD 5", 5),
        ("5USD", 5),
        ("US$1,000", 1000),
        ("R$5", 5),
        ("\u00a31.50", 1.5),
        ("\u20b912,34,567", 1234567),
        ("kr. 5", 5),
        ("5 kr", 5),
        ("Rs. 500", 500),
        ("CHF 10", 10),
        ("$5 USD", 5),
        ("-$5", -5),
        ("$-5", -5),
        ("- $5", -5),
        ("(822)", -822),
        ("($822.50)", -822.5),
        ("$(822)", -822),
        ("(822) EUR", -822),
        ("( $5 )", -5),
        ("822-", -822),
        ("5.00- EUR", -5),
        ("\u2212$1,234", -1234),
        ("1234567.89", 1234567.89),
        ("+5", 5),
        (".5", 0.5),
    ],
)
def test_money_has_a_currency_marks_and_a_sign(text: str, number: float) -> None:
    assert value(text, format="money") == number


@pytest.mark.parametrize(
    "text", ["$ 1,23", "12,345,67", "1.234.567", "(-5)", "(5-)", "--5", "(5", "5)", "$", "5 apples", "1e3", "K5", "12%", "5 5", "$x"]
)
def test_a_text_that_is_not_an_amount_is_unreadable(text: str) -> None:
    assert value(text, format="money") is None


@pytest.mark.parametrize(
    ("text", "marks", "number"),
    [
        ("1.234,50 \u20ac", {"decimal": ","}, 1234.5),
        ("1234,5", {"decimal": ","}, 1234.5),
        ("1 234,50 \u20ac", {"decimal": ",", "thousands": " "}, 1234.5),
        ("1\u00a0234,50", {"decimal": ",", "thousands": " "}, 1234.5),
        ("1\u202f234\u202f567 kr", {"thousands": " "}, 1234567),
        ("CHF 1'234.50", {"thousands": "'"}, 1234.5),
        ("CHF 1\u20191234", {"thousands": "'"}, None),
        ("1.23", {"decimal": ","}, None),
        ("1,234", {"thousands": "'"}, None),
    ],
)
def test_money_follows_the_marks_of_its_column(text: str, marks: dict[str, str], number: float | None) -> None:
    assert value(text, format="money", **marks) == number


@pytest.mark.parametrize(
    ("text", "marks", "number"),
    [
        ("42,507", {"thousands": ","}, 42507),
        ("-1,234.5", {"thousands": ","}, -1234.5),
        ("12,34,567", {"thousands": ","}, 1234567),
        ("1234", {"thousands": ","}, 1234),
        ("1e3", {"thousands": ","}, 1000),
        ("42,50", {"thousands": ","}, None),
        ("4,2507", {"thousands": ","}, None),
        (",507", {"thousands": ","}, None),
        ("145.463,98", {"decimal": ",", "thousands": "."}, 145463.98),
        ("12,14", {"decimal": ",", "thousands": "."}, 12.14),
        ("12.14", {"decimal": ",", "thousands": "."}, None),
        ("12 345", {"thousands": " "}, 12345),
        ("12'345", {"thousands": "'"}, 12345),
        ("12 345", {}, None),
        ("1,5", {"decimal": ","}, 1.5),
        ("1.5", {"decimal": ","}, None),
    ],
)
def test_plain_numbers_follow_the_marks_of_their_column(text: str, marks: dict[str, str], number: float | None) -> None:
    assert value(text, **marks) == number


def test_the_contract_decimal_is_the_default_of_each_column() -> None:
    features = {
        "x": {"type": "number", "reason": "r"},
        "y": {"type": "number", "decimal": ".", "reason": "r"},
        "z": {"type": "number", "format": "money", "reason": "r"},
    }
    how = Contract.model_validate({"id": "id", "target": TARGET, "decimal": ",", "features": features})
    frame = pl.LazyFrame(
        {"id": ["a"], "x": ["1,5"], "y": ["1.5"], "z": ["\u20ac 1.234,5"], RAGGED: [None]}, schema_overrides={RAGGED: pl.String}
    )
    assert validate(frame, how, repeated_ids(frame, how)).collect().rows() == [("a", 1.5, 1.5, 1234.5, "a", None, None)]


@pytest.mark.parametrize(
    ("text", "dates", "days"),
    [
        ("2026-01-10", "%Y-%m-%d", 0),
        ("2025-12-31", "%Y-%m-%d", 10),
        ("2026-01-12", "%Y-%m-%d", -2),
        ("31.12.2025", "%d.%m.%Y", 10),
        ("1.1.2026", "%d.%m.%Y", 9),
        ("12/31/2025", "%m/%d/%Y", 10),
        ("251231", "%y%m%d", 10),
        ("20251231", "%Y%m%d", 10),
        ("Jan-26", "%b-%y", 9),
        ("DEC-2025", "%b-%Y", 40),
        ("9 January 2026", "%d %B %Y", 1),
        ("2025-12", "%Y-%m", 40),
        ("2026-01-09 23:59:59", "%Y-%m-%d %H:%M:%S", 1),
        ("2026-01-09T23:59:59.5Z", "%Y-%m-%dT%H:%M:%SZ", 1),
        ("31.12.69", "%d.%m.%y", 20464),
    ],
)
def test_a_date_is_the_days_before_the_snapshot(text: str, dates: str, days: int) -> None:
    assert value(text, format=f"date({dates})") == days


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("31.02.2025", "%d.%m.%Y"),
        ("2025-13-01", "%Y-%m-%d"),
        ("0000-00-00", "%Y-%m-%d"),
        ("31.12.25", "%d.%m.%Y"),
        ("31.12.2025 ?", "%d.%m.%Y"),
        ("31/12/2025", "%d.%m.%Y"),
        ("51231", "%y%m%d"),
        ("2512 1", "%y%m%d"),
        ("January-26", "%b-%y"),
        ("Foo-26", "%b-%y"),
        ("45291", "%Y-%m-%d"),
        ("soon", "%Y-%m-%d"),
    ],
)
def test_a_text_that_does_not_fit_the_date_is_unreadable(text: str, dates: str) -> None:
    assert value(text, format=f"date({dates})") is None


def test_dates_need_the_date_of_the_snapshot() -> None:
    with pytest.raises(ContractError, match=r"x: dates are read as days before the snapshot.*--date DATE"):
        read(["2025-12-31"], snapshot=None, format="date(%Y-%m-%d)")


def test_missing_tokens_and_bounds_apply_to_formats() -> None:
    assert read(["", "n.a.", "-9%", "12%"], format="percent", missing=["n.a.", "-9"], max=10) == [
        *[(None, None)] * 3,
        (12, "x: above 10"),
    ]
    assert read(["01.01.1900", "11.01.2026"], format="date(%d.%m.%Y)", missing=["01.01.1900", "-1"], min=0) == [
        (None, None),
        (-1, "x: below 0"),
    ]
    assert read(["", "$1"], format="money", required=True) == [(None, "x: missing"), (1, None)]


def test_a_numeric_code_has_the_decimal_mark_of_its_column() -> None:
    assert read(["-9,5", "-9,50", "1,5"], decimal=",", missing=["-9,5"]) == [(None, None), (None, None), (1.5, None)]


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ({"format": "percent"}, "number in percentage points (may be missing)"),
        ({"format": "money", "min": 0}, "number from 0 (may be missing)"),
        ({"format": "date(%Y-%m-%d)"}, "number of days before the snapshot (may be missing)"),
    ],
)
def test_descriptions_have_the_unit(feature: dict[str, Any], text: str) -> None:
    assert feature_descriptions(contract(**feature))["x"] == text


def test_a_sensitive_column_is_validated_with_the_others() -> None:
    features = {"x": {"type": "number", "reason": "r"}, "sex": {"type": "category", "sensitive": True, "reason": "r"}}
    how = Contract.model_validate({"id": "id", "target": TARGET, "features": features})
    frame = pl.LazyFrame({"id": ["a"], "x": ["1"], "sex": [" f "], RAGGED: [None]}, schema_overrides={RAGGED: pl.String})
    assert validate(frame, how, repeated_ids(frame, how)).collect().rows() == [("a", 1, "f", "a", None, None)]
    assert feature_descriptions(how)["sex"] == "category (may be missing) (sensitive: not an input of models)"


ROWS = Contract.model_validate(
    {"id": "#row", "target": TARGET, "missing": ["2"], "features": {"x": {"type": "number", "min": 0, "reason": "r"}}}
)


def test_row_numbers_name_accounts_without_an_id_column() -> None:
    frame = pl.LazyFrame({"x": ["1", "-1", "3", ""], RAGGED: [None, "line: too few fields", None, None]})
    repeated = repeated_ids(frame, ROWS)
    assert validate(frame, ROWS, repeated).collect(engine="streaming").rows() == [
        ("1", 1, "1", None, None),
        ("2", -1, "2", None, "line: too few fields"),
        ("3", 3, "3", None, None),
        ("4", None, "4", None, None),
    ]
    assert feature_descriptions(ROWS)["account_id"] == "number of the row"


def test_outcomes_without_an_id_column_match_by_row() -> None:
    outcomes = pl.LazyFrame({"t": ["1", "0", "", "1"]}).with_columns(pl.lit(None, pl.String).alias(RAGGED))
    assert labels(outcomes, ROWS).collect(engine="streaming").rows() == [("1", 1), ("2", 0), ("3", None), ("4", 1)]


def test_row_numbers_are_in_the_order_of_the_file() -> None:
    rows = 300_000
    frame = pl.LazyFrame({"x": pl.Series(range(rows)).cast(pl.String)}).with_columns(pl.lit(None, pl.String).alias(RAGGED))
    found = validate(frame, ROWS, repeated_ids(frame, ROWS)).collect(engine="streaming")
    assert found["account_id"].to_list() == [str(row) for row in range(1, rows + 1)]
    assert found.filter(pl.col("x") != pl.col("account_id").cast(pl.Float64) - 1).is_empty()


AMOUNTS = st.decimals(-(10**9), 10**9, places=2, allow_nan=False)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(AMOUNTS, min_size=1, max_size=20), st.sampled_from(["${}", "{} \u20ac", "USD {}", "{}"]))
def test_every_written_amount_is_read_exactly(amounts: list[Any], currency: str) -> None:
    texts = [currency.format(f"{amount:,}") for amount in amounts]
    assert [number for number, _ in read(texts, format="money")] == [float(amount) for amount in amounts]
    accounting = [f"({-amount:,})" if amount < 0 else f"{amount:,}" for amount in amounts]
    assert [number for number, _ in read(accounting, format="money")] == [float(amount) for amount in amounts]
    comma = [f"{amount:,}".translate(str.maketrans(",.", ".,")) for amount in amounts]
    assert [number for number, _ in read(comma, decimal=",", thousands=".")] == [float(amount) for amount in amounts]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.lists(st.dates(datetime.date(1970, 1, 1), datetime.date(2060, 1, 1)), min_size=1, max_size=20),
    st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%y%m%d", "%Y%m%d", "%d %b %Y", "%d-%B-%y"]),
)
def test_every_written_date_is_read_exactly(dates: list[datetime.date], how: str) -> None:
    snapshot = datetime.date.fromisoformat(SNAPSHOT)
    found = read([date.strftime(how) for date in dates], format=f"date({how})")
    assert found == [((snapshot - date).days, None) for date in dates]


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.lists(st.text("0123456789.,-()%$ e'", max_size=8), min_size=1, max_size=20),
    st.sampled_from(["percent", "money", None, "date(%Y-%m-%d)"]),
)
def test_no_text_is_silently_null(texts: list[str], form: str | None) -> None:
    for text, (number, issue) in zip(texts, read(texts, **({"format": form} if form else {})), strict=True):
        is_missing = not text.strip()
        assert (number is None) == (is_missing or issue == UNREADABLE)
        assert issue in ((None,) if is_missing else (None, UNREADABLE))
