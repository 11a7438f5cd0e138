"""The parts of a landed file: read, measured before anything is written, and copied to the raw zone."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Protocol, TypeVar

import msgspec

from risk_assets.domain.ingest.csv_counts import LINE_ISSUES, FieldCounter, FilePiece, common_quoting, count_fields
from risk_assets.domain.ingest.csv_dialect import Dialect, difference, read_dialect, require_header
from risk_assets.domain.ingest.csv_grammar import Quoting
from risk_assets.errors import LandingError, RemovedError
from risk_assets.lake.facts import RaggedRows, RawFacts
from risk_assets.lake.hashing import Content, HashedChunks, Segment
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.parallel import SMALL_REQUESTS, in_guarded_batches, in_order
from risk_assets.lake.store import Entry, Store

SMALL_BYTES = 1024 * 1024
KEPT_BYTES = 64 * 1024 * 1024
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

    @property
    def again(self) -> str:
        """What to do after a part was fixed, to follow what fixes it."""
        return "land it again" if len(self.parts) == 1 else "land all shards of the date again"


class PartCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a part contains, as numbers, hashes and positions.

    Attributes
    ----------
    segments
        The lengths and hashes of its bytes.
    rows, enclosed_rows, quoting, pieces
        As of `FieldCounter`.
    lines
        The number of lines with each issue, by the names of `LINE_ISSUES`.
    ragged
        The positions of these lines in the part, from 0; None if there are more than a manifest stores.
    problem
        As of `FieldCounter`: why the part cannot be split into records of text, and how to fix it; None if it can.
    """

    segments: tuple[Segment, ...]
    rows: int
    enclosed_rows: int
    quoting: Quoting | None
    pieces: tuple[FilePiece, ...]
    lines: dict[str, int]
    ragged: RaggedRows | None
    problem: str | None

    @property
    def content(self) -> Content:
        """The content of the part."""
        return Content(self.segments)


@dataclass(frozen=True)
class Measured:
    """The dialect of a landed file, and what its parts contain, in order."""

    dialect: Dialect
    parts: Sequence[PartCounts]

    def facts(self, source: str) -> RawFacts:
        """Return the facts of the raw file; `source` is where it landed."""
        lines = {name: sum(part.lines[name] for part in self.parts) for name in LINE_ISSUES}
        return RawFacts(
            source=source,
            separator=self.dialect.separator,
            eol=self.dialect.eol,
            quoting=common_quoting(part.quoting for part in self.parts) or "standard",
            short_lines=lines["short"],
            long_lines=lines["long"],
            ambiguous_lines=lines["ambiguous"],
            control_lines=lines["control"],
            enclosed_lines=lines["enclosed"],
            enclosed_rows=sum(part.enclosed_rows for part in self.parts),
            ragged=self._ragged() if sum(lines.values()) <= MAX_RAGGED_ROWS else None,
            pieces=tuple(piece for part in self.parts for piece in part.pieces),
        )

    def _ragged(self) -> RaggedRows:
        """Return the positions of lines with issues, numbered over all parts."""
        found: dict[str, list[int]] = {name: [] for name in LINE_ISSUES}
        for part, start in zip(self.parts, accumulate((part.rows for part in self.parts), initial=0), strict=False):
            for name, rows in found.items():
                rows.extend(start + row for row in getattr(part.ragged, name))
        return msgspec.convert(found, RaggedRows)


class PartWork(Protocol):
    """Who measures and copies the parts of a landed file: this process, or executors."""

    @property
    def engine(self) -> str:
        """Who does it, as it is shown."""

    @property
    def lake(self) -> Store:
        """The lake that gets the copies."""

    @property
    def landed(self) -> LandedFile:
        """The landed file."""

    def measure(self) -> Measured:
        """Read each part once. Nothing is written to the raw zone.

        Raises
        ------
        LandingError
            For the first part whose header is not valid or not that of the first part; otherwise the first that cannot be split
            into records of text.
        """

    def copy(self, targets: Mapping[str, tuple[str, Content]], guard: Guard = no_guard) -> None:
        """Copy each part to a path of the lake.

        Parameters
        ----------
        targets
            The path in the lake and the measured content of each part.
        guard
            Keeps other writers out while parts are replaced; raises if one has taken over the path.

        Raises
        ------
        LandingError
            If a part is removed, or changed since it was measured. Its copy is not visible then.
        """


class OwnParts:
    """The parts of a landed file, which this process measures and copies."""

    engine = "local"

    def __init__(self, lake: Store, landed: LandedFile) -> None:
        """Begin with nothing read."""
        self.lake, self.landed = lake, landed
        self._reader = PartReader(landed)

    def measure(self) -> Measured:
        """Read each part once; raises as `PartWork`."""
        reader, parts = self._reader, self.landed.parts
        dialect = first_dialect(reader)
        reader.each(lambda part: require_dialect(reader, part, dialect, parts[0]), parts[1:])
        counts = reader.each(lambda part: require_records(self.landed, part, count_part(reader, part, dialect)), parts)
        return Measured(dialect, counts)

    def copy(self, targets: Mapping[str, tuple[str, Content]], guard: Guard = no_guard) -> None:
        """Copy each part: small ones several at a time, in guarded batches."""
        reader = self._reader

        def unchanged(part: str) -> Iterator[bytes]:
            chunks = HashedChunks(reader.chunks(part))
            yield from chunks
            require_unchanged(reader.uri(part), chunks.content, targets[part][1])  # before the write completes

        def copy_small(part: str) -> None:
            self.lake.put(targets[part][0], b"".join(unchanged(part)))

        for part in (part for part in targets if part not in reader.small):
            self.lake.write(targets[part][0], unchanged(part), guard)
        in_guarded_batches(copy_small, [part for part in targets if part in reader.small], guard)


