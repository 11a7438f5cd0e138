"""Tables in the lake: streamed in and out with polars, each committed by its manifest."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

import polars as pl

from risk_assets.errors import LakeError
from risk_assets.lake import layout, verification
from risk_assets.lake.facts import Facts, facts_from_row
from risk_assets.lake.hashing import Content
from risk_assets.lake.manifests import Manifest, Provenance, Written, commit, find_readable, require_manifest
from risk_assets.lake.objects import Guard, TableTarget, no_guard
from risk_assets.lake.staging import discard_staged, staged_tokens
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


class Writable(Protocol):
    """A table that can be written. `engine` is where it is computed, and `descriptions` has a description of each column."""

    @property
    def engine(self) -> str:
        """Where the table is computed."""

    @property
    def descriptions(self) -> Mapping[str, str]:
        """A description of each column."""

    def write(self, store: Store, path: str, guard: Guard = no_guard) -> tuple[Manifest, ...]:
        """Write and commit the table, and what belongs to it; return the manifests, the table's first."""


@dataclass(frozen=True)
class Table:
    """A table to write, which this process computes.

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
    engine: ClassVar[str] = "local"

    def write(self, store: Store, path: str, guard: Guard = no_guard) -> tuple[Manifest, ...]:
        """Write the table as `write_table` does."""
        return (write_table(store, path, self, guard),)


@dataclass(frozen=True)
class Summary:
    """What was written to a file: its rows and columns, and the facts of the table."""

    rows: int
    columns: tuple[str, ...]
    facts: Facts


def write_table(store: Store, path: str, table: Table, guard: Guard = no_guard) -> Manifest:
    """Write a table (`.parquet` or `.csv`), then its manifest; return the manifest.

    The table is streamed: memory does not grow with it. If it fails, nothing is written.

    Parameters
    ----------
    guard
        Keeps other writers out while the table is replaced and while it is committed; raises if one has taken over the table.
    """

    def fill(target: TableTarget) -> Summary:
        _, summary = pl.collect_all([_sink(table, target.file, store, path), table.frame.select(table.facts)], engine="streaming")
        row = summary.row(0, named=True)
        return Summary(row.pop("rows"), tuple(table.frame.collect_schema().names()), facts_from_row(row, table.kind))

    return write_file(store, path, fill, table.made_from, guard, keep=table.keep_replaced)


def write_file(
    store: Store, path: str, fill: Callable[[TableTarget], Summary], made_from: Provenance, guard: Guard = no_guard, *, keep: bool = False
) -> Manifest:
    """Write a table of one file, then its manifest; return the manifest. If it fails, nothing is written.

    Parameters
    ----------
    fill
        Writes the table to the file of its target.
    guard
        As of `write_table`.
    keep
        Whether a table with other content that this one replaces is kept below `superseded/`.
    """
    kept = keep_replaced(store, path) if keep else None
    earlier = _Earlier.find(store, path)
    with translate_polars_errors(path), store.table_target(path, guard) as target:
        summary = fill(target)
    manifest = commit(store, Written(path, {path: target.content}, summary.rows, summary.columns, made_from, summary.facts), guard)
    remember(store, manifest)
    earlier.delete(manifest)
    discard_kept(store, manifest, kept)
    return manifest


def commit_parts(  # noqa: PLR0913, PLR0917 - what a manifest states
    store: Store,
    path: str,
    parts: Mapping[str, Content],
    rows: int,
    columns: tuple[str, ...],
    made_from: Provenance,
    facts: Facts,
    guard: Guard = no_guard,
) -> Manifest:
    """Commit a table whose parts are written, in their order, and return its manifest.

    Afterwards the files of an earlier table are deleted, and what killed writers have left.

    Parameters
    ----------
    parts
        The content of each part by its path: at least one part, even if the table has no rows.
    guard
        Keeps other writers out while the table is committed; raises if one has taken over the table.
    """
    if not parts:
        raise ValueError(f"{path} has no part")
    earlier = _Earlier.find(store, path)
    manifest = commit(store, Written(path, parts, rows, columns, made_from, facts), guard)
    remember(store, manifest)
    earlier.delete(manifest)
    return manifest


def discard_parts(store: Store, path: str, token: str) -> None:
    """Delete the parts that a write with this token has left in the folder of a table, unless they are committed."""
    manifest = find_readable(store, path)
    for found in store.list(layout.shard(path, "")):
        if found.startswith(layout.shard(path, token)) and (manifest is None or found not in manifest.parts):
            _discard(store, found)


@dataclass(frozen=True)
class _Earlier:
    """What is at the paths of a table before it is written: its file, its parts, and what killed writers have left.

    The lease of a table, which the commit verifies, guarantees that nobody needs what a later commit does not list.
    """

    store: Store
    path: str
    files: tuple[str, ...]
    tokens: tuple[str, ...]

    @staticmethod
    def find(store: Store, path: str) -> "_Earlier":
        return _Earlier(store, path, (path, *store.list(layout.shard(path, ""))), staged_tokens(store, path))

    def delete(self, manifest: Manifest) -> None:
        """Delete what the manifest of the table does not list."""
        for file in self.files:
            if file not in manifest.parts:
                _discard(self.store, file)
        for token in self.tokens:
            discard_staged(self.store, self.path, token)


def keep_replaced(store: Store, path: str) -> str | None:
    """Copy a table of one file below `superseded/`, with its manifest if it matches; return the SHA-256 of its content, or None.

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


