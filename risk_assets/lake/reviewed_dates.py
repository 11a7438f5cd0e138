"""Reads what is compared of a scored date: its index and its features, or its predictions if it has no index that can be used."""

import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.morning.account_index import with_bands
from risk_assets.domain.morning.changes import EXPOSURE, ReviewedDate, of_predictions
from risk_assets.errors import LakeError
from risk_assets.lake import document_archive, layout
from risk_assets.lake.account_index_tables import read_index
from risk_assets.lake.manifests import identity, require_manifest
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table


def reviewed_date(store: Store, date: str, listed: pl.Series, exposure: str | None = None) -> ReviewedDate:
    """Return a scored date.

    Parameters
    ----------
    listed
        The ids on its review list.
    exposure
        The column of the exposure in the features that were scored; None if there is none.

    Raises
    ------
    LakeError
        If neither the index nor the predictions can be read, or features with the exposure cannot.
    """
    try:
        return _indexed(store, date, listed, exposure)
    except LakeError:  # the predictions say the same, and reading them takes longer
        return _predicted(store, date, listed, exposure)


def _indexed(store: Store, date: str, listed: pl.Series, exposure: str | None) -> ReviewedDate:
    """Return a date from its index and the features that were scored, whose rows are those of the predictions."""
    features, made_from = layout.features(date), require_manifest(store, layout.predictions(date)).made_from
    if made_from.policy is None or made_from.inputs.get(features) != identity(store, features):
        raise LakeError(f"{features} is not what was scored. {layout.how_to_make(features)}")
    index = with_bands(read_index(store, date), document_archive.read(store, Policy, made_from.policy))
    accounts = _with_exposure(read_table(store, features), exposure).select(ACCOUNT_ID, EXPOSURE)
    return ReviewedDate(date, index, accounts, listed)


def _predicted(store: Store, date: str, listed: pl.Series, exposure: str | None) -> ReviewedDate:
    """Return a date from its predictions, and the exposures of the features from which they were made: the same rows in the same order."""
    predictions = read_table(store, layout.predictions(date))
    if exposure is None:
        return of_predictions(date, _with_exposure(predictions, None), listed)
    exposures = read_table(store, layout.features(date)).select(pl.col(exposure).alias(EXPOSURE))
    return of_predictions(date, pl.concat([predictions, exposures], how="horizontal"), listed)


def _with_exposure(accounts: pl.LazyFrame, exposure: str | None) -> pl.LazyFrame:
    known = pl.lit(None, dtype=pl.Float64) if exposure is None else pl.col(exposure)
    return accounts.with_columns(known.alias(EXPOSURE))
