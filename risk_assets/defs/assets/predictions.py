"""The curated zone: the live model's prediction for each account."""

import dagster as dg
from pydantic import Field

from risk_assets.defs.failures import passed_checks
from risk_assets.defs.releases import releases_in_effect
from risk_assets.defs.resources import AS_OF, LIVE, Lakehouse
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.lake import registry
from risk_assets.lake.manifests import require_contract
from risk_assets.lake.registry import Champion
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Writable


class ScoringConfig(dg.Config):
    """How to score."""

    model: str = Field(
        LIVE,
        description="`live`; `as_of`: model, policy and contract that were in force when the date was due; or a version such as "
        "`model_v002`, with the policy and contract in force.",
    )


def predictions(
    context: dg.AssetExecutionContext,
    config: ScoringConfig,
    champion: Champion,
    lakehouse: dg.ResourceParam[Lakehouse],
) -> dg.Output[Writable]:
    """Status, probability, points, band and reasons of every account, in the order of the raw file."""
    features = lakehouse.manifest("curated/features", context.partition_key)
    require_contract(features, lakehouse.contract_values)
    arms, binding = choose(config.model, champion, lakehouse.store)
    for model in arms.models:
        require_fit(model, lakehouse.contract)
    made_from = lakehouse.made_from(
        context.run.run_id,
        context.partition_key,
        "curated/features",
        policy=lakehouse.policy.digest,
        model_version=arms.champion.version,
        challenger=arms.challenger.version if arms.challenger else None,
        binding=binding,
        released=releases_in_effect(context.run.tags, passed_checks(context.instance, context.run.run_id)),
    )
    table = lakehouse.engine.predictions(lakehouse.store, features, arms, lakehouse.policy, made_from)
    return dg.Output(table, metadata={"engine": table.engine})


def choose(model: str, champion: Champion, store: Store) -> tuple[Arms, int | None]:
    """Return the models that score a date, and the number of their binding; None if a version was named.

    `champion` is of the binding that the run has resolved: the newest one, or for `as_of` the one when the date was due.
    """
    if model in (LIVE, AS_OF):
        return champion.arms, champion.binding.seq
    return Arms(registry.read_scorecard(store, model)), None
