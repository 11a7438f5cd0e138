"""Which version is live: what a new one would change, and the decision."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import dagster as dg
import polars as pl

from risk_assets.defs.assets.raw import MIN_CELL_SIZE, OWNERS
from risk_assets.defs.failures import log_failure
from risk_assets.defs.partitions import daily
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.governance.bindings import (
    ACTIONS,
    END_CHALLENGE,
    PROMOTE,
    ROLL_BACK,
    Binding,
    Change,
    challenge,
    end_challenge,
    promote,
    roll_back,
)
from risk_assets.domain.governance.gates import require_passed
from risk_assets.domain.governance.impact import Impact, category_table, migration_table
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.errors import ModelError
from risk_assets.lake import binding_log, impact_files, registry
from risk_assets.lake.registry import ModelVersion
from risk_assets.lake.store import Store

SALT_BYTES = 8
SHOWN_FIGURES = (
    "rows",
    "accounts",
    "predicted_bad_rate",
    "live_predicted_bad_rate",
    "flagged",
    "live_flagged",
    "newly_flagged",
    "no_longer_flagged",
    "newly_flagged_accounts",
    "no_longer_flagged_accounts",
)
WorkedOut: TypeAlias = tuple[Impact, pl.DataFrame]


@dg.asset(
    key=["registry", "impact"],
    ins={"version": dg.AssetIn(["registry", "model_version"])},
    partitions_def=daily,
    io_manager_key="impact",
    group_name="registry",
    kinds={"json", "csv"},
    owners=OWNERS,
    code_version="1",
    hooks={log_failure},
)
def impact(version: ModelVersion, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[WorkedOut]:
    """What changes if the version replaces the live one: bands, who is newly flagged and who no longer, rates by category."""
    figures, accounts = impact_files.compute(lakehouse.store, version.name, lakehouse.contract, lakehouse.policy)
    return dg.Output((figures, accounts), metadata=_changes(figures))


class GovernanceConfig(dg.Config):
    """What is to be live. Empty: the newest version that passes the policy's gates.

    `action` is `promote` (also when only a version is given), `rollback`, `challenge` (with `share`, or in shadow without
    one) or `end_challenge`; each wants a `reason`. `override` sets gates aside that a version did not pass.
    """

    action: str | None = None
    version: str | None = None
    share: float | None = None
    reason: str | None = None
    actor: str = "dagster"
    override: bool = False


@dg.asset(
    key=["registry", "champion"],
    deps=[impact],
    io_manager_key="champion",
    group_name="registry",
    kinds={"json"},
    owners=OWNERS,
    code_version="2",
    hooks={log_failure},
)
def champion(config: GovernanceConfig, lakehouse: dg.ResourceParam[Lakehouse]) -> Change | None:
    """The version that is live, and its challenger: `risk serve` answers by them within two seconds.

    To go back: materialize with `{action: rollback, reason: ...}`.
    """
    change = decide(config, lakehouse.store, lakehouse.policy.promotion.mode)
    if change and change.action != END_CHALLENGE:
        for version in filter(None, (change.champion, change.challenger)):
            require_fit(registry.read_scorecard(lakehouse.store, version), lakehouse.contract)
    return change


def decide(choice: GovernanceConfig, store: Store, mode: str) -> Change | None:
    """Return what is to be live instead, or None where all stays as it is.

    Raises
    ------
    ModelError
        When a choice lacks its reason, is none of the actions or can't be made, its version did not pass a gate, or no
        version is live and none may go live by itself.
    """
    history = binding_log.read(store)
    if choice.action or choice.version:
        return _wanted(choice, history, store)
    newest = registry.candidate(store) if mode == "auto" and not (history and history[-1].challenger) else None
    if newest:
        return promote(history, newest.name, choice.actor, choice.reason or "the newest version that passed the gates")
    if not history:
        raise ModelError(f"no model is live, and {_why_none(store, mode)}")
    return None


def _wanted(choice: GovernanceConfig, history: Sequence[Binding], store: Store) -> Change:
    action = choice.action or PROMOTE
    if action not in ACTIONS:
        raise ModelError(f"there is no such action; give one of {', '.join(ACTIONS)}.")
    if not choice.reason or not choice.reason.strip():
        raise ModelError(f"{action} wants a reason (reason: ...): it is kept with the binding.")
    if action == ROLL_BACK:
        return roll_back(history, choice.actor, choice.reason)
    if action == END_CHALLENGE:
        return end_challenge(history, choice.actor, choice.reason)
    if not choice.version:
        raise ModelError(f"{action} wants a version (version: model_v002, say). See what there is: risk models.")
    gates = registry.read_version(store, choice.version).metadata.gates
    if action == PROMOTE:
        overrides = require_passed(choice.version, gates, choice.override)
        return promote(history, choice.version, choice.actor, choice.reason, overrides)
    overrides = () if choice.share is None else require_passed(choice.version, gates, choice.override)
    change = challenge(history, choice.version, choice.share, secrets.token_hex(SALT_BYTES), choice.actor, choice.reason)
    return replace(change, overrides=overrides)


def _why_none(store: Store, mode: str) -> str:
    found = registry.versions(store)
    if not found:
        return "none is registered: train one (risk train DATE)."
    if mode == "manual":
        return "the policy's promotion.mode is manual: risk promote VERSION --reason WHY."
    failed = [f"{gate.name} ({gate.evidence})" for gate in found[-1].metadata.gates if not gate.passed]
    return f"the newest version, {found[-1].name}, did not pass {', '.join(failed)}. Train on more dates, or mend the policy."


def _changes(figures: Impact) -> dict[str, Any]:
    shown = {name: value for name in SHOWN_FIGURES if (value := getattr(figures, name)) is not None}
    tables = {"by_category": dg.MetadataValue.md(category_table(figures, MIN_CELL_SIZE))}
    if figures.against:
        tables["bands"] = dg.MetadataValue.md(migration_table(figures))
    return {"version": figures.candidate, "against": figures.against or "no live model", **shown, **tables}
