"""Reference bins of numbers, categories and the probability."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Term
from risk_assets.domain.training.reference_profile import LevelBins, NumberBins, Profile, Range, number_bins, profile

NAN = math.nan
CONTRACT = Contract.model_validate(
    {
        "id": "id",
        "target": {"column": "t", "bad": 1},
        "features": {"x": {"type": "number", "reason": "r"}, "k": {"type": "category", "reason": "r"}},
    }
)


def bins(values: list[float]) -> NumberBins:
    return number_bins(np.array(values, dtype=np.float64))


def of(x: list[float | None], k: list[str | None], groups: list[int] | None = None) -> Profile:
    frame = pl.DataFrame({"x": x, "k": k}, schema={"x": pl.Float64, "k": pl.String}).to_pandas()
    card = Scorecard("logistic", 0.0, (Term("x", Line(0.02, 0.0, 0.0), 0.0, 0.0, "r"),))
    inputs = np.array([[math.nan if value is None else value] for value in x])
    return profile(frame, card, inputs, np.arange(len(x)) if groups is None else np.array(groups), CONTRACT)


def test_hundred_distinct_numbers_fall_into_ten_equal_bins() -> None:
    found = bins([float(value) for value in range(100)])
    assert found.shares == pytest.approx([0.1] * 10, abs=1e-15)
    assert all(10 * k - 1 < edge <= 10 * k for k, edge in enumerate(found.edges, start=1))
    assert found.missing == 0


def test_missing_numbers_have_their_own_share() -> None:
    found = bins([float(value) for value in range(60)] + [NAN] * 40)
    assert found.missing == pytest.approx(0.4, abs=1e-15)
    assert sum(found.shares) == pytest.approx(0.6, abs=1e-15)


def test_constant_number_is_one_bin() -> None:
    assert bins([7.0] * 50) == NumberBins(edges=(), shares=(1.0,), missing=0.0)


def test_two_values_are_two_bins_and_the_edge_is_in_the_upper() -> None:
    assert bins([0.0] * 75 + [1.0] * 25) == NumberBins(edges=(1.0,), shares=(0.75, 0.25), missing=0.0)


def test_unknown_number_is_all_missing() -> None:
    assert bins([NAN] * 5) == NumberBins(edges=(), shares=(0.0,), missing=1.0)


@pytest.mark.parametrize("zeros", [100, 300, 700])
def test_repeated_values_give_no_empty_bin(zeros: int) -> None:
    found = bins([0.0] * zeros + [1.0] * (1000 - zeros))
    assert found.shares == pytest.approx([zeros / 1000, 1 - zeros / 1000], abs=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_repeated_value_is_a_bin_by_itself_and_the_rest_is_divided(sign: int) -> None:
    days = [float(sign * day) for day in range(1, 31)] * 2
    found = bins([0.0] * 1940 + days)
    assert max(found.shares) == pytest.approx(0.97, abs=1e-12)
    assert sorted(found.shares)[:-1] == pytest.approx([0.01, 0.01, 0.01], abs=1e-12)
    assert found.edges == ((1.0, 11.0, 21.0) if sign == 1 else (-20.0, -10.0, 0.0))


def test_a_repeated_value_between_others_is_a_bin_by_itself() -> None:
    found = bins([-1.0] * 5 + [0.0] * 90 + [1.0] * 3 + [2.0] * 2)
    assert found == NumberBins(edges=(0.0, 1.0, 2.0), shares=(0.05, 0.9, 0.03, 0.02), missing=0.0)


@pytest.mark.parametrize("rows", [2, 3, 11, 100, 1000])
def test_two_distinct_values_have_two_bins(rows: int) -> None:
    for many in ([0.0] * (rows - 1) + [1.0], [0.0] + [1.0] * (rows - 1)):
        assert bins(many).edges == (1.0,)


NUMBERS = st.one_of(st.just(NAN), st.integers(0, 3).map(float), st.floats(-1e9, 1e9))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_shares_count_the_values_between_edges_and_sum_to_1(values: list[float]) -> None:
    found = bins(values)
    assert len(found.shares) == len(found.edges) + 1 <= 10
    assert list(found.edges) == sorted(set(found.edges))
    assert set(found.edges) <= set(values)
    assert all(found.shares) or not found.edges
    assert bool(found.edges) == (len({value for value in values if not math.isnan(value)}) > 1)
    assert sum(found.shares) + found.missing == pytest.approx(1, abs=1e-12)
    assert found.missing == pytest.approx(sum(map(math.isnan, values)) / len(values), abs=1e-12)
    bounds = [-math.inf, *found.edges, math.inf]
    for share, low, high in zip(found.shares, bounds, bounds[1:], strict=False):
        assert share == pytest.approx(sum(low <= value < high for value in values) / len(values), abs=1e-12)


def test_levels_and_missing_have_their_shares() -> None:
    found = of([1.0] * 8, ["b", "a", "b", None, "b", "a", "b", None]).features["k"]
    assert found == LevelBins(shares={"a": 0.25, "b": 0.5}, missing=0.25)


def test_unknown_category_is_all_missing() -> None:
    assert of([1.0, 2.0], [None, None]).features["k"] == LevelBins(shares={}, missing=1.0)


def test_profile_has_every_feature_and_the_score() -> None:
    found = of([float(value) for value in range(100)], ["a"] * 100)
    assert found.rows == 100
    assert list(found.features) == ["x", "k"]
    assert isinstance(found.features["x"], NumberBins)
    assert found.score.shares == pytest.approx([0.1] * 10, abs=1e-15)


def test_the_range_leaves_out_nine_rows_on_each_side() -> None:
    found = of([*map(float, range(100)), None], ["a"] * 101).ranges
    assert found == {"x": Range(low=9.0, high=90.0, outside=18 / 101)}


def test_the_range_leaves_out_nine_groups_however_many_rows_they_have() -> None:
    values, groups = [float(at) for at in range(100)] + [99.0] * 50, [*range(100), *[99] * 50]
    found = of([*values], ["a"] * 150, groups).ranges["x"]
    assert (found.low, found.high) == (9.0, 90.0)
    assert found.outside == pytest.approx((18 + 50) / 150)


def test_a_constant_number_has_a_range_and_few_values_have_none() -> None:
    assert of([7.0] * 20, ["a"] * 20).ranges == {"x": Range(7.0, 7.0, 0.0)}
    assert of([7.0] * 19 + [None], ["a"] * 20).ranges == {}


def test_rows_of_a_group_count_as_one_row() -> None:
    assert of([1.0] * 6, ["a"] * 6, [0, 0, 1, 1, 2, 2]).independent == pytest.approx(3)
    assert of([1.0] * 6, ["a"] * 6, [0, 0, 0, 0, 0, 1]).independent == pytest.approx(36 / 26)
    assert of([1.0] * 6, ["a"] * 6).independent == 6


def test_spreads_are_those_of_the_log_odds() -> None:
    spreads = of([1.0, 2.0, 3.0], ["a"] * 3).spreads
    assert spreads and spreads.features == {"x": pytest.approx(0.02 * math.sqrt(2 / 3))}
    assert spreads.score == pytest.approx(0.02 * math.sqrt(2 / 3))
