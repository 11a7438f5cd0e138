"""Which version is live: bindings, and the changes that people may make to them."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from risk_assets.errors import ModelError

PROMOTE, ROLL_BACK, CHALLENGE, END_CHALLENGE = "promote", "rollback", "challenge", "end_challenge"
ACTIONS = (PROMOTE, ROLL_BACK, CHALLENGE, END_CHALLENGE)
ALONE, SHARED, SHADOW = "champion", "ab", "shadow"


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Which version is live from when on, which one challenges it and how, by whom and why.

    `mode` is `champion` (alone), `ab` (the challenger answers for `challenger_share` of the accounts, drawn with `salt`) or
    `shadow` (it scores without answering). `overrides` are the gates that were set aside. `previous` is the SHA-256 of
    the file of the binding before, `seal` that of this one as compact JSON with an empty seal.
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
    effective_from: str
    recorded_at: str
    previous: str | None
    seal: str


@dataclass(frozen=True)
class Change:
    """What somebody wants to be live instead, decided upon with binding number `after` in sight (0: none yet)."""

    after: int
    action: str
    champion: str
    actor: str
    reason: str
    challenger: str | None = None
    share: float | None = None
    salt: str = ""
    overrides: tuple[str, ...] = ()

    @property
    def mode(self) -> str:
        """Return the binding's mode."""
        if self.challenger is None:
            return ALONE
        return SHADOW if self.share is None else SHARED


def promote(history: Sequence[Binding], version: str, actor: str, reason: str, overrides: tuple[str, ...] = ()) -> Change:
    """Return the change that lets a version go live, and ends a challenge; raises `ModelError` when it is live already."""
    if history and history[-1].champion == version:
        raise ModelError(f"{version} is live already. See since when and why: risk live.")
    return Change(_seq(history), PROMOTE, version, actor, reason, overrides=overrides)


def roll_back(history: Sequence[Binding], actor: str, reason: str) -> Change:
    """Return the change that brings back what was live before the live version was promoted, and ends a challenge.

    Raises
    ------
    ModelError
        When nothing was.
    """
    promoted = _promoted(history)
    if len(promoted) < 2:
        raise ModelError("there is no earlier version to go back to. See what was live when: risk history.")
    return Change(_seq(history), ROLL_BACK, promoted[-2], actor, reason)


def challenge(history: Sequence[Binding], version: str, share: float | None, salt: str, actor: str, reason: str) -> Change:
    """Return the change that sets a challenger beside the live version.

    Parameters
    ----------
    share : float or None
        The share of accounts it answers for, in (0, 1); None scores in shadow.
    salt : str
        What the accounts are drawn with; a challenger that stays keeps the one it has, and so its accounts.

    Raises
    ------
    ModelError
        When no version is live, the challenger is the live version, or the share lies outside (0, 1).
    """
    if not history:
        raise ModelError("no model is live yet, so there is none to challenge: risk train DATE, or risk promote VERSION --reason WHY.")
    now = history[-1]
    if now.champion == version:
        raise ModelError(f"{version} is the live version and can't challenge itself. See the others: risk models.")
    if share is not None and not 0 < share < 1:
        raise ModelError("the challenger's share must lie between 0 and 1, such as 0.1; to score without answering use --shadow.")
    kept = now.salt if now.challenger == version and now.salt else salt
    return Change(_seq(history), CHALLENGE, now.champion, actor, reason, version, share, kept)


def end_challenge(history: Sequence[Binding], actor: str, reason: str) -> Change:
    """Return the change that leaves the live version alone; raises `ModelError` when nothing challenges it."""
    if not history or history[-1].challenger is None:
        raise ModelError("no version challenges the live one, so there is nothing to end. See what is live: risk live.")
    return Change(_seq(history), END_CHALLENGE, history[-1].champion, actor, reason)


def challenger(binding: Binding) -> str:
    """Return the challenger and how it challenges, for people; empty without one."""
    if binding.challenger is None:
        return ""
    return f"{binding.challenger} ({'shadow' if binding.challenger_share is None else f'{100 * binding.challenger_share:g}%'})"


def _promoted(history: Sequence[Binding]) -> list[str]:
    """Return the versions that a rollback would go through, the live one last."""
    stack: list[str] = []
    for binding in history:
        if binding.action == ROLL_BACK:
            stack.pop()
        elif not stack or stack[-1] != binding.champion:
            stack.append(binding.champion)
    return stack


def _seq(history: Sequence[Binding]) -> int:
    return history[-1].seq if history else 0
