"""Raw files: stored byte for byte as they landed, counted while they are read, scanned as text."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec
import polars as pl

from risk_assets.domain.ingest.csv_counts import FieldCounter, count_fields
from risk_assets.domain.ingest.csv_dialect import Dialect, read_dialect, require_header
from risk_assets.errors import LakeError, LandingError
from risk_assets.lake import layout, verification
from risk_assets.lake.csv_scan import mark_lines, scan_mixed, scan_text
from risk_assets.lake.facts import RaggedRows, RawFacts
from risk_assets.lake.hashing import Content, HashedChunks
from risk_assets.lake.manifests import Manifest, Provenance, Written, commit, existing, find_manifest, find_readable, require_manifest
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.parallel import in_threads
from risk_assets.lake.raw_pieces import chunks_of, line_issues, quoting_of, raw_file
from risk_assets.lake.store import Entry, Store
from risk_assets.lake.verification import remember, verified_files

SMALL_BYTES = 1024 * 1024
KEPT_BYTES = 64 * 1024 * 1024
BATCH_PARTS = 500  # written in one guarded block
MAX_RAGGED_ROWS = 10_000  # positions in a manifest; beyond, each scan counts the fields again

T = TypeVar("T")


@dataclass(frozen=True)
class LandedFile:
    """A landed file, or the shards of one, and the columns that are expected in its header; and the parts as they were found, if known."""

    store: Store
    parts: tuple[str, ...]
    expected: tuple[str, ...]
    found: tuple[Entry, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The parts with their versions: as they were found; otherwise as they are now, without those that are gone."""
        return self.found or tuple(entry for part in self.parts if (entry := self.store.entry(part)))

    @property
    def source(self) -> str:
        """The address of the file, or of the folder of its shards."""
        first = self.store.uri(self.parts[0])
        return first if len(self.parts) == 1 else first.rpartition("/")[0]


@dataclass(frozen=True)
class PartStats:
    """The content of a part, and the counter of its records and fields."""

    content: Content
    fields: FieldCounter


def ingest(lake: Store, landed: LandedFile, path: str, made_from: Provenance, guard: Guard = no_guard) -> Manifest:
    """Copy a landed file to `path` and return its manifest; shards go to the folder of that name without `.csv`.

    The same bytes change nothing, unless the lake has lost or changed them: then they are restored, and the manifest stays, which
    says when they were stored first. Other bytes replace the earlier ones, which move to `raw/superseded/`; their manifest is kept
    as a revision.

    Parameters
    ----------
    guard
        Keeps other writers out while a part is replaced and while the file is committed; raises if one has taken over the path.

    Raises
    ------
    LandingError
        If the file is empty, not a CSV or has no header, or its shards have different columns. Nothing is written then.
    """
    reader = _Reader(landed)
    dialect = _dialect(reader)
    measured = list(reader.each(partial(_measure, reader, dialect)).values())
    parts = dict(zip(_targets(path, landed), (part.content for part in measured), strict=True))
    earlier = find_readable(lake, path)
    if earlier is not None and earlier.sha256 == _hashes(parts) and not verification.problems(lake, earlier):
        return earlier
    is_same = earlier is not None and earlier.sha256 == _hashes(parts)
    with guard():
        if not is_same:
            _keep_revision(lake, path, earlier)
            _discard_manifest(lake, path)
        _supersede(lake, path, _hashes(parts))
    _copy(lake, reader, dict(zip(landed.parts, parts.items(), strict=True)), guard)
    if earlier is not None and is_same:
        remember(lake, earlier)
        return earlier
    counters = [part.fields for part in measured]
    rows = sum(counter.rows for counter in counters)
    written = Written(path, parts, rows, dialect.columns, made_from, _facts(landed.source, dialect, counters))
    manifest = commit(lake, written, guard)
    remember(lake, manifest)
    return manifest


@dataclass(frozen=True)
class Revision:
    """A revision of a raw file: the name by which it is an input of tables, and its manifest with the places of its parts.

    `manifest` is None if it is missing or cannot be read; then the content is lost.
    """

    name: str
    manifest: Manifest | None


def revisions(lake: Store, path: str) -> tuple[Revision, ...]:
    """Return the earlier revisions of a raw file, oldest first. The file itself is the newest revision and not among them."""
    current = find_readable(lake, path)
    names = [layout.revision(path, number) for number in range(1, _newest_kept(lake, path) + 1)]
    manifests = {name: find_readable(lake, name) for name in names}
    earlier = (Revision(name, _located(lake, manifest, current) if manifest else None) for name, manifest in manifests.items())
    return tuple(found for found in earlier if not (current and found.manifest and found.manifest.seal == current.seal))


