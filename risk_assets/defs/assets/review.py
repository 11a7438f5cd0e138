"""The curated zone: the riskiest accounts, for the review team."""

import dagster as dg
import polars as pl

from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.batch.review_list import review_descriptions, review_facts
from risk_assets.domain.batch.review_list import review_list as listing
from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.lake import registry, snapshots
from risk_assets.lake.facts import ReviewFacts
from risk_assets.lake.manifests import require_contract
from risk_assets.lake.prediction_tables import read_riskiest
from risk_assets.lake.tables import Table, translate_polars_errors


def review_list(context: dg.AssetExecutionContext, features: pl.LazyFrame, lakehouse: dg.ResourceParam[Lakehouse]) -> Table:
    """The riskiest accounts with points, band, reasons and the changes since their last snapshot; safe to open in a spreadsheet."""
    store, policy, date = lakehouse.store, lakehouse.policy, context.partition_key
    predictions = lakehouse.manifest("curated/predictions", date)
    require_contract(predictions, lakehouse.contract_values)
    made_from = lakehouse.made_from(context.run.run_id, date, "curated/predictions", "curated/features", policy=policy.digest)
    with translate_polars_errors(f"curated/review_list of {date}"):
        listed = read_riskiest(store, predictions, policy.review).with_columns(strip_cells(pl.col(ACCOUNT_ID)))
        accounts = listed[ACCOUNT_ID]
        now = snapshots.of_accounts(features, accounts)
        before = snapshots.last_before(store, date, now.drop(ACCOUNT_ID).schema, accounts, policy.review.look_back_days)
        cards = {version: registry.read_scorecard(store, version).scorecard for version in listed["model_version"].unique()}
        frame = listing(listed, now, before, cards, policy)
    return Table(frame.lazy(), ReviewFacts, tuple(review_facts()), made_from, review_descriptions(policy), quoted=True, keep_replaced=True)
