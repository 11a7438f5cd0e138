"""The scoring service: composition only. Every route stands here, by its noun.

The way of a request, and the order to read in: `gate` asks who calls (`auth`) and measures (`telemetry`, `tracing`); `predict`
reads the body; `wire` holds its records against the contract (`fields`, `records`, `problems`); `scorer` scores them by what
`live_model` has loaded and watches for; `prediction_log` keeps both, in the `background`. `operate` and `docs` are the routes
beside it, `settings` and `__main__` what starts it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from risk_serving.auth.access import Access
from risk_serving.http import docs, operations
from risk_serving.http.middleware import RequestLog, RequestMiddleware
from risk_serving.http.predict import Predict
from risk_serving.http.problems import MEDIA_TYPE, Problem
from risk_serving.observability.metrics import Telemetry
from risk_serving.observability.prediction_log import PredictionLog
from risk_serving.observability.tracing import open_tracing
from risk_serving.scoring.live_model import LiveModel
from risk_serving.settings import ServingSettings

CLOSE_SECONDS = 10.0
# FastAPI would else tell a configured OpenTelemetry of every request, with messages of exceptions: `tracing` tells what may be told.
FASTAPI_TELEMETRY_OFF: TelemetryConfig = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}


def create_app(settings: ServingSettings) -> FastAPI:
    """Return the service; raises `RiskError` when its settings can't be used."""
    live, telemetry, access = LiveModel(settings), Telemetry(), Access(settings)
    tracing = open_tracing(settings.serve_telemetry)
    log = PredictionLog(live.store, "risk-serving", settings.serve_log_share, settings.serve_log_records, settings.serve_log_seconds)
    predict = Predict(settings, live, telemetry, log)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        """Load the live model, and watch; at the end, when all requests are answered, write what is still to be logged."""
        telemetry.start()
        log.start()
        await asyncio.to_thread(live.refresh)
        tasks = [asyncio.create_task(live.watch()), asyncio.create_task(operations.tell(live, telemetry, log))]
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(log.close, CLOSE_SECONDS)
        await asyncio.to_thread(telemetry.close)
        await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="Credit-risk scoring",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=FASTAPI_TELEMETRY_OFF,
    )
    app.include_router(operations.routes(live, telemetry))
    for path in ("/predict", "/score"):
        app.router.routes.append(Route(path, predict, methods=["POST"]))
    if settings.serve_docs:
        app.include_router(docs.routes(app, live, secured=not access.open))
        app.router.routes.append(Mount("/docs/static", StaticFiles(packages=[docs.ASSETS])))
    app.add_exception_handler(HTTPException, _problem)
    direct = {("POST", "/predict"): predict, ("POST", "/score"): predict}
    app.add_middleware(RequestMiddleware, direct=direct, access=access, telemetry=telemetry, tracing=tracing)
    return app


def _problem(request: Request, error: Exception) -> Response:
    """Return the problem of a path or method that is not there."""
    assert isinstance(error, HTTPException)
    seen: RequestLog = request.scope["seen"]
    kind = seen.problem = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "refused")
    problem = Problem(HTTPStatus(error.status_code), kind, "See /docs for what there is.")
    headers = {**(error.headers or {}), "content-type": MEDIA_TYPE.decode()}
    return Response(problem.content(seen.request_id), error.status_code, headers)
