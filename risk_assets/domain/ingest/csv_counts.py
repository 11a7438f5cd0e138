"""Count the records of a CSV file and find the lines that cannot be read with certainty."""

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec
import numpy as np

from risk_assets.domain.contract.field_rules import CONTROL_ISSUE
from risk_assets.domain.ingest.csv_dialect import Dialect
from risk_assets.domain.ingest.csv_grammar import Block, Positions, Quoting
from risk_assets.domain.ingest.csv_records import MAX_RECORD_BYTES, RecordSplitter

# in order of precedence: a record has one issue
LINE_ISSUES: Mapping[str, str] = MappingProxyType(
    {
        "enclosed": "line: rows inside quotes",
        "ambiguous": "line: ambiguous quotes",
        "control": f"line: {CONTROL_ISSUE}",
        "short": "line: too few fields",
        "long": "line: too many fields",
    }
)


PIECE_BYTES = 16 * 1024 * 1024


class FilePiece(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive whole records of a file: their length in bytes, their number without the header, and the SHA-256 of the bytes."""

    bytes: int
    rows: int
    sha256: str


class FieldCounter:
    """Count the records of a CSV file and the fields of each, from consecutive chunks of its bytes.

    A blank line is a record with one field. The last line end of the file does not start another record.

    Attributes
    ----------
    rows : int
        The number of records after the header.
    issues : dict of str to ndarray of int64
        The positions, from 0, of the records with each of `LINE_ISSUES`; a record has at most one.
    quoting : str or None
        How to read the quotes of the file: as RFC 4180 ("standard"), as data ("none"), or "mixed". None if it has no quotes.
    trailing : bool
        Whether every record has exactly one more field than the header, and that field is empty. Such records are not too long.
    unclosed : bool
        Whether the file ends inside a quote.
    enclosed_rows : int
        The lines inside quotes that look like rows, besides the records that have them. A record has such lines if at least two
        of its lines look like rows, as of `InnerLines.rows`: two stray quotes enclose whole lines.

    pieces : list of FilePiece
        The file in pieces of about `PIECE_BYTES`, in order; the first one begins with the byte order mark and the header.

    All attributes are final after `close`.
    """

    def __init__(self, dialect: Dialect) -> None:
        """Start counting at the first byte of a file."""
        self.pieces: list[FilePiece] = []
        self._piece = _OpenPiece()
        self.rows = -1
        self.quoting: Quoting | None = None
        self.trailing = True
        self.unclosed = False
        self.enclosed_rows = 0
        self.issues: dict[str, Positions] = {}
        self._unclear: list[int] = []
        self._undecodable: tuple[int, int] | None = None
        self._bytes = 0
        self._width = len(dialect.columns)
        self._splitter = RecordSplitter(dialect.grammar)
        self._separator = dialect.separator.encode()
        self._found: dict[str, list[Positions]] = {name: [np.empty(0, np.int64)] for name in LINE_ISSUES}
        self._enclosed = (_EnclosedRows(self._width - 1), _EnclosedRows(self._width))  # the second if rows end in a separator

    def feed(self, chunk: bytes) -> None:
        """Count the next chunk of the file. Chunks may end anywhere, also inside a character or a quoted field."""
        for block in self._splitter.push(chunk):
            self._add(block)

    def close(self) -> None:
        """Finish counting; the last record needs no line end."""
        for block in self._splitter.close():
            self._add(block)
        if self._piece.bytes or not self.pieces:
            self._end_piece()
        self.rows = max(self.rows, 0)
        self.trailing = self.trailing and self.rows > 0
        if self.trailing:
            del self._found["long"][1:]
        enclosed = self._enclosed[self.trailing]
        self.enclosed_rows = enclosed.lines
        self._found["enclosed"].extend(enclosed.records)
        seen = np.empty(0, np.int64)
        for name, found in self._found.items():
            self.issues[name] = np.setdiff1d(np.concatenate(found), seen)
            seen = np.union1d(seen, self.issues[name])

    @property
    def problem(self) -> str | None:
        """Why the file cannot be split into records of text, to follow its name, and how to fix it, without a full stop; None if it can."""
        if self._undecodable:
            position, row = self._undecodable
            return f"is not UTF-8 text: its byte {position}, in row {row}, cannot be decoded. Save it as UTF-8"
        if self._splitter.too_long:
            size = MAX_RECORD_BYTES // 1024**2
            return f"has more than {size} MiB without a line end after row {self.rows}, as after an open quote. Close it"
        if self._unclear:
            return f"has a quote after a line end of another kind in row {self._unclear[0]}: readers differ on where that row ends. Fix it"
        return f"ends inside an open quote, in row {self.rows}. Close it, or complete the file" if self.unclosed else None

    def _add(self, block: Block) -> None:
        counts = block.fields
        self.quoting = common_quoting([self.quoting, block.quoting])
        self._record("ambiguous", block.ambiguous)
        self._record("control", block.control)
        for enclosed in self._enclosed:
            enclosed.add(block, self.rows)
        self._record("short", np.flatnonzero(counts < self._width))
        self._record("long", np.flatnonzero(counts > self._width))
        self.trailing = self.trailing and self._is_trailing(block)
        self.unclosed = block.unclosed
        self._unclear.extend(block.unclear + self.rows + 1)
        text = block.text
        self._add_to_piece(text, len(counts))
        position = _undecodable(text) if self._undecodable is None else None
        if position is not None:
            row = self.rows + 1 + int(np.searchsorted(block.ends, position, side="right"))
            self._undecodable = (self._bytes + position + 1, row)
        self._bytes += len(text)
        self.rows += len(counts)

    def _add_to_piece(self, text: bytes, records: int) -> None:
        if self._piece.bytes >= PIECE_BYTES:
            self._end_piece()
        if self.rows < 0:
            self._piece.add(self._splitter.mark, -1)
            self._bytes += len(self._splitter.mark)
        self._piece.add(text, records)

    def _end_piece(self) -> None:
        self.pieces.append(self._piece.closed())
        self._piece = _OpenPiece()

    def _record(self, name: str, positions: Positions) -> None:
        if len(positions):
            rows = positions + self.rows
            self._found[name].append(rows[rows >= 0])

    def _is_trailing(self, block: Block) -> bool:
        first = 1 if self.rows < 0 else 0
        return bool((block.fields[first:] == self._width + 1).all() and block.empty_at_end()[first:].all())


class _OpenPiece:
    """The piece of a file that is being counted."""

    def __init__(self) -> None:
        self.bytes = 0
        self._rows = 0
        self._hash = hashlib.sha256()

    def add(self, text: bytes, rows: int) -> None:
        self.bytes += len(text)
        self._rows += rows
        self._hash.update(text)

    def closed(self) -> FilePiece:
        return FilePiece(self.bytes, max(self._rows, 0), self._hash.hexdigest())


class _EnclosedRows:
    """Collect the records of which at least two lines look like rows."""

    def __init__(self, separators: int) -> None:
        self.lines = 0
        self.records: list[Positions] = []
        self._separators = separators

    def add(self, block: Block, start: int) -> None:
        """Add the records of a block; `start` is the position of its first one."""
        if not self._separators or not len(block.inner_lines.records):
            return
        records, lines = block.inner_lines.rows(self._separators)
        is_row = records + start >= 0
        self.records.append(records[is_row] + start)
        self.lines += int((lines[is_row] - 1).sum())


def _undecodable(text: bytes) -> int | None:
    """Return the position of the first byte that is not UTF-8 text, or None."""
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            return error.start
    return None


def count_fields(dialect: Dialect, chunks: Iterable[bytes]) -> FieldCounter:
    """Count the records and fields of a whole file."""
    counter = FieldCounter(dialect)
    for chunk in chunks:
        counter.feed(chunk)
    counter.close()
    return counter


def common_quoting(quotings: Iterable[Quoting | None]) -> Quoting | None:
    """Return how to read the quotes of several blocks or files together; None is without quotes and fits any."""
    found = {quoting for quoting in quotings if quoting is not None}
    return "mixed" if len(found) > 1 else found.pop() if found else None
