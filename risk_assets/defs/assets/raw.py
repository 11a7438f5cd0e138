"""The raw zone: a date's files, byte for byte as landed."""

import dagster as dg

from risk_assets.defs.resources import Lakehouse
from risk_assets.errors import LandingError
from risk_assets.lake import landing, layout
from risk_assets.lake.raw import LandedFile
from risk_assets.lake.tables import find_manifest


def accounts(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> LandedFile | None:
    """A date's snapshot of all accounts, stored unchanged. If a date lands again with other bytes, the earlier file is kept too."""
    return _landed(lakehouse, "accounts", context.partition_key, lakehouse.contract.columns)


def outcomes(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> LandedFile | None:
    """Which of a date's accounts went bad: labels that arrive later and train the next model."""
    return _landed(lakehouse, "outcomes", context.partition_key, lakehouse.contract.outcome_columns)


def _landed(lakehouse: Lakehouse, kind: str, date: str, expected: tuple[str, ...]) -> LandedFile | None:
    """Return what landed; None if the landing folder was emptied and the lake has the file already."""
    try:
        return landing.find(lakehouse.landing, kind, date, expected)
    except LandingError:
        gone = date not in landing.dates(lakehouse.landing, kind)
        if gone and find_manifest(lakehouse.store, layout.PATHS[f"raw/{kind}"](date)):
            return None
        raise
