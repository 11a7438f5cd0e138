"""Which gates a version has not passed, and whether a person may set them aside."""

from collections.abc import Sequence

from risk_assets.domain.contract.policy import Promotion
from risk_assets.domain.governance.artifacts import FAILED, Gate
from risk_assets.domain.wording import counted
from risk_assets.errors import ModelError


def require_passed(version: str, found: Sequence[Gate], override: bool, policy: Promotion) -> tuple[str, ...]:
    """Return the names of the gates that are not passed, all of them overridden.

    Raises
    ------
    ModelError
        If there are any and `override` is false, or the policy does not allow to override one of them.
    """
    open_gates = [gate for gate in found if not gate.passed]
    fixed = [gate.name for gate in open_gates if gate.name not in policy.override]
    if open_gates and (fixed or not override):
        raise ModelError(f"{version} has not passed {'; '.join(map(gate_text, open_gates))}. {_next_step(fixed)}")
    return tuple(gate.name for gate in open_gates)


def gate_text(gate: Gate) -> str:
    """Return a gate's name, whether it failed or is undecided, the evidence, and what would decide it."""
    return f"{gate.name} ({gate.status}: {gate.evidence}{needed_text(gate)})"


def needed_text(gate: Gate) -> str:
    """Return how many more bad groups would decide a gate, after a semicolon; an empty text if they would not help."""
    if gate.more_bads is None:
        return ""
    bads = counted(gate.more_bads, "more bad account or customer", "more bad accounts or customers")
    return f"; {bads} among the other accounts would decide it"


def summary(found: Sequence[Gate]) -> str:
    """Return "passed", or the names of the gates that failed and of those that are undecided."""
    failed = [gate.name for gate in found if gate.status == FAILED]
    undecided = [gate.name for gate in found if not gate.passed and gate.status != FAILED]
    parts = [f"FAILED {', '.join(failed)}" if failed else "", f"undecided {', '.join(undecided)}" if undecided else ""]
    return "; ".join(filter(None, parts)) or "passed"


def require_names(actor: str, approved_by: str | None, overrides: Sequence[str], policy: Promotion) -> None:
    """Verify that a second person has approved a promotion if the policy requires it; raises `ModelError`."""
    needed = policy.second_name == "always" or (policy.second_name == "override" and bool(overrides))
    when = "to override a gate" if policy.second_name == "override" else "for each promotion"
    _require_second(actor, approved_by, needed, when)


def require_adoption_names(actor: str, approved_by: str | None, policy: Promotion) -> None:
    """Verify that a second person has approved another policy or contract; raises `ModelError`.

    It is required if the policy in force requires one for anything: otherwise one person could first adopt a policy without it.
    """
    _require_second(actor, approved_by, policy.second_name != "never", "for another policy or contract")


def next_command(version: str, found: Sequence[Gate], policy: Promotion) -> str:
    """Return the command that promotes a version with these gates, or why the policy does not allow it."""
    open_gates = [gate.name for gate in found if not gate.passed]
    if fixed := [name for name in open_gates if name not in policy.override]:
        return _next_step(fixed)
    override = " --override" if open_gates else ""
    second = policy.second_name == "always" or (policy.second_name == "override" and bool(open_gates))
    return f"Next: risk promote {version} --reason WHY{override}{' --approved-by NAME' if second else ''}"


def _require_second(actor: str, approved_by: str | None, needed: bool, when: str) -> None:
    if approved_by is not None and approved_by.strip().casefold() in ("", actor.strip().casefold()):
        raise ModelError("the person who approves must be another than the one who decides. Set --by and --approved-by to two names.")
    if needed and approved_by is None:
        raise ModelError(f"the policy requires a second name {when} (promotion.second_name). Add --approved-by NAME.")


def _next_step(fixed: Sequence[str]) -> str:
    train = "Train on more accounts or dates, or choose another version (risk models)"
    if fixed:
        return f"The policy does not allow to override {', '.join(fixed)} (promotion.override). {train}."
    return f"{train}; or override them: --override (the binding records the names)."
