"""`POST /predict` as an ASGI app beside FastAPI: reads a body within the limits, scores its records, answers, logs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from starlette.types import Receive, Scope, Send

from risk_serving.http.problems import Problem
from risk_serving.observability.metrics import Metrics
from risk_serving.observability.prediction_log import Entry, PredictionLog
from risk_serving.observability.request_log import RequestLog
from risk_serving.scoring.answers import Answer
from risk_serving.scoring.live_model import LiveModel, LiveSnapshot
from risk_serving.scoring.records import Records
from risk_serving.scoring.scorer import Scored
from risk_serving.scoring.wire import InvalidRequest
from risk_serving.settings import ServingSettings
from risk_serving.worker import Worker

JSON = b"application/json"
MAX_EXPLAINING = 16
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class ScoredBody:
    """The answer to a request as JSON, and the scores in it."""

    content: bytes
    scored: Scored


def score_records(live: LiveSnapshot, records: Records) -> ScoredBody:
    """Return the answer to the records of a request."""
    scored = live.scorer.score(records)
    return ScoredBody(_encoder.encode(Answer(live.version, scored.results)), scored)


class PredictEndpoint:
    """Answers `POST /predict` by the model that is live when the body has arrived."""

    def __init__(self, settings: ServingSettings, live: LiveModel, metrics: Metrics, prediction_log: PredictionLog) -> None:
        self._max_bytes, self._seconds = settings.serve_max_body_bytes, settings.serve_body_seconds
        self._max_in_flight = settings.serve_max_in_flight
        self._live, self._metrics, self._prediction_log = live, metrics, prediction_log
        self._in_flight = self._explaining = 0
        self._explainer = Worker("explain")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises `Problem` if it is rejected."""
        if self._in_flight >= self._max_in_flight:
            detail = f"{self._max_in_flight} requests are being scored, which is the limit. Try again in a second."
            retry_after = ((b"retry-after", b"1"),)
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=retry_after, close_connection=True)
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            content = await self._answer(scope["request_log"], receive)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
        # A client that does not read holds only its answer, and for a limited time: `connections` closes its connection.
        await send({"type": "http.response.start", "status": 200, "headers": _headers(content)})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, log: RequestLog, receive: Receive) -> bytes:
        """Return the answer to a request, which has been logged."""
        body = await self._read_body(log.headers, receive)
        log.bytes_in = len(body)
        live = self._live.current
        if live is None:
            detail = "No model is live yet. Train one (risk train DATE): the service then loads it within seconds."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-model", detail, headers=((b"retry-after", b"5"),))
        try:
            records = live.decoder.read(body)
        except InvalidRequest:
            records = await self._reread(live, body)
        scored_body = score_records(live, records)
        content, scored = scored_body.content, scored_body.scored
        log.version, log.records = live.version, len(scored.results)
        self._metrics.record_results(scored.results)
        challenger = live.binding.challenger if scored.shadow else None
        logged = _encoder.encode({"records": records.sent}) if records.is_rewritten else body
        entry = Entry(log.request_id, log.received_at, logged, scored.results, scored.shadow, challenger, log.client_request_id)
        self._prediction_log.offer(entry)
        return content

    async def _reread(self, live: LiveSnapshot, body: bytes) -> Records:
        """Return the records of an invalid body, without those that are skipped, or raise its `Problem`.

        They are found in a thread of its own, so that other requests do not wait for it.
        """
        if self._explaining >= MAX_EXPLAINING:
            detail = "Nothing was scored. Too many invalid requests have arrived to list the errors: send this one again for the list."
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail)
        self._explaining += 1
        try:
            return await self._explainer.run(live.decoder.reread, body)
        finally:
            self._explaining -= 1

    async def _read_body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != JSON or b"content-encoding" in headers:
            detail = "The body must be uncompressed JSON, with the header Content-Type: application/json."
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, close_connection=True)
        if int(headers.get(b"content-length", b"0")) > self._max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._receive_body(receive)
        except TimeoutError:
            detail = f"The body did not arrive within {self._seconds:g} s. Send it without a pause."
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "slow-body", detail, close_connection=True) from None

    async def _receive_body(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(HTTPStatus.BAD_REQUEST, "disconnected", "The connection was closed before the end of the body.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_bytes:
                raise self._too_large()
            more = message.get("more_body", False)
        return b"".join(parts)

    def _too_large(self) -> Problem:
        detail = f"The body is larger than {self._max_bytes} bytes. Send fewer records in one request."
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail, close_connection=True)


def _headers(content: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", JSON), (b"content-length", str(len(content)).encode())]
