"""The raw zone: a date's files, byte for byte as landed."""

import dagster as dg

from risk_assets.defs.resources import Lakehouse
from risk_assets.errors import LandingError
from risk_assets.lake import landing, layout
from risk_assets.lake.landed_parts import LandedFile
from risk_assets.lake.manifests import find_manifest
from risk_assets.lake.posted_outcomes import shard_paths


def accounts(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> LandedFile | None:
    """A date's snapshot of all accounts, stored unchanged. If a date lands again with other bytes, the earlier file is kept too."""
    return _landed(context, lakehouse, "accounts")


def outcomes(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> LandedFile | None:
    """Which of a date's accounts went bad: files that arrive later, stored unchanged. Every revision is kept with its date.

    Outcomes that were sent to `POST /outcomes` are in the raw zone already.
    """
    _ = lakehouse.contract.target.file
    return _landed(context, lakehouse, "outcomes")


def _landed(context: dg.AssetExecutionContext, lakehouse: Lakehouse, kind: str) -> LandedFile | None:
    """Return what landed; None if the landing folder does not have it, as after it was emptied, and the lake does."""
    date = context.partition_key
    try:
        return lakehouse.landed(kind, date)
    except LandingError:
        gone = date not in landing.dates(lakehouse.landing, kind)
        if gone and _is_in_lake(lakehouse, kind, date):
            if note := landing.missing_folder(lakehouse.landing):
                context.log.warning(note)
            return None
        raise


def _is_in_lake(lakehouse: Lakehouse, kind: str, date: str) -> bool:
    """Return whether the lake has a file of the date, or posted outcomes."""
    if find_manifest(lakehouse.store, layout.PATHS[f"raw/{kind}"](date)):
        return True
    return kind == landing.OUTCOMES and bool(shard_paths(lakehouse.store, date))
