"""Instants and dates as the lake writes them."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from risk_assets.clock import (
    Calendar,
    DateError,
    date_range,
    instant_of,
    is_date,
    parse_date,
    parse_instant,
    seconds_between,
    shift,
    simulated_from,
    utc_now,
    weekdays,
)
from risk_assets.settings import Settings


def test_now_is_in_utc_to_the_second() -> None:
    assert utc_now().endswith("+00:00")
    assert len(utc_now()) == len("2026-01-01T00:00:00+00:00")


def test_simulated_time_continues_from_its_instant_and_ends() -> None:
    with simulated_from("2025-03-01T02:00:00+00:00"):
        first = utc_now("microseconds")
        later = utc_now("microseconds")
        assert instant_of(datetime.now(UTC).timestamp())[:10] == Settings(_env_file=None).calendar.day(utc_now()) == "2025-03-01"
        assert Settings(_env_file=None, start_date="2025-01-01").last_date == "2025-02-28"
    assert "2025-03-01T02" in first <= later
    assert seconds_between(later, utc_now()) > 0


def test_simulated_time_ends_with_an_error_and_blocks_can_follow_inside_each_other() -> None:
    with pytest.raises(ValueError, match="stop"), simulated_from("2025-03-01T02:00:00+00:00"):
        with simulated_from("2025-03-02T02:00:00+00:00"):
            assert utc_now().startswith("2025-03-02T02")
        assert utc_now().startswith("2025-03-01T02")
        raise ValueError("stop")
    assert utc_now()[:10] == datetime.now(UTC).date().isoformat()


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


def calendar(zone: str, days: str = "mon-sun") -> Calendar:
    return Calendar(ZoneInfo(zone), time(2), time(6, 30), weekdays(days))


def test_a_date_is_due_the_next_morning() -> None:
    assert calendar("UTC").due("2026-12-31") == "2027-01-01T02:00:00+00:00"
    assert calendar("UTC").late_from("2026-12-31") == "2027-01-01T06:30:00+00:00"


def test_instants_are_shown_in_the_teams_time_zone() -> None:
    assert calendar("Europe/Berlin").in_zone("2026-07-01T04:05:59+00:00") == "2026-07-01T06:05+02:00"
    assert calendar("UTC").in_zone(instant_of(1.5)) == "1970-01-01T00:00+00:00"


def test_due_times_follow_daylight_saving_time() -> None:
    berlin = calendar("Europe/Berlin")
    assert berlin.late_from("2026-03-27") == "2026-03-28T05:30:00+00:00"
    assert berlin.late_from("2026-03-28") == "2026-03-29T04:30:00+00:00"
    assert berlin.local("2026-03-29T04:30:00+00:00") == "2026-03-29 06:30 Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-sun", {0, 1, 2, 3, 4, 5, 6}),
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("Mon, wed,sat-sun", {0, 2, 5, 6}),
        ("fri-mon", {4, 5, 6, 0}),
        ("tue", {1}),
    ],
)
def test_days_of_the_week_are_read(text: str, days: set[int]) -> None:
    assert weekdays(text) == days


def test_a_calendar_expects_business_days_only() -> None:
    # 2 January 2026 is a Friday
    assert [calendar("UTC", "mon-fri").expects(date) for date in ("2026-01-02", "2026-01-03")] == [True, False]
