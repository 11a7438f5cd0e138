"""Limits: the policy's or what sampling alone produces, whichever is larger."""

import numpy as np
import pytest

from risk_assets.domain.contract.policy import Monitoring
from risk_assets.domain.monitoring.limits import FALSE_ALERTS, Limits
from risk_assets.domain.training.stability import psi


def limits(trained: float, found: float, statistics: int = 1) -> Limits:
    return Limits(Monitoring(), trained, found, statistics)


def test_the_policy_decides_for_large_samples_and_noise_for_small_ones() -> None:
    assert limits(50_000, 50_000, 60).psi(10) == 0.2
    assert limits(50_000, 50_000, 60).points(30.0) == 5
    assert limits(2_000, 50, 60).points(30.0) > 15
    assert limits(2_000, 50, 60).psi(10) > 0.6
    assert limits(50, 50_000, 60).psi(10) > 0.6  # few training rows are as uncertain
    assert limits(50_000, 50_000).share(0.02, 0.05) == pytest.approx(0.07)
    assert limits(2_000, 50, 60).share(0.02, 0.05) > 0.15


def test_a_limit_is_higher_for_more_bins_and_more_statistics() -> None:
    assert limits(500, 100).psi(10) > limits(500, 100).psi(3)
    assert limits(500, 100, 60).psi(10) > limits(500, 100).psi(10)


@pytest.mark.parametrize("trained", [0.0, 0.5, 1.0])
def test_a_limit_of_a_share_is_at_most_1(trained: float) -> None:
    assert trained < limits(30, 10, 60).share(trained, 0.05) <= 1.0 or trained == 1.0


@pytest.mark.parametrize(("trained", "found"), [(500, 50), (500, 500), (2_000, 5_000), (500, 50_000)])
def test_samples_without_drift_rarely_exceed_the_noise(trained: int, found: int) -> None:
    random, draws = np.random.default_rng(5), 20_000
    limit = Limits(Monitoring(max_psi=1e-9, max_missing_increase=0.0), trained, found, 1)
    shares = np.full(10, 0.1)
    pairs = zip(random.multinomial(trained, shares, draws), random.multinomial(found, shares, draws), strict=True)
    alerts = sum(psi(before.astype(float), after.astype(float)) > limit.psi(10) for before, after in pairs)
    assert alerts <= 1.5 * FALSE_ALERTS * draws
    means = random.normal(size=(draws, 2)) * np.array([trained, found]) ** -0.5
    points = Limits(Monitoring(max_points=1e-9), trained, found, 1).points(1.0)
    assert (np.abs(means[:, 1] - means[:, 0]) > points).mean() <= 1.5 * FALSE_ALERTS
    for share in (0.002, 0.05, 0.4):
        before, after = random.binomial(trained, share, draws) / trained, random.binomial(found, share, draws) / found
        alerts = sum(now > limit.share(earlier, 0.0) for earlier, now in zip(before, after, strict=True))
        assert alerts <= 1.5 * FALSE_ALERTS * draws
