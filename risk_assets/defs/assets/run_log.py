"""The run log: a row for each run that scored, failed or warned."""

import dagster as dg

from risk_assets.defs.outcomes import missing_rows, row_metadata
from risk_assets.defs.resources import Lakehouse
from risk_assets.lake.run_log import RunRecord


def batch_runs(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[tuple[RunRecord, ...]]:
    """A row in `logs/batch_runs_log.csv` for each run that scored or failed, added when its outcome is known.

    Materializing a date adds the rows of its runs that have ended and have none.
    """
    missing = missing_rows(lakehouse, context.instance, context.partition_key)
    newest = row_metadata(lakehouse.store, missing[-1]) if missing else {}
    return dg.Output(missing, metadata={**newest, "added": len(missing)})
