"""Instants and dates as the lake writes them."""

import pytest

from risk_assets.clock import DateError, date_range, due, is_date, parse_date, parse_instant, shift, utc_now


def test_now_is_in_utc_to_the_second() -> None:
    assert utc_now().endswith("+00:00")
    assert len(utc_now()) == len("2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00+00:00"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
    ],
)
def test_instants_are_read_in_any_zone(text: str, instant: str) -> None:
    assert parse_instant(text) == instant


def test_text_that_is_not_a_time_is_rejected_with_an_example() -> None:
    with pytest.raises(DateError, match="write it like 2026-01-31T12:00:00"):
        parse_instant("yesterday")


@pytest.mark.parametrize("text", ["soon", "2026-02-30", "2026/01/01", ""])
def test_text_that_is_not_a_date_is_rejected(text: str) -> None:
    assert not is_date(text)
    with pytest.raises(DateError, match="write it YYYY-MM-DD"):
        parse_date(text)


def test_a_compact_date_is_read_but_not_a_file_name() -> None:
    assert parse_date("20260131") == "2026-01-31"
    assert not is_date("20260131")


def test_dates_cross_months_and_years() -> None:
    assert shift("2026-03-01", -1) == "2026-02-28"
    assert date_range("2026-12-30", "2027-01-02") == ("2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02")
    assert date_range("2026-01-02", "2026-01-01") == ()


def test_a_date_is_due_at_two_the_next_morning() -> None:
    assert due("2026-12-31") == "2027-01-01T02:00:00+00:00"
