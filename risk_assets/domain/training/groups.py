"""Choices by the hash of a group: the same in every run, version and language."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from risk_assets.domain.contract.schema import ACCOUNT_ID, GROUP
from risk_assets.domain.governance.arms import BUCKET_BYTES, bucket, bucket_end

# One salt for each choice, so that the choices are independent of each other.
OTHER_ACCOUNTS = b"other accounts:"
SNAPSHOT_DAY = b"snapshot day:"
SAMPLE = b"sample:"


def hashes(groups: Iterable[str], salt: bytes) -> npt.NDArray[np.uint64]:
    """Return the hash of each group, shape (n,): `bucket` of the salt and the group, read as a big-endian number."""
    content = b"".join(bucket(salt, group) for group in groups)
    return np.frombuffer(content, dtype=f">u{BUCKET_BYTES}").astype(np.uint64)


def never_train(groups: Iterable[str], share: float) -> npt.NDArray[np.bool_]:
    """Return which groups never train, shape (n,): those whose hash is below the share of all hashes."""
    return hashes(groups, OTHER_ACCOUNTS) < np.uint64(int.from_bytes(bucket_end(share), "big"))


def accounts_of_several(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return those distinct pairs of `account_id` and `group` whose account has several groups."""
    return pairs.filter(pl.len().over(ACCOUNT_ID) > 1)


def merged(pairs: pl.DataFrame) -> dict[str, str]:
    """Return the name under which each group that shares an account with another one counts; other groups are left out.

    An account has several groups if its customer changes or is missing on some date. Groups that accounts connect, directly or
    through others, count as the one of them with the smallest hash: so they never train if one of them never trains.

    Parameters
    ----------
    pairs : DataFrame
        The distinct pairs of `account_id` and `group`.
    """
    several = accounts_of_several(pairs).with_columns(pl.col(ACCOUNT_ID, GROUP).rank("dense").cast(pl.Int64).name.suffix("_at"))
    if several.is_empty():
        return {}
    accounts, groups = (several[f"{name}_at"].to_numpy() - 1 for name in (ACCOUNT_ID, GROUP))
    size = int(groups.max()) + 1
    edges = coo_array((np.ones(len(several)), (groups, size + accounts)), shape=(size + accounts.max() + 1,) * 2)
    _, component = connected_components(edges, directed=False)
    names = several.with_columns(pl.Series("component", component[groups]), pl.Series("hash", hashes(several[GROUP], OTHER_ACCOUNTS)))
    one = names.with_columns(pl.col(GROUP).sort_by("hash").first().over("component").alias("one"))
    return dict(one.select(GROUP, "one").unique().iter_rows())
