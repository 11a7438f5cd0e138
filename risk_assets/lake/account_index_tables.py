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
from risk_assets.lake.parallel import in_order, in_threads
from risk_assets.lake.store import Store
from risk_assets.lake.tables import translate_polars_errors
from risk_assets.lake.verification import remember, verified_files

PARTS_AT_ONCE, GROUPS_AT_ONCE = 16, 2


def read_index(store: Store, date: str) -> pl.DataFrame:
    """Return the index of a date's present predictions; raises `LakeError` as `require_current`, or if a part is missing or changed."""
    files = verified_files(store, require_current(store, date))
    with translate_polars_errors(layout.account_index(date)):
        return pl.read_parquet(files, glob=False).rechunk()


def write_index(store: Store, date: str, columns: pl.DataFrame, predictions: Manifest, guard: Guard = no_guard) -> Manifest:
    """Write the index of a date's predictions from `INDEX_COLUMNS` of all rows, and return its manifest."""
    columns = columns.select(INDEX_COLUMNS)
    rows = columns[KEY].len() - columns[KEY].null_count()
    count = part_count(rows)

    def write(numbers: range) -> dict[str, Content]:
        ordered = columns.filter(is_in_parts(numbers, count)).sort(KEY, ROW)
        names = (layout.account_index_part(date, number) for number in numbers)
        found = {name: part_content(part) for name, part in zip(names, parts(ordered, count, numbers), strict=True)}
        with guard():
            in_threads(lambda name: store.put(name, found[name]), found)
        return {name: content_of_chunks((content,)) for name, content in found.items()}

    # to sort all rows at once would take their memory a second time
    groups = (range(start, min(start + PARTS_AT_ONCE, count)) for start in range(0, count, PARTS_AT_ONCE))
    contents: dict[str, Content] = {}
    for written in in_order(write, groups, GROUPS_AT_ONCE):
        contents |= written
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
