"""Bindings record which version is live under which policy and contract; a change is the request for the next one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from risk_assets.errors import ModelError

PROMOTE, ROLL_BACK, CHALLENGE, END_CHALLENGE = "promote", "rollback", "challenge", "end_challenge"
ADOPT_POLICY, ADOPT_CONTRACT = "adopt_policy", "adopt_contract"
BEST_GATE = "not_worse_than_best"
CHAMPION_ONLY, AB_TEST, SHADOW = "champion", "ab", "shadow"


class Binding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The live version, its challenger, and the policy and contract in force from an instant on, with who decided it and why.

    `policy` and `contract` are the digests of archived documents.

    `mode` is `champion` (no challenger), `ab` (the challenger decides for `challenger_share` of the accounts, drawn with
    `salt`) or `shadow` (it scores all accounts and decides for none). `overrides` are the gates that were not passed and were
    overridden, `approved_by` is the second person.
    `run_id` is the run that made it, or the first run of its retries; None in bindings of an earlier release.
    `previous` is the SHA-256 of the previous binding's file, `seal` that of this binding as compact JSON with an empty seal.
    """

    seq: int
    action: str
    champion: str
    challenger: str | None
    challenger_share: float | None
    mode: str
    salt: str
    actor: str
    reason: str
    overrides: tuple[str, ...]
    policy: str
    contract: str
    effective_from: str
    recorded_at: str
    previous: str | None
    seal: str
    run_id: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True)
class Change:
    """A request for the next binding. `after` is the number of the latest binding when it was decided, 0 if there was none."""

    after: int
    action: str
    champion: str
    actor: str
    reason: str
    challenger: str | None = None
    share: float | None = None
    salt: str = ""
    overrides: tuple[str, ...] = ()
    approved_by: str | None = None
    policy: str = field(kw_only=True)
    contract: str = field(kw_only=True)

    @property
    def mode(self) -> str:
        """The mode of the resulting binding."""
        if self.challenger is None:
            return CHAMPION_ONLY
        return SHADOW if self.share is None else AB_TEST


def promote(history: Sequence[Binding], version: str, actor: str, reason: str, *, policy: str, contract: str) -> Change:
    """Return the change that makes a version live and ends a challenge.

    The contract that the version was trained with becomes the one in force. The policy in force stays.

    Parameters
    ----------
    policy : str
        The digest of the policy in force, under which the gates were measured. It counts only if none is bound yet.
    contract : str
        The digest of the contract that the version was trained with.

    Raises
    ------
    ModelError
        If the version is already live.
    """
    if history and history[-1].champion == version:
        raise ModelError(f"{version} is already live. See since when and why: risk live.")
    bound = history[-1].policy if history else policy
    return Change(_latest_seq(history), PROMOTE, version, actor, reason, policy=bound, contract=contract)


def roll_back(history: Sequence[Binding], actor: str, reason: str) -> Change:
    """Return the change to the version that was live before the last promotion not rolled back yet; it ends a challenge.

    The version returns with the contract under which it was last live. The policy in force stays.

    Raises
    ------
    ModelError
        If there is no earlier version.
    """
    promoted = _promoted(history)
    if len(promoted) < 2:
        raise ModelError("there is no earlier version to roll back to. List all bindings: risk history.")
    then = next(binding for binding in reversed(history) if binding.champion == promoted[-2])
    return Change(_latest_seq(history), ROLL_BACK, then.champion, actor, reason, policy=history[-1].policy, contract=then.contract)


def challenge(history: Sequence[Binding], version: str, share: float | None, salt: str, actor: str, reason: str) -> Change:
    """Return the change that adds or replaces a challenger; policy and contract stay.

    Parameters
    ----------
    share : float or None
        The share of accounts that the challenger decides for, in (0, 1); None for a shadow.
    salt : str
        Draws the accounts. A current challenger keeps its salt, and therefore its accounts.

    Raises
    ------
    ModelError
        If no version is live, the challenger is the live version, or the share is outside (0, 1).
    """
    if not history:
        raise ModelError(
            "no model is live yet, so there is nothing to challenge. Run risk train DATE, or risk promote VERSION --reason WHY."
        )
    latest = history[-1]
    if latest.champion == version:
        raise ModelError(f"{version} is the live version and cannot challenge itself. List the other versions: risk models.")
    if share is not None and not 0 < share < 1:
        raise ModelError("the challenger's share must be between 0 and 1, such as 0.1. For a challenger in shadow use --shadow.")
    kept = latest.salt if latest.challenger == version and latest.salt else salt
    return Change(
        latest.seq, CHALLENGE, latest.champion, actor, reason, version, share, kept, policy=latest.policy, contract=latest.contract
    )


