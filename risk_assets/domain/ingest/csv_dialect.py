"""Detect the dialect of a CSV file, and count its records and their fields."""

import codecs
import csv
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_assets.errors import LandingError

HEAD_BYTES = 64 * 1024
SEPARATORS = (",", ";", "\t", "|")
_BLOCK_BYTES = 1024 * 1024
_QUOTE = ord('"')
_QUOTED = re.compile(r'"[^"]*"')
_QUOTED_OR_EOL = re.compile(r'"[^"]*(?:"|\Z)|\r\n?|\n')


@dataclass(frozen=True)
class Dialect:
    """The dialect of a CSV file.

    Attributes
    ----------
    separator : str
        One of `SEPARATORS`.
    eol : str
        The last byte of a line end: `\\n` for LF and CRLF, `\\r` for CR.
    columns : tuple of str
        The column names, without duplicates.
    """

    separator: str
    eol: str
    columns: tuple[str, ...]


def sniff(head: bytes, name: str, expected: Collection[str] = ()) -> Dialect:
    """Detect the dialect from the first bytes of a CSV file.

    The separator is the one that yields the most `expected` columns; ties go to the one that occurs most often in the
    header outside quotes. A column without a name becomes `unnamed_<position>`. A repeated name gets the suffix `#2`,
    `#3` and so on.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` bytes of the file, or the whole file if it is shorter.
    name : str
        The file, for messages.
    expected : Collection[str]
        Columns that the file should have.

    Raises
    ------
    LandingError
        When the file is empty, is not UTF-8 text, or has no valid header.
    """
    record, eol = _header(_decode(head[:HEAD_BYTES], name), name, cut=len(head) >= HEAD_BYTES)
    unquoted = _QUOTED.sub("", record)
    names = {separator: _names(record, separator) for separator in SEPARATORS}

    def fit(separator: str) -> tuple[int, int]:
        return len(set(expected).intersection(names[separator])), unquoted.count(separator)

    separator = max(SEPARATORS, key=fit)
    if not names[separator]:
        raise LandingError(f"{name} has a quote in the middle of a column name. Remove it and land the file again.")
    return Dialect(separator, eol, names[separator])


class FieldCounter:
    """Count the records of a CSV file and the fields of each, from consecutive chunks of its bytes.

    Separators and line ends after an odd number of quotes are text. A blank line is a record with one field. The last
    line end of the file does not start another record.

    Attributes
    ----------
    rows : int
        The number of records after the header.
    short_rows, long_rows : ndarray of int64
        The positions, from 0, of the records with fewer and with more fields than the header.
    unclosed : bool
        Whether the file ends inside a quote.
    padded : bool
        Whether a blank is next to a separator, a line end or a quote, so that values may need stripping.

    All attributes are final after `close`.
    """

    def __init__(self, dialect: Dialect) -> None:
        """Start counting at the first byte of a file."""
        self.rows = 0
        self.short_rows: NDArray[np.int64] = np.empty(0, np.int64)
        self.long_rows: NDArray[np.int64] = np.empty(0, np.int64)
        self.unclosed = False
        self.padded = False
        self._width = len(dialect.columns)
        self._eol = ord(dialect.eol)
        self._text = bytes(set(range(256)) - {self._eol, ord(dialect.separator), _QUOTE})
        self._edges = {blank: _edges(blank, dialect.separator.encode()) for blank in (b" ", b"\t") if blank != dialect.separator.encode()}
        self._last = b""
        self._header_read = False
        self._separators = 0
        self._in_record = False
        self._short_rows = [self.short_rows]
        self._long_rows = [self.long_rows]

    @property
    def short(self) -> int:
        """The number of records with fewer fields than the header."""
        return len(self.short_rows)

    @property
    def long(self) -> int:
        """The number of records with more fields than the header."""
        return len(self.long_rows)

    def feed(self, chunk: bytes) -> None:
        """Count the next chunk of the file. Chunks may end anywhere, also inside a character or a quoted field."""
        for start in range(0, len(chunk), _BLOCK_BYTES):
            self._count(chunk[start : start + _BLOCK_BYTES])
        self.padded = self.padded or self._has_padding(self._last + chunk[:1]) or self._has_padding(chunk)
        self._last = chunk[-1:]

    def close(self) -> None:
        """Finish counting; the last record needs no line end."""
        if self._in_record:
            self._add(np.array([self._separators + 1]))
            self._in_record = False
        self.padded = self.padded or self._last in self._edges
        self.short_rows = np.concatenate(self._short_rows)
        self.long_rows = np.concatenate(self._long_rows)

    def _has_padding(self, text: bytes) -> bool:
        return any(blank in text and any(edge in text for edge in edges) for blank, edges in self._edges.items())

    def _count(self, block: bytes) -> None:
        # translate removes all text at memory speed; what is left to process is small: separators, line ends and quotes
        marks = np.frombuffer(block.translate(None, self._text), np.uint8)
        if self.unclosed or b'"' in block:
            marks = self._outside_quotes(marks)
        ends = np.flatnonzero(marks == self._eol)
        if len(ends):
            fields = np.diff(ends, prepend=-1)
            fields[0] += self._separators
            self._add(fields)
            self._separators = len(marks) - 1 - int(ends[-1])
        else:
            self._separators += len(marks)
        self._in_record = self.unclosed or block[-1] != self._eol

    def _outside_quotes(self, marks: NDArray[np.uint8]) -> NDArray[np.uint8]:
        quotes = marks == _QUOTE
        seen = np.cumsum(quotes) + self.unclosed
        if len(seen):
            self.unclosed = bool(seen[-1] % 2)
        outside: NDArray[np.uint8] = marks[(seen % 2 == 0) & ~quotes]
        return outside

    def _add(self, fields: NDArray[np.int64]) -> None:
        records = fields if self._header_read else fields[1:]
        self._header_read = True
        self._short_rows.append(np.flatnonzero(records < self._width) + self.rows)
        self._long_rows.append(np.flatnonzero(records > self._width) + self.rows)
        self.rows += len(records)


