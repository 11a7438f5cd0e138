"""Raw files: kept byte for byte as they landed, read as text, their lines counted and measured on the way in."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from risk_assets.domain.contract.schema import RAGGED
from risk_assets.domain.ingest.csv_dialect import HEAD_BYTES, Dialect, count_fields, sniff
from risk_assets.errors import LakeError, LandingError
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Manifest, Provenance, commit, find_manifest, parts_with_other_size, polars_access, require_manifest

ROW = "\x1frow"


@dataclass(frozen=True)
class LandedFile:
    """A landed file, or the shards of one: where its parts lie, and the columns that help to read its header."""

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
    """What one part holds: its hash, how many records, and which of them have too few or too many fields."""

    sha256: str
    rows: int
    padded: bool
    short: npt.NDArray[np.int64]
    long: npt.NDArray[np.int64]


def ingest(lake: Store, landed: LandedFile, path: str, made_from: Provenance) -> Manifest:
    """Copy what landed to `path`, byte for byte; shards go to the folder of that name without `.csv`.

    Landing the same bytes again changes nothing; other bytes take the place of the earlier ones, which are kept below
    `raw/superseded/`.

    Raises
    ------
    LandingError
        When it is empty, no CSV, or its shards differ in their columns; nothing is written then.
    """
    dialect = _dialect(landed)
    found = [_measure(landed, part, dialect) for part in landed.parts]
    parts = dict(zip(_targets(path, landed), (part.sha256 for part in found), strict=True))
    before = _before(lake, path)
    if before is not None and before.sha256 == parts and not parts_with_other_size(lake, before):
        return before
    _supersede(lake, path, before)
    for part, (target, sha256) in zip(landed.parts, parts.items(), strict=True):
        lake.write(target, _unchanged(landed, part, sha256))
    facts: dict[str, Any] = {
        "source": landed.source,
        "separator": dialect.separator,
        "eol": dialect.eol,
        "padded": any(part.padded for part in found),
        "short_lines": sum(len(part.short) for part in found),
        "long_lines": sum(len(part.long) for part in found),
    }
    return commit(lake, path, parts, sum(part.rows for part in found), list(dialect.columns), made_from, facts)


def scan(lake: Store, path: str) -> pl.LazyFrame:
    """Return a raw file's columns as text and `RAGGED`: null, or what is wrong with a line's number of fields."""
    manifest = require_manifest(lake, path)
    dialect = dialect_of(manifest)
    frame = scan_text([lake.uri(part) for part in manifest.parts], dialect, **polars_access(lake))
    if not manifest.facts["short_lines"] and not manifest.facts["long_lines"]:
        return frame.with_columns(pl.lit(None, dtype=pl.String).alias(RAGGED))
    short, long = _ragged_rows(lake, manifest, dialect)
    few = pl.when(pl.col(ROW).is_in(short)).then(pl.lit("line: too few fields"))
    marks = few.when(pl.col(ROW).is_in(long)).then(pl.lit("line: too many fields"))
    return frame.with_row_index(ROW).with_columns(marks.alias(RAGGED)).drop(ROW)


def scan_text(sources: Any, dialect: Dialect, **reach: Any) -> pl.LazyFrame:
    """Return a CSV's columns as text: an empty field and one that is not there as "", those beyond the header's left out."""
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
        **reach,
    )


def dialect_of(manifest: Manifest) -> Dialect:
    """Return how a raw file is written, as found when it landed."""
    return Dialect(str(manifest.facts["separator"]), str(manifest.facts["eol"]), manifest.columns)


def _dialect(landed: LandedFile) -> Dialect:
    heads = {part: sniff(landed.store.head(part, HEAD_BYTES), landed.store.uri(part), landed.expected) for part in landed.parts}
    first = heads[landed.parts[0]]
    for part, dialect in heads.items():
        if dialect != first:
            raise LandingError(
                f"{landed.store.uri(part)} has another header, separator or line end than {landed.parts[0]}: shards of one date must "
                "agree. Mend the shard and land it again."
            )
    return first


def _targets(path: str, landed: LandedFile) -> tuple[str, ...]:
    if len(landed.parts) == 1:
        return (path,)
    return tuple(layout.shard(path, part.partition("/")[2]) for part in landed.parts)


def _measure(landed: LandedFile, part: str, dialect: Dialect) -> PartStats:
    """Read a part once before anything is written: its hash, its records, and those with a wrong number of fields."""
    sha256 = hashlib.sha256()
    counter = count_fields(dialect, _hashed(landed.store.chunks(part), sha256))
    if counter.unclosed:
        raise LandingError(f"{landed.store.uri(part)} ends inside an open quote. Close it, or land the file whole, and run again.")
    return PartStats(sha256.hexdigest(), counter.rows, counter.padded, counter.short_rows, counter.long_rows)


def _unchanged(landed: LandedFile, part: str, expected: str) -> Iterator[bytes]:
    """Yield a part's bytes; when they are not the ones that were measured, fail before the last is written."""
    sha256 = hashlib.sha256()
    yield from _hashed(landed.store.chunks(part), sha256)
    if sha256.hexdigest() != expected:
        raise LandingError(f"{landed.store.uri(part)} changed while it was copied. Run the date again when it has landed whole.")


def _hashed(chunks: Iterable[bytes], sha256: Any) -> Iterator[bytes]:
    for chunk in chunks:
        sha256.update(chunk)
        yield chunk


def _before(lake: Store, path: str) -> Manifest | None:
    """Return the manifest of an earlier landing, or None where there is none that can be read."""
    try:
        return find_manifest(lake, path)
    except LakeError:
        return None


def _supersede(lake: Store, path: str, before: Manifest | None) -> None:
    """Move an earlier landing out of the way; its manifest goes first, so that a crash leaves no half partition."""
    if lake.size(layout.manifest(path)) is not None:
        lake.delete(layout.manifest(path))
    parts = [part for part in (path, *lake.list(layout.shard(path, ""))) if lake.size(part) is not None]
    label = before.digest if before else "uncommitted"
    for part in parts:
        lake.copy(part, layout.superseded(part, label))
        lake.delete(part)


def _ragged_rows(lake: Store, manifest: Manifest, dialect: Dialect) -> tuple[pl.Expr, pl.Expr]:
    """Return which records have too few and too many fields, counted over all parts."""
    start, short, long = 0, [], []
    for part in manifest.parts:
        counter = count_fields(dialect, lake.chunks(part))
        short.append(pl.Series(counter.short_rows + start))
        long.append(pl.Series(counter.long_rows + start))
        start += counter.rows
    if start != manifest.rows:
        raise LakeError(f"{manifest.path} is not what its manifest says: materialize its raw partition again.")
    return pl.lit(pl.concat(short).implode()), pl.lit(pl.concat(long).implode())
