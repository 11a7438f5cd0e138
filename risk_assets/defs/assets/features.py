"""The curated zone: validated, typed features, one row for each raw row."""

import dagster as dg

from risk_assets.defs.resources import Lakehouse
from risk_assets.errors import LakeError
from risk_assets.lake.staleness import has_landed_again
from risk_assets.lake.tables import Writable


def features(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[Writable]:
    """Numbers and categories as the contract declares them, the issues of each row, never its values, and who is not eligible."""
    table = lakehouse.engine.features(lakehouse.store, lakehouse.contract, context.partition_key, context.run.run_id)
    require_landed(lakehouse, context.partition_key)
    return dg.Output(table, metadata={"engine": table.engine})


def require_landed(lakehouse: Lakehouse, date: str) -> None:
    """Verify that the raw file is the one that landed: a step that is executed again must not read earlier bytes.

    Raises
    ------
    LakeError
        If other accounts have landed since the raw file was stored.
    """
    if has_landed_again(lakehouse.store, lakehouse.landing, "accounts", lakehouse.expected_columns("accounts"), date):
        raise LakeError(f"other accounts have landed for {date} since raw/accounts was stored. Run the whole date: risk run {date}.")
