"""What operators ask: is it up, which version answers, since when and why, and the metrics."""

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse

from risk_assets.errors import MissingModelError, RiskError
from risk_assets.lake import registry
from risk_serving.http.problems import Problem
from risk_serving.observability.metrics import Telemetry
from risk_serving.observability.prediction_log import PredictionLog
from risk_serving.scoring.live_model import LiveModel, LiveSnapshot

TELL_SECONDS = 1.0


def routes(live: LiveModel, telemetry: Telemetry) -> APIRouter:
    """Return the routes for health, models and metrics."""
    router = APIRouter(tags=["operating"])

    @router.get("/health/live", summary="Whether the process answers")
    async def alive() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/health/ready", summary="Whether records can be scored, and by the version that is live")
    async def ready(response: Response) -> dict[str, str | None]:
        if live.current is None:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            response.headers["retry-after"] = "5"
            return {"status": "no model", "model_version": None}
        return {"status": "stale" if live.problem else "ready", "model_version": live.current.version}

    @router.get("/model", summary="What is live: version, since when, by whom, why, figures and features")
    async def model() -> Response:
        current = live.current
        if current is None or current.registered is None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-model", "No model is live yet.", headers=((b"retry-after", b"5"),))
        return _json({"binding": _binding(current), **_told(current.registered), "problem": live.problem})

    @router.get("/models/{version}", summary="A registered version: figures, features, gates")
    async def version(version: str) -> Response:
        return _json(_told(await asyncio.to_thread(_version, live, version)))

    @router.get("/metrics", summary="Metrics, as Prometheus reads them", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(telemetry.page(), media_type=CONTENT_TYPE_LATEST)

    return router


async def tell(live: LiveModel, telemetry: Telemetry, log: PredictionLog) -> None:
    """Keep the metrics of the live version and of what was dropped up to date, until cancelled."""
    while True:
        current = live.current
        telemetry.live(current.age if current else None, live.problem is not None, live.failures, log)
        await asyncio.sleep(TELL_SECONDS)


def _binding(live: LiveSnapshot) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(live.binding)
    return {name: told[name] for name in told if name not in ("previous", "seal", "salt")}


def _version(live: LiveModel, name: str) -> registry.ModelVersion:
    try:
        return registry.read_version(live.store, name)
    except MissingModelError as error:
        raise Problem(HTTPStatus.NOT_FOUND, "no-such-version", str(error)) from None
    except RiskError as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unreadable-version", str(error), headers=((b"retry-after", b"5"),)) from None


def _told(found: registry.ModelVersion) -> dict[str, Any]:
    return {
        "model_version": found.name,
        "registered_at": found.metadata.registered_at,
        "origin": msgspec.to_builtins(found.metadata.origin),
        "gates": msgspec.to_builtins(found.metadata.gates),
        "metrics": msgspec.to_builtins(found.metrics),
    }


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
