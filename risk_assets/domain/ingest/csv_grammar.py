"""The grammar of CSV files: RFC 4180, and a quote inside an unquoted field is data.

- A field that starts with a quote ends at the next quote that is not doubled. Text after that quote is part of the field.
- Any other field ends at the next separator or line end.

Text is split with numpy if that is provably the same: every quote opens a field, closes it or is doubled, or no field starts with
a quote. Other text is split field by field.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Quoting: TypeAlias = Literal["standard", "none", "mixed"]
Positions: TypeAlias = NDArray[np.int64]

_BLANKS = b" \t"
_CR, _LF, _QUOTE = b'\r\n"'


@dataclass(frozen=True)
class Record:
    """A record that was split field by field.

    Attributes
    ----------
    fields
        The values, without the quotes around them.
    end
        The position after its line end.
    ambiguous
        Whether CSV readers differ on its quotes, or a quote follows leading blanks.
    control
        Whether it has a NUL byte, or a line end of another kind outside quotes.
    closed
        Whether its last quoted field is closed.
    clear
        Whether its end is certain. A quote after a line end of another kind makes it uncertain: for some readers that quote
        opens a field, in which line ends are text.
    lines
        The number of separators in each of its lines, as of `InnerLines`, if a quoted field has line ends; else empty.
    """

    fields: list[bytes]
    end: int
    ambiguous: bool
    control: bool
    closed: bool = True
    clear: bool = True
    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class InnerLines:
    """The lines of those records of a block that have several: the position of the record, and the number of separators.

    Separators that a blank follows do not count: text has them, as in sentences and addresses, and rows seldom do.
    """

    records: Positions
    separators: Positions

    def rows(self, separators: int) -> tuple[Positions, Positions]:
        """Return the records of which at least two lines have this many separators, and how many of their lines do."""
        lines = np.bincount(self.records[self.separators == separators])
        found = np.flatnonzero(lines >= 2)
        return found, lines[found]


@dataclass(frozen=True)
class Block:
    """Consecutive records of a file.

    Attributes
    ----------
    quoting
        How to read the quotes: as RFC 4180, as data ("none"), or from `records` ("mixed"). None if there are no quotes.
    fields
        The number of fields of each record.
    size
        The number of bytes of the records.
    unclosed
        Whether the file ends inside a quoted field.
    records
        The records, if `quoting` is "mixed".
    inner_lines
        The lines of the records with line ends inside quotes.
    """

    quoting: Quoting | None
    fields: Positions
    size: int
    unclosed: bool
    records: tuple[Record, ...] = ()
    inner_lines: InnerLines = field(default_factory=lambda: InnerLines(_nothing(), _nothing()), repr=False)
    _window: bytes = field(default=b"", repr=False)
    _grammar: "Grammar | None" = field(default=None, repr=False)
    _quotes: Positions = field(default_factory=lambda: np.empty(0, np.int64), repr=False)

    @property
    def text(self) -> bytes:
        """The bytes of the records."""
        return self._window[: self.size]

    @cached_property
    def ends(self) -> Positions:
        """The position after each record."""
        if self.records:
            return np.array([record.end for record in self.records], np.int64)
        ends = np.flatnonzero(self._data == self._signs.eol) + 1
        if self.quoting == "standard":
            ends = ends[np.searchsorted(self._quotes, ends) % 2 == 0]
        return ends if len(ends) == len(self.fields) else np.append(ends, self.size)

    @property
    def ambiguous(self) -> Positions:
        """The records whose quotes CSV readers treat differently, and those with a quote after leading blanks."""
        if self.records:
            return np.flatnonzero([record.ambiguous for record in self.records])
        if self.quoting != "none":
            return _nothing()
        odd = np.flatnonzero(np.bincount(self._records_of(self._quotes)) % 2)  # a reader that pairs quotes misses the line end
        return np.union1d(odd, self._records_of(self._quotes[self._follow_blanks()]))

    @property
    def control(self) -> Positions:
        """The records with a NUL byte, or with a line end of another kind outside quotes."""
        if self.records:
            return np.flatnonzero([record.control for record in self.records])
        return np.unique(np.concatenate([self._records_of(self._nul_bytes()), self._records_of(self._other_line_ends())]))

    @property
    def unclear(self) -> Positions:
        """The records whose end is uncertain."""
        return np.flatnonzero([not record.clear for record in self.records])

    def empty_at_end(self) -> NDArray[np.bool_]:
        """Return for each record of at least two fields whether the last one is empty; meaningless for other records."""
        data, signs = self._data, self._signs
        stop = self.ends.copy()
        stop -= data[stop - 1] == signs.eol
        stop -= data[np.maximum(stop, 1) - 1] == signs.trimmed
        last, second, third = (data[np.maximum(stop, back) - back] for back in (1, 2, 3))
        empty: NDArray[np.bool_] = (last == signs.separator) | ((last == _QUOTE) & (second == _QUOTE) & (third == signs.separator))
        return empty

    @property
    def _data(self) -> NDArray[np.uint8]:
        return np.frombuffer(self._window, np.uint8, self.size)

    @property
    def _signs(self) -> "Grammar":
        assert self._grammar is not None
        return self._grammar

    def _records_of(self, positions: Positions) -> Positions:
        return np.searchsorted(self.ends, positions, side="right") if len(positions) else _nothing()

    def _follow_blanks(self) -> NDArray[np.bool_]:
        """Return for each quote whether only blanks are between the start of its field and the quote."""
        data, quotes = self._data, self._quotes
        blank = np.isin(data, list(self._signs.blanks))
        if not blank[quotes - 1].any():
            return np.zeros(len(quotes), np.bool_)
        others = np.flatnonzero(~blank)
        at = np.searchsorted(others, quotes) - 1
        before = np.where(at < 0, self._signs.eol, data[others[at]])
        found: NDArray[np.bool_] = blank[quotes - 1] & ((before == self._signs.separator) | (before == self._signs.eol))
        return found

    def _nul_bytes(self) -> Positions:
        return np.flatnonzero(self._data == 0) if self._window.find(b"\0", 0, self.size) >= 0 else _nothing()

    def _other_line_ends(self) -> Positions:
        other = self._signs.other_eol
        if self._window.find(other, 0, self.size) < 0:
            return _nothing()
        data = self._data
        found = np.flatnonzero(data == other)
        if other == self._signs.trimmed:
            found = found[found < self.size - 1]
            found = found[data[found + 1] != self._signs.eol]
        return found if self.quoting != "standard" else found[np.searchsorted(self._quotes, found) % 2 == 0]


class Grammar:
    """Splits text of one separator and line end into records.

    Attributes
    ----------
    separator, eol
        The bytes between fields and after records.
    other_eol
        The byte that other readers take as a line end too.
    trimmed
        The byte that is dropped before a line end and at the end of the file: CR if lines end with LF, else none (-1).
    blanks
        The blanks that can be around a field.
    """

    def __init__(self, separator: str, eol: str) -> None:
        """Prepare the tables and the pattern."""
        self.separator, self.eol = ord(separator), ord(eol)
        self.other_eol = _CR if self.eol == _LF else _LF
        self.trimmed = _CR if self.eol == _LF else -1
        self.blanks = _BLANKS.replace(separator.encode(), b"")
        self._separator, self._eol = separator.encode(), eol.encode()
        self._unclear = bytes([self.other_eol, _QUOTE])
        self._text = bytes(set(range(256)) - {self.separator, self.eol, _QUOTE})
        self._before_open = _table(self.separator, self.eol, _QUOTE)
        self._after_close = _table(self.separator, self.eol, _QUOTE, *((_CR,) if self.eol == _LF else ()))
        separator_, eol_ = re.escape(self._separator), re.escape(self._eol)
        self._field = re.compile(rb'(?:"((?:[^"]++|"")*+)("?))?([^%s%s]*)(%s|%s|\Z)' % (separator_, eol_, separator_, eol_))

    def split(self, text: bytes, *, final: bool) -> Block | None:
        """Return the whole records of a text, or None if its quotes require `split_exactly`.

        Parameters
        ----------
        text
            Bytes that start with a record. A block of size 0 means that no record is complete.
        final
            Whether the file ends with the text, so that the last record needs no line end.
        """
        cut = len(text) if final else text.rfind(self._eol) + 1
        if text.find(b'"', 0, cut) < 0:
            return self._block(text, cut, None, _nothing())
        quotes = np.flatnonzero(np.frombuffer(text, np.uint8) == _QUOTE)
        return self._split_standard(text, cut, quotes, final) or self._split_unquoted(text, cut, quotes)

    def split_exactly(self, text: bytes, *, final: bool) -> Block:
        """Return the whole records of a text, split field by field; parameters as of `split`."""
        records = tuple(self.records(text, final=final))
        fields = np.array([len(record.fields) for record in records], np.int64)
        size = records[-1].end if records else 0
        return Block("mixed", fields, size, bool(records) and not records[-1].closed, records, _lines_of(records), text, self)

    def records(self, text: bytes, *, final: bool) -> Iterator[Record]:
        """Yield the whole records of a text; parameters as of `split`."""
        start = 0
        quote = text.find(b'"')
        while start < len(text):
            quote = text.find(b'"', start) if 0 <= quote < start else quote
            end = text.find(self._eol, start)
            is_plain = end >= 0 and not start <= quote < end
            record = self._plain_record(text, start, end) if is_plain else self._record(text, start)
            is_complete = record.closed and text[record.end - 1] == self.eol
            if not is_complete and not final:
                return
            yield record
            start = record.end

    def _plain_record(self, text: bytes, start: int, end: int) -> Record:
        line = self._trim(text[start:end])
        return Record(line.split(self._separator), end + 1, ambiguous=False, control=self._has_control(line))

    def _record(self, text: bytes, start: int) -> Record:
        fields: list[bytes] = []
        stray = 0
        ambiguous, control, multiline, closed, clear = False, False, False, True, True
        end = self._separator
        position = start
        while end == self._separator:
            match = self._field.match(text, position)
            assert match is not None
            quoted, close, rest, end = match.groups()
            position = match.end()
            rest = rest if end == self._separator else self._trim(rest)
            control = control or self._has_control(rest)
            clear = clear and self._unclear not in rest
            if quoted is None:
                stray += rest.count(b'"')
                ambiguous = ambiguous or rest.lstrip(self.blanks).startswith(b'"')
                fields.append(rest)
            else:
                closed = bool(close)
                ambiguous = ambiguous or bool(rest)
                control = control or b"\0" in quoted
                multiline = multiline or self._eol in quoted
                fields.append(quoted.replace(b'""', b'"') + rest)
        # readers that pair quotes find other line ends after a stray quote
        ambiguous = ambiguous or stray % 2 == 1 or (stray > 0 and multiline)
        lines = self._separators_of_lines(text[start:position]) if multiline else ()
        return Record(fields, position, ambiguous, control, closed, clear, lines)

    def _separators_of_lines(self, record: bytes) -> tuple[int, ...]:
        lines = self._without_prose(record).removesuffix(self._eol).split(self._eol)
        return tuple(line.count(self._separator) for line in lines)

    def _without_prose(self, text: bytes) -> bytes:
        """Return the text without the separators that a blank follows, as in sentences and addresses."""
        return text.replace(self._separator + b" ", b"")

    def _trim(self, text: bytes) -> bytes:
        return text.removesuffix(b"\r") if self.trimmed == _CR else text

    def _has_control(self, text: bytes) -> bool:
        return self.other_eol in text or 0 in text

    def _split_standard(self, text: bytes, cut: int, quotes: Positions, final: bool) -> Block | None:
        """Return the records if every quote opens a field, closes it or is doubled; None if one does not."""
        checked = number = int(np.searchsorted(quotes, cut))
        while number % 2 and not final:  # the line end is inside a quoted field: take the last one before that field
            cut = text.rfind(self._eol, 0, int(quotes[number - 1])) + 1
            number = int(np.searchsorted(quotes, cut))
        if not self._is_standard(text, quotes[: number if cut else checked], final):
            return None
        return self._block(text, cut, "standard" if number else None, quotes[:number])

    def _is_standard(self, text: bytes, quotes: Positions, final: bool) -> bool:
        data, last = np.frombuffer(text, np.uint8), len(text) - 1
        opens, closes = quotes[0::2], quotes[1::2]
        before = data[opens - 1]
        if len(opens) and opens[0] == 0:
            before[0] = self.eol
        if not self._before_open[before].all():
            return False
        closes = closes[closes < last]
        after = data[closes + 1]
        if not self._after_close[after].all():
            return False
        returns = closes[after == self.trimmed] + 1
        return bool(np.all((data[np.minimum(returns + 1, last)] == self.eol) | (final & (returns == last))))

    def _split_unquoted(self, text: bytes, cut: int, quotes: Positions) -> Block | None:
        """Return the records if no field starts with a quote, also for readers of other line ends; None if one does."""
        quotes = quotes[: np.searchsorted(quotes, cut)]
        if quotes[0] == 0:
            return None
        before = np.frombuffer(text, np.uint8)[quotes - 1]
        if ((before == self.separator) | (before == self.eol) | (before == self.other_eol)).any():
            return None
        return self._block(text, cut, "none", quotes)

    def _block(self, text: bytes, cut: int, quoting: Quoting | None, quotes: Positions) -> Block:
        # translate removes all text at memory speed; what is left to process is small: separators, line ends and quotes
        marks = np.frombuffer(text[:cut].translate(None, self._text), np.uint8)
        unclosed = len(quotes) % 2 == 1 and quoting == "standard"
        lines = InnerLines(_nothing(), _nothing())
        if quoting == "standard":
            is_quote = (marks == _QUOTE).view(np.uint8)
            inside = np.cumsum(is_quote, dtype=np.uint8) & 1  # overflow keeps the parity
            if ((marks == self.eol) & inside).any():
                lines = self._inner_lines(text[:cut])
            marks = marks[(inside | is_quote) == 0]
        elif quoting == "none":
            marks = marks[marks != _QUOTE]
        ends = np.flatnonzero(marks == self.eol)
        if cut and (unclosed or text[cut - 1] != self.eol):
            ends = np.append(ends, len(marks))
        return Block(quoting, np.diff(ends, prepend=-1), cut, unclosed, (), lines, text, self, quotes)

    def _inner_lines(self, text: bytes) -> InnerLines:
        """Return the lines of the records with line ends inside quotes."""
        marks = np.frombuffer(self._without_prose(text).translate(None, self._text), np.uint8)
        ends = np.flatnonzero(marks == self.eol)
        is_inner = np.cumsum(marks == _QUOTE, dtype=np.uint8)[ends] % 2 == 1
        ends, is_inner = np.append(ends, len(marks)), np.append(is_inner, False)  # the last record may have no line end
        before = np.concatenate([[0], np.cumsum(marks == self.separator)])
        separators = np.diff(before[ends], prepend=0)
        records = np.cumsum(~is_inner) - ~is_inner
        several = is_inner | np.concatenate([[False], is_inner[:-1]])
        return InnerLines(records[several], separators[several])


def _lines_of(records: Sequence[Record]) -> InnerLines:
    positions = [position for position, record in enumerate(records) for _ in record.lines]
    separators = [number for record in records for number in record.lines]
    return InnerLines(np.array(positions, np.int64), np.array(separators, np.int64))


def _table(*members: int) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(members)] = True
    return table


def _nothing() -> Positions:
    return np.empty(0, np.int64)
