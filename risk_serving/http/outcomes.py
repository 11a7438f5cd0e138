"""`POST /outcomes` as an ASGI app beside FastAPI: reads a body within the limits, and answers when its outcomes are in the lake."""

import asyncio
import logging
from http import HTTPStatus
from time import monotonic

import msgspec
from starlette.types import Receive, Scope, Send

from risk_assets.clock import utc_now
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import DamagedShardError, LakeError
from risk_serving.http.body import BodyReader
from risk_serving.http.media import JSON, require_json
from risk_serving.http.problems import Problem
from risk_serving.observability.metrics import Metrics
from risk_serving.observability.request_log import RequestLog
from risk_serving.outcomes.receive import OutcomesAnswer, Receipt, receive
from risk_serving.outcomes.requests import OutcomeRules, read_outcomes
from risk_serving.scoring.live_model import LiveModel
from risk_serving.settings import ServingSettings
from risk_serving.worker import Worker

PATH = "/outcomes"
MAX_WAITING = 16  # requests; each waits for those before it
RETRY_AFTER = ((b"retry-after", b"5"),)

logger = logging.getLogger(__name__)


class OutcomesEndpoint:
    """Answers `POST /outcomes`. Bodies are read and shards are written one after another in a thread of its own."""

    def __init__(self, settings: ServingSettings, live: LiveModel, metrics: Metrics, bodies: BodyReader) -> None:
        self._settings, self._live, self._metrics, self._bodies = settings, live, metrics, bodies
        self._waiting = 0
        self._worker = Worker("outcomes")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises `Problem` if it is rejected, or its outcomes may not have been stored."""
        if self._waiting >= MAX_WAITING:
            detail = f"{MAX_WAITING} requests with outcomes are waiting, which is the limit. Try again in a moment."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=RETRY_AFTER, close_connection=True)
        self._waiting += 1
        try:
            answer = await self._answer(scope["request_log"], receive)
        finally:
            self._waiting -= 1
        content = msgspec.json.encode(answer)
        headers = [(b"content-type", JSON), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, log: RequestLog, receive: Receive) -> OutcomesAnswer:
        require_json(log.headers)
        body = await self._bodies.read(log.headers, receive)
        log.bytes_in = len(body)
        contract = self._contract()
        try:
            async with asyncio.timeout(self._settings.serve_stale_seconds):
                answer = await self._worker.run(self._store, contract, body, log)
        except TimeoutError:
            raise _not_stored(f"the lake has not answered within {self._settings.serve_stale_seconds:g} s") from None
        except LakeError as error:
            logger.error("request %s: its outcomes may not have been stored: %s", log.request_id, error)  # noqa: TRY400 - the message is complete
            raise _problem(error) from None
        for stored in answer.stored:
            self._metrics.record_outcomes(stored.status, stored.outcomes)
        return answer

    def _contract(self) -> Contract:
        """Return the contract in force; raises `Problem` if there is none yet, or it derives outcomes."""
        live = self._live.current
        if live is None:
            detail = "No model is live yet, so no contract is in force. Land files of outcomes instead: risk land FILE --outcomes."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-model", detail, headers=RETRY_AFTER)
        contract = live.decoder.contract
        if contract.target.derived is not None:
            detail = "The contract derives outcomes from later snapshots (target.derived), so none are received."
            raise Problem(HTTPStatus.CONFLICT, "derived-outcomes", detail)
        return contract

    def _store(self, contract: Contract, body: bytes, log: RequestLog) -> OutcomesAnswer:
        """Store the outcomes of a body; called in the worker's thread."""
        end = monotonic() + self._settings.serve_stale_seconds / 2  # the search of the log leaves time to write
        now = utc_now("milliseconds")
        rules = OutcomeRules(contract, self._settings.serve_max_records, *_dates(self._settings, now))
        outcomes, reference = read_outcomes(body, rules)
        receipt = Receipt(now, log.request_id, log.caller or "unknown")
        return receive(self._live.store, rules, outcomes, reference, receipt, lambda: monotonic() > end)


def _dates(settings: ServingSettings, now: str) -> tuple[str, str]:
    """Return the first and the last date whose accounts can have an outcome at an instant (ISO 8601, UTC)."""
    today = max(now[:10], settings.calendar.day(now))
    return settings.start_date.isoformat(), min(today, settings.end_date.isoformat()) if settings.end_date else today


def _problem(error: LakeError) -> Problem:
    """Return the problem of a request that the lake could not store; the error, which has paths, is for the service's log."""
    if not isinstance(error, DamagedShardError):
        return _not_stored("the lake cannot be read or written at present")
    detail = "The stored copy of these outcomes is damaged, and sending them again does not help until an operator has repaired it. "
    detail += "The service's log has the details under this request_id."
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "outcomes-damaged", detail)


def _not_stored(cause: str) -> Problem:
    detail = f"The outcomes may not have been stored: {cause}. Send the same request again: what was stored is not stored twice."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "outcomes-not-stored", detail, headers=RETRY_AFTER)
