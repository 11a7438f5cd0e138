"""Tables of features: validated from the raw accounts under a contract."""

from collections.abc import Iterable

import polars as pl

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.domain.ingest.validation import feature_descriptions, feature_facts, repeated_ids, validate
from risk_assets.errors import ContractError, LakeError
from risk_assets.lake import layout, raw
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.manifests import Manifest, Provenance, require_manifest
from risk_assets.lake.raw_pieces import Piece, RawFile, piece_text
from risk_assets.lake.staleness import outdated_features
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, read_table, translate_polars_errors


def feature_table(store: Store, contract: Contract, date: str, run_id: str) -> Table:
    """Return the table of a date's features under a contract.

    Raises
    ------
    LakeError
        If the date has no raw accounts.
    ContractError
        If the raw file has no rows, or lacks or repeats a column of the contract.
    """
    manifest = require_manifest(store, layout.accounts(date))
    require_usable(manifest, contract)
    accounts = raw.scan(store, manifest.path)
    with translate_polars_errors(manifest.path):
        repeated = repeated_ids(accounts, contract)
    validated = validate(accounts, contract, repeated, date=date)
    return Table(
        validated,
        FeatureFacts,
        tuple(feature_facts(contract)),
        features_provenance(manifest, contract, run_id),
        feature_descriptions(contract),
    )


def features_provenance(raw: Manifest, contract: Contract, run_id: str) -> Provenance:
    """Return the provenance of the features of a raw file under a contract."""
    return Provenance(run_id=run_id, inputs={raw.path: raw.identity}, contract=contract.digest, contract_values=values_digest(contract))


def piece_features(raw: RawFile, piece: Piece, content: bytes, contract: Contract, repeated: pl.Series, date: str) -> pl.LazyFrame:
    """Return the features of a piece of a raw file: the rows of `feature_table` that are those of the piece.

    Parameters
    ----------
    raw, piece, content
        The raw file, the piece, and its bytes from `read_piece`.
    contract, repeated, date
        As of `validate`; of `repeated`, only ids in the piece matter.
    """
    return validate(piece_text(raw, piece, content), contract, repeated, date=date, first_row=piece.first_row)


def require_usable(manifest: Manifest, contract: Contract) -> None:
    """Verify that a raw file has rows, and each column of the contract once.

    Raises
    ------
    ContractError
        With the columns that are missing or repeated.
    """
    missing = [name for name in contract.columns if name not in manifest.columns]
    if missing:
        raise ContractError(
            f"{manifest.path} has no column {', '.join(missing)}. Land a file that has them, or remove them from the contract."
        )
    repeated = [name for name in contract.columns if f"{name}#2" in manifest.columns]
    if repeated:
        raise ContractError(f"{manifest.path} has the column {', '.join(repeated)} twice. Land a file that has it once.")
    if not manifest.rows:
        raise ContractError(f"{manifest.path} has a header and no rows. Land the whole file with --replace and run the date again.")


def features_under(
    store: Store, bound: Contract, other: Contract, dates: Iterable[str]
) -> tuple[dict[str, pl.LazyFrame], dict[str, pl.LazyFrame]]:
    """Return the features of dates under the bound contract and under another one: the same rows in the same order.

    The latter are computed when they are read, and not stored. Dates whose raw file is gone, has changed since the features were
    made, or lacks a column of the other contract are left out.
    """
    ours: dict[str, pl.LazyFrame] = {}
    theirs: dict[str, pl.LazyFrame] = {}
    listed = list(dates)
    outdated = outdated_features(store, values_digest(bound), listed)
    for date in (date for date in listed if date not in outdated):
        try:
            theirs[date] = feature_table(store, other, date, "").frame
        except (ContractError, LakeError):
            continue
        ours[date] = read_table(store, layout.features(date))
    return ours, theirs
