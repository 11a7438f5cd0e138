"""The gates that a version must pass before it goes live."""

import math

import pytest

from risk_assets.domain.contract.policy import Promotion
from risk_assets.domain.governance.artifacts import Gate, Metrics
from risk_assets.domain.governance.gates import gates, require_passed
from risk_assets.errors import ModelError
from tests.domain.governance.figures import metrics

POLICY = Promotion(min_roc_auc=0.625, max_auc_loss=0.125, max_calibration_error=0.25)
REASONS = ("Age", "Debt", "Region")
ALWAYS = ("auc_floor", "calibrated", "compiled_equals_fitted", "reasons_complete")


def passed(figures: Metrics, reasons: tuple[str, ...] = REASONS, policy: Promotion = POLICY) -> dict[str, bool]:
    return {gate.name: gate.passed for gate in gates(figures, reasons, policy)}


def evidence(figures: Metrics, name: str, reasons: tuple[str, ...] = REASONS) -> str:
    (found,) = [gate.evidence for gate in gates(figures, reasons, POLICY) if gate.name == name]
    return found


@pytest.mark.parametrize(("roc_auc", "holds"), [(0.9, True), (0.625, True), (0.6249, False), (0.3, False), (math.nan, False)])
def test_auc_floor_is_inclusive(roc_auc: float, *, holds: bool) -> None:
    assert passed(metrics(roc_auc))["auc_floor"] is holds


@pytest.mark.parametrize(("error", "holds"), [(0.0, True), (0.25, True), (0.2501, False), (1.0, False), (math.nan, False)])
def test_calibration_limit_is_inclusive(error: float, *, holds: bool) -> None:
    assert passed(metrics(error=error))["calibrated"] is holds


@pytest.mark.parametrize(("difference", "holds"), [(0.0, True), (1e-9, True), (1.1e-9, False), (0.5, False), (math.nan, False)])
def test_compiled_difference_may_be_at_most_1e_9(difference: float, *, holds: bool) -> None:
    assert passed(metrics(compiled_difference=difference))["compiled_equals_fitted"] is holds


@pytest.mark.parametrize(
    ("reasons", "complete"), [(REASONS, 3), (("Age", " ", "Region"), 2), (("", "\t\n"), 0), (("Age", "\u00a0"), 1), (("Age",), 1)]
)
def test_every_feature_needs_a_reason_that_is_not_blank(reasons: tuple[str, ...], complete: int) -> None:
    assert passed(metrics(), reasons)["reasons_complete"] is (complete == len(reasons))
    assert evidence(metrics(), "reasons_complete", reasons) == f"{complete} of {len(reasons)} features have a text"


@pytest.mark.parametrize(
    ("roc_auc", "champion", "holds"),
    [(0.8, 0.7, True), (0.75, 0.875, True), (0.75, 0.876, False), (0.7, 0.9, False), (0.7, 0.7, True), (math.nan, 0.7, False)],
)
def test_auc_may_fall_by_at_most_the_allowed_loss(roc_auc: float, champion: float, *, holds: bool) -> None:
    assert passed(metrics(roc_auc, champion))["not_worse_than_live"] is holds


@pytest.mark.parametrize("interval", [(-0.5, -0.4), (0.4, 0.5), (0.0, 0.0)])
def test_interval_is_shown_but_does_not_decide(interval: tuple[float, float]) -> None:
    assert passed(metrics(0.8, 0.7, auc_gain=interval))["not_worse_than_live"]
    assert not passed(metrics(0.7, 0.9, auc_gain=interval))["not_worse_than_live"]
    low, high = interval
    assert f"95 % interval {low:+.4f} to {high:+.4f}" in evidence(metrics(0.8, 0.7, auc_gain=interval), "not_worse_than_live")


def test_loss_of_exactly_the_allowed_value_passes() -> None:
    policy = Promotion(min_roc_auc=0.5, max_auc_loss=0.02)
    assert [gates(metrics(auc, 0.62), REASONS, policy)[-1].passed for auc in (0.6, 0.5999)] == [True, False]


@pytest.mark.parametrize(
    ("name", "figures", "reasons"),
    [
        ("auc_floor", metrics(0.6), REASONS),
        ("calibrated", metrics(error=0.26), REASONS),
        ("compiled_equals_fitted", metrics(compiled_difference=1e-8), REASONS),
        ("reasons_complete", metrics(), ("Age", "")),
        ("not_worse_than_live", metrics(0.7, 0.9), REASONS),
    ],
)
def test_each_gate_can_fail_alone(name: str, figures: Metrics, reasons: tuple[str, ...]) -> None:
    assert [gate for gate, holds in passed(figures, reasons).items() if not holds] == [name]


def test_comparison_gate_requires_a_live_model() -> None:
    assert tuple(passed(metrics())) == ALWAYS
    assert tuple(passed(metrics(champion=0.7))) == (*ALWAYS, "not_worse_than_live")


def test_live_model_with_auc_zero_is_compared() -> None:
    assert passed(metrics(champion=0.0, auc_gain=(0.0, 0.0)))["not_worse_than_live"]


def test_evidence_shows_the_measured_and_required_figures() -> None:
    figures = metrics(0.71239, 0.80001, error=0.01239, compiled_difference=3.24e-12)
    assert evidence(figures, "auc_floor") == "AUC on other accounts 0.7124, 95 % interval 0.5000 to 0.9000, floor 0.6250"
    assert evidence(figures, "calibrated") == "calibration error on other accounts 0.0124, limit 0.2500"
    assert "3.2e-12" in evidence(figures, "compiled_equals_fitted")
    shown = evidence(figures, "not_worse_than_live")
    assert all(figure in shown for figure in ("0.7124", "0.8000", "a gain of -0.0876", "-0.0123 to +0.0456", "allowed loss 0.1250"))


def test_better_candidate_is_shown_as_a_gain() -> None:
    assert "a gain of +0.1000" in evidence(metrics(0.8, 0.7), "not_worse_than_live")


FAILED = (Gate("auc_floor", False, "AUC 0.5, floor 0.6"), Gate("calibrated", True, "fine"), Gate("reasons_complete", False, "1 of 2"))


def test_failed_gates_are_reported_with_their_evidence() -> None:
    with pytest.raises(ModelError) as error:
        require_passed("model_v007", FAILED, override=False)
    message = str(error.value)
    assert all(part in message for part in ("model_v007", "auc_floor (AUC 0.5, floor 0.6)", "reasons_complete (1 of 2)", "override"))
    assert "calibrated" not in message


def test_overridden_gates_are_returned_by_name() -> None:
    assert require_passed("model_v007", FAILED, override=True) == ("auc_floor", "reasons_complete")
    assert require_passed("model_v007", FAILED[1:2], override=False) == require_passed("model_v007", FAILED[1:2], override=True) == ()
