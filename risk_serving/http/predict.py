"""`POST /predict` as an ASGI app beside FastAPI: reads a body within the limits, scores its records, answers, logs."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from risk_serving.http.body import BodyReader, busy
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
REJECTED_BY = "rejected by"  # the key in the scope for the live model that has found a body not valid
_SKIP = f'"{SKIP}"'.encode()


class PredictEndpoint:
    """Answers `POST /predict` by the model that is live when the body has arrived."""

    def __init__(
        self, settings: ServingSettings, live: LiveModel, metrics: Metrics, prediction_log: PredictionLog, bodies: BodyReader
    ) -> None:
        self._bodies = bodies
        self._max_in_flight = settings.serve_max_in_flight
        self._live, self._metrics, self._prediction_log = live, metrics, prediction_log
        self._offer = prediction_log.offer if isinstance(prediction_log, BufferedLog) else None
        self._in_flight = self._explaining = 0
        self._explainer, self._reader = Worker("explain"), Worker("read")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises `Problem` if it is rejected."""
        if self._in_flight >= self._max_in_flight:
            raise busy(f"{self._max_in_flight} requests are arriving or being read again, which is the limit.", close_connection=True)
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            media = media_of(scope["request_log"].headers)
            content = await self._answer(media, scope, receive)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
        # A client that does not read holds only its answer, and for a limited time: `connections` closes its connection.
        await send({"type": "http.response.start", "status": 200, "headers": _headers(media, content)})
        await send({"type": "http.response.body", "body": content})

    def media_at_once(self, headers: Mapping[bytes, bytes], body: bytes) -> Media | None:
        """Return the media type of a body that can be answered without waiting, or None for any other."""
        if self._offer is None or len(body) > self._bodies.max_bytes:
            return None
        media = media_of(headers)
        return media if media.is_quick(body) else None

    def answer_at_once(self, media: Media, scope: Scope, body: bytes) -> bytes:
        """Return the answer to a body of `media_at_once`, which has been logged.

        Raises
        ------
        InvalidRequest
            If a record is not valid. Nothing has been logged; the scope has the live model, so that the body is not read in vain again.
        Problem
            If no model is live.
        """
        assert self._offer is not None
        log = scope["request_log"]
        log.bytes_in = len(body)
        live = self._live_model()
        try:
            records = media.read(live.decoder, body)
        except InvalidRequest:
            scope[REJECTED_BY] = live
            raise
        scored, content = _score(media, log, live, records)
        if self._prediction_log.has(log.request_id):
            self._offer(_entry(media, log, live, body, records, scored, content))
        self._metrics.record_scores(scored)
        return content

    async def _answer(self, media: Media, scope: Scope, receive: Receive) -> bytes:
        """Return the answer to a request, which has been logged."""
        log = scope["request_log"]
        body = await self._bodies.read(log.headers, receive)
        log.bytes_in = len(body)
        live = self._live_model()
        is_rejected = scope.get(REJECTED_BY) is live
        records = await self._reread(media, live, body) if is_rejected else await self._read(media, live, body)
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
            raise busy(f"{MAX_EXPLAINING} invalid requests are being read, which is the limit.")
        if self._explaining >= MAX_EXPLAINING:
            detail = "Nothing was scored. Too many invalid requests have arrived to list the errors: send this one again for the list."
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail)
        self._explaining += 1
        try:
            return await self._explainer.run(media.reread, live.decoder, body)
        finally:
            self._explaining -= 1


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


def _headers(media: Media, content: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", media.name), (b"content-length", str(len(content)).encode())]
