"""A file whose bytes are read when they are needed."""

import io
import os
from collections.abc import Callable
from typing import Any


class RangedFile(io.RawIOBase):
    """A seekable file of `size` bytes; `read_range` returns the bytes from a start to an end.

    Each read is a request, so it fits readers that know what they need, as those of Parquet do.
    """

    def __init__(self, size: int, read_range: Callable[[int, int], bytes]) -> None:
        self._size, self._read_range, self._position = size, read_range, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position and return it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on, as far as the file has bytes; return their number."""
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        content = self._read_range(self._position, end)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)
