"""Split a CSV file into its records, from chunks of its bytes."""

from collections.abc import Iterable, Iterator
from itertools import chain

from risk_assets.domain.ingest.csv_grammar import Block, Grammar, Positions

BOM = b"\xef\xbb\xbf"
MAX_RECORD_BYTES = 16 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
_EXACT_BYTES = 8 * 1024  # around quotes that must be split field by field


class RecordSplitter:
    """Split a file into blocks of whole records, from consecutive chunks of its bytes. A byte order mark is dropped.

    Attributes
    ----------
    too_long
        Whether a record is longer than `MAX_RECORD_BYTES`. The file is not split from there on.
    mark
        The byte order mark that was dropped; empty if there was none.
    """

    def __init__(self, grammar: Grammar) -> None:
        """Start at the first byte of a file."""
        self.too_long = False
        self.mark = b""
        self._grammar = grammar
        self._size = _BLOCK_BYTES
        self._least = _EXACT_BYTES
        self._parts: list[bytes | memoryview] = []
        self._held = 0
        self._at_start = True

    def push(self, chunk: bytes) -> Iterator[Block]:
        """Yield the blocks that the next chunk completes. Chunks may end anywhere, also inside a character or a quoted field."""
        view, start = memoryview(chunk), 0
        while start < len(view) and not self.too_long:
            part = view[start : start + max(self._size - self._held, 1)]
            start += len(part)
            self._parts.append(part)
            self._held += len(part)
            if self._held >= self._size:
                yield from self._take(final=False)

    def close(self) -> Iterator[Block]:
        """Yield the last blocks; the last record needs no line end."""
        if not self.too_long:
            yield from self._take(final=True)

    def _take(self, *, final: bool) -> Iterator[Block]:
        window = b"".join(self._parts)
        if self._at_start and window.startswith(BOM):
            self.mark = BOM
        start = len(self.mark) if self._at_start else 0
        self._at_start = False
        while len(window) - start >= (1 if final else self._size) and not self.too_long:
            text = window[start : start + self._size]
            block = self._split(text, final and start + len(text) == len(window))
            if block is not None:
                yield block
                start += block.size
        self._parts, self._held = [window[start:]], len(window) - start

    def _split(self, text: bytes, final: bool) -> Block | None:
        """Return a block, or None after setting the size of the window to try next."""
        quick = self._grammar.split(text, final=final)
        if quick is None and len(text) > self._least:
            self._size = self._least
            return None
        block = self._grammar.split_exactly(text, final=final) if quick is None else quick
        if not block.size:
            self.too_long = self._size >= MAX_RECORD_BYTES
            self._size = self._least = 2 * self._size
            return None
        self._least = _EXACT_BYTES
        self._size = _EXACT_BYTES if quick is None else min(2 * self._size, _BLOCK_BYTES)
        return block


def split_records(grammar: Grammar, chunks: Iterable[bytes]) -> Iterator[Block]:
    """Yield the records of a whole file in blocks; the first record is the header."""
    splitter = RecordSplitter(grammar)
    for chunk in chunks:
        yield from splitter.push(chunk)
    yield from splitter.close()


def cut_records(grammar: Grammar, chunks: Iterable[bytes], sizes: Iterable[int]) -> Iterator[Iterator[bytes]]:
    """Yield the header, then as many records as each of `sizes`, as bytes. Read each to its end before the next."""
    blocks = ((block.text, block.ends) for block in split_records(grammar, chunks))
    rest: list[tuple[bytes, Positions]] = []

    def take(number: int) -> Iterator[bytes]:
        while number:
            text, ends = rest.pop() if rest else next(blocks)
            taken = min(number, len(ends))
            cut = int(ends[taken - 1])
            if taken < len(ends):
                rest.append((text[cut:], ends[taken:] - cut))
            number -= taken
            yield text[:cut]

    return map(take, chain([1], sizes))
