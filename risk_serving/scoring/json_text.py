"""Counts and finds characters in the text of a JSON document, faster than decoding it."""

import numpy as np
from msgspec import Raw

LARGE_BODY = 10_000  # bytes
_COLON_ESCAPES = (b"\\u003a", b"\\u003A")
_CONTROL_ESCAPES = (b"\\u000", b"\\n", b"\\r")  # JSON can write NUL and line ends in no other way


def count_byte(text: bytes | Raw, character: bytes) -> int:
    """Return how often a character occurs; numpy takes a fifth of the time for a large text."""
    size = len(memoryview(text))
    if size < LARGE_BODY:
        return bytes(text).count(character)
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord(character)))


def has_control_escapes(body: bytes) -> bool:
    """Return whether a text may have NUL or a line end."""
    return b"\\" in body and any(escape in body for escape in _CONTROL_ESCAPES)  # one byte is found at memory speed


def has_colon_escapes(body: bytes) -> bool:
    """Return whether a text may have a colon that is not counted as one."""
    return any(escape in body for escape in _COLON_ESCAPES)