def end_challenge(history: Sequence[Binding], actor: str, reason: str) -> Change:
    """Return the change that removes the challenger; raises `ModelError` if there is none."""
    if not history or history[-1].challenger is None:
        raise ModelError("no version challenges the live one, so there is nothing to end. See the live version: risk live.")
    latest = history[-1]
    return Change(latest.seq, END_CHALLENGE, latest.champion, actor, reason, policy=latest.policy, contract=latest.contract)


def adopt_policy(history: Sequence[Binding], policy: str, actor: str, reason: str) -> Change:
    """Return the change that puts a policy in force; versions and contract stay.

    Raises
    ------
    ModelError
        If no version is live, or the policy is in force already.
    """
    return replace(_adopted(history, ADOPT_POLICY, actor, reason, "policy", policy), policy=policy)


def adopt_contract(history: Sequence[Binding], contract: str, actor: str, reason: str) -> Change:
    """Return the change that puts a contract in force; versions and policy stay.

    Raises
    ------
    ModelError
        If no version is live, or the contract is in force already.
    """
    return replace(_adopted(history, ADOPT_CONTRACT, actor, reason, "contract", contract), contract=contract)


def rivals(history: Sequence[Binding]) -> tuple[str, ...]:
    """Return the versions that have been live, oldest first, each once: a new version is compared with all of them.

    An override of the comparison with the best one starts anew: what was live before it no longer counts.
    """
    start = max((at for at, binding in enumerate(history) if BEST_GATE in binding.overrides), default=0)
    return tuple(dict.fromkeys(binding.champion for binding in history[start:]))


def overridden(history: Sequence[Binding]) -> dict[str, Binding]:
    """Return the live version and its challenger, each with the binding that made it so, if that set gates aside."""
    if not history:
        return {}
    live = history[-1]
    promoted = next((made for made in reversed(history) if made.action == PROMOTE and made.champion == live.champion), live)
    challenged = next((made for made in reversed(history) if made.action == CHALLENGE and made.challenger == live.challenger), live)
    found = {live.champion: promoted} | ({live.challenger: challenged} if live.challenger else {})
    return {version: made for version, made in found.items() if made.overrides}


def challenger_label(binding: Binding) -> str:
    """Return the challenger with its share or "shadow", such as "model_v002 (10%)"; an empty string if there is none."""
    if binding.challenger is None:
        return ""
    return f"{binding.challenger} ({'shadow' if binding.challenger_share is None else f'{100 * binding.challenger_share:g}%'})"


def _adopted(history: Sequence[Binding], action: str, actor: str, reason: str, kind: str, digest: str) -> Change:
    """Return the change of an adoption with the documents of the newest binding."""
    if not history:
        raise ModelError(
            f"no model is live yet, so the file of the {kind} is in force. The first promotion binds it: risk train DATE, or risk promote "
            "VERSION --reason WHY."
        )
    latest = history[-1]
    if getattr(latest, kind) == digest:
        raise ModelError(f"the {kind} in the file is the one in force since binding {latest.seq} or before: there is nothing to adopt.")
    return Change(
        latest.seq,
        action,
        latest.champion,
        actor,
        reason,
        latest.challenger,
        latest.challenger_share,
        latest.salt,
        policy=latest.policy,
        contract=latest.contract,
    )


def _promoted(history: Sequence[Binding]) -> list[str]:
    """Return the promotions that were not rolled back, the live version last; equal neighbours count once."""
    stack: list[str] = []
    for binding in history:
        if binding.action == ROLL_BACK:
            stack.pop()
        elif not stack or stack[-1] != binding.champion:
            stack.append(binding.champion)
    return stack


def _latest_seq(history: Sequence[Binding]) -> int:
    return history[-1].seq if history else 0
