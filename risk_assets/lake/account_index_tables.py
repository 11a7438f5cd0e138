"""Writes predictions together with the index of their accounts, and reads complete indexes."""

import io
from collections.abc import Mapping

import polars as pl

from risk_assets.domain.morning.account_index import INDEX_COLUMNS, index, indexed_columns, part_count, parts
from risk_assets.lake import layout
from risk_assets.lake.account_index import require_current
from risk_assets.lake.facts import AccountIndexFacts
from risk_assets.lake.hashing import Content, content_of_chunks
from risk_assets.lake.manifests import Manifest, Provenance, Written, commit
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, translate_polars_errors, write_and_collect
from risk_assets.lake.verification import remember, verified_files


class IndexedTable(Table):
    """Predictions, which are written with the index of their accounts."""

    def write(self, store: Store, path: str, guard: Guard = no_guard) -> tuple[Manifest, ...]:
        """Write the predictions and the index as `write_indexed` does."""
        return write_indexed(store, layout.date_of(path) or "", self, guard)


def write_indexed(store: Store, date: str, predictions: Table, guard: Guard = no_guard) -> tuple[Manifest, Manifest]:
    """Write the predictions of a date as `write_table` does, then the index of their accounts; return both manifests.

    The index is made from columns that are collected in the pass that writes the predictions: about 25 bytes of memory for each row.

    Parameters
    ----------
    guard
        Keeps other writers out while the predictions and the index are replaced and committed.
    """
    manifest, columns = write_and_collect(store, layout.predictions(date), predictions, indexed_columns(), guard)
    return manifest, _write(store, date, index(columns), manifest, guard)


def read_index(store: Store, date: str) -> pl.DataFrame:
    """Return the index of a date's present predictions; raises `LakeError` as `require_current`, or if a part is missing or changed."""
    files = verified_files(store, require_current(store, date))
    with translate_polars_errors(layout.account_index(date)):
        return pl.read_parquet(files, glob=False).rechunk()


def _write(store: Store, date: str, index: pl.DataFrame, predictions: Manifest, guard: Guard) -> Manifest:
    contents = {}
    for number, part in enumerate(parts(index, part_count(index.height))):
        name, content = layout.account_index_part(date, number), part_content(part)
        store.put(name, content, guard)
        contents[name] = content_of_chunks((content,))
    return commit_index(store, date, contents, index.height, index["probability"].count(), predictions, guard)


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
