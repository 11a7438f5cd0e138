"""The media types of `POST /predict`: JSON, and Arrow IPC streams."""

import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

import msgspec

from risk_serving.http.problems import Problem
from risk_serving.scoring.answers import Answer, ColumnAnswer
from risk_serving.scoring.json_text import count_byte
from risk_serving.scoring.options import Options
from risk_serving.scoring.records import Records
from risk_serving.scoring.scored import Scored
from risk_serving.scoring.wire import RequestDecoder

JSON, ARROW = b"application/json", b"application/vnd.apache.arrow.stream"
# What is read in less time than other requests may wait; the rest is read in a thread of its own.
SMALL_BODY, MAX_QUICK_BODY, MAX_QUICK_VALUES = 65_536, 1_048_576, 50_000  # bytes and commas of JSON
SMALL_STREAM = 524_288  # bytes
_ARROW_MODULE = "risk_serving.scoring.arrow"
_encoder = msgspec.json.Encoder()


class Media(Protocol):
    """A media type of a request, and of its answer."""

    name: bytes

    def is_quick(self, body: bytes) -> bool:
        """Return whether other requests can wait until a body is read."""

    def read(self, decoder: RequestDecoder, body: bytes) -> Records:
        """Return the records of a body; raises `InvalidRequest` if it is not valid."""

    def reread(self, decoder: RequestDecoder, body: bytes) -> Records:
        """Return the valid records of a body that `read` rejects and that skips the others; raises `Problem` for any other."""

    def write(self, version: str, scored: Scored, options: Options) -> bytes:
        """Return the answer."""


class JsonMedia:
    """JSON."""

    name = JSON

    def is_quick(self, body: bytes) -> bool:
        """Return whether a body is small, or has few values."""
        return len(body) <= SMALL_BODY or (len(body) <= MAX_QUICK_BODY and count_byte(body, b",") <= MAX_QUICK_VALUES)

    def read(self, decoder: RequestDecoder, body: bytes) -> Records:
        """Return the records of a body; raises `InvalidRequest` if it is not valid."""
        return decoder.read(body)

    def reread(self, decoder: RequestDecoder, body: bytes) -> Records:
        """Return the records of a body that `read` rejects; raises `Problem` unless it skips those that are not valid."""
        return decoder.reread(body)

    def write(self, version: str, scored: Scored, options: Options) -> bytes:
        """Return the answer: results as objects, or as columns."""
        if options.as_columns:
            return _encoder.encode(ColumnAnswer(version, scored.columns()))
        return _encoder.encode(Answer(version, scored.results))


class ArrowMedia:
    """Arrow IPC streams. The first one imports pyarrow, which takes time and memory."""

    name = ARROW

    def is_quick(self, body: bytes) -> bool:
        """Return whether a body is small and pyarrow has been imported."""
        return len(body) <= SMALL_STREAM and _ARROW_MODULE in sys.modules

    def read(self, decoder: RequestDecoder, body: bytes) -> Records:
        """Return the records of a body; raises `InvalidRequest` if it is not valid, and `Problem` without pyarrow."""
        try:
            from risk_serving.scoring import arrow
        except ImportError:
            detail = "Arrow streams need pyarrow, which is not installed here. Send JSON, or install it: pip install pyarrow."
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail) from None
        return arrow.read(decoder, body)

    def reread(self, decoder: RequestDecoder, body: bytes) -> Records:
        """Return the records of a body that `read` rejects; raises `Problem` unless it skips those that are not valid."""
        from risk_serving.scoring import arrow

        return arrow.reread(decoder, body)

    def write(self, version: str, scored: Scored, options: Options) -> bytes:
        """Return the answer, always columns."""
        from risk_serving.scoring import arrow

        return arrow.write(version, scored)


JSON_MEDIA, ARROW_MEDIA = JsonMedia(), ArrowMedia()
_BY_NAME: dict[bytes, Media] = {JSON: JSON_MEDIA, ARROW: ARROW_MEDIA}


def require_json(headers: Mapping[bytes, bytes]) -> None:
    """Raise `Problem` unless a body is uncompressed JSON."""
    if b"content-encoding" in headers or _BY_NAME.get(_name(headers)) is not JSON_MEDIA:
        raise _unsupported("The body must be uncompressed JSON, with the header Content-Type: application/json.")


def media_of(headers: Mapping[bytes, bytes]) -> Media:
    """Return the media type of a request; raises `Problem` for any other, or an encoding."""
    media = _BY_NAME.get(headers.get(b"content-type", b"")) or _BY_NAME.get(_name(headers))
    if media is None or b"content-encoding" in headers:
        detail = "The body must be uncompressed JSON, with the header Content-Type: application/json, or an Arrow IPC stream, "
        raise _unsupported(f"{detail}with {ARROW.decode()}.")
    return media


def _name(headers: Mapping[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _unsupported(detail: str) -> Problem:
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, close_connection=True)
