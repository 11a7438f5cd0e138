"""Limits of performance: the policy's or what chance alone produces, whichever is further."""

import msgspec
import numpy as np
import pytest

from risk_assets.domain.monitoring.limits import FALSE_ALERTS
from risk_assets.domain.monitoring.performance_limits import Tails, lowest_auc, ratio_limits
from risk_assets.domain.training.intervals import auc, auc_interval
from risk_assets.domain.training.metrics import performance


def test_the_policy_decides_for_many_bads_and_chance_for_few() -> None:
    assert ratio_limits(50_000, 1.0, 50_000, 1.3, 0.001) == (1 / 1.3, 1.3)
    low, high = ratio_limits(20, 1.0, 50_000, 1.3, 0.001)
    assert low < 0.5 and high > 1.7
    assert ratio_limits(50_000, 1.0, 20, 1.3, 0.001)[1] > 1.7  # few training bads are as uncertain


def test_without_an_expected_bad_there_is_no_lowest_ratio() -> None:
    assert ratio_limits(0.5, 1.0, 500, 1.3, 0.001)[0] == 0.0


def test_customers_that_go_bad_together_widen_the_limits() -> None:
    assert ratio_limits(100, 3.0, 5_000, 1.3, 0.001)[1] > ratio_limits(100, 1.0, 5_000, 1.3, 0.001)[1] > 1.3


def test_accounts_that_are_almost_certain_have_finite_limits() -> None:
    low, high = ratio_limits(10.0, 0.0, 500, 1.3, 0.001)
    assert 0 < low < 1 < high < 2


def test_figures_share_the_false_alerts() -> None:
    assert Tails(0).one_sided == FALSE_ALERTS
    assert Tails(10).one_sided == pytest.approx(FALSE_ALERTS / 10)
    assert Tails(10).two_sided == pytest.approx(FALSE_ALERTS / 20)


@pytest.mark.parametrize(("expected", "trained"), [(5, 100), (50, 100), (500, 100), (500, 5_000)])
def test_right_models_rarely_exceed_the_limits_of_calibration(expected: int, trained: int) -> None:
    random, draws, tail = np.random.default_rng(3), 40_000, 0.0025
    believed = expected * random.poisson(trained, draws) / trained  # the version's rate is as uncertain as its training bads
    observed = random.poisson(expected, draws)
    alerts = 0
    for mean in np.unique(believed):
        low, high = ratio_limits(mean, 1.0, trained, 1 + 1e-9, tail)
        ratios = observed[believed == mean] / mean
        alerts += int(((ratios < low) | (ratios > high)).sum())
    assert alerts <= 1.5 * 2 * tail * draws


def test_equal_rankings_rarely_exceed_the_limit_of_the_auc() -> None:
    random, draws, alerts = np.random.default_rng(4), 1_000, 0
    template = performance(*_scores(random, 300), np.arange(300), 0.5)
    for _ in range(draws):
        trained, figure = (auc(*_scores(random, size), np.arange(size)) for size in (300, 400))
        held = msgspec.structs.replace(
            template, roc_auc=trained.value, roc_auc_interval=auc_interval(trained), groups=300, bad_groups=trained.smaller
        )
        alerts += figure.value < lowest_auc(figure, held, 1e-9, 0.02)
    assert alerts <= 1.5 * 0.02 * draws


def test_the_policy_decides_about_the_auc_of_large_sets() -> None:
    random = np.random.default_rng(5)
    trained, found = _scores(random, 60_000), _scores(random, 60_000)
    held = performance(*trained, np.arange(60_000), 0.5)
    assert lowest_auc(auc(*found, np.arange(60_000)), held, 0.05, 0.001) == pytest.approx(held.roc_auc - 0.05)


def test_a_class_of_one_account_has_no_lowest_auc() -> None:
    bad, chance = np.array([1] + [0] * 99), np.linspace(0.01, 0.99, 100)
    held = performance(np.array([0, 1] * 500), np.linspace(0.01, 0.99, 1_000), np.arange(1_000), 0.5)
    assert lowest_auc(auc(bad, chance, np.arange(100)), held, 0.05, 0.001) <= 0.0


def _scores(random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    chance = random.beta(1.0, 5.0, size)
    return (random.random(size) < chance).astype(np.int64), chance
