"""`/openapi.json` and `/docs`: the current schema, made from the contract and the live model, without files from the internet."""

import hashlib
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any, TypeAlias

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from risk_serving.http import problems
from risk_serving.http.media import ARROW
from risk_serving.http.operations import LiveDescription, VersionDescription
from risk_serving.http.outcomes import PATH as OUTCOMES_PATH
from risk_serving.outcomes.receive import OutcomesAnswer
from risk_serving.outcomes.schema import outcomes_schema
from risk_serving.scoring.answers import Answer, ColumnAnswer
from risk_serving.scoring.live_model import LiveModel, LiveSnapshot
from risk_serving.scoring.records import Value
from risk_serving.scoring.schema import request_schema

ASSETS = "fastapi_offline"  # the package that has Swagger UI
MEDIA_TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript", "favicon.png": "image/png"}
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Credit-risk scoring</title>
<link rel="stylesheet" href="/docs/static/swagger-ui.css"><link rel="icon" href="/docs/static/favicon.png"></head>
<body><div id="docs"></div><script src="/docs/static/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body></html>
"""
SCRIPT = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null});\n'
SCORING_PATHS = ("/predict", "/score")
PROBLEMS = {
    400: "The connection was closed before the end of the body, or the request is not valid HTTP.",
    401: "The token is missing or not valid.",
    403: "The token does not have the required role.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is neither application/json nor an Arrow IPC stream.",
    422: "A record is not valid. Nothing was scored.",
    429: "The caller has sent too many requests. Try again after Retry-After seconds.",
    503: "No model is live yet, or too many requests are being scored. Try again after Retry-After seconds.",
}

OUTCOMES_PROBLEMS = {
    409: "The contract derives outcomes, so none are received.",
    415: "The body is not application/json.",
    422: "An outcome is not valid. Nothing was stored.",
    500: "The stored copy of these outcomes is damaged. Sending them again does not help until an operator has repaired it.",
    503: "The outcomes may not have been stored. Send the same request again after Retry-After seconds.",
}
DESCRIPTIONS: Mapping[str, type[msgspec.Struct]] = {"/model": LiveDescription, "/models/{version}": VersionDescription}

_Json: TypeAlias = dict[str, Any]
ANY_OBJECT: _Json = {"type": "object"}

# Generators of clients warn about operations that require a content type they do not know, so the text has it.
STREAM_BODY = f"JSON, or with the content type `{ARROW.decode()}` an Arrow IPC stream with a column for each field of a record."
_STREAM: _Json = {
    ARROW.decode(): {
        "schema": {
            "type": "string",
            "format": "binary",
            "description": "The answer to an Arrow IPC stream: a stream with the same columns.",
        }
    }
}


def routes(app: FastAPI, live: LiveModel, *, secured: bool) -> APIRouter:
    """Return the routes for the OpenAPI document and the page that shows it; `secured` if callers need a token."""
    router = APIRouter(include_in_schema=False)
    document = CachedDocument(app, live, secured=secured)
    page, script = _Cached(PAGE.encode(), "text/html"), _Cached(SCRIPT.encode(), "text/javascript")

    @router.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        return document.current().answer(request)

    @router.get("/docs")
    async def docs_page(request: Request) -> Response:
        return page.answer(request)

    @router.get("/docs/start.js")
    async def start_script(request: Request) -> Response:
        return script.answer(request)

    @router.get("/docs/static/{name}")
    async def asset(request: Request, name: str) -> Response:
        if name not in MEDIA_TYPES:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return _asset(name).answer(request)

    return router


class _Cached:
    """Content that is sent as it is, or not at all to a client that has it."""

    def __init__(self, content: bytes, media_type: str) -> None:
        self._content, self._media_type = content, media_type
        self._etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'

    def answer(self, request: Request) -> Response:
        """Return the content, or 304 if the request has its ETag."""
        headers = {"etag": self._etag}
        if self._etag in request.headers.get("if-none-match", ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(self._content, media_type=self._media_type, headers=headers)


@cache
def _asset(name: str) -> _Cached:
    """Return a file of Swagger UI, which is read once."""
    return _Cached((files(ASSETS) / "static" / name).read_bytes(), MEDIA_TYPES[name])


class CachedDocument:
    """The OpenAPI document, made once for each live model."""

    def __init__(self, app: FastAPI, live: LiveModel, *, secured: bool) -> None:
        self._app, self._live, self._secured = app, live, secured
        self._made: tuple[LiveSnapshot | None, _Cached] | None = None

    def current(self) -> _Cached:
        """Return the document of the live model."""
        live = self._live.current
        if self._made is None or self._made[0] is not live:
            content = msgspec.json.encode(_document(self._app, live, secured=self._secured))
            self._made = (live, _Cached(content, "application/json"))
        return self._made[1]


def _document(app: FastAPI, live: LiveSnapshot | None, *, secured: bool) -> _Json:
    """Return the OpenAPI document; without a live model, a request is described as an object without fields."""
    document = get_openapi(title=app.title, version=live.version if live else "no model", routes=app.routes)
    request, requests = request_schema(live.decoder, _example(live)) if live else (ANY_OBJECT, {})
    sent, outcomes = _outcomes_schema(live)
    answers = [Answer, ColumnAnswer, OutcomesAnswer, *DESCRIPTIONS.values()]
    (as_results, as_columns, received, *described), components = msgspec.json.schema_components(
        answers, ref_template="#/components/schemas/{name}"
    )
    document["components"] = {"schemas": {**requests, **outcomes, **_with_even_tuples(components), "Problem": problems.schema()}}
    operations = {path: {"post": _scoring_operation(path, request, {"oneOf": [as_results, as_columns]})} for path in SCORING_PATHS}
    document["paths"] = operations | {OUTCOMES_PATH: {"post": _outcomes_operation(sent, received)}} | document["paths"]
    for path, schema in zip(DESCRIPTIONS, described, strict=True):
        if path in document["paths"]:
            document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"] = schema
    for path, item in document["paths"].items():
        for operation in item.values():
            _add_responses(path, operation)
            if secured and not path.startswith("/health"):
                operation["security"] = [{"bearer": []}]
    if secured:
        document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return document


def _with_even_tuples(schema: Any) -> Any:
    """Return a schema in which lists of a fixed length with items of one kind have `items`: some generators of clients need it."""
    if isinstance(schema, list):
        return [_with_even_tuples(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _with_even_tuples(value) for name, value in schema.items()}
    kinds = changed.get("prefixItems")
    if isinstance(kinds, list) and all(kind == kinds[0] for kind in kinds):
        changed = {name: value for name, value in changed.items() if name != "prefixItems"} | {"items": kinds[0]}
    return changed


def _outcomes_schema(live: LiveSnapshot | None) -> tuple[_Json, _Json]:
    """Return the schema of a request with outcomes, and its components; of any object without a model, or if outcomes are derived."""
    if live is None or live.decoder.contract.target.derived is not None:
        return ANY_OBJECT, {}
    return outcomes_schema(live.decoder.contract, live.decoder.max_records)


def _outcomes_operation(request: Mapping[str, object], answer: Mapping[str, object]) -> _Json:
    text = "Stores which accounts went bad. When the answer arrives, they are in the lake; the batch reads them like those of a file. "
    text += "The same request can be sent again: what is stored already is not stored twice."
    return {
        "summary": "Send outcomes of scored accounts",
        "description": text,
        "operationId": "outcomes",
        "tags": ["outcomes"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {"description": "What was stored, by date.", "content": {"application/json": {"schema": answer}}},
            **{str(status): _problem(text) for status, text in (PROBLEMS | OUTCOMES_PROBLEMS).items()},
        },
    }


def _scoring_operation(path: str, request: Mapping[str, object], answer: Mapping[str, object]) -> _Json:
    description = (
        "The probability of default, points, band and reasons of each record, in order. "
        "A record that matches a population rule of the contract has the status `not eligible` and the rule's reason instead."
    )
    return {
        "summary": "Score records",
        "description": description if path == "/predict" else f"The same as /predict. {description}",
        "operationId": path.strip("/"),
        "tags": ["scoring"],
        "requestBody": {"required": True, "description": STREAM_BODY, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {"description": "One result for each record, in order.", "content": {"application/json": {"schema": answer}, **_STREAM}},
            **{str(status): _problem(text) for status, text in PROBLEMS.items()},
        },
    }


def _add_responses(path: str, operation: _Json) -> None:
    """Replace the errors that FastAPI lists by those that an operation can return."""
    responses = operation["responses"]
    if path not in (*SCORING_PATHS, OUTCOMES_PATH):
        responses.pop("422", None)
    if path == "/health/ready":
        responses["503"] = {"description": "No model is live yet."}
    if not path.startswith("/health"):
        responses |= {str(status): _problem(PROBLEMS[status]) for status in (401, 403, 429, 503) if str(status) not in responses}
    if "{version}" in path:
        responses["404"] = _problem("The version does not exist.")


def _problem(description: str) -> _Json:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {problems.MEDIA_TYPE.decode(): {"schema": schema}}}


def _example(live: LiveSnapshot) -> dict[str, Value]:
    """Return one record with the features of all live models."""
    merged: dict[str, Value] = {}
    for example in reversed(live.examples):
        merged |= example.record
    return merged
