"""Looks up accounts in the predictions themselves, as the index of accounts does in its files."""

from dataclasses import dataclass

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.morning.account_key import account_key
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table


@dataclass(frozen=True)
class FoundRow:
    """A row that was found; the score is None if it has none."""

    row: int
    probability: float | None
    points: int | None
    prediction: int | None


def find_in_predictions(store: Store, date: str, key: int) -> tuple[FoundRow, ...]:
    """Return the rows of a date whose ids have a key; raises `LakeError` if the date was not scored."""
    if store.size(layout.predictions(date)) is None:
        raise LakeError(f"{date} has no index")
    rows = read_table(store, layout.predictions(date)).select(ACCOUNT_ID, "probability", "points", "prediction").collect()
    keys = rows[ACCOUNT_ID].map_elements(account_key, return_dtype=pl.UInt64)
    found = rows.with_row_index("row").filter(keys == key).drop(ACCOUNT_ID)
    return tuple(FoundRow(**row) for row in found.iter_rows(named=True))
