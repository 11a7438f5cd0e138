"""The curated zone: checked, typed features, one row for each raw row."""

import dagster as dg
import polars as pl

from risk_assets.defs.assets.raw import OWNERS
from risk_assets.defs.failures import log_failure
from risk_assets.defs.partitions import daily
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.ingest.validation import checked, feature_descriptions, feature_facts, repeated_ids
from risk_assets.errors import ContractError
from risk_assets.lake.facts import FeatureFacts, RawFacts
from risk_assets.lake.tables import Table, translate_polars_errors


@dg.asset(
    key=["curated", "features"],
    ins={"accounts": dg.AssetIn(["raw", "accounts"])},
    partitions_def=daily,
    io_manager_key="table",
    group_name="curated",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    code_version="1",
    hooks={log_failure},
)
def features(context: dg.AssetExecutionContext, accounts: pl.LazyFrame, lakehouse: dg.ResourceParam[Lakehouse]) -> Table:
    """Numbers and categories as the contract says, and `issues`: what is wrong with a row, never its values."""
    contract, date = lakehouse.contract, context.partition_key
    raw = lakehouse.manifest("raw/accounts", date)
    require_usable(accounts.collect_schema().names(), raw.rows, contract.columns, raw.path)
    with translate_polars_errors(raw.path):
        repeated = repeated_ids(accounts, contract)
    made_from = lakehouse.made_from(context.run.run_id, date, "raw/accounts")
    checking = checked(accounts, contract, repeated, padded=raw.facts_as(RawFacts).padded)
    return Table(checking, FeatureFacts, tuple(feature_facts(contract)), made_from, feature_descriptions(contract))


def require_usable(there: list[str], rows: int, wanted: tuple[str, ...], path: str) -> None:
    """Refuse a file without its required columns, with one of them twice, or without rows.

    Raises
    ------
    ContractError
        Which says the columns that are missing or repeated.
    """
    missing = [name for name in wanted if name not in there]
    if missing:
        raise ContractError(f"{path} has no column {', '.join(missing)}. Land a file that has them, or take them out of the contract.")
    twice = [name for name in wanted if f"{name}#2" in there]
    if twice:
        raise ContractError(f"{path} has the column {', '.join(twice)} twice. Land a file that has it once.")
    if not rows:
        raise ContractError(f"{path} has a header and no rows. Land the whole file with --replace and run the date again.")