def count_fields(dialect: Dialect, chunks: Iterable[bytes]) -> FieldCounter:
    """Count the records and fields of a whole file."""
    counter = FieldCounter(dialect)
    for chunk in chunks:
        counter.feed(chunk)
    counter.close()
    return counter


def _edges(blank: bytes, separator: bytes) -> tuple[bytes, ...]:
    """Return the byte pairs that show a blank at the edge of a field."""
    sides = (separator, b"\n", b"\r", b'"')
    return tuple(pair for side in sides for pair in (blank + side, side + blank))


def _decode(head: bytes, name: str) -> str:
    if b"\0" in head or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise LandingError(f"{name} is not UTF-8 text but UTF-16, a workbook or a compressed file. Export it as CSV and save it as UTF-8.")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        # a full head may end inside a character
        return decoder.decode(head, final=len(head) < HEAD_BYTES).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise LandingError(
            f"{name} is not UTF-8 text: cannot decode byte {error.start + 1}. Save it as UTF-8 and land it again."
        ) from error


def _header(text: str, name: str, *, cut: bool) -> tuple[str, str]:
    """Return the header record and the line end; `cut` if the file continues after `text`."""
    if not text.strip():
        raise LandingError(f"{name} is empty. Its first line must be a header with the column names.")
    end = next((found for found in _QUOTED_OR_EOL.finditer(text) if found[0][0] != '"'), None)
    record = text[: end.start()] if end else text
    if not record.strip(" "):
        raise LandingError(f"{name} starts with a blank line. Its first line must be a header with the column names.")
    if record.count('"') % 2:
        raise LandingError(f"{name} has an unclosed quote in its header. Close it and land the file again.")
    if end is None and cut:
        raise LandingError(
            f"{name} has no line end in its first {HEAD_BYTES // 1024} KiB. Export it as CSV with a header and land it again."
        )
    return record, "\r" if end and end[0] == "\r" else "\n"


def _names(record: str, separator: str) -> tuple[str, ...]:
    """Return the column names, or none if the record is malformed."""
    try:
        (fields,) = csv.reader([record], delimiter=separator, skipinitialspace=True)
    except csv.Error:
        return ()
    stripped = [field.strip() for field in fields]
    return _unique([field or f"unnamed_{position}" for position, field in enumerate(stripped, start=1)])


def _unique(names: list[str]) -> tuple[str, ...]:
    unique: dict[str, None] = {}
    for name in names:
        repeats = 2
        candidate = name
        while candidate in unique:
            candidate = f"{name}#{repeats}"
            repeats += 1
        unique[candidate] = None
    return tuple(unique)
