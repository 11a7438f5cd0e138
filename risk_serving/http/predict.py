"""`POST /predict` as an ASGI app beside FastAPI: reads a body within the limits, scores its records, answers, logs."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from risk_serving.http.media import JSON_MEDIA, Media, media_of
from risk_serving.http.problems import Problem
from risk_serving.observability.event_lines import Entry, sent_records
from risk_serving.observability.metrics import Metrics
from risk_serving.observability.prediction_log import BufferedLog, NotStoredError, PredictionLog
from risk_serving.observability.request_log import RequestLog
from risk_serving.scoring.live_model import LiveModel, LiveSnapshot
from risk_serving.scoring.options import DEFAULT, SKIP
from risk_serving.scoring.records import Records
from risk_serving.scoring.scored import Scored
from risk_serving.scoring.wire import InvalidRequest
from risk_serving.settings import ServingSettings
from risk_serving.worker import Worker

MAX_EXPLAINING = 16
_SKIP = f'"{SKIP}"'.encode()


class PredictEndpoint:
    """Answers `POST /predict` by the model that is live when the body has arrived."""

    def __init__(self, settings: ServingSettings, live: LiveModel, metrics: Metrics, prediction_log: PredictionLog) -> None:
        self._max_bytes, self._seconds = settings.serve_max_body_bytes, settings.serve_body_seconds
        self._max_in_flight = settings.serve_max_in_flight
        self._max_received = max(settings.serve_max_received_bytes, settings.serve_max_body_bytes)  # one body must be able to arrive
        self._live, self._metrics, self._prediction_log = live, metrics, prediction_log
        self._offer = prediction_log.offer if isinstance(prediction_log, BufferedLog) else None
        self._in_flight = self._explaining = self._received = 0
        self._explainer, self._reader = Worker("explain"), Worker("read")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises `Problem` if it is rejected."""
        if self._in_flight >= self._max_in_flight:
            raise _busy(f"{self._max_in_flight} requests are arriving or being read again, which is the limit.", close_connection=True)
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            media = media_of(scope["request_log"].headers)
            content = await self._answer(media, scope["request_log"], receive)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
        # A client that does not read holds only its answer, and for a limited time: `connections` closes its connection.
        await send({"type": "http.response.start", "status": 200, "headers": _headers(media, content)})
        await send({"type": "http.response.body", "body": content})

    def media_at_once(self, headers: Mapping[bytes, bytes], body: bytes) -> Media | None:
        """Return the media type of a body that can be answered without waiting, or None for any other."""
        if self._offer is None or len(body) > self._max_bytes:
            return None
        media = media_of(headers)
        return media if media.is_quick(body) else None

    def answer_at_once(self, media: Media, log: RequestLog, body: bytes) -> bytes:
        """Return the answer to a body of `media_at_once`, which has been logged.

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
        records = media.read(live.decoder, body)
        scored, content = _score(media, log, live, records)
        if self._prediction_log.has(log.request_id):
            self._offer(_entry(media, log, live, body, records, scored, content))
        self._metrics.record_scores(scored)
        return content

    async def _answer(self, media: Media, log: RequestLog, receive: Receive) -> bytes:
        """Return the answer to a request, which has been logged."""
        body = await self._read_body(log.headers, receive)
        log.bytes_in = len(body)
        live = self._live_model()
        records = await self._read(media, live, body)
        scored, content = _score(media, log, live, records)
        try:
            if self._prediction_log.has(log.request_id):
                await self._prediction_log.add(_entry(media, log, live, body, records, scored, content))
        except NotStoredError:
            detail = "The answer is not sent, because the prediction log cannot store it at present. Try again in a second."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "not-logged", detail, headers=((b"retry-after", b"1"),)) from None
        self._metrics.record_scores(scored)
        return content

    async def _read(self, media: Media, live: LiveSnapshot, body: bytes) -> Records:
        """Return the records of a body that are to be scored, or raise its `Problem`. A large one is read in a thread of its own."""
        try:
            return media.read(live.decoder, body) if media.is_quick(body) else await self._reader.run(media.read, live.decoder, body)
        except InvalidRequest:
            return await self._reread(media, live, body)

    def _live_model(self) -> LiveSnapshot:
        live = self._live.current
        if live is None:
            detail = "No model is live yet. Train one (risk train DATE): the service then loads it within seconds."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-model", detail, headers=((b"retry-after", b"5"),))
        return live

    async def _reread(self, media: Media, live: LiveSnapshot, body: bytes) -> Records:
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
            return await self._explainer.run(media.reread, live.decoder, body)
        finally:
            self._explaining -= 1

    async def _read_body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
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


def _score(media: Media, log: RequestLog, live: LiveSnapshot, records: Records) -> tuple[Scored, bytes]:
    """Return the scores of records, and the answer."""
    scored = live.scorer.score(records)
    log.version, log.records = live.version, len(scored)
    return scored, media.write(live.version, scored, records.options)


def _entry(media: Media, log: RequestLog, live: LiveSnapshot, body: bytes, records: Records, scored: Scored, content: bytes) -> Entry:
    """Return what the prediction log has of a request: a list of records and a list of results, whatever form they were sent in."""
    as_results = media is JSON_MEDIA and not records.options.as_columns
    return Entry(
        log.request_id,
        log.received_at,
        records.sent.content() if records.sent.is_rewritten else sent_records(body),
        content if as_results else JSON_MEDIA.write(live.version, scored, DEFAULT),
        len(scored),
        live.binding,
        log.caller,
        log.client_request_id,
        scored.shadow,
    )


def _busy(cause: str, *, close_connection: bool = False) -> Problem:
    retry_after = ((b"retry-after", b"1"),)
    detail = f"{cause} Try again in a second."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=retry_after, close_connection=close_connection)


def _headers(media: Media, content: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", media.name), (b"content-length", str(len(content)).encode())]
