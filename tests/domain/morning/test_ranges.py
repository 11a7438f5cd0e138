"""Usual ranges of figures and counts."""

import numpy as np
import pytest

from risk_assets.domain.morning.facts import Range
from risk_assets.domain.morning.ranges import MIN_DATES, normal_counts, normal_range


def test_the_range_reaches_as_far_as_whiskers_of_a_box_plot() -> None:
    found = normal_range([100.0, 101.0, 102.0, 103.0, 104.0] * 4)
    assert found == Range(101.0 - 2.25 * 2, 103.0 + 2.25 * 2, 20)


@pytest.mark.parametrize("dates", [6, 14, 28])
def test_one_usual_figure_in_a_hundred_is_called_unusual(dates: int) -> None:
    draws = np.random.default_rng(7).normal(100, 5, size=(4000, dates + 1))
    outside = 0
    for *earlier, value in draws.tolist():
        found = normal_range(earlier)
        assert found is not None
        outside += not found.low <= value <= found.high
    assert 0.003 < outside / len(draws) < 0.02


def test_a_day_with_wrong_data_does_not_widen_the_range() -> None:
    usual = [46.0, 47.0, 48.0, 47.0, 46.0, 48.0, 47.0, 46.0, 47.0, 48.0]
    found = normal_range([*usual, 900.0])
    assert found is not None and found.high < 60


def test_too_few_dates_have_no_range() -> None:
    assert normal_range([1.0] * (MIN_DATES - 1)) is None
    assert normal_counts([1] * (MIN_DATES - 1)) is None
    assert normal_range([1.0] * MIN_DATES) is not None


def test_a_constant_figure_may_move_by_a_hundredth() -> None:
    assert normal_range([200.0] * 10) == Range(198.0, 202.0, 10)


@pytest.mark.parametrize(("value", "low", "high"), [(300, 297, 303), (5, 4, 6), (0, 0, 1)])
def test_a_constant_count_may_move_by_one_or_by_a_hundredth(value: int, low: int, high: int) -> None:
    assert normal_counts([value] * 10) == Range(low, high, 10)


def test_counts_have_whole_ends_and_are_not_negative() -> None:
    found = normal_counts([0, 0, 1, 2, 0, 3, 1, 0])
    assert found is not None
    assert found.low == 0.0
    assert found.high.is_integer()
