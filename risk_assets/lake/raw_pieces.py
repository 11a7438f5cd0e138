"""Raw files in pieces of whole records, which are read and verified one by one: the unit of work of a date."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
import polars as pl

from risk_assets.domain.ingest import csv_counts
from risk_assets.domain.ingest.csv_counts import LINE_ISSUES, FieldCounter, FilePiece, common_quoting, count_fields
from risk_assets.domain.ingest.csv_dialect import Dialect
from risk_assets.domain.ingest.csv_grammar import Positions, Quoting
from risk_assets.domain.ingest.csv_records import BOM, split_records
from risk_assets.domain.wording import row_of
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.csv_scan import mark_lines, scan_mixed, scan_text, scan_typed
from risk_assets.lake.facts import RawFacts
from risk_assets.lake.hashing import sha256
from risk_assets.lake.manifests import Manifest
from risk_assets.lake.objects import CHUNK_BYTES
from risk_assets.lake.parallel import in_threads
from risk_assets.lake.store import Store
from risk_assets.lake.verification import verified_files

NO_HEADER = -1  # the start of joined pieces


@dataclass(frozen=True)
class Piece:
    """Consecutive whole records of a part of a raw file.

    Attributes
    ----------
    part
        The path of the part.
    start, bytes
        The position of its first byte in the part, and its length. The first piece of a part begins with the header.
    first_row, rows
        The number of its first row in the raw file, from 0 over all parts, and the number of its rows.
    sha256
        The hash of its bytes.
    """

    part: str
    start: int
    bytes: int
    first_row: int
    rows: int
    sha256: str


@dataclass(frozen=True)
class RawFile:
    """How to read a raw file: its dialect and quoting, the rows with each issue of a line by the names of `LINE_ISSUES`, its pieces.

    `unclean` is set once a piece has a cell that the reader cannot parse: others have, too, and are not read twice.
    """

    path: str
    dialect: Dialect
    quoting: Quoting
    issues: Mapping[str, Positions]
    pieces: tuple[Piece, ...]
    unclean: Event = field(default_factory=Event, repr=False, compare=False)


def raw_file(store: Store, manifest: Manifest) -> RawFile:
    """Return how to read the raw file of a manifest.

    Its parts are read only if the manifest does not describe its pieces or the rows with issues: an earlier release wrote it, or
    there are many such rows.

    Raises
    ------
    LakeError
        If the parts are read and are not those of the manifest.
    """
    facts = manifest.facts_as(RawFacts)
    dialect = Dialect(facts.separator, facts.eol, manifest.columns)
    if facts.quoting is None or facts.ragged is None or facts.pieces is None:
        counters = count_again(verified_files(store, manifest), manifest, dialect)
        found = [piece for counter in counters for piece in counter.pieces]
        return RawFile(manifest.path, dialect, quoting_of(counters), line_issues(counters), tuple(_placed(manifest, found)))
    stored = {name: np.array(getattr(facts.ragged, name), np.int64) for name in LINE_ISSUES}
    return RawFile(manifest.path, dialect, facts.quoting, stored, tuple(_placed(manifest, facts.pieces)))


def read_piece(store: Store, piece: Piece) -> bytes:
    """Return the bytes of a piece; raises `LakeError` if they are not the ones that were stored."""
    try:
        content = store.get_range(piece.part, piece.start, piece.bytes)
    except FileNotFoundError:
        raise LakeError(f"{piece.part} is missing. {layout.how_to_make(piece.part)}") from None
    if sha256(content) != piece.sha256:
        raise LakeError(f"{piece.part} was changed since it was written. {layout.how_to_make(piece.part)}")
    return content


@dataclass(frozen=True)
class PieceCells:
    """The cells of a piece of a raw file, as of `typed_rows.Cells`."""

    raw: RawFile
    piece: Piece
    content: bytes

    @property
    def numbers(self) -> pl.Series:
        """The numbers of the rows in the file, from 1."""
        first = self.piece.first_row + 1
        return pl.int_range(first, first + self.piece.rows, eager=True)

    @property
    def can_be_typed(self) -> bool:
        """Whether the reader can parse numbers."""
        return self.raw.quoting != "mixed"

    @property
    def marked(self) -> Iterable[Positions]:
        """The rows whose line has an issue, by issue."""
        return piece_issues(self.raw, self.piece).values()

    def read(self, types: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
        """Return columns; a number that cannot be parsed and a text that is not UTF-8 are null."""
        return self._typed(types, strict=False)

    def read_clean(self, types: Mapping[str, type[pl.DataType]]) -> pl.DataFrame | None:
        """Return columns if only empty numbers are null; None if the reader cannot parse a cell, of this piece or an earlier one."""
        if self.raw.unclean.is_set():
            return None
        try:
            return self._typed(types, strict=True)
        except pl.exceptions.ComputeError:  # its message quotes a cell
            self.raw.unclean.set()
            return None

    def _typed(self, types: Mapping[str, type[pl.DataType]], *, strict: bool) -> pl.DataFrame:
        header = self.piece.start == 0
        return scan_typed(self.content, self.raw.dialect, self.raw.quoting, types, header=header, strict=strict).collect()

    def text(self, rows: Positions | None = None) -> pl.LazyFrame:
        """Return all rows, or some in ascending order, as text."""
        if rows is None:
            return piece_text(self.raw, self.piece, self.content)
        issues = piece_issues(self.raw, self.piece)
        chosen = {name: np.flatnonzero(np.isin(rows, found)) for name, found in issues.items()}
        frame = scan_text([self._records(rows)], self.raw.dialect, self.raw.quoting, header=False)
        return mark_lines(frame, chosen)

    def _records(self, rows: Positions) -> bytes:
        """Return the bytes of some rows."""
        header = int(self.piece.start == 0)
        wanted, found, first = rows + header, [], 0
        for block in split_records(self.raw.dialect.grammar, [self.content]):
            starts, ends = np.concatenate([[0], block.ends[:-1]]), block.ends
            inside = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, first + len(ends))] - first
            found += [block.text[starts[row] : ends[row]] for row in inside]
            first += len(ends)
        return b"".join(found)


def grouped(pieces: Iterable[Piece]) -> Iterator[tuple[Piece, ...]]:
    """Yield consecutive pieces in groups of at most `PIECE_BYTES`: a table costs as much time for a small piece as for a large one."""
    group: list[Piece] = []
    size = 0
    for piece in pieces:
        if group and size + piece.bytes > csv_counts.PIECE_BYTES:
            yield tuple(group)
            group, size = [], 0
        group.append(piece)
        size += piece.bytes
    if group:
        yield tuple(group)


def read_group(store: Store, raw: RawFile, group: Sequence[Piece]) -> tuple[Piece, bytes]:
    """Return consecutive pieces as one, and its bytes, without the headers between them; raises `LakeError` as `read_piece`."""
    first = group[0]
    if len(group) == 1:
        return first, read_piece(store, first)
    contents = in_threads(lambda piece: read_piece(store, piece), group)
    end = raw.dialect.eol.encode()
    records = [_without_header(raw, content) if piece.start == 0 else content for piece, content in zip(group, contents, strict=True)]
    joined = b"".join(part if part.endswith(end) or not part else part + end for part in records)
    return Piece(first.part, NO_HEADER, len(joined), first.first_row, sum(piece.rows for piece in group), ""), joined


def _without_header(raw: RawFile, content: bytes) -> bytes:
    """Return the records after the first one."""
    block = next(split_records(raw.dialect.grammar, [content]))
    mark = len(BOM) if content.startswith(BOM) else 0
    return content[mark + int(block.ends[0]) :]


def piece_text(raw: RawFile, piece: Piece, content: bytes) -> pl.LazyFrame:
    """Return the columns of a piece as text, and `RAGGED`: null, or why the line cannot be read with certainty."""
    return mark_lines(_scan(raw, piece, content), piece_issues(raw, piece))


def piece_issues(raw: RawFile, piece: Piece) -> dict[str, Positions]:
    """Return the rows of a piece with each issue of a line, numbered from 0 within the piece; positions are sorted."""
    found = {}
    for name, rows in raw.issues.items():
        start, end = np.searchsorted(rows, (piece.first_row, piece.first_row + piece.rows))
        found[name] = rows[start:end] - piece.first_row
    return found


def count_again(files: Iterable[Path], manifest: Manifest, dialect: Dialect) -> list[FieldCounter]:
    """Count the parts of a raw file again; raises `LakeError` if the number of rows is not the one of the manifest."""
    counters = [count_fields(dialect, chunks_of(file)) for file in files]
    if sum(counter.rows for counter in counters) != manifest.rows:
        raise LakeError(f"{manifest.path} does not match its manifest. {layout.how_to_make(manifest.path)}")
    return counters


def quoting_of(counters: Iterable[FieldCounter]) -> Quoting:
    """Return how to read the quotes of all parts."""
    return common_quoting(counter.quoting for counter in counters) or "standard"


def line_issues(counters: Iterable[FieldCounter]) -> Mapping[str, Positions]:
    """Return the rows with each issue of a line, numbered over all parts."""
    start = 0
    found: dict[str, list[Positions]] = {name: [np.empty(0, np.int64)] for name in LINE_ISSUES}
    for counter in counters:
        for name, rows in counter.issues.items():
            found[name].append(rows + start)
        start += counter.rows
    return {name: np.concatenate(rows) for name, rows in found.items()}


def first_issues(manifest: Manifest) -> dict[str, str]:
    """Return where each issue of a line is first, by issue: "row 7", with its part if there are several.

    Empty if the manifest does not have the positions.
    """
    facts = manifest.facts_as(RawFacts)
    if facts.ragged is None or facts.pieces is None:
        return {}
    pieces = [*_placed(manifest, facts.pieces)]
    found = {issue: getattr(facts.ragged, name) for name, issue in LINE_ISSUES.items()}
    return {issue: _place(manifest, pieces, min(rows)) for issue, rows in found.items() if rows}


def _place(manifest: Manifest, pieces: Sequence[Piece], row: int) -> str:
    part = next(piece.part for piece in reversed(pieces) if piece.first_row <= row)
    start = next(piece.first_row for piece in pieces if piece.part == part)
    return row_of(row - start, part.rpartition("/")[2] if len(manifest.parts) > 1 else None)


def _placed(manifest: Manifest, pieces: Iterable[FilePiece]) -> Iterator[Piece]:
    """Yield the pieces of all parts with their places."""
    rest = iter(pieces)
    row = 0
    for part, size in manifest.parts.items():
        start = 0
        while start < size:
            piece = next(rest)
            yield Piece(part, start, piece.bytes, row, piece.rows, piece.sha256)
            start, row = start + piece.bytes, row + piece.rows


def _scan(raw: RawFile, piece: Piece, content: bytes) -> pl.LazyFrame:
    header = piece.start == 0
    if raw.quoting == "mixed":
        return scan_mixed([partial(iter, (content,))], raw.dialect, header=header)
    return scan_text([content], raw.dialect, raw.quoting, header=header)


def chunks_of(file: Path) -> Iterator[bytes]:
    """Yield the bytes of a file on this machine."""
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk
