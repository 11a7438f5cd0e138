"""The curated zone: validated, typed features, one row for each raw row."""

import dagster as dg

from risk_assets.defs.resources import Lakehouse
from risk_assets.errors import LakeError
from risk_assets.lake.feature_tables import FeatureTable, feature_table
from risk_assets.lake.staleness import changed_dates


def features(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> FeatureTable:
    """Numbers and categories as the contract declares them, the issues of each row, never its values, and who is not eligible."""
    table = feature_table(lakehouse.store, lakehouse.contract, context.partition_key, context.run.run_id)
    require_landed(lakehouse, context.partition_key)
    return table


def require_landed(lakehouse: Lakehouse, date: str) -> None:
    """Verify that the raw file is the one that landed: a step that is executed again must not read earlier bytes.

    Raises
    ------
    LakeError
        If other accounts have landed since the raw file was stored.
    """
    if changed_dates(lakehouse.store, lakehouse.landing, "accounts", lakehouse.expected_columns("accounts"), (date,)):
        raise LakeError(f"other accounts have landed for {date} since raw/accounts was stored. Run the whole date: risk run {date}.")
