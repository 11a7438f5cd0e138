"""The curated zone: what the live model says of each account."""

import dagster as dg
import polars as pl

from risk_assets.clock import due
from risk_assets.defs.assets.raw import OWNERS
from risk_assets.defs.failures import log_failure
from risk_assets.defs.partitions import daily
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.batch.predictions import prediction_descriptions, prediction_facts
from risk_assets.domain.batch.predictions import predictions as predict
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.lake import policy_archive, registry
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.registry import Champion
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table

LIVE, AS_OF = "live", "as_of"


class Scoring(dg.Config):
    """By what a date is scored: `live`, `as_of` (what was live when the date fell due) or a version, such as `model_v002`."""

    model: str = LIVE


@dg.asset(
    key=["curated", "predictions"],
    ins={"features": dg.AssetIn(["curated", "features"]), "champion": dg.AssetIn(["registry", "champion"])},
    partitions_def=daily,
    io_manager_key="table",
    group_name="curated",
    kinds={"polars", "csv"},
    owners=OWNERS,
    code_version="2",
    hooks={log_failure},
)
def predictions(
    context: dg.AssetExecutionContext,
    config: Scoring,
    features: pl.LazyFrame,
    champion: Champion,
    lakehouse: dg.ResourceParam[Lakehouse],
) -> Table:
    """Probability, points, band and reasons of every account by the model that answers for it, in the order of the raw file."""
    arms, binding = chosen(config.model, champion, lakehouse.store, context.partition_key)
    for model in arms.models:
        require_fit(model, lakehouse.contract)
    policy_archive.archive(lakehouse.store, lakehouse.policy)
    made_from = lakehouse.made_from(
        context.run.run_id,
        context.partition_key,
        "curated/features",
        policy=lakehouse.policy.digest,
        model_version=arms.champion.version,
        challenger=arms.challenger.version if arms.challenger else None,
        binding=binding,
    )
    scored = predict(features, arms, lakehouse.policy)
    return Table(scored, PredictionFacts, tuple(prediction_facts()), made_from, prediction_descriptions(lakehouse.policy))


def chosen(model: str, live: Champion, store: Store, date: str) -> tuple[Arms, int | None]:
    """Return the models that score a date, and the number of the binding that says so; none for a version by its name."""
    if model == LIVE:
        return live.arms, live.binding.seq
    if model == AS_OF:
        then = registry.champion(store, at=due(date))
        return then.arms, then.binding.seq
    return Arms(registry.read_scorecard(store, model)), None
