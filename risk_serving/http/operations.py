"""Routes for operators: health, the live version, registered versions, metrics."""

import asyncio
import re
from http import HTTPStatus

import msgspec
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse

from risk_assets.domain.governance import artifacts
from risk_assets.errors import MissingModelError, RiskError
from risk_assets.lake import registry
from risk_assets.lake.store import Store
from risk_serving.http.connections import Connections
from risk_serving.http.problems import Problem
from risk_serving.observability.metrics import Metrics
from risk_serving.observability.prediction_log import PredictionLog
from risk_serving.scoring.live_model import LiveModel
from risk_serving.worker import Worker

STATE_SECONDS = 1.0
RETRY_AFTER = (b"retry-after", b"5")
VERSION = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class BindingDescription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A binding without its hashes and its salt."""

    seq: int
    action: str
    champion: str
    challenger: str | None
    challenger_share: float | None
    mode: str
    actor: str
    reason: str
    overrides: tuple[str, ...]
    policy: str
    contract: str
    effective_from: str
    recorded_at: str
    run_id: str | None = None
    approved_by: str | None = None


class VersionDescription(msgspec.Struct, frozen=True):
    """A registered version."""

    model_version: str
    registered_at: str
    origin: artifacts.Origin
    gates: tuple[artifacts.Gate, ...]
    metrics: artifacts.Metrics


class LiveDescription(VersionDescription, frozen=True):
    """The live version, its binding, and why it is not, or may not be, the newest; None if it is."""

    binding: BindingDescription
    problem: str | None


def routes(live: LiveModel, service_metrics: Metrics, connections: Connections, read_seconds: float) -> APIRouter:
    """Return the routes for health, versions and metrics; a version must be read from the lake within `read_seconds`."""
    reader = Worker("versions")
    router = APIRouter(tags=["operations"])

    @router.get("/health/live", operation_id="alive", summary="Whether the process answers")
    async def alive() -> dict[str, str]:
        return {"status": "live"}

    @router.get(
        "/health/ready",
        operation_id="ready",
        summary="Whether records can be scored, whether the model is up to date, and which files are not bound",
    )
    async def ready(response: Response) -> dict[str, str | None]:
        if connections.stopping or live.current is None:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            response.headers["retry-after"] = "5"
            status = "stopping" if connections.stopping else "no model"
            return {"status": status, "model_version": None, "unused_files": None}
        return {
            "status": "stale" if live.problem else "ready",
            "model_version": live.current.version,
            "unused_files": ", ".join(file.kind for file in live.unused_files) or None,
        }

    @router.get("/model", operation_id="model", summary="The live version: binding (since when, by whom, why), metrics, features, gates")
    async def model() -> Response:
        current = live.current
        if current is None or current.champion is None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-model", "No model is live yet.", headers=(RETRY_AFTER,))
        version = msgspec.structs.asdict(_describe_version(current.champion))
        binding = msgspec.convert(current.binding, BindingDescription, from_attributes=True)
        return _json(LiveDescription(**version, binding=binding, problem=live.problem))

    @router.get("/models/{version}", operation_id="version", summary="A registered version: metrics, features, gates")
    async def version(version: str) -> Response:
        try:
            async with asyncio.timeout(read_seconds):
                return _json(_describe_version(await reader.run(_read_version, live.store, version)))
        except TimeoutError:
            detail = f"The lake has not answered within {read_seconds:g} s. Try again later."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unreadable-version", detail, headers=(RETRY_AFTER,)) from None

    @router.get("/metrics", operation_id="metrics", summary="Metrics in Prometheus's text format", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(service_metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return router


async def record_state(live: LiveModel, metrics: Metrics, log: PredictionLog) -> None:
    """Update the metrics of the live version and of the logs every `STATE_SECONDS`, until cancelled."""
    while True:
        metrics.record_state(live, log)
        await asyncio.sleep(STATE_SECONDS)


def _describe_version(version: registry.ModelVersion) -> VersionDescription:
    metadata = version.metadata
    return VersionDescription(version.name, metadata.registered_at, metadata.origin, metadata.gates.found, version.metrics)


def _read_version(store: Store, name: str) -> registry.ModelVersion:
    if not VERSION.fullmatch(name):
        raise Problem(HTTPStatus.NOT_FOUND, "no-such-version", "The version does not exist. GET /model has the live one.")
    try:
        return registry.read_version(store, name)
    except MissingModelError as error:
        raise Problem(HTTPStatus.NOT_FOUND, "no-such-version", str(error)) from None
    except RiskError as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unreadable-version", str(error), headers=(RETRY_AFTER,)) from None


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
