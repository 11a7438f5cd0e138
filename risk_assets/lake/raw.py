"""Raw files: stored byte for byte as they landed, counted while they are read, scanned as text."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from risk_assets.domain.contract.schema import RAGGED
from risk_assets.domain.ingest.csv_dialect import HEAD_BYTES, Dialect, FieldCounter, count_fields, sniff
from risk_assets.errors import LakeError, LandingError
from risk_assets.lake import layout
from risk_assets.lake.facts import RaggedRows, RawFacts
from risk_assets.lake.hashing import HashedChunks
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Manifest, Provenance, commit, find_manifest, parts_of_other_size, polars_access, require_manifest

ROW = "\x1frow"
MAX_RAGGED_ROWS = 10_000  # positions in a manifest; beyond, each scan counts the fields again


@dataclass(frozen=True)
class LandedFile:
    """A landed file, or the shards of one, and the columns that are expected in its header."""

    store: Store
    parts: tuple[str, ...]
    expected: tuple[str, ...]

    @property
    def source(self) -> str:
        """The address of the file, or of the folder of its shards."""
        first = self.store.uri(self.parts[0])
        return first if len(self.parts) == 1 else first.rpartition("/")[0]


@dataclass(frozen=True)
class PartStats:
    """The SHA-256 of a part, and the counter of its records and fields."""

    sha256: str
    fields: FieldCounter


def ingest(lake: Store, landed: LandedFile, path: str, made_from: Provenance) -> Manifest:
    """Copy a landed file to `path` and return its manifest; shards go to the folder of that name without `.csv`.

    The same bytes change nothing. Other bytes replace the earlier ones, which move to `raw/superseded/`.

    Raises
    ------
    LandingError
        If the file is empty or not a CSV, or its shards have different columns. Nothing is written then.
    """
    dialect = _dialect(landed)
    measured = [_measure(landed, part, dialect) for part in landed.parts]
    parts = dict(zip(_targets(path, landed), (part.sha256 for part in measured), strict=True))
    earlier = _find_earlier(lake, path)
    if earlier is not None and earlier.sha256 == parts and not parts_of_other_size(lake, earlier):
        return earlier
    _supersede(lake, path, earlier)
    for part, (target, digest) in zip(landed.parts, parts.items(), strict=True):
        lake.write(target, _require_unchanged(landed, part, digest))
    counters = [part.fields for part in measured]
    rows = sum(counter.rows for counter in counters)
    return commit(lake, path, parts, rows, list(dialect.columns), made_from, _facts(landed.source, dialect, counters))


def scan(lake: Store, path: str) -> pl.LazyFrame:
    """Return the columns of a raw file as text, and `RAGGED`: null, or the error in a line's number of fields."""
    manifest = require_manifest(lake, path)
    facts = manifest.facts_as(RawFacts)
    dialect = _dialect_of(manifest, facts)
    frame = scan_text([lake.uri(part) for part in manifest.parts], dialect, **polars_access(lake))
    if not facts.short_lines and not facts.long_lines:
        return frame.with_columns(pl.lit(None, dtype=pl.String).alias(RAGGED))
    if facts.ragged is None:
        return _mark(frame, *_count_again(lake, manifest, dialect))
    return _mark(frame, np.array(facts.ragged.short, np.int64), np.array(facts.ragged.long, np.int64))


def scan_text(sources: Any, dialect: Dialect, **access: Any) -> pl.LazyFrame:
    """Return the columns of a CSV as text: empty and missing fields as "", without fields beyond the header's."""
    return pl.scan_csv(
        sources,
        has_header=False,
        skip_rows=1,
        schema=dict.fromkeys(dialect.columns, pl.String),
        separator=dialect.separator,
        eol_char=dialect.eol,
        empty_string_is_null=False,
        missing_columns="insert",
        extra_columns="ignore",
        glob=False,
        **access,
    )


def _dialect_of(manifest: Manifest, facts: RawFacts) -> Dialect:
    return Dialect(facts.separator, facts.eol, manifest.columns)


