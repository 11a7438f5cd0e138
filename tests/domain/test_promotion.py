"""What must hold for the gates before a version may go live."""

import math

import pytest

from risk_assets.domain.policy import Promotion
from risk_assets.domain.promotion import gates

POLICY = Promotion(min_roc_auc=0.625, max_auc_loss=0.125)


def passed(roc_auc: float, champion_auc: float | None, difference: float = 0.0) -> dict[str, bool]:
    return {gate.name: gate.passed for gate in gates(roc_auc, champion_auc, difference, POLICY)}


@pytest.mark.parametrize(("roc_auc", "holds"), [(0.9, True), (0.625, True), (0.6249, False), (0.3, False), (math.nan, False)])
def test_the_auc_reaches_the_floor_which_is_included(roc_auc: float, *, holds: bool) -> None:
    assert passed(roc_auc, None)["auc_floor"] is holds


@pytest.mark.parametrize(("difference", "holds"), [(0.0, True), (1e-9, True), (1.1e-9, False), (0.5, False), (math.nan, False)])
def test_the_compiled_model_is_the_fitted_one_to_a_billionth(difference: float, *, holds: bool) -> None:
    assert passed(0.8, None, difference)["compiled_equals_fitted"] is holds


@pytest.mark.parametrize(
    ("roc_auc", "champion", "holds"), [(0.8, 0.7, True), (0.75, 0.875, True), (0.75, 0.876, False), (0.7, 0.9, False), (0.7, 0.7, True)]
)
def test_the_auc_is_not_much_below_the_live_model_s(roc_auc: float, champion: float, *, holds: bool) -> None:
    assert passed(roc_auc, champion)["not_worse_than_live"] is holds


def test_a_loss_of_exactly_what_is_allowed_passes_whatever_floats_make_of_it() -> None:
    policy = Promotion(min_roc_auc=0.5, max_auc_loss=0.02)
    assert [gates(auc, 0.62, 0.0, policy)[-1].passed for auc in (0.6, 0.5999)] == [True, False]


def test_without_a_live_model_there_is_nothing_to_be_worse_than() -> None:
    assert set(passed(0.8, None)) == {"auc_floor", "compiled_equals_fitted"}
    assert set(passed(0.8, 0.7)) == {"auc_floor", "compiled_equals_fitted", "not_worse_than_live"}


def test_a_live_model_of_auc_zero_is_still_a_live_model() -> None:
    assert passed(0.8, 0.0)["not_worse_than_live"]


def test_each_gate_shows_what_was_seen_against_what_was_asked() -> None:
    floor, exact, loss = (gate.evidence for gate in gates(0.71239, 0.80001, 3.24e-12, POLICY))
    assert "0.7124" in floor
    assert "0.6250" in floor
    assert "3.2e-12" in exact
    assert all(figure in loss for figure in ("0.7124", "0.8000", "0.1250"))
