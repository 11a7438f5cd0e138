"""`POST /predict` as an ASGI app beside FastAPI: reads a body within the limits, scores its records, answers, logs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from starlette.types import Receive, Scope, Send

from risk_serving.http.problems import Problem
from risk_serving.observability.event_lines import Entry, sent_records
from risk_serving.observability.metrics import Metrics
from risk_serving.observability.prediction_log import BufferedLog, NotStoredError, PredictionLog
from risk_serving.observability.request_log import RequestLog
from risk_serving.scoring.live_model import LiveModel, LiveSnapshot
from risk_serving.scoring.records import Records
from risk_serving.scoring.request_errors import SKIP
from risk_serving.scoring.scorer import Scored
from risk_serving.scoring.wire import Answer, InvalidRequest
from risk_serving.settings import ServingSettings
from risk_serving.worker import Worker

JSON = b"application/json"
MAX_EXPLAINING = 16
_SKIP = f'"{SKIP}"'.encode()
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
        self._max_received = max(settings.serve_max_received_bytes, settings.serve_max_body_bytes)  # one body must be able to arrive
        self._live, self._metrics, self._prediction_log = live, metrics, prediction_log
        self._offer = prediction_log.offer if isinstance(prediction_log, BufferedLog) else None
        self._in_flight = self._explaining = self._received = 0
        self._explainer = Worker("explain")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises `Problem` if it is rejected."""
        if self._in_flight >= self._max_in_flight:
            raise _busy(f"{self._max_in_flight} requests are arriving or being read again, which is the limit.", close_connection=True)
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

    def accepts(self, headers: Mapping[bytes, bytes], size: int) -> bool:
        """Return whether a body of this size, with these headers, can be answered without waiting."""
        return self._offer is not None and size <= self._max_bytes and _is_json(headers)

    def answer_whole(self, log: RequestLog, body: bytes) -> bytes:
        """Return the answer to a body that is accepted, which has been logged.

        Raises
        ------
        InvalidRequest
            If a record is not valid. Nothing has been logged.
        Problem
            If no model is live.
        """
        assert self._offer is not None
        log.bytes_in = len(body)
        live = self._live_model()
        records = live.decoder.read(body)
        answer = score_records(live, records)
        log.version, log.records = live.version, len(answer.scored.results)
        self._offer(_entry(log, live, records, body, answer))
        self._metrics.record_results(answer.scored.results)
        return answer.content

    async def _answer(self, log: RequestLog, receive: Receive) -> bytes:
        """Return the answer to a request, which has been logged."""
        body = await self._read_body(log.headers, receive)
        log.bytes_in = len(body)
        live = self._live_model()
        try:
            records = live.decoder.read(body)
        except InvalidRequest:
            records = await self._reread(live, body)
        answer = score_records(live, records)
        log.version, log.records = live.version, len(answer.scored.results)
        try:
            await self._prediction_log.add(_entry(log, live, records, body, answer))
        except NotStoredError:
            detail = "The answer is not sent, because the prediction log cannot store it at present. Try again in a second."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "not-logged", detail, headers=((b"retry-after", b"1"),)) from None
        self._metrics.record_results(answer.scored.results)
        return answer.content

    def _live_model(self) -> LiveSnapshot:
        live = self._live.current
        if live is None:
            detail = "No model is live yet. Train one (risk train DATE): the service then loads it within seconds."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-model", detail, headers=((b"retry-after", b"5"),))
        return live

    async def _reread(self, live: LiveSnapshot, body: bytes) -> Records:
        """Return the records of an invalid body, without those that are skipped, or raise its `Problem`.

        They are found in a thread of its own, so that other requests do not wait for it.
        """
        if self._explaining >= MAX_EXPLAINING and _SKIP in body:
            raise _busy(f"{MAX_EXPLAINING} invalid requests are being read, which is the limit.")
        if self._explaining >= MAX_EXPLAINING:
            detail = "Nothing was scored. Too many invalid requests have arrived to list the errors: send this one again for the list."
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail)
        self._explaining += 1
        try:
            return await self._explainer.run(live.decoder.reread, body)
        finally:
            self._explaining -= 1

    async def _read_body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        if not _is_json(headers):
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
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(HTTPStatus.BAD_REQUEST, "disconnected", "The connection was closed before the end of the body.")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                self._received += len(parts[-1])
                if size > self._max_bytes:
                    raise self._too_large()
                if self._received > self._max_received:
                    raise _busy(f"{self._max_received} bytes of other requests are arriving, which is the limit.", close_connection=True)
                more = message.get("more_body", False)
        finally:
            self._received -= size
        return b"".join(parts)

    def _too_large(self) -> Problem:
        detail = f"The body is larger than {self._max_bytes} bytes. Send fewer records in one request."
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail, close_connection=True)


def _entry(log: RequestLog, live: LiveSnapshot, records: Records, body: bytes, answer: ScoredBody) -> Entry:
    sent = _encoder.encode(records.sent) if records.is_rewritten else sent_records(body)
    scored = answer.scored
    return Entry(
        log.request_id,
        log.received_at,
        sent,
        answer.content,
        len(scored.results),
        live.binding,
        log.caller,
        log.client_request_id,
        scored.shadow,
    )


def _busy(cause: str, *, close_connection: bool = False) -> Problem:
    retry_after = ((b"retry-after", b"1"),)
    detail = f"{cause} Try again in a second."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=retry_after, close_connection=close_connection)


def _is_json(headers: Mapping[bytes, bytes]) -> bool:
    sent = headers.get(b"content-type", b"")
    return (sent == JSON or sent.partition(b";")[0].strip().lower() == JSON) and b"content-encoding" not in headers


def _headers(content: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", JSON), (b"content-length", str(len(content)).encode())]
