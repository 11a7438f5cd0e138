"""`/openapi.json` and `/docs`: the schema in force right now, shown without anything from the internet."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.utils import get_openapi

from risk_serving.http import problems
from risk_serving.scoring.live_model import LiveModel, LiveSnapshot
from risk_serving.scoring.records import Value
from risk_serving.scoring.wire import answer_schema, request_schema

ASSETS = ("fastapi_offline", "static")
POLICY = {"content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"}
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Credit-risk scoring</title>
<link rel="stylesheet" href="/docs/static/swagger-ui.css"><link rel="icon" href="/docs/static/favicon.png"></head>
<body><div id="docs"></div><script src="/docs/static/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body></html>
"""
START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null});\n'
PROBLEMS = {
    400: "The connection ended, or the request is no HTTP.",
    401: "No valid token.",
    403: "The token does not give this role.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "A record does not fit; nothing was scored.",
    503: "No model is live yet, or too many requests are being answered. Try again after Retry-After seconds.",
}


def routes(app: FastAPI, live: LiveModel, *, secured: bool) -> APIRouter:
    """Return the routes for the OpenAPI document and the page that shows it."""
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def openapi() -> Response:
        return Response(msgspec.json.encode(document(app, live.current, secured=secured)), media_type="application/json")

    @router.get("/docs")
    async def page() -> Response:
        return Response(PAGE, media_type="text/html", headers=POLICY)

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(START, media_type="text/javascript", headers=POLICY)

    return router


def document(app: FastAPI, live: LiveSnapshot | None, *, secured: bool) -> dict[str, Any]:
    """Return the OpenAPI document; without a live model the request's schema says no more than that it is an object."""
    described = get_openapi(title=app.title, version=live.version if live else "no model", routes=app.routes)
    answer = answer_schema()
    described["components"] = {"schemas": {**answer["components"], "Problem": problems.schema()}}
    request = request_schema(live.wire, _example(live)) if live else {"type": "object"}
    scoring = {path: {"post": _operation(path, request, answer["schema"])} for path in ("/predict", "/score")}
    described["paths"] = scoring | described["paths"]
    for path, item in described["paths"].items():
        for operation in item.values():
            _complete(path, operation, secured=secured)
    if secured:
        described["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return described


def _operation(path: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    same = "The probability of default of each record, with points, band and reasons, in order."
    return {
        "summary": "Score records",
        "description": same if path == "/predict" else f"The same as /predict. {same}",
        "operationId": path.strip("/"),
        "tags": ["scoring"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {"description": "One result for each record, in order.", "content": {"application/json": {"schema": answer}}},
            **{str(status): _problem(text) for status, text in PROBLEMS.items()},
        },
    }


def _complete(path: str, operation: dict[str, Any], *, secured: bool) -> None:
    """Add what every operation may answer, and who may ask."""
    operation["responses"].pop("422", None) if path not in ("/predict", "/score") else None
    if path.startswith("/health"):
        if path == "/health/ready":
            operation["responses"]["503"] = {"description": "No model is live yet."}
        return
    operation["responses"] |= {str(status): _problem(PROBLEMS[status]) for status in (401, 403, 503)}
    if "{version}" in path:
        operation["responses"]["404"] = _problem("There is no such version.")
    if secured:
        operation["security"] = [{"bearer": []}]


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {problems.MEDIA_TYPE.decode(): {"schema": schema}}}


def _example(live: LiveSnapshot) -> dict[str, Value]:
    """Return one record with the features of all live models."""
    merged: dict[str, Value] = {}
    for example in reversed(live.examples):
        merged |= example.record
    return merged