class PartReader:
    """Reads the parts of a landed file: small ones several at a time. Those that fit into memory are read once, and kept."""

    def __init__(self, landed: LandedFile) -> None:
        """Begin with nothing read."""
        self.landed = landed
        entries = [entry for entry in landed.found if entry.size <= SMALL_BYTES and len(landed.found) > 1]
        self.small = frozenset(entry.path for entry in entries)
        self._keeps = frozenset(_within(KEPT_BYTES, entries))
        self._kept: dict[str, bytes] = {}

    def each(self, function: Callable[[str], T], parts: Sequence[str]) -> list[T]:
        """Return the results of a function for parts, in order: for small ones in threads. Raises the first error in order."""
        with closing(in_order(function, [part for part in parts if part in self.small], SMALL_REQUESTS)) as small:
            return [next(small) if part in self.small else function(part) for part in parts]

    def head(self, part: str, length: int) -> bytes:
        """Return the first bytes of a part."""
        if part in self._keeps:
            return self._whole(part)[:length]
        try:
            return self.landed.store.get_range(part, 0, length)
        except FileNotFoundError:
            raise removed(self.uri(part)) from None

    def chunks(self, part: str) -> Iterator[bytes]:
        """Yield the bytes of a part."""
        if part in self._keeps:
            yield self._whole(part)
            return
        try:
            yield from self.landed.store.chunks(part)
        except FileNotFoundError:
            raise removed(self.uri(part)) from None

    def uri(self, part: str) -> str:
        """Return the address of a part."""
        return self.landed.store.uri(part)

    def _whole(self, part: str) -> bytes:
        """Return the bytes of a part that is kept."""
        if part not in self._kept:
            try:
                self._kept[part] = self.landed.store.get(part)
            except FileNotFoundError:
                raise removed(self.uri(part)) from None
        return self._kept[part]


def first_dialect(reader: PartReader) -> Dialect:
    """Return the dialect of the first part, which all parts share; raises `LandingError` if its header is not valid."""
    return _dialect(reader, reader.landed.parts[0])


def require_dialect(reader: PartReader, part: str, dialect: Dialect, first: str) -> None:
    """Verify that a part has a valid header and the dialect of the first part; otherwise raise `LandingError`."""
    if differs := difference(_dialect(reader, part), dialect):
        raise LandingError(
            f"{reader.uri(part)} has {differs}, compared with {first}: the shards of a date must agree. Fix the shard, land all shards of "
            "the date again, and run again."
        )


def count_part(reader: PartReader, part: str, dialect: Dialect) -> PartCounts:
    """Read a part once, and return what it contains."""
    chunks = HashedChunks(reader.chunks(part))
    counter = count_fields(dialect, chunks)
    lines = {name: len(rows) for name, rows in counter.issues.items()}
    return PartCounts(
        segments=chunks.content.segments,
        rows=counter.rows,
        enclosed_rows=counter.enclosed_rows,
        quoting=counter.quoting,
        pieces=tuple(counter.pieces),
        lines=lines,
        ragged=_positions(counter) if sum(lines.values()) <= MAX_RAGGED_ROWS else None,
        problem=counter.problem,
    )


def require_records(landed: LandedFile, part: str, counts: PartCounts) -> PartCounts:
    """Return what a part contains; raises `LandingError` if it cannot be split into records of text."""
    if counts.problem:
        raise LandingError(f"{landed.store.uri(part)} {counts.problem}, {landed.again}, and run again.")
    return counts


def require_same_shards(landed: LandedFile) -> None:
    """Verify that a folder has the shards that were found, in the same versions; otherwise raise `LandingError`."""
    folder, is_shard, _ = landed.parts[0].partition("/")
    if not is_shard or not landed.found:
        return
    now = [(entry.path, entry.version) for entry in landed.store.entries(f"{folder}/") if entry.path.endswith(".csv")]
    if now != [(entry.path, entry.version) for entry in landed.found]:
        raise LandingError(f"{landed.store.uri(folder)} changed while it was read. Run the date again when it has landed completely.")


def require_unchanged(uri: str, content: Content, measured: Content) -> None:
    """Verify that the copied bytes of a part are the measured ones; otherwise raise `LandingError`."""
    if content != measured:
        raise LandingError(f"{uri} changed while it was copied. Run the date again when it has landed completely.")


def removed(uri: str) -> RemovedError:
    """Return the error of a part that no longer exists."""
    return RemovedError(f"{uri} was removed while it was read. Run the date again when all of its files have landed.")


def _dialect(reader: PartReader, part: str) -> Dialect:
    expected = reader.landed.expected
    dialect = read_dialect(partial(reader.head, part), reader.uri(part), expected)
    require_header(dialect.columns, expected, reader.uri(part))
    return dialect


def _positions(counter: FieldCounter) -> RaggedRows:
    return msgspec.convert({name: rows.tolist() for name, rows in counter.issues.items()}, RaggedRows)


def _within(limit: int, entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the paths of entries until their sizes exceed a limit."""
    for entry in entries:
        limit -= entry.size
        if limit < 0:
            return
        yield entry.path
