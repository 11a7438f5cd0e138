"""Points, bands and reasons of scored inputs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from risk_assets.domain.contract.policy import Points, Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Term, VersionedScorecard
from risk_assets.domain.scorecard.scoring import Scores, cut_off_probability, points, require_fit, score
from risk_assets.errors import ModelError


def policy(**more: Any) -> Policy:
    return Policy.model_validate({"threshold": 0.5, "bands": {"A": 0.125, "B": 0.5, "C": 1}, "reasons": 2} | more)


def lines(*means: float, best: Sequence[float] | None = None, intercept: float = 0.0) -> Scorecard:
    """Return a card whose contributions equal its inputs: features f0, f1, … with reasons `why f0`, `why f1`, …"""
    lowest = means if best is None else best
    terms = (Term(f"f{at}", Line(1.0, 0.0, 0.0), *found, f"why f{at}") for at, found in enumerate(zip(means, lowest, strict=True)))
    return Scorecard("logistic", intercept, tuple(terms))


def scored(card: Scorecard, how: Policy, *rows: Sequence[float]) -> Scores:
    return score(card, how, np.array(rows, dtype=np.float64))


@pytest.mark.parametrize(
    ("good_to_bad", "expected"), [(50, 600), (100, 620), (25, 580), (200, 640), (50 / 16, 520), (1, 487), (1 / 50, 374)]
)
def test_default_scale_is_600_points_at_50_to_1_and_pdo_20(good_to_bad: float, expected: int) -> None:
    # 600 + 20 log2(1 / 50) = 487.1; 600 + 20 log2(1 / 2500) = 374.2
    assert points(np.array([-math.log(good_to_bad)]), Points()).tolist() == [expected]


def test_points_follow_the_policy_scale() -> None:
    scale = Points(base=500, odds=10, pdo=40)
    assert points(-np.log([10.0, 20.0, 2.5]), scale).tolist() == [500, 540, 420]


def test_points_are_integers_that_fall_as_risk_rises() -> None:
    found = points(np.linspace(-30, 30, 500), Points())
    assert found.dtype == np.int64
    assert (np.diff(found) < 0).all()


@pytest.mark.parametrize("log_odds", [1e3, 1e17, 1e300, math.inf])
def test_points_of_extreme_log_odds_have_the_right_sign(log_odds: float) -> None:
    risky, safe = points(np.array([log_odds, -log_odds]), Points()).tolist()
    assert risky < -20_000
    assert safe > 20_000


def test_probability_at_the_threshold_is_predicted_bad() -> None:
    found = scored(lines(0.0), policy(), [0.0], [1e-9], [-1e-9])
    assert found.probability[0] == 0.5
    assert found.prediction.tolist() == [True, True, False]


def test_probability_at_a_bound_is_in_the_riskier_band() -> None:
    found = scored(lines(0.0), policy(), [0.0], [1e-9], [-1e-9], [-40.0], [40.0], [-1000.0], [1000.0])
    assert found.band.tolist() == [2, 2, 1, 0, 2, 0, 2]


@pytest.mark.parametrize(("log_odds", "prediction", "band"), [(-0.1, False, 0), (0.0, True, 1), (0.1, True, 1), (99.0, True, 1)])
def test_cuts_by_points_use_the_rounded_points(log_odds: float, prediction: bool, band: int) -> None:
    # 600 points at even odds; 0.1 of log-odds are 2.9 points
    by_points = Policy(cut_by="points", threshold=600, bands={"A": 600, "B": None}, points=Points(base=600, odds=1))
    for rounded in (log_odds + 0.01, log_odds - 0.01):
        found = scored(lines(0.0), by_points, [rounded])
        assert (found.prediction[0], found.band[0]) == (prediction, band)


@pytest.mark.parametrize("threshold", [500, 600, 611])
def test_the_cut_off_probability_is_that_of_the_cut_off_points(threshold: int) -> None:
    by_points = Policy(cut_by="points", threshold=threshold, bands={"A": None})
    lowest = math.log(cut_off_probability(by_points) / (1 - cut_off_probability(by_points)))
    assert scored(lines(0.0), by_points, [lowest + 1e-6], [lowest - 1e-6]).prediction.tolist() == [True, False]
    assert cut_off_probability(policy()) == policy().threshold


def test_reasons_rank_contributions_above_the_training_mean() -> None:
    # above the mean: 1, -1, 3 and 2
    found = scored(lines(1.0, 4.0, -1.0, 0.0), policy(reasons=3), [2.0, 3.0, 2.0, 2.0])
    assert found.reasons.tolist() == [[2, 3, 0]]


def test_contribution_at_or_below_the_mean_is_not_a_reason() -> None:
    found = scored(lines(1.0, 2.0, 3.0), policy(reasons=3), [1.0, 1.0, 5.0])
    assert found.reasons.tolist() == [[2, -1, -1]]


def test_reasons_against_best_rank_contributions_above_lowest() -> None:
    # above the mean: -1, 1, 3; above the best: 4, 2, 3
    card = lines(3.0, 2.0, 0.0, best=[-2.0, 1.0, 0.0])
    row = [2.0, 3.0, 3.0]
    assert scored(card, policy(reasons=3), row).reasons.tolist() == [[2, 1, -1]]
    assert scored(card, policy(reasons=3, reasons_against="mean"), row).reasons.tolist() == [[2, 1, -1]]
    assert scored(card, policy(reasons=3, reasons_against="best"), row).reasons.tolist() == [[0, 2, 1]]


def test_contribution_at_or_below_the_best_is_not_a_reason() -> None:
    card = lines(9.0, 9.0, 9.0, best=[1.0, 2.0, 3.0])
    assert scored(card, policy(reasons=3, reasons_against="best"), [1.0, 1.0, 5.0]).reasons.tolist() == [[2, -1, -1]]


def test_tied_reasons_go_to_the_first_feature() -> None:
    assert scored(lines(*[0.0] * 5), policy(reasons=3), [1.0, 2.0, 1.0, 2.0, 1.0]).reasons.tolist() == [[1, 3, 0]]
    many = [float(at * 7 % 5) for at in range(60)]
    expected = [at for at, value in enumerate(many) if value == 4][:10]
    assert scored(lines(*[0.0] * 60), policy(reasons=10), many).reasons.tolist() == [expected]


def test_account_predicted_good_has_no_reasons() -> None:
    found = scored(lines(0.0, -9.0), policy(), [-3.0, 1.0], [3.0, 1.0], [-3.0, 1.0])
    assert found.reasons.tolist() == [[-1, -1], [1, 0], [-1, -1]]


def test_reasons_are_limited_by_policy_and_number_of_features() -> None:
    assert scored(lines(0.0, 0.0, 0.0), policy(reasons=1), [3.0, 2.0, 1.0]).reasons.tolist() == [[0]]
    assert scored(lines(0.0), policy(reasons=4), [3.0]).reasons.tolist() == [[0, -1, -1, -1]]
    assert scored(lines(0.0), policy(reasons=0), [3.0]).reasons.shape == (1, 0)


def contract(**kinds: str) -> Contract:
    features = {name: {"type": kind, "reason": "r"} for name, kind in kinds.items()}
    return Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})


def test_require_fit_accepts_a_contract_with_more_features() -> None:
    require_fit(VersionedScorecard("model_v001", lines(0.0, 0.0)), contract(other="category", f1="number", f0="number"))


def test_require_fit_names_the_version_and_missing_features() -> None:
    with pytest.raises(ModelError) as error:
        require_fit(VersionedScorecard("model_v001", lines(0.0, 0.0, 0.0)), contract(f0="number", f1="category"))
    message = str(error.value)
    assert message.startswith("model_v001 ")
    assert "f1 (number), f2 (number)." in message
    assert "f0" not in message
    assert "risk train" in message
