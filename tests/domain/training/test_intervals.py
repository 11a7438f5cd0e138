"""Intervals of the AUC: their unit of evidence is the group."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from risk_assets.domain.training.intervals import Estimate, auc, auc_gain, auc_interval, gain_interval, mean_auc

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def accounts(count: int, seed: int = 3) -> tuple[Integers, Floats, Floats]:
    """Return outcomes, and the scores of a good and of a worse model."""
    random = np.random.default_rng(seed)
    truth, noise, other = random.normal(size=(3, count))
    return (truth + random.normal(size=count) > 0.8).astype(np.int64), truth + noise / 4, truth + other


def test_auc_equals_scikit_learn_with_ties() -> None:
    for seed in range(20):
        bad, score, _ = accounts(30, seed)
        rounded = np.round(score)
        if 0 < bad.sum() < 30:
            assert auc(bad, rounded, np.arange(30) // 3).value == pytest.approx(roc_auc_score(bad, rounded), abs=1e-12)


def test_variance_of_single_rows_is_delongs() -> None:
    # worked by hand: bad rows above 1 and 2 of the 2 good rows; good rows below 2 and 1 of the 2 bad rows
    found = auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.8]), np.arange(4))
    assert found.value == 3 / 4
    # each class: 2/1 * ((1/4)**2 + (1/4)**2) / 2**2
    assert found.variance == pytest.approx(2 * 2 * (2 / 16) / 4, abs=1e-15)
    assert found.smaller == 2


def test_interval_is_symmetric_in_the_logit_with_students_quantile() -> None:
    bad, score, _ = accounts(200)
    found = auc(bad, score, np.arange(200))
    low, high = auc_interval(found)
    logit = [np.log(p / (1 - p)) for p in (low, found.value, high)]
    width = student.ppf(0.975, bad.sum() - 1) * np.sqrt(found.variance) / (found.value * (1 - found.value))
    assert logit[2] - logit[1] == pytest.approx(logit[1] - logit[0], abs=1e-9)
    assert logit[2] - logit[1] == pytest.approx(width, abs=1e-9)


@pytest.mark.parametrize("snapshots", [2, 28])
def test_repeated_snapshots_of_an_account_add_no_evidence(snapshots: int) -> None:
    bad, score, other = accounts(100)
    rows = np.tile(np.arange(100), snapshots)
    once, often = (auc_interval(auc(bad[at], score[at], at)) for at in (np.arange(100), rows))
    assert often == pytest.approx(once, abs=1e-12)
    gains = [gain_interval(auc_gain(bad[at], score[at], other[at], at)) for at in (np.arange(100), rows)]
    assert gains[0] == pytest.approx(gains[1], abs=1e-12)
    by_row = auc_interval(auc(bad[rows], score[rows], np.arange(len(rows))))
    assert by_row[1] - by_row[0] < (once[1] - once[0]) / np.sqrt(snapshots) * 1.1


def test_intervals_by_group_cover_and_those_by_row_do_not() -> None:
    """100 books of 80 accounts with ten almost equal snapshots each; the model's AUC is known from 50,000 accounts."""
    bad, score, _ = accounts(50_000, seed=0)
    truth = auc(bad, score, np.arange(50_000)).value
    rows, covered = np.repeat(np.arange(80), 10), {"group": 0, "row": 0}
    for seed in range(100):
        bad, score, _ = accounts(80, seed + 1)
        daily = score[rows] + np.random.default_rng(seed).normal(scale=0.02, size=800)
        for unit, groups in (("group", rows), ("row", np.arange(800))):
            low, high = auc_interval(auc(bad[rows], daily, groups))
            covered[unit] += low <= truth <= high
    assert covered["group"] >= 90
    assert covered["row"] <= 75


@pytest.mark.parametrize(("value", "smaller", "expected"), [(1.0, 30, (0.025 ** (1 / 30), 1.0)), (0.0, 2, (0.0, 1 - 0.025**0.5))])
def test_perfect_separation_of_few_groups_is_not_certain(value: float, smaller: int, expected: tuple[float, float]) -> None:
    assert auc_interval(Estimate(value, 0.0, smaller)) == pytest.approx(expected, abs=1e-12)


def test_one_group_of_a_class_shows_nothing() -> None:
    bad, score = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.8, 0.2])
    groups = np.array([0, 1, 1, 2])
    assert auc_interval(auc(bad, score, groups)) == (0.0, 1.0)
    assert gain_interval(auc_gain(bad, score, -score, groups)) == (-1.0, 1.0)


def test_mean_of_folds_is_as_certain_as_all_rows_together() -> None:
    bad, score, _ = accounts(900)
    folds = [auc(bad[part], score[part], part) for part in np.array_split(np.arange(900), 3)]
    found, whole = mean_auc(folds), auc(bad, score, np.arange(900))
    assert found.value == pytest.approx(np.mean([fold.value for fold in folds]), abs=1e-12)
    assert found.variance == pytest.approx(whole.variance, rel=0.1)
    assert found.smaller == min(fold.smaller for fold in folds)


def test_gain_is_zero_between_equal_rankings() -> None:
    bad, score, _ = accounts(200)
    assert gain_interval(auc_gain(bad, score, score, np.arange(200))) == (0, 0)
    assert gain_interval(auc_gain(bad, score, score / 2 + 0.1, np.arange(200))) == (0, 0)


def test_gain_of_a_better_model_is_positive_and_antisymmetric() -> None:
    bad, good, _ = accounts(400)
    uninformative = np.random.default_rng(9).normal(size=400)
    low, high = gain_interval(auc_gain(bad, good, uninformative, np.arange(400)))
    assert 0.1 < low < roc_auc_score(bad, good) - roc_auc_score(bad, uninformative) < high
    assert gain_interval(auc_gain(bad, uninformative, good, np.arange(400))) == pytest.approx((-high, -low), abs=1e-12)


def test_gain_interval_is_close_to_a_bootstrap_of_groups() -> None:
    bad, good, worse = accounts(300)
    rows = np.repeat(np.arange(300), 3)
    random, gains = np.random.default_rng(1), []
    for _ in range(400):
        drawn = np.repeat(random.integers(0, 300, 300), 3)
        gains.append(roc_auc_score(bad[drawn], good[drawn]) - roc_auc_score(bad[drawn], worse[drawn]))
    found = gain_interval(auc_gain(bad[rows], good[rows], worse[rows], rows))
    assert found == pytest.approx(tuple(np.percentile(gains, [2.5, 97.5])), abs=0.02)
