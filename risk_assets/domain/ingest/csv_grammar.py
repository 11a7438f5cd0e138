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
_CR, _LF, _QUOTE, _BLANK = b'\r\n" '


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
    inner_lines
        Its lines, if a quoted field has line ends; else None.
    """

    fields: list[bytes]
    end: int
    ambiguous: bool
    control: bool
    closed: bool = True
    clear: bool = True
    inner_lines: "InnerLines | None" = None


@dataclass(frozen=True)
class InnerLines:
    """The lines of those records of a block that have several.

    Text differs from rows in the blank after a separator. Sentences and addresses have exactly one after each; rows have none, or
    several where a column is padded.

    Attributes
    ----------
    records
        The position of the record of each line.
    separators
        The number of separators of each line.
    certain
        The number of those that text seldom has: outside quotes, or not followed by exactly one blank.
    in_first
        Whether the first field of the record has line ends.
    """

    records: Positions
    separators: Positions
    certain: Positions
    in_first: NDArray[np.bool_]

    @staticmethod
    def none() -> "InnerLines":
        """Return no lines."""
        return InnerLines(_nothing(), _nothing(), _nothing(), np.empty(0, np.bool_))

    def rows(self, separators: int) -> tuple[Positions, Positions]:
        """Return the records of which at least two lines look like rows with this many separators, and how many of their lines do.

        A line looks like a row if it has as many certain separators, or in a table of more than three columns at least four fifths
        of them: rows can be padded, or have too few or too many fields. If it has exactly the separators of a row, more than half
        of them is enough. None need be certain in a record whose first field has line ends: that is seldom text, and in a file
        with a blank after each separator no quote but one at the start of a line encloses rows.

        Text of which each separator is followed by one blank has no two such lines, except in the first field: the certain
        separators of its lines are those outside quotes, and all lines together have as many as one row.
        """
        is_row = self.certain == separators
        if separators > 2:
            is_row |= self.certain >= separators - separators // 5
        is_exact = self.separators == separators
        is_row |= is_exact & ((2 * self.certain > separators) | (self.in_first & (separators > 1)))
        lines = np.bincount(self.records[is_row])
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
    inner_lines: InnerLines = field(default_factory=InnerLines.none, repr=False)
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
        edges: list[int] = []
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
                edges.extend(match.span(1))
                fields.append(quoted.replace(b'""', b'"') + rest)
        # readers that pair quotes find other line ends after a stray quote
        ambiguous = ambiguous or stray % 2 == 1 or (stray > 0 and multiline)
        lines = self._inner_lines(text[start:position], np.array(edges, np.int64) - start) if multiline else None
        return Record(fields, position, ambiguous, control, closed, clear, lines)

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
        lines = InnerLines.none()
        if quoting == "standard":
            is_quote = (marks == _QUOTE).view(np.uint8)
            inside = np.cumsum(is_quote, dtype=np.uint8) & 1  # overflow keeps the parity
            if ((marks == self.eol) & inside).any():
                lines = self._inner_lines(text[:cut], quotes)
            marks = marks[(inside | is_quote) == 0]
        elif quoting == "none":
            marks = marks[marks != _QUOTE]
        ends = np.flatnonzero(marks == self.eol)
        if cut and (unclosed or text[cut - 1] != self.eol):
            ends = np.append(ends, len(marks))
        return Block(quoting, np.diff(ends, prepend=-1), cut, unclosed, (), lines, text, self, quotes)

    def _inner_lines(self, text: bytes, edges: Positions) -> InnerLines:
        """Return the lines of the records with line ends inside quotes; `edges` are the starts and ends of the quoted text, in turn."""
        data = np.frombuffer(text + b"  ", np.uint8)
        marks = np.flatnonzero((data == self.separator) | (data == self.eol))
        is_end = data[marks] == self.eol
        inside = np.searchsorted(edges, marks, side="right") % 2 == 1
        is_prose = inside & (data[marks + 1] == _BLANK) & (data[marks + 2] != _BLANK)
        ends = np.append(np.flatnonzero(is_end), len(marks))  # the last record may have no line end
        goes_on = np.append(inside[is_end], False)
        is_later = np.concatenate([[False], goes_on[:-1]])
        several = goes_on | is_later
        records = np.cumsum(~goes_on) - ~goes_on
        outside = _count_between(~is_end & ~inside, ends)
        in_first = np.bincount(records, (goes_on & ~is_later) & (outside == 0)) > 0
        return InnerLines(
            records[several],
            _count_between(~is_end, ends)[several],
            _count_between(~is_end & ~is_prose, ends)[several],
            in_first[records[several]],
        )


def _count_between(flags: NDArray[np.bool_], ends: Positions) -> Positions:
    """Return how many flags are set before each end and after the previous one."""
    return np.diff(np.concatenate([[0], np.cumsum(flags)])[ends], prepend=0)


def _lines_of(records: Sequence[Record]) -> InnerLines:
    found = [(position, record.inner_lines) for position, record in enumerate(records) if record.inner_lines]
    if not found:
        return InnerLines.none()
    return InnerLines(
        np.concatenate([lines.records + position for position, lines in found]),
        np.concatenate([lines.separators for _, lines in found]),
        np.concatenate([lines.certain for _, lines in found]),
        np.concatenate([lines.in_first for _, lines in found]),
    )


def _table(*members: int) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(members)] = True
    return table


def _nothing() -> Positions:
    return np.empty(0, np.int64)
