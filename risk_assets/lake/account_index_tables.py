"""Writes indexes of the accounts of predictions, and reads complete ones."""

import io
from collections.abc import Mapping

import polars as pl

from risk_assets.domain.morning.account_index import INDEX_COLUMNS, KEY, ROW, is_in_parts, part_count, parts
from risk_assets.lake import layout
from risk_assets.lake.account_index import require_current
from risk_assets.lake.facts import AccountIndexFacts
from risk_assets.lake.hashing import Content, content_of_chunks
from risk_assets.lake.manifests import Manifest, Provenance, Written, commit
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.store import Store
from risk_assets.lake.tables import translate_polars_errors
from risk_assets.lake.verification import remember, verified_files

PARTS_AT_ONCE = 16


def read_index(store: Store, date: str) -> pl.DataFrame:
    """Return the index of a date's present predictions; raises `LakeError` as `require_current`, or if a part is missing or changed."""
    files = verified_files(store, require_current(store, date))
    with translate_polars_errors(layout.account_index(date)):
        return pl.read_parquet(files, glob=False).rechunk()


def write_index(store: Store, date: str, columns: pl.DataFrame, predictions: Manifest, guard: Guard = no_guard) -> Manifest:
    """Write the index of a date's predictions from `INDEX_COLUMNS` of all rows, and return its manifest."""
    columns = columns.select(INDEX_COLUMNS)
    contents = {}
    rows = columns[KEY].len() - columns[KEY].null_count()
    count = part_count(rows)
    for start in range(0, count, PARTS_AT_ONCE):  # to sort all rows at once would take their memory a second time
        numbers = range(start, min(start + PARTS_AT_ONCE, count))
        for number, part in zip(numbers, parts(columns.filter(is_in_parts(numbers, count)).sort(KEY, ROW), count, numbers), strict=True):
            name, content = layout.account_index_part(date, number), part_content(part)
            store.put(name, content, guard)
            contents[name] = content_of_chunks((content,))
    scored = columns.filter(pl.col(KEY).is_not_null())["probability"].count()
    return commit_index(store, date, contents, rows, scored, predictions, guard)


def commit_index(
    store: Store, date: str, contents: Mapping[str, Content], rows: int, scored: int, predictions: Manifest, guard: Guard = no_guard
) -> Manifest:
    """Write the manifest of an index whose parts are in the lake; delete parts of an earlier, larger index."""
    path = layout.account_index(date)
    made_from = Provenance(run_id=predictions.made_from.run_id, inputs={predictions.path: predictions.identity})
    written = Written(path, contents, rows, INDEX_COLUMNS, made_from, AccountIndexFacts(scored=scored))
    manifest = commit(store, written, guard)
    remember(store, manifest)
    for name in store.list(layout.shard(path, "")):
        if name not in contents:
            store.delete(name)
    return manifest


def part_content(part: pl.DataFrame) -> bytes:
    """Return the file of a part of an index."""
    file = io.BytesIO()
    part.write_parquet(file, compression="uncompressed", statistics=False)  # keys and probabilities do not get smaller
    return file.getvalue()
