"""The curated zone: validated, typed features, one row for each raw row."""

import dagster as dg
import polars as pl

from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.ingest.validation import feature_descriptions, feature_facts, repeated_ids, validate
from risk_assets.errors import ContractError, LakeError
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.manifests import Manifest
from risk_assets.lake.staleness import changed_dates
from risk_assets.lake.tables import Table, translate_polars_errors


def features(context: dg.AssetExecutionContext, accounts: pl.LazyFrame, lakehouse: dg.ResourceParam[Lakehouse]) -> Table:
    """Numbers and categories as the contract declares them, the issues of each row, never its values, and who is not eligible."""
    contract, date = lakehouse.contract, context.partition_key
    require_landed(lakehouse, date)
    raw = lakehouse.manifest("raw/accounts", date)
    require_usable(raw, contract)
    with translate_polars_errors(raw.path):
        repeated = repeated_ids(accounts, contract)
    validated = validate(accounts, contract, repeated, date=date)
    made_from = lakehouse.made_from(context.run.run_id, date, "raw/accounts")
    return Table(validated, FeatureFacts, tuple(feature_facts(contract)), made_from, feature_descriptions(contract))


def require_landed(lakehouse: Lakehouse, date: str) -> None:
    """Verify that the raw file is the one that landed: a step that is executed again must not read earlier bytes.

    Raises
    ------
    LakeError
        If other accounts have landed since the raw file was stored.
    """
    if changed_dates(lakehouse.store, lakehouse.landing, "accounts", lakehouse.expected_columns("accounts"), (date,)):
        raise LakeError(f"other accounts have landed for {date} since raw/accounts was stored. Run the whole date: risk run {date}.")


def require_usable(raw: Manifest, contract: Contract) -> None:
    """Verify that a raw file has rows, and each column of the contract once.

    Raises
    ------
    ContractError
        With the columns that are missing or repeated.
    """
    missing = [name for name in contract.columns if name not in raw.columns]
    if missing:
        raise ContractError(f"{raw.path} has no column {', '.join(missing)}. Land a file that has them, or remove them from the contract.")
    repeated = [name for name in contract.columns if f"{name}#2" in raw.columns]
    if repeated:
        raise ContractError(f"{raw.path} has the column {', '.join(repeated)} twice. Land a file that has it once.")
    if not raw.rows:
        raise ContractError(f"{raw.path} has a header and no rows. Land the whole file with --replace and run the date again.")
