"""How accounts moved between bands since an earlier scored date."""

from collections.abc import Sequence

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.governance.fairness import MIN_CELL_SIZE
from risk_assets.domain.monitoring.performance import BAND
from risk_assets.domain.monitoring.performance_report import Migration

_BEFORE, _ROWS = "before", "rows"


def migration(since: str, before: pl.LazyFrame, bands_before: Sequence[str], now: pl.LazyFrame, bands: Sequence[str]) -> Migration:
    """Return how the accounts that were scored on both dates moved between bands.

    Parameters
    ----------
    before, now
        The predictions of the two dates.
    bands_before, bands
        The names of their bands, from the safest to the riskiest.
    """
    earlier = before.select(ACCOUNT_ID, pl.col(BAND).alias(_BEFORE)).drop_nulls()
    both = now.select(ACCOUNT_ID, BAND).drop_nulls().join(earlier, on=ACCOUNT_ID)
    counts = both.group_by(_BEFORE, BAND).agg(pl.len().alias(_ROWS)).collect(engine="streaming")
    found = {(was, is_now): rows for was, is_now, rows in counts.iter_rows()}
    cells = tuple(tuple(_shown(found.get((was, is_now), 0)) for is_now in bands) for was in bands_before)
    return Migration(since, tuple(bands_before), tuple(bands), cells)


def _shown(accounts: int) -> int | None:
    return accounts if accounts >= MIN_CELL_SIZE else None
