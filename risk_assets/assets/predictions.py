"""The curated zone: what the live model says of each account."""

import dagster as dg
import polars as pl

from risk_assets.assets.failures import log_failure
from risk_assets.assets.raw import OWNERS
from risk_assets.domain.scoring import prediction_descriptions, prediction_facts, require_fit
from risk_assets.domain.scoring import predictions as predict
from risk_assets.lake.registry import Champion
from risk_assets.lake.table import Table
from risk_assets.partitions import daily
from risk_assets.resources import Lakehouse


@dg.asset(
    key=["curated", "predictions"],
    ins={"features": dg.AssetIn(["curated", "features"]), "champion": dg.AssetIn(["registry", "champion"])},
    partitions_def=daily,
    io_manager_key="table",
    group_name="curated",
    kinds={"polars", "csv"},
    owners=OWNERS,
    code_version="1",
    hooks={log_failure},
)
def predictions(
    context: dg.AssetExecutionContext, features: pl.LazyFrame, champion: Champion, lakehouse: dg.ResourceParam[Lakehouse]
) -> Table:
    """Probability, points, band and reasons of every account by the live model, in the order of the raw file."""
    require_fit(champion.scorecard, lakehouse.contract, champion.version)
    made_from = lakehouse.made_from(
        context.run.run_id,
        context.partition_key,
        "curated/features",
        policy=lakehouse.policy.digest,
        model_version=champion.version,
        binding=champion.binding.seq,
    )
    scored = predict(features, champion.scorecard, lakehouse.policy, champion.version)
    return Table(scored, tuple(prediction_facts()), made_from, prediction_descriptions(lakehouse.policy))