def revision_problems(lake: Store, name: str) -> list[str]:
    """Return a message for each part of an earlier revision that is missing or was changed, or one if its manifest cannot be read."""
    try:
        manifest = find_manifest(lake, name)
    except LakeError as error:
        return [str(error)]
    if manifest is None:
        return [f"{layout.manifest(name)} is missing"]
    return verification.problems(lake, _located(lake, manifest, find_readable(lake, manifest.path)))


def scan(lake: Store, path: str) -> pl.LazyFrame:
    """Return the columns of a raw file as text, and `RAGGED`: null, or why the line cannot be read with certainty.

    Raises
    ------
    LakeError
        If the file is missing or its content is not the one in its manifest.
    """
    return scan_manifest(lake, require_manifest(lake, path))


def scan_manifest(lake: Store, manifest: Manifest) -> pl.LazyFrame:
    """Return what `scan` returns, of the raw file or the revision with this manifest."""
    files = verified_files(lake, manifest)
    raw = raw_file(lake, manifest)
    if raw.quoting == "mixed":
        return mark_lines(scan_mixed([partial(chunks_of, file) for file in files], raw.dialect), raw.issues)
    return mark_lines(scan_text(files, raw.dialect, raw.quoting), raw.issues)


class _Reader:
    """Reads the parts of a landed file: small ones several at a time. Those that fit into memory are read once, and kept."""

    def __init__(self, landed: LandedFile) -> None:
        self.landed = landed
        entries = [entry for entry in landed.found if entry.size <= SMALL_BYTES and len(landed.found) > 1]
        self.small = frozenset(entry.path for entry in entries)
        first = list(_within(KEPT_BYTES, entries))
        self._kept = dict(zip(first, in_threads(self._get, first), strict=True))

    def each(self, function: Callable[[str], T]) -> dict[str, T]:
        """Return the results of a function for each part, in order: for small ones in threads."""
        small = [part for part in self.landed.parts if part in self.small]
        found = dict(zip(small, in_threads(function, small), strict=True))
        return {part: found[part] if part in found else function(part) for part in self.landed.parts}

    def head(self, part: str, length: int) -> bytes:
        """Return the first bytes of a part."""
        if part in self._kept:
            return self._kept[part][:length]
        try:
            return self.landed.store.get_range(part, 0, length)
        except FileNotFoundError:
            raise self._gone(part) from None

    def chunks(self, part: str) -> Iterator[bytes]:
        """Yield the bytes of a part."""
        if part in self._kept:
            yield self._kept[part]
            return
        try:
            yield from self.landed.store.chunks(part)
        except FileNotFoundError:
            raise self._gone(part) from None

    def uri(self, part: str) -> str:
        """Return the address of a part."""
        return self.landed.store.uri(part)

    def _get(self, part: str) -> bytes:
        try:
            return self.landed.store.get(part)
        except FileNotFoundError:
            raise self._gone(part) from None

    def _gone(self, part: str) -> LandingError:
        return LandingError(f"{self.uri(part)} was removed while it was read. Run the date again when all of its files have landed.")


