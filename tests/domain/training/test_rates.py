"""Observed and predicted rates by group."""

import numpy as np
import pytest
from scipy.stats import beta

from risk_assets.domain.training.rates import Rows, brier_skill, calibration, design_effect, jeffreys, merged_bands, needed_bads


def rows(bad: np.ndarray, probability: np.ndarray | float, groups: np.ndarray | None = None) -> Rows:
    return Rows(bad.astype(np.int64), np.broadcast_to(probability, bad.shape).copy(), np.arange(len(bad)) if groups is None else groups)


def test_jeffreys_interval_is_that_of_the_beta_distribution() -> None:
    assert jeffreys(0.1, 50, 0.05) == pytest.approx((beta.ppf(0.05, 5.5, 45.5), beta.ppf(0.95, 5.5, 45.5)))
    assert 0 < jeffreys(0.0, 50, 0.05)[0] < 1e-3
    assert 1 - 1e-3 < jeffreys(1.0, 50, 0.05)[1] < 1


def test_repeated_rows_count_once() -> None:
    random = np.random.default_rng(1)
    once = (random.random(4000) < 0.1).astype(np.int64)
    assert design_effect(rows(once, 0.1)) == pytest.approx(1, abs=0.01)
    groups = np.repeat(np.arange(4000), 3)
    often = rows(once[groups], 0.1, groups)
    assert design_effect(often) == pytest.approx(3, rel=0.01)
    narrow, wide = (calibration("", part, 1.3, 0.0, design_effect(part)).interval(0.05, 1) for part in (rows(once, 0.1), often))
    assert wide == pytest.approx(narrow, rel=0.01)


def test_a_class_that_is_missing_has_an_interval() -> None:
    groups = np.repeat(np.arange(20), 2)
    found = calibration("all rows", rows(np.zeros(40), 0.2, groups), 1.3, 0.0, design_effect(rows(np.zeros(40), 0.2, groups)))
    assert found.value == 0
    assert found.interval(0.05, 1) == pytest.approx((beta.ppf(0.05, 0.5, 20.5) / 0.2, beta.ppf(0.95, 0.5, 20.5) / 0.2))


@pytest.mark.parametrize(("predicted", "average", "figure"), [(0.2, 0.1, 1.5), (0.01, 0.1, 1 + 0.29 / 0.1)])
def test_safe_parts_are_compared_with_the_average(predicted: float, average: float, figure: float) -> None:
    found = calibration("band A", rows(np.repeat([1, 0], [3, 7]), predicted), 1.75, average, 1.0)
    assert found.value == pytest.approx(figure)
    assert found.subject.startswith("band A: observed 30.00%, predicted")


def test_wider_limits_need_fewer_bads() -> None:
    needed = [needed_bads(ratio) for ratio in (1.3, 1.75, 2.5)]
    assert needed == sorted(needed, reverse=True)
    assert 60 < needed[1] < 66


@pytest.mark.parametrize(
    ("expected", "names"),
    [
        ([70, 70, 70], ["C", "B", "A"]),
        ([70, 70, 10], ["B to C", "A"]),
        ([10, 70, 70], ["C", "A to B"]),
        ([10, 20, 70], ["A to C"]),
        ([10, 20, 20], ["A to C"]),
        ([100, 40, 30], ["B to C", "A"]),
    ],
)
def test_bands_are_merged_until_each_has_enough(expected: list[int], names: list[str]) -> None:
    band = np.array([0, 1, 2])
    found = merged_bands(np.array(expected, dtype=float), band, ("A", "B", "C"), 63)
    assert list(found) == names
    assert np.sum(list(found.values()), axis=0).tolist() == [1, 1, 1]


def test_brier_skill_compares_with_the_average_rate() -> None:
    random = np.random.default_rng(2)
    p = random.beta(1, 9, 3000)
    bad = (random.random(3000) < p).astype(np.int64)
    found = brier_skill(rows(bad, p))
    assert found.value == pytest.approx(1 - np.mean((p - bad) ** 2) / np.var(bad))
    resampled = [brier_skill(rows(bad[at], p[at])).value for at in (random.integers(0, 3000, 3000) for _ in range(200))]
    assert np.sqrt(found.variance) == pytest.approx(np.std(resampled), rel=0.15)
    assert brier_skill(rows(bad, float(bad.mean()))).value == pytest.approx(0)