def discard_kept(store: Store, manifest: Manifest, kept: str | None) -> None:
    """Delete the copy that `keep_replaced` has made of a table if the table that replaced it has the same bytes."""
    copy = layout.superseded(manifest.path, kept or "")
    if kept is not None and (kept == manifest.digest or _is_same(store, manifest, copy)):
        _discard(store, layout.manifest(copy))
        _discard(store, copy)


def _is_same(store: Store, manifest: Manifest, copy: str) -> bool:
    """Return whether a copy that was hashed along other segments has the content of a table."""
    before, path = find_readable(store, copy), manifest.path
    if before is None or before.bytes != manifest.bytes or before.lengths(path) == manifest.lengths(path):
        return False
    return store.content(copy, manifest.lengths(path)).sha256 == manifest.digest


def _discard(store: Store, path: str) -> None:
    with suppress(FileNotFoundError):
        store.delete(path)
    store.prune(path)


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
            "or bytes that are not UTF-8, fix the file or the shard, land the whole date with --replace and run it again."
        )
    storage = explain(error, what) if isinstance(error, OSError | pl.exceptions.ComputeError) else None
    if storage is None and text.startswith(_DAMAGED_PARQUET):
        return f"{what} cannot be computed: a Parquet file of the lake is damaged ({kind}). Run its date again: risk run DATE."
    return storage or f"{what} cannot be computed ({kind}): run again. If it fails again, keep the files and open an issue."


def read_table(store: Store, path: str) -> pl.LazyFrame:
    """Return a committed table; raises `LakeError` if it is missing or its content is not the one in its manifest."""
    return scan_committed(store, require_manifest(store, path))


def scan_committed(store: Store, manifest: Manifest) -> pl.LazyFrame:
    """Return the table of a manifest; raises `LakeError` if its content is not the one in the manifest."""
    files = verified_files(store, manifest)
    if manifest.path.endswith(".parquet"):
        return pl.scan_parquet(files, glob=False)
    (file,) = files
    return _scan_csv(file)


class StoredTables(Mapping[str, pl.LazyFrame]):
    """Committed tables by date, each verified when it is first read; raises `LakeError` as `read_table`."""

    def __init__(self, store: Store, paths: Mapping[str, str]) -> None:
        """Read nothing yet; `paths` are those of the tables by date."""
        self._store, self._paths = store, paths
        self._read: dict[str, pl.LazyFrame] = {}

    def __getitem__(self, date: str) -> pl.LazyFrame:
        """Return the table of a date."""
        if date not in self._read:
            self._read[date] = read_table(self._store, self._paths[date])
        return self._read[date]

    def __iter__(self) -> Iterator[str]:
        """Yield the dates."""
        return iter(self._paths)

    def __len__(self) -> int:
        """Return the number of dates."""
        return len(self._paths)


def read_csv_range(store: Store, manifest: Manifest, start: int, length: int) -> pl.LazyFrame:
    """Return the rows in whole segments of a committed CSV table: those of the bytes from `start` on.

    Raises
    ------
    LakeError
        If the table is missing, or the segments were changed since they were written.
    """
    content = verification.read_range(store, manifest, start, length)
    return pl.scan_csv(content, has_header=False, skip_rows=int(start == 0), schema=csv_schema(manifest), glob=False)


def csv_schema(manifest: Manifest) -> dict[str, type[pl.DataType]]:
    """Return the columns of a CSV table and their polars types."""
    return {name: NUMBERS.get(name, pl.String) for name in manifest.columns}


def read_changed(store: Store, path: str) -> pl.LazyFrame:
    """Return a CSV table for a comparison that reports the changes: its content is not verified."""
    return _scan_csv(store.file(path) or store.get(path))


def compression(store: Store) -> Literal["lz4", "uncompressed"]:
    """Return how Parquet files of a store are compressed: on disk not at all, because that takes longer than to write the bytes.

    LZ4 saves a third of the bytes of features, which on Azure takes less time than to send them.
    """
    return "uncompressed" if store.folder else "lz4"


def _sink(table: Table, target: Any, store: Store, path: str) -> pl.LazyFrame:
    if path.endswith(".parquet"):
        sink = table.frame.sink_parquet(target, compression=compression(store), lazy=True)
    else:
        sink = table.frame.sink_csv(target, quote_style="non_numeric" if table.quoted else "necessary", lazy=True)
    assert sink is not None
    return sink


def _scan_csv(file: Path | bytes) -> pl.LazyFrame:
    """Scan a CSV that the lake wrote: column names determine the types, ids stay text."""
    return pl.scan_csv(file, infer_schema=False, schema_overrides=NUMBERS, glob=False)
