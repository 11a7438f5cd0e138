"""Detect the dialect of a CSV file from its header."""

import codecs
import csv
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from risk_assets.domain.ingest.csv_grammar import Grammar
from risk_assets.errors import LandingError

HEAD_BYTES = 4 * 1024 * 1024
MAX_SHOWN = 5  # columns in a message
SEPARATORS = (",", ";", "\t", "|")
_HEADS = (64 * 1024, 512 * 1024, HEAD_BYTES)
_QUOTED = re.compile(r'"[^"]*"')
_EOL = re.compile(rb"[\r\n]")
_SURROGATE = re.compile("[\ud800-\udfff]")
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

    @cached_property
    def grammar(self) -> Grammar:
        """The grammar of the file."""
        return Grammar(self.separator, self.eol)


def read_dialect(head: Callable[[int], bytes], name: str, expected: Collection[str] = ()) -> Dialect:
    """Detect the dialect of a file from its header, which can have up to `HEAD_BYTES` bytes.

    Parameters
    ----------
    head : Callable[[int], bytes]
        Returns the first bytes of the file, at most this many. It is called with larger numbers until the header is complete.
    name, expected
        As of `sniff`, which describes the result and the errors.
    """
    for size in _HEADS:
        content = head(size)
        end = _header_end(content.decode("utf-8", "replace").removesuffix("\r"))  # a CRLF may be cut
        if end or len(content) < size:
            break
    return _detect(content, name, expected, is_whole=len(content) < size)


def require_header(columns: Collection[str], expected: Collection[str], name: str) -> None:
    """Verify that a header has an expected column; otherwise its names may be a customer's values, which must not be published.

    Raises
    ------
    LandingError
        If there is none: the file has no header, or one in other upper or lower case.
    """
    if not expected or not set(expected).isdisjoint(columns):
        return
    require_case(expected, columns, name)
    raise LandingError(
        f"{name} seems to have no header: its first line has none of the columns of the contract. Make the line with the column "
        "names its first line, land it again and run again. If it has that line, set RISK_CONTRACT to the contract of this file."
    )


def require_case(missing: Collection[str], columns: Collection[str], name: str) -> None:
    """Raise `LandingError` if a header has all of the missing columns in other upper or lower case."""
    found = {column.casefold() for column in columns}
    if all(column.casefold() in found for column in missing):
        shown = ", ".join(list(missing)[:MAX_SHOWN]) + (f" and {len(missing) - MAX_SHOWN} more" if len(missing) > MAX_SHOWN else "")
        raise LandingError(
            f"{name} has {shown} in other upper or lower case than the contract. Write the names in the same case in the file, or in "
            "the contract."
        )


def difference(found: Dialect, first: Dialect) -> str | None:
    """Return how a dialect differs from that of the first file, to follow "has"; None if both are the same. LF and CRLF are."""
    if found.separator != first.separator:
        return "another separator"
    if found.eol != first.eol:
        return "line ends of another kind (CR alone)" if found.eol == "\r" else "line ends of another kind (not CR alone)"
    if found.columns == first.columns:
        return None
    same = sorted(found.columns) == sorted(first.columns)
    return "the same columns in another order" if same else "a header with other columns"


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
        When the file is empty, or has no valid header of UTF-8 text.
    """
    return _detect(head[:HEAD_BYTES], name, expected, is_whole=len(head) < HEAD_BYTES)


def _detect(head: bytes, name: str, expected: Collection[str], *, is_whole: bool) -> Dialect:
    record, eol = _header(_decode(head, name), name, is_whole=is_whole)
    unquoted = _QUOTED.sub("", record)
    names = {separator: _names(record, separator) for separator in SEPARATORS}

    def fit(separator: str) -> tuple[int, int]:
        return len(set(expected).intersection(names[separator])), unquoted.count(separator)

    separator = max(SEPARATORS, key=fit)
    dialect = Dialect(separator, eol, _unique(names[separator]))
    if not names[separator] or not _has_fields(record, dialect):
        raise LandingError(f"{name} has a quote in the middle of a column name, or after a blank before it. Remove it and run again.")
    return dialect


def _has_fields(record: str, dialect: Dialect) -> bool:
    """Return whether the header has as many fields in the grammar of the file as it has names."""
    records = list(dialect.grammar.records(record.encode(), final=True))
    return len(records) == 1 and records[0].closed and len(records[0].fields) == len(dialect.columns)


def _decode(head: bytes, name: str) -> str:
    """Return the first bytes of a file as text. Bytes that are not UTF-8 are surrogates: only the header matters here."""
    if b"\0" in _EOL.split(head, maxsplit=1)[0] or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise LandingError(f"{name} is not UTF-8 text but UTF-16, a workbook or a compressed file. Export it as CSV and save it as UTF-8.")
    return head.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def _header(text: str, name: str, *, is_whole: bool) -> tuple[str, str]:
    """Return the header record and the line end."""
    if not text.strip():
        raise LandingError(f"{name} is empty. Its first line must be a header with the column names.")
    end = _header_end(text)
    record = text[: end.start()] if end else text.removesuffix("\r") if is_whole else text
    if not record.strip(" "):
        raise LandingError(f"{name} starts with a blank line. Its first line must be a header with the column names.")
    if record.count('"') % 2:
        raise LandingError(f"{name} has an unclosed quote in its header. Close it and run again.")
    if end is None and not is_whole:
        raise LandingError(
            f"{name} has no line end in its first {HEAD_BYTES // 1024**2} MiB. Export it as CSV with a header and run again."
        )
    if _SURROGATE.search(record):
        raise LandingError(f"{name} is not UTF-8 text: its header cannot be decoded. Save it as UTF-8, and run again.")
    return record, "\r" if end and end[0] == "\r" else "\n"


def _header_end(text: str) -> re.Match[str] | None:
    """Return the first line end outside quotes."""
    return next((found for found in _QUOTED_OR_EOL.finditer(text) if found[0][0] != '"'), None)


def _names(record: str, separator: str) -> tuple[str, ...]:
    """Return the column names, or none if the record is malformed."""
    try:
        (fields,) = csv.reader([record], delimiter=separator, skipinitialspace=True)
    except csv.Error:
        return ()
    stripped = [field.strip() for field in fields]
    return tuple(field or f"unnamed_{position}" for position, field in enumerate(stripped, start=1))


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    unique: dict[str, None] = {}
    repeats: dict[str, int] = {}
    for name in names:
        candidate = name
        while candidate in unique:
            repeats[name] = repeats.get(name, 1) + 1
            candidate = f"{name}#{repeats[name]}"
        unique[candidate] = None
    return tuple(unique)
