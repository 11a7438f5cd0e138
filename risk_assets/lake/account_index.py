"""Finds accounts of a scored date by their keys, in the index that is written with the predictions. Imports no polars."""

from bisect import bisect_left, bisect_right
from operator import methodcaller

import msgspec

from risk_assets.domain.morning.account_key import part_of
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.hashing import sha256
from risk_assets.lake.manifests import Manifest, find_manifest, identity
from risk_assets.lake.store import Store

KEY = "key"


class IndexedAccount(msgspec.Struct, frozen=True):
    """An account of a scored date.

    Attributes
    ----------
    row
        Its row in the features and the predictions, from 0.
    probability, points, prediction
        What was predicted; None if the row was not scored.
    """

    row: int
    probability: float | None
    points: int | None
    prediction: int | None


def find(store: Store, date: str, key: int) -> tuple[IndexedAccount, ...]:
    """Return the accounts of a date with a key, by row: none, one, or several if the id is repeated.

    One part of the index is read, and compared with its hash.

    Raises
    ------
    LakeError
        If the date has no predictions or no index, or the index is of other predictions or damaged.
    """
    manifest = require_current(store, date)
    path = layout.account_index_part(date, part_of(key, len(manifest.parts)))
    content = store.find(path)
    if content is None or sha256(content) != manifest.sha256.get(path):
        raise LakeError(f"{path} is missing or was changed since it was written. {layout.how_to_make(path)}")
    return _with_key(content, key)


def require_current(store: Store, date: str) -> Manifest:
    """Return the manifest of the index of a date's present predictions; its parts are not verified.

    Raises
    ------
    LakeError
        If the date has no predictions or no index, or the index is of other predictions.
    """
    path, predictions = layout.account_index(date), layout.predictions(date)
    made_from = identity(store, predictions)
    manifest = find_manifest(store, path)
    if manifest is None:
        raise LakeError(f"{predictions} has no index of its accounts. {layout.how_to_make(path)}")
    if manifest.made_from.inputs.get(predictions) != made_from:
        raise LakeError(f"{path} was made from other predictions. {layout.how_to_make(path)}")
    return manifest


def _with_key(part: bytes, key: int) -> tuple[IndexedAccount, ...]:
    """Return the accounts of a part, which is sorted by key, that have a key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(pa.BufferReader(part)).read()  # `read_table` and `to_numpy` import pandas
    first, end = (bisect(table[KEY], key, key=methodcaller("as_py")) for bisect in (bisect_left, bisect_right))
    return tuple(msgspec.convert(row, IndexedAccount) for row in table.slice(first, end - first).drop_columns(KEY).to_pylist())
