"""The scoring service: `create_app` puts the parts together. Start reading here.

A request passes through the modules in this order:

1. `http.connections` limits connections and heads; `http.middleware` identifies the caller (`auth`) and limits the caller's
   requests (`http.caller_limits`), logs and measures (`observability.request_log`, `.metrics`, `.tracing`);
   `http.whole_requests` does all of this and the next steps at once for a scoring request that has arrived as a whole;
2. `http.predict` reads the body, and `http.media` its records: as JSON by `scoring.wire`, as an Arrow stream by `scoring.arrow`;
3. `scoring.wire` decodes and validates them, few of them one by one, many by `.columns` (`.formats`, `.columnar`, `.fields`, `.records`;
   `.request_errors` and `http.problems` on errors);
4. `scoring.scorer` scores them, as `scoring.scored`, by the model that `scoring.live_model` has loaded and keeps up to date;
5. `observability.prediction_log`, or `.required_log`, writes request and answer to the lake, as `.event_lines`, through
   `.background_writer`.

`desk.endpoint` has the pages under `/desk`, which `desk.site` answers with what `desk.process` gets from a process of its own.
`http.outcomes` receives outcomes, which `outcomes` validates and stores; `http.operations` and `http.docs` have the other routes;
`settings` and `__main__` configure and start the service.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.routing import Route

from risk_assets.lake.store import Store
from risk_serving.auth.access import Access
from risk_serving.desk.endpoint import DeskEndpoint
from risk_serving.http import connections, docs, operations, outcomes
from risk_serving.http.body import BodyReader
from risk_serving.http.caller_limits import CallerLimits
from risk_serving.http.connections import ConnectionLimits, Connections
from risk_serving.http.middleware import RequestMiddleware
from risk_serving.http.outcomes import OutcomesEndpoint
from risk_serving.http.predict import PredictEndpoint
from risk_serving.http.problems import MEDIA_TYPE, Problem
from risk_serving.http.whole_requests import WholeRequests
from risk_serving.observability.metrics import Metrics
from risk_serving.observability.prediction_log import BufferedLog, PredictionLog
from risk_serving.observability.request_log import RequestLog
from risk_serving.observability.required_log import RequiredLog
from risk_serving.observability.tracing import Tracing, open_tracing
from risk_serving.scoring.live_model import LiveModel
from risk_serving.settings import REQUIRED, ServingSettings

CLOSE_SECONDS = 10.0
SOURCE = "risk-serving"
# FastAPI's own telemetry would send exception messages, which may contain a customer's values; `tracing` does not.
FASTAPI_TELEMETRY_OFF: TelemetryConfig = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}


def create_app(settings: ServingSettings) -> FastAPI:
    """Return the service; raises `RiskError` if its settings are not valid."""
    live, metrics, access = LiveModel(settings), Metrics(), Access(settings)
    tracing = open_tracing(settings.serve_telemetry)
    log = _open_log(live.store, settings)
    opened = Connections(ConnectionLimits.of(settings), metrics)
    bodies = BodyReader(settings)
    predict = PredictEndpoint(settings, live, metrics, log, bodies)
    limits = CallerLimits(settings.serve_caller_rate, settings.serve_caller_burst) if settings.serve_caller_rate else None
    desk = DeskEndpoint(settings, access, limits, bodies)
    whole = WholeRequests(predict, access, limits, metrics, tracing, docs.SCORING_PATHS)
    app = FastAPI(
        title="Credit-risk scoring",
        lifespan=_lifespan(live, metrics, log, tracing, desk, {connections.STATE: opened, connections.WHOLE_REQUESTS: whole}),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=FASTAPI_TELEMETRY_OFF,
    )
    app.include_router(operations.routes(live, metrics, opened, settings.serve_stale_seconds))
    app.router.routes += [Route(path, predict, methods=["POST"]) for path in docs.SCORING_PATHS]
    app.router.routes.append(Route(outcomes.PATH, OutcomesEndpoint(settings, live, metrics, bodies), methods=["POST"]))
    if settings.serve_docs:
        app.include_router(docs.routes(app, live, secured=not access.localhost_only))
    app.state.connections = opened
    app.add_exception_handler(HTTPException, _routing_problem)
    direct = {("POST", path): predict for path in docs.SCORING_PATHS}
    app.add_middleware(RequestMiddleware, direct=direct, desk=desk, access=access, limits=limits, metrics=metrics, tracing=tracing)
    return app


def _open_log(store: Store, settings: ServingSettings) -> PredictionLog:
    limit, seconds = settings.serve_log_bytes, settings.serve_log_seconds
    if settings.serve_log == REQUIRED:
        return RequiredLog(store, SOURCE, limit, seconds)
    return BufferedLog(store, SOURCE, settings.serve_log_share, limit, seconds)


def _lifespan(
    live: LiveModel, metrics: Metrics, log: PredictionLog, tracing: Tracing, desk: DeskEndpoint, state: Mapping[str, object]
) -> Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, object]]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, object]]:
        """Load and watch the live model; after the last request, write the pending logs."""
        metrics.start()
        log.start()
        await live.start()
        tasks = [asyncio.create_task(live.watch()), asyncio.create_task(operations.record_state(live, metrics, log))]
        yield state
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await desk.close()
        await asyncio.to_thread(log.close, CLOSE_SECONDS)
        await asyncio.to_thread(metrics.close)
        await asyncio.to_thread(tracing.close)

    return lifespan


def _routing_problem(request: Request, error: Exception) -> Response:
    """Return the problem document for an unknown path (404) or method (405)."""
    assert isinstance(error, HTTPException)
    log: RequestLog = request.scope["request_log"]
    kind = log.problem = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "refused")
    problem = Problem(HTTPStatus(error.status_code), kind, "See /docs for the paths and methods of this service.")
    headers = {**(error.headers or {}), "content-type": MEDIA_TYPE.decode()}
    return Response(problem.content(log.request_id), error.status_code, headers)
