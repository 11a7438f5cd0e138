"""Tables in the lake: streamed in and out with polars, each committed by its manifest."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import polars as pl

from risk_assets.errors import LakeError
from risk_assets.lake import layout, verification
from risk_assets.lake.facts import Facts, facts_from_row
from risk_assets.lake.manifests import Manifest, Provenance, Written, commit, find_readable, require_manifest
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.storage_errors import explain
from risk_assets.lake.store import Store
from risk_assets.lake.verification import remember, verified_files

NUMBERS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        **dict.fromkeys(("probability", "challenger_probability"), pl.Float64),
        **dict.fromkeys(("rank", "points", "points_before", "points_change"), pl.Int64),
        "prediction": pl.Int8,
    }
)


class WritableTable(Protocol):
    """A table that is written to the lake and committed by its manifest."""

    @property
    def descriptions(self) -> Mapping[str, str]:
        """A description of each column."""

    def write(self, store: Store, path: str, guard: Guard = no_guard) -> Manifest:
        """Write the table, then its manifest; return the manifest. If it fails, nothing is written."""


@dataclass(frozen=True)
class Table:
    """A table to write.

    Attributes
    ----------
    frame
        The rows.
    kind
        The struct of the table's facts.
    facts
        The expressions that compute `rows` and the fields of `kind`, in the pass that writes the table.
    made_from
        The provenance.
    descriptions
        A description of each column.
    quoted
        Whether every text in a CSV is quoted, so that a spreadsheet does not split it at any separator.
    keep_replaced
        Whether a table with other content that this one replaces is kept below `superseded/`.
    """

    frame: pl.LazyFrame
    kind: type[Facts]
    facts: tuple[pl.Expr, ...]
    made_from: Provenance
    descriptions: Mapping[str, str] = field(default_factory=dict)
    quoted: bool = False
    keep_replaced: bool = False

    def write(self, store: Store, path: str, guard: Guard = no_guard) -> Manifest:
        """Write the table as `write_table` does."""
        return write_table(store, path, self, guard)


def write_table(store: Store, path: str, table: Table, guard: Guard = no_guard) -> Manifest:
    """Write a table (`.parquet` or `.csv`), then its manifest; return the manifest.

    The table is streamed: memory does not grow with it. If it fails, nothing is written.

    Parameters
    ----------
    guard
        Keeps other writers out while the table is replaced and while it is committed; raises if one has taken over the table.
    """
    return write_and_collect(store, path, table, (), guard)[0]


def write_and_collect(
    store: Store, path: str, table: Table, columns: Sequence[pl.Expr], guard: Guard = no_guard
) -> tuple[Manifest, pl.DataFrame]:
    """Write a table as `write_table` does; return its manifest, and some columns of all rows, collected in the same pass."""
    kept = _keep(store, path) if table.keep_replaced else None
    with translate_polars_errors(path), store.table_target(path, guard) as target:
        plans = [_sink(table, target.file, path), table.frame.select(table.facts), *([table.frame.select(columns)] if columns else [])]
        _, summary, *collected = pl.collect_all(plans, engine="streaming")
    row = summary.row(0, named=True)
    rows = row.pop("rows")
    names = tuple(table.frame.collect_schema().names())
    written = Written(path, {path: target.content}, rows, names, table.made_from, facts_from_row(row, table.kind))
    manifest = commit(store, written, guard)
    remember(store, manifest)
    if kept == manifest.digest:
        _discard(store, layout.manifest(layout.superseded(path, kept)))
        _discard(store, layout.superseded(path, kept))
    return manifest, collected[0] if collected else pl.DataFrame()


def _keep(store: Store, path: str) -> str | None:
    """Copy a table below `superseded/`, with its manifest if it matches; return the SHA-256 of its content, or None without one.

    A crash can have left the copy and a table that no longer matches its manifest.
    """
    manifest = find_readable(store, path)
    if manifest and store.find(layout.manifest(layout.superseded(path, manifest.digest))) == store.find(layout.manifest(path)):
        return manifest.digest
    if store.size(path) is None:
        return None
    intact = manifest is not None and not verification.problems(store, manifest)
    digest = manifest.digest if manifest and intact else store.content(path).sha256
    store.copy(path, layout.superseded(path, digest))
    if intact:
        store.copy(layout.manifest(path), layout.manifest(layout.superseded(path, digest)))
    return digest


def _discard(store: Store, path: str) -> None:
    with suppress(FileNotFoundError):
        store.delete(path)


# How polars begins its errors about the content of a file. The rest can quote rows, so it is not searched.
_MALFORMED_CSV = (
    "could not parse",
    "conversion from `str`",
    "invalid utf-8",
    "found more fields",
    "empty csv",
    "csv malformed",
    "the file has bytes that are not utf-8",
)
_DAMAGED_PARQUET = "parquet: "


@contextmanager
def translate_polars_errors(what: str) -> Iterator[None]:
    """Turn errors of polars, which quote rows, into a `LakeError` that does not.

    It reports a storage error, a malformed file, or another error; `FileNotFoundError` passes.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (pl.exceptions.PolarsError, OSError) as error:
        raise LakeError(_explain(error, what)) from None


def _explain(error: Exception, what: str) -> str:
    kind, text = type(error).__name__, str(error)
    if text.lower().startswith(_MALFORMED_CSV):
        return (
            f"{what} cannot be computed: one of its source files is malformed ({kind}). Look for stray quotes, an open quote "
            "or bytes that are not UTF-8, fix the file, land it with --replace and run the date again."
        )
    storage = explain(error, what) if isinstance(error, OSError | pl.exceptions.ComputeError) else None
    if storage is None and text.startswith(_DAMAGED_PARQUET):
        return f"{what} cannot be computed: a Parquet file of the lake is damaged ({kind}). Run its date again: risk run DATE."
    return storage or f"{what} cannot be computed ({kind}): run again. If it fails again, keep the files and open an issue."


def read_table(store: Store, path: str) -> pl.LazyFrame:
    """Return a committed table; raises `LakeError` if it is missing or its content is not the one in its manifest."""
    (file,) = verified_files(store, require_manifest(store, path))
    return pl.scan_parquet(file, glob=False) if path.endswith(".parquet") else _scan_csv(file)


def read_changed(store: Store, path: str) -> pl.LazyFrame:
    """Return a CSV table for a comparison that reports the changes: its content is not verified."""
    return _scan_csv(store.file(path) or store.get(path))


def _sink(table: Table, target: Any, path: str) -> pl.LazyFrame:
    if path.endswith(".parquet"):
        sink = table.frame.sink_parquet(target, compression="lz4", lazy=True)
    else:
        sink = table.frame.sink_csv(target, quote_style="non_numeric" if table.quoted else "necessary", lazy=True)
    assert sink is not None
    return sink


def _scan_csv(file: Path | bytes) -> pl.LazyFrame:
    """Scan a CSV that the lake wrote: column names determine the types, ids stay text."""
    return pl.scan_csv(file, infer_schema=False, schema_overrides=NUMBERS, glob=False)
