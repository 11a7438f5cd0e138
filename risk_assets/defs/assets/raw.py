"""The raw zone: a date's files, byte for byte as they landed."""

import dagster as dg

from risk_assets.defs.failures import log_failure
from risk_assets.defs.partitions import daily
from risk_assets.defs.resources import Lakehouse
from risk_assets.errors import LandingError
from risk_assets.lake import landing, layout
from risk_assets.lake.raw import LandedFile
from risk_assets.lake.tables import find_manifest

OWNERS = ["team:credit-risk"]
MIN_CELL_SIZE = 10  # rows that share a value which the run history tells


@dg.asset(
    key=["raw", "accounts"],
    partitions_def=daily,
    io_manager_key="raw",
    group_name="raw",
    kinds={"csv", "azureblob"},
    owners=OWNERS,
    code_version="1",
    hooks={log_failure},
)
def accounts(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> LandedFile | None:
    """A date's snapshot of all accounts, kept as it came. Landed anew with other bytes, the earlier file is kept too."""
    return _landed(lakehouse, "accounts", context.partition_key, lakehouse.contract.columns)


@dg.asset(
    key=["raw", "outcomes"],
    partitions_def=daily,
    io_manager_key="raw",
    group_name="raw",
    kinds={"csv", "azureblob"},
    owners=OWNERS,
    code_version="1",
    hooks={log_failure},
)
def outcomes(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> LandedFile | None:
    """What became of a date's accounts: labels that arrive later and train the next model."""
    contract = lakehouse.contract
    return _landed(lakehouse, "outcomes", context.partition_key, (contract.id, contract.target.column))


def _landed(lakehouse: Lakehouse, kind: str, date: str, expected: tuple[str, ...]) -> LandedFile | None:
    """Return what landed; None where the landing folder was emptied and the lake has it already."""
    try:
        return landing.find(lakehouse.landing, kind, date, expected)
    except LandingError:
        gone = date not in landing.dates(lakehouse.landing, kind)
        if gone and find_manifest(lakehouse.store, layout.PATHS[f"raw/{kind}"](date)):
            return None
        raise