def _dialect(landed: LandedFile) -> Dialect:
    """Return the dialect that all parts share."""
    heads = {part: sniff(landed.store.head(part, HEAD_BYTES), landed.store.uri(part), landed.expected) for part in landed.parts}
    first = heads[landed.parts[0]]
    for part, dialect in heads.items():
        if dialect != first:
            raise LandingError(
                f"{landed.store.uri(part)} has another header, separator or line end than {landed.parts[0]}: the shards of a date "
                "must agree. Fix the shard and land it again."
            )
    return first


def _targets(path: str, landed: LandedFile) -> tuple[str, ...]:
    if len(landed.parts) == 1:
        return (path,)
    return tuple(layout.shard(path, part.partition("/")[2]) for part in landed.parts)


def _measure(landed: LandedFile, part: str, dialect: Dialect) -> PartStats:
    """Read a part once, before anything is written."""
    chunks = HashedChunks(landed.store.chunks(part))
    counter = count_fields(dialect, chunks)
    if counter.unclosed:
        raise LandingError(f"{landed.store.uri(part)} ends inside an open quote. Close it, or land the complete file, and run again.")
    return PartStats(chunks.sha256, counter)


def _require_unchanged(landed: LandedFile, part: str, digest: str) -> Iterator[bytes]:
    """Yield the bytes of a part; fail at the end, before the write completes, if they are not the measured ones."""
    chunks = HashedChunks(landed.store.chunks(part))
    yield from chunks
    if chunks.sha256 != digest:
        raise LandingError(f"{landed.store.uri(part)} changed while it was copied. Run the date again when it has landed completely.")


def _facts(source: str, dialect: Dialect, counters: Sequence[FieldCounter]) -> RawFacts:
    short, long = _ragged_rows(counters)
    stored = len(short) + len(long) <= MAX_RAGGED_ROWS
    return RawFacts(
        source=source,
        separator=dialect.separator,
        eol=dialect.eol,
        padded=any(counter.padded for counter in counters),
        short_lines=len(short),
        long_lines=len(long),
        ragged=RaggedRows(tuple(short.tolist()), tuple(long.tolist())) if stored else None,
    )


def _ragged_rows(counters: Iterable[FieldCounter]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows with too few and with too many fields, numbered over all parts."""
    start, short, long = 0, [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for counter in counters:
        short.append(counter.short_rows + start)
        long.append(counter.long_rows + start)
        start += counter.rows
    return np.concatenate(short), np.concatenate(long)


def _count_again(lake: Store, manifest: Manifest, dialect: Dialect) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counters = [count_fields(dialect, lake.chunks(part)) for part in manifest.parts]
    if sum(counter.rows for counter in counters) != manifest.rows:
        raise LakeError(f"{manifest.path} does not match its manifest: materialize its raw partition again.")
    return _ragged_rows(counters)


def _mark(frame: pl.LazyFrame, short: NDArray[np.int64], long: NDArray[np.int64]) -> pl.LazyFrame:
    few = pl.when(_is_row(short)).then(pl.lit("line: too few fields"))
    marks = few.when(_is_row(long)).then(pl.lit("line: too many fields"))
    return frame.with_row_index(ROW).with_columns(marks.alias(RAGGED)).drop(ROW)


def _is_row(rows: NDArray[np.int64]) -> pl.Expr:
    return pl.col(ROW).is_in(pl.lit(pl.Series(rows).implode()))


def _find_earlier(lake: Store, path: str) -> Manifest | None:
    """Return the manifest of an earlier landing, or None if there is none or it cannot be read."""
    try:
        return find_manifest(lake, path)
    except LakeError:
        return None


def _supersede(lake: Store, path: str, earlier: Manifest | None) -> None:
    """Move an earlier landing away. Its manifest is deleted first, so that a crash leaves no committed partition."""
    if lake.size(layout.manifest(path)) is not None:
        lake.delete(layout.manifest(path))
    parts = [part for part in (path, *lake.list(layout.shard(path, ""))) if lake.size(part) is not None]
    label = earlier.digest if earlier else "uncommitted"
    for part in parts:
        lake.copy(part, layout.superseded(part, label))
        lake.delete(part)
