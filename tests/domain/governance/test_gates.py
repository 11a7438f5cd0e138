"""Which gates stop a version, and who may set them aside."""

import pytest

from risk_assets.domain.contract.policy import Promotion
from risk_assets.domain.governance.artifacts import Gate
from risk_assets.domain.governance.gates import gate_text, next_command, require_names, require_passed, summary
from risk_assets.errors import ModelError

POLICY = Promotion(override=("stability", "calibration"))
PASSED = Gate("discrimination", "passed", 0.8, 0.6, (0.75, 0.85), "AUC 0.8")
FAILED = Gate("stability", "failed", 0.4, 0.25, (0.3, 0.5), "income: PSI 0.4")
UNDECIDED = Gate("calibration", "undecided", 1.2, 1.3, (0.9, 1.5), "ratio 1.2", 57)
FIXED = Gate("brier_skill", "failed", -0.1, 0.0, (-0.2, -0.01), "Brier skill -0.1")


@pytest.mark.parametrize("gate", [FAILED, UNDECIDED])
def test_an_open_gate_needs_an_override(gate: Gate) -> None:
    with pytest.raises(ModelError, match="--override") as raised:
        require_passed("model_v007", (PASSED, gate), override=False, policy=POLICY)
    assert gate_text(gate) in str(raised.value)
    assert "discrimination" not in str(raised.value)
    assert require_passed("model_v007", (PASSED, gate), override=True, policy=POLICY) == (gate.name,)


@pytest.mark.parametrize("override", [True, False])
def test_a_gate_that_the_policy_does_not_list_stays(override: bool) -> None:
    with pytest.raises(ModelError, match=r"model_v007 has not passed .*does not allow to override brier_skill \(promotion\.override\)"):
        require_passed("model_v007", (FAILED, FIXED), override=override, policy=POLICY)


def test_passed_gates_need_no_override() -> None:
    assert require_passed("model_v007", (PASSED,), override=False, policy=POLICY) == ()
    assert require_passed("model_v007", (PASSED,), override=True, policy=POLICY) == ()


def test_text_says_how_many_bads_would_decide() -> None:
    assert gate_text(UNDECIDED) == (
        "calibration (undecided: ratio 1.2; 57 more bad accounts or customers among the other accounts would decide it)"
    )
    assert gate_text(FAILED) == "stability (failed: income: PSI 0.4)"


def test_summary_names_failed_and_undecided_gates() -> None:
    assert summary((PASSED,)) == "passed"
    assert summary((PASSED, FAILED, UNDECIDED, FIXED)) == "FAILED stability, brier_skill; undecided calibration"


@pytest.mark.parametrize(
    ("found", "second_name", "says"),
    [
        ((PASSED,), "never", "Next: risk promote model_v007 --reason WHY"),
        ((PASSED, FAILED), "never", "Next: risk promote model_v007 --reason WHY --override"),
        ((PASSED,), "override", "Next: risk promote model_v007 --reason WHY"),
        ((FAILED,), "override", "Next: risk promote model_v007 --reason WHY --override --approved-by NAME"),
        ((PASSED,), "always", "Next: risk promote model_v007 --reason WHY --approved-by NAME"),
        ((FIXED,), "never", "The policy does not allow to override brier_skill (promotion.override). Train on more accounts"),
    ],
)
def test_next_command_is_one_that_the_policy_accepts(found: tuple[Gate, ...], second_name: str, says: str) -> None:
    policy = Promotion.model_validate({"override": POLICY.override, "second_name": second_name})
    assert next_command("model_v007", found, policy).startswith(says)


@pytest.mark.parametrize(
    ("second_name", "overrides", "approved_by", "says"),
    [
        ("never", ("stability",), None, None),
        ("never", (), "ann", "another"),
        ("never", (), " Ann ", "another"),
        ("never", (), "", "another"),
        ("override", (), None, None),
        ("override", ("stability",), None, "to override a gate"),
        ("override", ("stability",), "bob", None),
        ("always", (), None, "for each promotion"),
        ("always", (), "ann", "another"),
        ("always", (), "bob", None),
    ],
)
def test_a_second_name_is_another_person(second_name: str, overrides: tuple[str, ...], approved_by: str | None, says: str | None) -> None:
    policy = Promotion.model_validate({"second_name": second_name})
    if says is None:
        require_names("ann", approved_by, overrides, policy)
        return
    with pytest.raises(ModelError, match=says):
        require_names("ann", approved_by, overrides, policy)