def _within(limit: int, entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the paths of entries until their sizes exceed a limit."""
    for entry in entries:
        limit -= entry.size
        if limit < 0:
            return
        yield entry.path


def _copy(lake: Store, reader: _Reader, targets: Mapping[str, tuple[str, Content]], guard: Guard) -> None:
    """Copy the parts to their targets: small ones several at a time, in guarded batches."""

    def copy_small(part: str) -> None:
        target, content = targets[part]
        lake.put(target, b"".join(_require_unchanged(reader, part, content)))

    small = [part for part in targets if part in reader.small]
    for part in (part for part in targets if part not in reader.small):
        lake.write(targets[part][0], _require_unchanged(reader, part, targets[part][1]), guard)
    for start in range(0, len(small), BATCH_PARTS):
        with guard():
            in_threads(copy_small, small[start : start + BATCH_PARTS])


def _dialect(reader: _Reader) -> Dialect:
    """Return the dialect that all parts share."""
    landed = reader.landed
    heads = reader.each(lambda part: read_dialect(partial(reader.head, part), reader.uri(part), landed.expected))
    first = heads[landed.parts[0]]
    for part, dialect in heads.items():
        require_header(dialect.columns, landed.expected, landed.store.uri(part))
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


def _measure(reader: _Reader, dialect: Dialect, part: str) -> PartStats:
    """Read a part once, before anything is written."""
    chunks = HashedChunks(reader.chunks(part))
    counter = count_fields(dialect, chunks)
    if counter.problem:
        raise LandingError(f"{reader.uri(part)} {counter.problem}. Close it, or land the complete file, and run again.")
    return PartStats(chunks.content, counter)


def _require_unchanged(reader: _Reader, part: str, content: Content) -> Iterator[bytes]:
    """Yield the bytes of a part; fail at the end, before the write completes, if they are not the measured ones."""
    chunks = HashedChunks(reader.chunks(part))
    yield from chunks
    if chunks.content != content:
        raise LandingError(f"{reader.uri(part)} changed while it was copied. Run the date again when it has landed completely.")


def _hashes(parts: Mapping[str, Content]) -> dict[str, str]:
    return {part: content.sha256 for part, content in parts.items()}


def _facts(source: str, dialect: Dialect, counters: Sequence[FieldCounter]) -> RawFacts:
    issues = line_issues(counters)
    lines = {name: len(rows) for name, rows in issues.items()}
    stored = sum(lines.values()) <= MAX_RAGGED_ROWS
    return RawFacts(
        source=source,
        separator=dialect.separator,
        eol=dialect.eol,
        quoting=quoting_of(counters),
        short_lines=lines["short"],
        long_lines=lines["long"],
        ambiguous_lines=lines["ambiguous"],
        control_lines=lines["control"],
        enclosed_lines=lines["enclosed"],
        enclosed_rows=sum(counter.enclosed_rows for counter in counters),
        ragged=msgspec.convert({name: rows.tolist() for name, rows in issues.items()}, RaggedRows) if stored else None,
        pieces=tuple(piece for counter in counters for piece in counter.pieces),
    )


def _keep_revision(lake: Store, path: str, manifest: Manifest | None) -> None:
    """Copy the manifest of a raw file, which says when its content was stored, to the next number of its revisions.

    Repeating it after a crash copies nothing. A manifest that is missing or cannot be read is not kept.
    """
    if manifest is None:
        return
    newest = _newest_kept(lake, path)
    if not newest or lake.find(layout.manifest(layout.revision(path, newest))) != lake.find(layout.manifest(path)):
        lake.copy(layout.manifest(path), layout.manifest(layout.revision(path, newest + 1)))


def _newest_kept(lake: Store, path: str) -> int:
    """Return the number of the newest earlier revision of a raw file, or 0."""
    return max((number for found in lake.list(layout.revisions(path)) if (number := layout.revision_number(found))), default=0)


def _located(lake: Store, manifest: Manifest, current: Manifest | None) -> Manifest:
    """Return the manifest of an earlier revision with the places of its parts: superseded, or the current file's if it has them too."""
    places = {part: layout.superseded(part, digest) for part, digest in manifest.sha256.items()}
    shared = [part for part, digest in manifest.sha256.items() if current and current.sha256.get(part) == digest]
    kept = existing(lake, manifest.path, [places[part] for part in shared])
    places |= {part: part for part in shared if places[part] not in kept}
    return msgspec.structs.replace(
        manifest,
        parts={places[part]: size for part, size in manifest.parts.items()},
        sha256={places[part]: digest for part, digest in manifest.sha256.items()},
        segments={places[part]: segments for part, segments in manifest.segments.items()},
    )


def _discard_manifest(lake: Store, path: str) -> None:
    """Delete the manifest of an earlier landing before its parts are replaced, so that a crash leaves no committed partition."""
    if lake.size(layout.manifest(path)) is not None:
        lake.delete(layout.manifest(path))


def _supersede(lake: Store, path: str, replacement: Mapping[str, str]) -> None:
    """Move the parts of an earlier landing away, named by their content, except those that stay as they are.

    After a crash, repeating it moves what is left.
    """
    alone = (path,) if lake.size(path) is not None else ()

    def supersede(part: str) -> None:
        digest = lake.content(part).sha256
        if replacement.get(part) != digest:
            lake.copy(part, layout.superseded(part, digest))
            lake.delete(part)

    in_threads(supersede, (*alone, *lake.list(layout.shard(path, ""))))
