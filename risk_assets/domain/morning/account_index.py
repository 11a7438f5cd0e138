"""The index of a date's accounts: one row for each row with an id, sorted by the key of the id.

Columns: `key`, `row` (the position in the features and the predictions), `probability`, `points` and `prediction`; the last three are
null if the account was not scored. It is divided into parts with equal shares of all possible keys, so a key tells its part.
"""

from collections.abc import Iterator

import polars as pl
import polars_hash

from risk_assets.domain.contract.field_rules import MISSING_ISSUE, SEPARATOR
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, ISSUES
from risk_assets.domain.morning.account_key import first_key

KEY, ROW, BAND = "key", "row", "band"
INDEX_COLUMNS = (KEY, ROW, "probability", "points", "prediction")
PART_ROWS = 65_536


def keys_of(ids: str = ACCOUNT_ID) -> pl.Expr:
    """Return the keys of a column of ids, equal to those of `account_key`; null for a missing id."""
    return polars_hash.col(ids).nchash.xxh3_64().alias(KEY)


def indexed_columns() -> tuple[pl.Expr, ...]:
    """Return the columns of an index, without the row, from predictions."""
    return pl.when(_has_id()).then(keys_of()).alias(KEY), pl.col("probability"), pl.col("points").cast(pl.Int32), pl.col("prediction")


def _has_id() -> pl.Expr:
    """Return whether a row of predictions has an id: it is not blank, and its issues do not say that it is missing."""
    mark, missing = pl.lit(SEPARATOR), f"{SEPARATOR}{ACCOUNT_ID}: {MISSING_ISSUE}{SEPARATOR}"
    reported = pl.concat_str(mark, ISSUES, mark).str.contains(missing, literal=True).fill_null(value=False)
    return (pl.col(ACCOUNT_ID) != "") & ~reported


def index(columns: pl.DataFrame) -> pl.DataFrame:
    """Return an index from the columns of all rows of predictions, in their order; a repeated id has all of its rows, in order."""
    numbered = columns.with_row_index(ROW).select(KEY, ROW, pl.exclude(KEY, ROW))
    named = numbered.filter(pl.col(KEY).is_not_null()) if columns[KEY].null_count() else numbered
    return named.sort(KEY, maintain_order=True)


def with_bands(index: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Return an index with the band of each scored account by the policy that scored it, as in the predictions."""
    cuts = policy.cuts
    risk = -pl.col("points") if cuts.by_points else pl.col("probability")
    position = pl.sum_horizontal(pl.lit(0, pl.UInt8), *((risk >= bound).cast(pl.UInt8) for bound in cuts.bounds))
    band = pl.when(pl.col("probability").is_not_null()).then(position).cat.to(pl.Enum(list(policy.bands)))
    return index.with_columns(band.alias(BAND))


def part_count(rows: int) -> int:
    """Return the number of parts of an index: at least 1."""
    return max(1, -(-rows // PART_ROWS))


def parts(index: pl.DataFrame, count: int, numbers: range | None = None) -> Iterator[pl.DataFrame]:
    """Yield the parts of an index of `count` parts: all, or those with these numbers from an index of their rows."""
    numbers = range(count) if numbers is None else numbers
    firsts = pl.Series([first_key(part, count) for part in numbers[1:]], dtype=pl.UInt64)
    ends = [*index[KEY].search_sorted(firsts, side="left"), index.height]
    start = 0
    for end in ends:
        yield index[start:end]
        start = end


def is_in_parts(numbers: range, count: int) -> pl.Expr:
    """Return whether a row is in one of consecutive parts of an index of `count` parts."""
    low, high = first_key(numbers.start, count), first_key(numbers.stop, count)
    from_low = pl.col(KEY) >= pl.lit(low, pl.UInt64)
    return from_low if numbers.stop == count else from_low & (pl.col(KEY) < pl.lit(high, pl.UInt64))
