"""`POST /predict`: reads a body within its limits, scores its records, answers. An ASGI app, mounted beneath FastAPI."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from starlette.types import Receive, Scope, Send

from risk_serving.http.middleware import RequestLog
from risk_serving.http.problems import Problem
from risk_serving.observability.metrics import Telemetry
from risk_serving.observability.prediction_log import Entry, PredictionLog
from risk_serving.scoring.live_model import LiveModel, LiveSnapshot
from risk_serving.scoring.records import Records
from risk_serving.scoring.scorer import Scored
from risk_serving.scoring.wire import Answer
from risk_serving.settings import ServingSettings

JSON = b"application/json"
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class Answered:
    """An answer as JSON, and what it was made of."""

    content: bytes
    records: Records
    scored: Scored


def answer(live: LiveSnapshot, body: bytes) -> Answered:
    """Return the answer to a request's body; raises `Problem` (422) when any record does not fit."""
    records = live.wire.decode(body)
    scored = live.scorer.score(records)
    return Answered(_encoder.encode(Answer(live.version, scored.results)), records, scored)


class Predict:
    """Answers `POST /predict` by the model that is live when the body is there."""

    def __init__(self, settings: ServingSettings, live: LiveModel, telemetry: Telemetry, log: PredictionLog) -> None:
        self._max_bytes, self._seconds = settings.serve_max_body_bytes, settings.serve_body_seconds
        self._max_in_flight = settings.serve_max_in_flight
        self._live, self._telemetry, self._log = live, telemetry, log
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises `Problem` for one that is not answered."""
        if self._in_flight >= self._max_in_flight:
            detail = f"{self._max_in_flight} requests are being answered. Try again in a second."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=((b"retry-after", b"1"),), closes=True)
        self._in_flight += 1
        self._telemetry.in_flight.inc()
        try:
            await self._answer(scope, receive, send)
        finally:
            self._in_flight -= 1
            self._telemetry.in_flight.dec()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen: RequestLog = scope["seen"]
        body = await self._body(seen.headers, receive)
        seen.bytes_in = len(body)
        live = self._live.current
        if live is None:
            detail = "No model is live yet: train one (risk train DATE). It is looked for again and again."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-model", detail, headers=((b"retry-after", b"5"),))
        answered = answer(live, body)
        results = answered.scored.results
        seen.version, seen.records = live.version, len(results)
        headers = [(b"content-type", JSON), (b"content-length", str(len(answered.content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answered.content})
        self._telemetry.scored(results)
        challenger = live.binding.challenger if answered.scored.shadow else None
        self._log.offer(Entry(seen.request_id, seen.at, body, results, answered.scored.shadow, challenger))

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != JSON or b"content-encoding" in headers:
            detail = "The body must be JSON, uncompressed, with the header Content-Type: application/json."
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, closes=True)
        if int(headers.get(b"content-length", b"0")) > self._max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._read(receive)
        except TimeoutError:
            detail = f"The body did not arrive within {self._seconds:g} s. Send it at once."
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "slow-body", detail, closes=True) from None

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(HTTPStatus.BAD_REQUEST, "disconnected", "The connection ended before the body did.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_bytes:
                raise self._too_large()
            more = message.get("more_body", False)
        return b"".join(parts)

    def _too_large(self) -> Problem:
        detail = f"The body is larger than {self._max_bytes} bytes. Send fewer records at a time."
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail, closes=True)
