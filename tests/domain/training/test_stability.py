"""The population stability index, without what sampling alone gives."""

import numpy as np
import polars as pl
import pytest

from risk_assets.domain.governance.artifacts import LevelBins
from risk_assets.domain.training.reference_profile import number_bins
from risk_assets.domain.training.stability import Shares, level_shares, number_shares, stability, trained_shares


def test_shares_of_numbers_are_those_of_the_profile() -> None:
    values = np.append(np.random.default_rng(1).normal(size=500), [np.nan] * 20)
    bins = number_bins(values)
    assert number_shares(bins, values) == pytest.approx(trained_shares(bins))


def test_unseen_levels_and_missing_values_have_bins() -> None:
    bins = LevelBins({"a": 0.6, "b": 0.3}, 0.1)
    assert level_shares(bins, pl.Series(["a", "b", "b", "c", None])).tolist() == [0.2, 0.4, 0.2, 0.2]
    assert trained_shares(bins).tolist() == [0.6, 0.3, 0.0, 0.1]


@pytest.mark.parametrize("groups", [100, 300, 5000])
def test_samples_of_one_distribution_rarely_fail(groups: int) -> None:
    random, statuses = np.random.default_rng(3), []
    for _ in range(300):
        trained, found = (random.multinomial(groups, np.full(10, 0.1)) / groups for _ in range(2))
        statuses.append(stability("x", Shares(trained, found, groups, groups), 0.25).status(together=1))
    assert statuses.count("failed") == 0
    if groups >= 300:
        assert statuses.count("passed") >= 290


def test_a_shift_fails_with_enough_accounts_only() -> None:
    before, after = np.full(10, 0.1), np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.06, 0.05, 0.04, 0.03, 0.02])
    index = float(((after - before) * np.log(after / before)).sum())
    assert index > 0.4
    large = stability("x", Shares(before, after, 5000, 5000), 0.25)
    assert large.status(together=20) == "failed"
    assert large.value == pytest.approx(index, rel=0.02)
    assert stability("x", Shares(before, after, 60, 60), 0.25).status(together=20) == "undecided"


def test_rare_levels_do_not_make_an_index() -> None:
    trained, found = np.array([0.499, 0.499, 0.002, 0.0]), np.array([0.498, 0.498, 0.0, 0.004])
    assert stability("k", Shares(trained, found, 1000, 1000), 0.1).status(together=1) == "passed"
