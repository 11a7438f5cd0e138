"""Which version is live, under which policy and contract: the impact of a new version, and the decision."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeAlias

import dagster as dg
import polars as pl
from pydantic import Field

from risk_assets.defs.liveness import is_unreported, root_run_id
from risk_assets.defs.metadata import shown
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import (
    ADOPT_CONTRACT,
    ADOPT_POLICY,
    CHALLENGE,
    END_CHALLENGE,
    PROMOTE,
    ROLL_BACK,
    Binding,
    Change,
    adopt_contract,
    adopt_policy,
    challenge,
    end_challenge,
    promote,
    roll_back,
)
from risk_assets.domain.governance.fairness import MIN_CELL_SIZE
from risk_assets.domain.governance.gates import gate_text, require_adoption_names, require_names, require_passed
from risk_assets.domain.governance.impact import Impact, category_table, migration_table
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.errors import ContractError, LakeError, ModelError
from risk_assets.lake import binding_log, document_archive, documents, impact_files, registry
from risk_assets.lake.model_files import Metadata
from risk_assets.lake.registry import ModelVersion
from risk_assets.lake.store import Store
from risk_assets.promotion import gates_now, measure_again

SALT_BYTES = 8
SHOWN_FIGURES = (
    "rows",
    "accounts",
    "scored",
    "live_scored",
    "with_issues",
    "live_with_issues",
    "unscored",
    "live_unscored",
    "not_eligible",
    "live_not_eligible",
    "predicted_bad_rate",
    "live_predicted_bad_rate",
    "flagged",
    "live_flagged",
    "newly_flagged",
    "no_longer_flagged",
    "newly_flagged_accounts",
    "no_longer_flagged_accounts",
    "newly_scored_flagged",
    "no_longer_scored_flagged",
    "newly_scored_flagged_accounts",
    "no_longer_scored_flagged_accounts",
)
Computed: TypeAlias = tuple[Impact, pl.DataFrame]


def impact(version: ModelVersion, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[Computed]:
    """The changes if the version replaces the live one: bands, accounts newly or no longer flagged, rates by category."""
    figures, accounts = impact_files.compute(lakehouse.store, version.name, lakehouse.contract, lakehouse.policy)
    return dg.Output((figures, accounts), metadata=_changes(figures))


class Action(Enum):
    """The changes to what is live."""

    promote = PROMOTE
    rollback = ROLL_BACK
    challenge = CHALLENGE
    end_challenge = END_CHALLENGE
    adopt_policy = ADOPT_POLICY
    adopt_contract = ADOPT_CONTRACT


ADOPTIONS: Mapping[Action | None, tuple[Callable[[Sequence[Binding], str, str, str], Change], str]] = MappingProxyType(
    {Action.adopt_policy: (adopt_policy, documents.POLICY), Action.adopt_contract: (adopt_contract, documents.CONTRACT)}
)


class GovernanceConfig(dg.Config):
    """What to make live, or which edited file to put in force. By default: the version that this run registered, if it passes
    the policy's gates.
    """

    action: Action | None = Field(None, description="The change; `promote` if a version is given. Each requires a reason.")
    version: str | None = Field(None, description="The version to promote, or the challenger, such as model_v002.")
    share: float | None = Field(
        None,
        description="The share of accounts, between 0 and 1, for which a challenger decides; without it, the challenger runs in shadow.",
    )
    reason: str | None = Field(None, description="Why; stored with the binding.")
    actor: str = Field("dagster", description="Who decides; stored with the binding.")
    document: str | None = Field(
        None, description="The digest of the policy or contract to adopt, if it was shown before: the file must still have it."
    )
    override: bool = Field(False, description="Override gates that the version has not passed; stored with the binding.")
    approved_by: str | None = Field(None, description="The second person, if the policy requires one; stored with the binding.")


def champion(
    context: dg.AssetExecutionContext, config: GovernanceConfig, lakehouse: dg.ResourceParam[Lakehouse]
) -> dg.Output[Change | None]:
    """The version that is live, its challenger, and the policy and contract in force; `risk serve` follows within two seconds.

    To roll back, materialize with `{action: rollback, reason: ...}`. To put an edited policy or contract file in force, materialize
    with `{action: adopt_policy, reason: ...}` or `adopt_contract`.
    """
    history = binding_log.read(lakehouse.store)
    # in the UI, a decision is made again by executing its run again, if there was another one since
    if is_decided(history if is_unreported(context.run) else history[-1:], root_run_id(context.run)):
        return dg.Output(None)
    metadata: dict[str, Any] = {}
    if config.action in ADOPTIONS:
        change: Change | None = _adopted(config, lakehouse, history)
        metadata = _adoption_impact(lakehouse, ADOPTIONS[config.action][1])
    else:
        policy = documents.in_force(lakehouse.store, lakehouse.settings).policy
        change, waiting = decide(config, lakehouse.store, policy, root_run_id(context.run))
        metadata = {"waiting": waiting} if waiting else {}
    if change and change.action != END_CHALLENGE:
        contract = document_archive.read(lakehouse.store, Contract, change.contract)
        for version in filter(None, (change.champion, change.challenger)):
            require_fit(registry.read_scorecard(lakehouse.store, version), contract)
    return dg.Output(change, metadata=metadata)


def is_decided(history: Sequence[Binding], root: str) -> bool:
    """Return whether a binding was made by the run that this one repeats: that run was killed after its decision."""
    return any(binding.run_id == root for binding in history)


def decide(config: GovernanceConfig, store: Store, policy: Policy, root: str) -> tuple[Change | None, str | None]:
    """Return the change to make, or None and why the version that this run registered waits.

    Parameters
    ----------
    root : str
        The run that decides, or the first run of its retries: of all versions, only the one that it registered can go live
        without a request.

    Raises
    ------
    ModelError
        If a reason or a name is missing, the action is unknown or impossible, the version has not passed a gate, or no version is
        live and this run registered none.
    """
    history = binding_log.read(store)
    if config.action or config.version:
        return _requested(config, history, store, policy), None
    version = registry.registered_by(store, root)
    if version is None:
        if not history:
            raise ModelError(f"no model is live, and {_why_none(store)}")
        return None, None
    metadata = registry.read_version(store, version).metadata
    if waiting := _waiting(metadata, history, store, policy):
        return None, f"{version} is not live: {waiting}"
    reason = config.reason or "the version of this training passed the gates"
    return promote(history, version, config.actor, reason, policy=_archived(store, policy), contract=metadata.origin.contract), None


def _waiting(version: Metadata, history: Sequence[Binding], store: Store, policy: Policy) -> str | None:
    """Return why the version of a training does not go live by itself, or None if it does."""
    if policy.promotion.mode == "manual":
        return "the policy's promotion.mode is manual"
    if history and history[-1].challenger:
        return f"{history[-1].challenger} challenges the live version"
    if history and history[-1].contract != version.origin.contract:
        return "it was trained under another contract than the bound one, and a contract never changes without a reason"
    if policy.promotion.second_name == "always":
        return "the policy requires a second name for each promotion"
    found = gates_now(store, version.name, policy).found
    return "; ".join(gate_text(gate) for gate in found if not gate.passed) or None


def _adopted(config: GovernanceConfig, lakehouse: Lakehouse, history: Sequence[Binding]) -> Change:
    """Return the change that puts the file of a policy or a contract in force, after archiving it."""
    action, reason = _action_and_reason(config)
    adopt, kind = ADOPTIONS[Action(action)]
    document = documents.read_file(lakehouse.settings, kind)
    if config.document not in (None, document.digest):
        raise ModelError(f"the file of the {kind} was changed since its impact was shown. Show it again: risk {kind} adopt --reason WHY.")
    change = adopt(history, document.digest, config.actor, reason)
    bound = documents.in_force(lakehouse.store, lakehouse.settings)
    require_adoption_names(config.actor, config.approved_by, bound.policy.promotion)
    impact_files.require_adoptable(lakehouse.store, bound, document)
    document_archive.archive(lakehouse.store, document)
    return replace(change, approved_by=config.approved_by)


def _adoption_impact(lakehouse: Lakehouse, kind: str) -> dict[str, Any]:
    """Return the impact of a file as metadata; why there is none if it cannot be measured, which does not stop a decision."""
    document = documents.read_file(lakehouse.settings, kind)
    try:
        figures, _ = impact_files.adoption(lakehouse.store, documents.in_force(lakehouse.store, lakehouse.settings), document)
    except (ContractError, LakeError, ModelError) as error:
        return {"impact": f"not measured: {error}"}
    return _changes(figures)


def _archived(store: Store, policy: Policy) -> str:
    """Archive the policy in force, which the first promotion binds, and return its digest."""
    document_archive.archive(store, policy)
    return policy.digest


def _action_and_reason(config: GovernanceConfig) -> tuple[str, str]:
    """Return the requested action and its reason; raises `ModelError` without a reason or a name."""
    action = config.action.value if config.action else PROMOTE
    if not config.reason or not config.reason.strip():
        raise ModelError(f"{action} requires a reason, which is stored with the binding. Set reason (--reason).")
    if not config.actor.strip():
        raise ModelError(f"{action} requires the name of the person who decides, which is stored with the binding. Set actor (--by).")
    return action, config.reason


def _requested(config: GovernanceConfig, history: Sequence[Binding], store: Store, policy: Policy) -> Change:
    action, reason = _action_and_reason(config)
    if action == ROLL_BACK:
        return roll_back(history, config.actor, reason)
    if action == END_CHALLENGE:
        return end_challenge(history, config.actor, reason)
    if not config.version:
        raise ModelError(f"{action} requires a version (for example version: model_v002). List the versions: risk models.")
    if action == PROMOTE:
        contract = registry.read_version(store, config.version).metadata.origin.contract
        change = promote(history, config.version, config.actor, reason, policy=_archived(store, policy), contract=contract)
    else:
        change = challenge(history, config.version, config.share, secrets.token_hex(SALT_BYTES), config.actor, reason)
    decides = action == PROMOTE or config.share is not None  # a shadow decides for no account
    overrides = _overrides(config, store, policy) if decides else ()
    return replace(change, overrides=overrides, approved_by=config.approved_by)


def _overrides(config: GovernanceConfig, store: Store, policy: Policy) -> tuple[str, ...]:
    """Return the gates that are overridden, after measuring all of them again; raises `ModelError` if they may not be."""
    assert config.version is not None
    found = measure_again(store, config.version, policy).found
    overrides = require_passed(config.version, found, config.override, policy.promotion)
    require_names(config.actor, config.approved_by, overrides, policy.promotion)
    return overrides


def _why_none(store: Store) -> str:
    found = registry.versions(store)
    if not found:
        return "none is registered: train one (risk train DATE)."
    return f"none is promoted. Promote one: risk promote {found[-1].name} --reason WHY."


def _changes(figures: Impact) -> dict[str, Any]:
    found = shown({name: value for name in SHOWN_FIGURES if (value := getattr(figures, name)) is not None})
    tables = {"by_category": dg.MetadataValue.md(category_table(figures, MIN_CELL_SIZE))}
    if figures.against:
        tables["bands"] = dg.MetadataValue.md(migration_table(figures))
    return {"version": figures.candidate, "against": figures.against or "no live model", **found, **tables}
