"""Performance, calibration and AUC gain, compared with hand and brute-force results."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.training.calibration import calibration_bins, calibration_error, calibration_noise
from risk_assets.domain.training.metrics import Performance, performance

BAD = [0, 0, 1, 1]
PROBABILITY = [0.1, 0.4, 0.35, 0.8]


def figures(bad: list[int], probability: list[float], threshold: float = 0.5) -> Performance:
    return performance(np.array(bad, dtype=np.int64), np.array(probability), np.arange(len(bad)), threshold)


def test_performance_of_a_small_example_by_hand() -> None:
    found = figures(BAD, PROBABILITY)
    assert (found.rows, found.bad, found.groups, found.bad_groups) == (4, 2, 4, 2)
    assert found.base_accuracy == 0.5
    # of the four pairs of a bad and a good account, only (0.35, 0.4) is in the wrong order
    assert found.roc_auc == pytest.approx(3 / 4, abs=1e-15)
    assert found.gini == pytest.approx(1 / 2, abs=1e-15)
    # at least 0.35: all bad accounts and half of the good ones
    assert found.ks == pytest.approx(1 / 2, abs=1e-15)
    assert found.brier == pytest.approx((0.01 + 0.16 + 0.4225 + 0.04) / 4, abs=1e-15)
    assert found.log_loss == pytest.approx(-(math.log(0.9) + math.log(0.6) + math.log(0.35) + math.log(0.8)) / 4, abs=1e-15)
    assert found.accuracy == 3 / 4


def test_tie_between_bad_and_good_counts_half_in_auc() -> None:
    assert figures([0, 1, 1, 0], [0.5, 0.5, 0.9, 0.1]).roc_auc == pytest.approx(3.5 / 4, abs=1e-15)


@pytest.mark.parametrize(
    ("threshold", "accuracy"), [(0.05, 2 / 4), (0.1, 2 / 4), (0.35, 3 / 4), (0.36, 2 / 4), (0.8, 3 / 4), (0.81, 2 / 4)]
)
def test_accuracy_includes_the_threshold_as_bad(threshold: float, accuracy: float) -> None:
    assert figures(BAD, PROBABILITY, threshold).accuracy == accuracy


def test_performance_of_perfect_inverted_and_constant_models() -> None:
    perfect, reversed_, uninformative = (
        figures([0, 1, 0, 1], probability) for probability in ([0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0], [0.5] * 4)
    )
    assert (perfect.roc_auc, perfect.gini, perfect.ks, perfect.brier) == (1, 1, 1, 0)
    assert (reversed_.roc_auc, reversed_.gini, reversed_.ks, reversed_.brier) == (0, -1, 0, 1)
    assert (uninformative.roc_auc, uninformative.gini, uninformative.ks, uninformative.brier) == (0.5, 0, 0, 0.25)
    assert perfect.log_loss == pytest.approx(0, abs=1e-12)
    assert math.isfinite(reversed_.log_loss)


def brute_auc(bad: list[int], probability: list[float]) -> float:
    scores = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high, is_bad in zip(probability, bad, strict=True)
        if is_bad
        for low, is_bad_too in zip(probability, bad, strict=True)
        if not is_bad_too
    ]
    return sum(scores) / len(scores)


def brute_ks(bad: list[int], probability: list[float]) -> float:
    def share(label: int, cut: float) -> float:
        known = [value for value, truth in zip(probability, bad, strict=True) if truth == label]
        return sum(value >= cut for value in known) / len(known)

    return max(0.0, *(share(1, cut) - share(0, cut) for cut in probability))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=40).filter(lambda r: len({b for b, _ in r}) == 2))
def test_auc_and_ks_equal_brute_force_counts(rows: list[tuple[int, int]]) -> None:
    bad, probability = [label for label, _ in rows], [score / 20 for _, score in rows]
    found = figures(bad, probability)
    assert found.roc_auc == pytest.approx(brute_auc(bad, probability), abs=1e-12)
    assert found.ks == pytest.approx(brute_ks(bad, probability), abs=1e-12)
    assert sum(part.rows for part in found.calibration_bins) == len(rows)
    assert sum(part.rows * part.observed for part in found.calibration_bins) == pytest.approx(sum(bad), abs=1e-9)


def test_calibration_bins_have_equal_rows_by_rising_probability() -> None:
    probability = np.arange(20)[::-1] / 20
    bad = (np.arange(20)[::-1] % 2).astype(np.int64)
    bins = calibration_bins(bad, probability, np.arange(20) // 4)
    assert [part.groups for part in bins] == [1] * 10
    assert [part.rows for part in bins] == [2] * 10
    assert [part.predicted for part in bins] == pytest.approx([(4 * k + 1) / 40 for k in range(10)], abs=1e-15)
    assert [part.observed for part in bins] == [0.5] * 10


def test_calibration_bins_differ_by_at_most_one_row() -> None:
    for rows in (1, 7, 10, 23, 101):
        sizes = [part.rows for part in calibration_bins(np.zeros(rows, dtype=np.int64), np.linspace(0, 1, rows), np.arange(rows))]
        assert (len(sizes), sum(sizes)) == (min(rows, 10), rows)
        assert max(sizes) - min(sizes) <= 1


def test_calibration_error_weights_bins_by_rows() -> None:
    # eleven rows: the first bin has two
    bad, probability = [1, 0, *[0] * 9], [0.1, 0.1, *[0.2] * 9]
    assert figures(bad, probability).calibration_error == pytest.approx((2 * 0.4 + 9 * 0.2) / 11, abs=1e-12)


def test_exact_probabilities_have_zero_calibration_error() -> None:
    probability = np.repeat(np.arange(1, 11) / 20, 100)
    bad = np.concatenate([[1] * (5 * k) + [0] * (100 - 5 * k) for k in range(1, 11)])
    assert performance(bad, probability, np.arange(1000), 0.5).calibration_error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rows", [2, 50, 5000])
def test_roc_curve_is_thinned_and_runs_corner_to_corner(rows: int) -> None:
    random = np.random.default_rng(1)
    bad = np.arange(rows) % 2
    curve = performance(bad, random.random(rows), np.arange(rows), 0.5).roc
    assert (curve[0], curve[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert len(curve) <= 100
    assert list(curve) == sorted(curve)


def test_rows_of_a_group_are_counted_once() -> None:
    bad, probability = np.array([0, 1, 1, 0, 0, 0]), np.array([0.2, 0.3, 0.3, 0.1, 0.4, 0.1])
    found = performance(bad, probability, np.array([0, 0, 0, 1, 1, 2]), 0.5)
    assert (found.rows, found.bad, found.groups, found.bad_groups) == (6, 2, 3, 1)
    assert found.base_accuracy == pytest.approx(4 / 6, abs=1e-15)


@pytest.mark.parametrize(("accounts", "snapshots"), [(500, 1), (20_000, 1), (500, 20)])
def test_calibration_noise_matches_simulated_sampling_error(accounts: int, snapshots: int) -> None:
    random = np.random.default_rng(5)
    shown, expected = [], []
    for _ in range(60):
        probability = random.beta(1, 6, accounts)
        bad = (random.random(accounts) < probability).astype(np.int64)
        rows = np.repeat(np.arange(accounts), snapshots)
        bins = calibration_bins(bad[rows], probability[rows], rows)
        shown.append(calibration_error(bins))
        expected.append(calibration_noise(bins))
    assert np.mean(expected) == pytest.approx(np.mean(shown), rel=0.1)
