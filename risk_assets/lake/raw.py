"""Raw files: kept byte for byte as they landed, read as text, their lines counted and measured on the way in."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from risk_assets.domain.dialect import HEAD_BYTES, Dialect, FieldCounter, sniff
from risk_assets.domain.errors import LakeError, LandingError
from risk_assets.domain.features import RAGGED
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_assets.lake.table import Manifest, Provenance, commit, find_manifest, require_manifest

EXTRA = "\x1fextra"


@dataclass(frozen=True)
class Landed:
    """A landed file, or the shards of one: where its parts lie, and the columns that help to read its header."""

    store: Store
    parts: tuple[str, ...]
    expected: tuple[str, ...]

    @property
    def source(self) -> str:
        """The address of the file, or of the folder of its shards."""
        first = self.store.uri(self.parts[0])
        return first if len(self.parts) == 1 else first.rpartition("/")[0]


def keep(lake: Store, landed: Landed, path: str, made_from: Provenance) -> Manifest:
    """Copy what landed to `path`, byte for byte; shards go to the folder of that name without `.csv`.

    Landing the same bytes again changes nothing; other bytes take the place of the earlier ones, which are kept below
    `raw/superseded/`.

    Raises
    ------
    LandingError
        When it is empty, no CSV, or its shards differ in their columns; nothing is written then.
    """
    dialect = _dialect(landed)
    before = find_manifest(lake, path)
    if before is not None:
        if _sha256(landed) == before.facts.get("sha256") and _whole(lake, before):
            return before
        _supersede(lake, before)
    return _copy(lake, landed, dialect, path, made_from)


def scan(lake: Store, path: str) -> pl.LazyFrame:
    """Return a raw file's columns as text and `RAGGED`: null, or what is wrong with a line's number of fields."""
    manifest = require_manifest(lake, path)
    dialect = dialect_of(manifest)
    frame = scan_text([lake.uri(part) for part in manifest.parts], dialect, **lake.polars)
    ragged = pl.when(pl.col(EXTRA) != "").then(pl.lit("line: too many fields"))
    if not manifest.facts["short_lines"]:
        return frame.with_columns(ragged.otherwise(None).alias(RAGGED)).drop(EXTRA)
    short = pl.Series(_short_rows(lake, manifest, dialect))
    is_short = pl.col("\x1frow").is_in(short.implode())
    marked = frame.with_row_index("\x1frow").with_columns(ragged.when(is_short).then(pl.lit("line: too few fields")).alias(RAGGED))
    return marked.drop(EXTRA, "\x1frow")


def scan_text(sources: Any, dialect: Dialect, **reach: Any) -> pl.LazyFrame:
    """Return a CSV's columns as text, an empty field as "", and `EXTRA`: the first field beyond the header's."""
    return pl.scan_csv(
        sources,
        has_header=False,
        skip_rows=1,
        schema=dict.fromkeys((*dialect.columns, EXTRA), pl.String),
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


def _dialect(landed: Landed) -> Dialect:
    heads = {part: sniff(landed.store.head(part, HEAD_BYTES), landed.store.uri(part), landed.expected) for part in landed.parts}
    first = heads[landed.parts[0]]
    for part, dialect in heads.items():
        if dialect != first:
            raise LandingError(
                f"{landed.store.uri(part)} has another header, separator or line end than {landed.parts[0]}: shards of one date must "
                "agree. Mend the shard and land it again."
            )
    return first


def _copy(lake: Store, landed: Landed, dialect: Dialect, path: str, made_from: Provenance) -> Manifest:
    targets = _targets(path, landed)
    sha256, counters = hashlib.sha256(), [FieldCounter(dialect) for _ in targets]
    for part, target, counter in zip(landed.parts, targets, counters, strict=True):
        lake.write(target, _measured(landed.store.chunks(part), sha256, counter))
        counter.close()
        if counter.unclosed:
            raise LandingError(f"{landed.store.uri(part)} ends inside an open quote. Close it, or land the file whole, and run again.")
    facts: dict[str, Any] = {
        "sha256": sha256.hexdigest(),
        "source": landed.source,
        "separator": dialect.separator,
        "eol": dialect.eol,
        "short_lines": sum(counter.short for counter in counters),
        "long_lines": sum(counter.long for counter in counters),
    }
    rows = sum(counter.rows for counter in counters)
    return commit(lake, path, targets, rows, list(dialect.columns), made_from, facts)


def _targets(path: str, landed: Landed) -> tuple[str, ...]:
    if len(landed.parts) == 1:
        return (path,)
    folder = path.removesuffix(".csv")
    return tuple(f"{folder}/{part.rpartition('/')[2]}" for part in landed.parts)


def _measured(chunks: Iterable[bytes], sha256: Any, counter: FieldCounter) -> Iterator[bytes]:
    for chunk in chunks:
        sha256.update(chunk)
        counter.feed(chunk)
        yield chunk


def _sha256(landed: Landed) -> str:
    sha256 = hashlib.sha256()
    for part in landed.parts:
        for chunk in landed.store.chunks(part):
            sha256.update(chunk)
    return sha256.hexdigest()


def _whole(lake: Store, manifest: Manifest) -> bool:
    return all(lake.size(part) == size for part, size in manifest.parts.items())


def _supersede(lake: Store, manifest: Manifest) -> None:
    """Move an earlier landing out of the way; its manifest goes first, so that a crash leaves no half partition."""
    lake.delete(layout.manifest(manifest.path))
    for part in manifest.parts:
        if lake.size(part) is not None:
            lake.copy(part, layout.superseded(part, str(manifest.facts["sha256"])))
            lake.delete(part)


def _short_rows(lake: Store, manifest: Manifest, dialect: Dialect) -> np.ndarray[Any, Any]:
    found, start = [], 0
    for part in manifest.parts:
        counter = FieldCounter(dialect)
        for chunk in lake.chunks(part):
            counter.feed(chunk)
        counter.close()
        found.append(counter.short_rows + start)
        start += counter.rows
    if start != manifest.rows:
        raise LakeError(f"{manifest.path} changed while it was read: materialize its raw partition again.")
    return np.concatenate(found)
