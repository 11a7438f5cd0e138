"""Tests of the OpenAPI document: current schema, working example, schemathesis run, offline page."""

import os
import re
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import jsonschema_rs
import pytest
from fastapi import FastAPI
from playwright.sync_api import ConsoleMessage, Page, Request, Route
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from risk_assets.domain.contract.schema import Contract
from risk_assets.lake.store import Store
from risk_serving.http import docs
from risk_serving.http.media import ARROW
from risk_serving.scoring.live_model import LiveModel
from risk_serving.settings import ServingSettings
from tests.conftest import ROOT
from tests.serving.conftest import LOGISTIC, SCORECARD, Service, promote, token_entry

ATTACK_SECONDS = 60
SCORING = ("/predict", "/score")
PATHS = ("/health/live", "/health/ready", "/metrics", "/model", "/models/{version}", "/outcomes", *SCORING)


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    """The OpenAPI document."""
    found: dict[str, Any] = service.client.get("/openapi.json").raise_for_status().json()
    return found


@pytest.fixture(scope="module")
def request_schema(document: dict[str, Any]) -> dict[str, Any]:
    """The schema of a request to `/predict`."""
    schema = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return {**schema, "components": document["components"]}


@pytest.fixture(scope="module")
def fields(document: dict[str, Any]) -> dict[str, Any]:
    """The schemas of a record's fields."""
    found: dict[str, Any] = document["components"]["schemas"]["Record"]["properties"]
    return found


@pytest.fixture
def offline_page(page: Page) -> Page:
    """A browser page that can reach only this machine."""
    page.route(lambda url: urlparse(url).hostname != "127.0.0.1", _abort)
    return page


def test_document_is_openapi_3_1_of_every_route(document: dict[str, Any]) -> None:
    OPENAPI_31_VALIDATOR.validate(document)
    assert document["openapi"].startswith("3.1.")
    assert document["info"] == {"title": "Credit-risk scoring", "version": LOGISTIC}
    assert sorted(document["paths"]) == sorted(PATHS)
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_example_fits_its_schema_and_is_scored(service: Service, document: dict[str, Any], request_schema: dict[str, Any]) -> None:
    example = request_schema["example"]
    jsonschema_rs.validate(request_schema, example)
    for path in SCORING:
        answer = service.client.post(path, json=example)
        assert answer.status_code == 200
        responses = document["paths"][path]["post"]["responses"]
        schema = {**responses["200"]["content"]["application/json"]["schema"], "components": document["components"]}
        jsonschema_rs.validate(schema, answer.json())


def test_problem_document_fits_its_schema(service: Service, document: dict[str, Any]) -> None:
    rejected = service.predict([{"id": 1}, {}])
    assert rejected.status_code == 422
    (media_type, content), *others = document["paths"]["/predict"]["post"]["responses"]["422"]["content"].items()
    assert (media_type, others) == (rejected.headers["content-type"], [])
    jsonschema_rs.validate({**content["schema"], "components": document["components"]}, rejected.json())


def test_arrow_is_in_the_text_of_a_request_and_in_the_answers(document: dict[str, Any]) -> None:
    """Generators of clients warn about a content type that they do not know in a request."""
    for path in SCORING:
        operation = document["paths"][path]["post"]
        assert list(operation["requestBody"]["content"]) == ["application/json"]
        assert ARROW.decode() in operation["requestBody"]["description"]
        assert list(operation["responses"]["200"]["content"]) == ["application/json", ARROW.decode()]


def test_real_records_fit_the_schema(request_schema: dict[str, Any], records: list[dict[str, Any]]) -> None:
    jsonschema_rs.validate(request_schema, {"records": records})


def test_request_schema_has_the_contracts_fields(document: dict[str, Any], fields: dict[str, Any], contract: Contract) -> None:
    schemas = document["components"]["schemas"]
    records = schemas["RecordsRequest"]["properties"]["records"]
    assert (records["minItems"], records["maxItems"]) == (1, 1000)
    assert list(fields) == ["id", *contract.features]
    assert schemas["Record"]["required"] == [name for name, feature in contract.features.items() if feature.required]
    assert schemas["Record"]["additionalProperties"] is False
    assert schemas["RecordsRequest"]["additionalProperties"] is False
    assert fields["id"]["type"] == ["string", "null"]


def test_field_schemas_have_ranges_and_null(fields: dict[str, Any]) -> None:
    assert fields["balance"] == {"type": "number", "minimum": 0, "maximum": 5_000_000}
    assert fields["bureau_score"] == {"type": ["number", "null"], "minimum": 300, "maximum": 850}
    assert fields["channel"]["type"] == ["string", "null"]
    assert fields["region"]["type"] == "string"


VALUES = [
    ("balance", 0, True),
    ("balance", -0.5, False),
    ("balance", 5_000_000, True),
    ("balance", 5_000_001, False),
    ("balance", None, False),
    ("balance", "1", False),
    ("balance", True, False),
    ("annual_income", None, True),
    ("annual_income", -1, False),
    ("months_employed", -9, True),
    ("months_employed", -9.0, True),
    ("months_employed", -8, False),
    ("months_employed", 900, True),
    ("months_employed", 901, False),
    ("months_employed", None, True),
    ("months_employed", "", False),
    ("region", "south", True),
    ("region", "never seen", True),
    ("region", "NA", False),
    ("region", "", False),
    ("region", " ", False),
    ("region", None, False),
    ("channel", "NA", True),
    ("channel", "", True),
    ("channel", None, True),
    ("channel", 1, False),
    ("id", None, True),
    ("id", 1, False),
    ("id", " A 1\n", True),
    ("id", "A\n1", False),
    ("id", "A\x001", False),
    ("id", "NA", False),
    ("id", " ", False),
    ("region", "so\x00uth", False),
    ("channel", "\x00", False),
    ("channel", "a\nb", True),
]


@pytest.mark.parametrize(("field", "value", "fits"), VALUES)
def test_schema_and_service_agree_on_values(
    service: Service, records: list[dict[str, Any]], request_schema: dict[str, Any], field: str, value: object, fits: bool
) -> None:
    content = {"records": [{**records[0], field: value}]}
    assert jsonschema_rs.is_valid(request_schema, content) is fits
    assert service.client.post("/predict", json=content).status_code == (200 if fits else 422)


@pytest.fixture(scope="module")
def outcomes_schema(document: dict[str, Any]) -> dict[str, Any]:
    """The schema of a request to `/outcomes`."""
    schema = document["paths"]["/outcomes"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return {**schema, "components": document["components"]}


SENT: list[tuple[dict[str, Any], bool]] = [
    ({"id": "a", "date": "2026-01-01", "outcome": "1"}, True),
    ({"id": "a", "date": "2026-01-01", "outcome": 0}, True),
    ({"id": "a", "date": "2026-01-01", "outcome": None}, True),
    ({"id": "a", "date": "2026-01-01"}, False),
    ({"id": "a", "outcome": "1"}, False),
    ({"id": "NA", "date": "2026-01-01", "outcome": "1"}, False),
    ({"id": "a", "date": "2026-01-32", "outcome": "1"}, False),
    ({"id": "a", "date": "2026-01-01", "outcome": ""}, False),
    ({"id": "a", "date": "2026-01-01", "outcome": "NA"}, False),
    ({"id": "a", "date": "2026-01-01", "outcome": True}, False),
    ({"id": "a", "date": "2026-01-01", "outcome": "1", "record": 0}, False),
    ({"id": "a", "date": "2026-01-01", "outcome": "1", "known_at": "2026-01-01"}, False),
    ({"request_id": None, "outcome": "1"}, False),
    ({"request_id": "f", "record": 0, "id": "a", "outcome": "1"}, False),
]


@pytest.mark.parametrize(("sent", "fits"), SENT)
def test_schema_and_service_agree_on_outcomes(service: Service, outcomes_schema: dict[str, Any], sent: dict[str, Any], fits: bool) -> None:
    content = {"outcomes": [sent]}
    assert jsonschema_rs.is_valid(outcomes_schema, content, validate_formats=True) is fits
    assert service.client.post("/outcomes", json=content).status_code == (200 if fits else 422)


def test_answers_of_operations_fit_their_schemas(service: Service, document: dict[str, Any]) -> None:
    sent = {"outcomes": [{"id": "b", "date": "2026-01-01", "outcome": "1"}]}
    answers = {"/outcomes": service.client.post("/outcomes", json=sent)}
    answers |= {"/model": service.client.get("/model"), "/models/{version}": service.client.get(f"/models/{LOGISTIC}")}
    for path, answer in answers.items():
        (operation,) = document["paths"][path].values()
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema_rs.validate({**schema, "components": document["components"]}, answer.raise_for_status().json())


def test_document_is_made_once_for_each_live_model(served_book: Path, tmp_path: Path) -> None:
    live = LiveModel(ServingSettings(lake=str(served_book / "lake"), contract=ROOT / "data/contract.yml", policy=ROOT / "data/policy.yml"))
    document = docs.CachedDocument(FastAPI(), live, secured=False)
    without = document.current()
    assert document.current() is without
    live.refresh()
    assert live.problem is None
    made = document.current()
    assert made is not without
    live.refresh()
    assert document.current() is made


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/start.js", "/docs/static/swagger-ui.css"])
def test_documentation_is_not_sent_again_to_who_has_it(service: Service, path: str) -> None:
    etag = service.client.get(path).headers["etag"]
    again = service.client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert service.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_etag_changes_with_the_live_version(serve: Callable[..., Service], lake: Store) -> None:
    changing = serve(lake)
    first = changing.client.get("/openapi.json")
    promote(lake, SCORECARD)
    changing.until(lambda: changing.client.get("/openapi.json").json()["info"]["version"] == SCORECARD)
    assert changing.client.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_document_is_valid_without_a_model(serve: Callable[..., Service], tmp_path: Path) -> None:
    document = serve(tmp_path / "nothing").client.get("/openapi.json").raise_for_status().json()
    OPENAPI_31_VALIDATOR.validate(document)
    assert sorted(document["paths"]) == sorted(PATHS)


def test_secured_operations_have_a_bearer_scheme(serve: Callable[..., Service], lake: Store) -> None:
    guarded = serve(lake, RISK_SERVE_TOKENS=token_entry("ann", "secret", "score"))
    document = guarded.client.get("/openapi.json").raise_for_status().json()
    OPENAPI_31_VALIDATOR.validate(document)
    secured = {path for path, item in document["paths"].items() for operation in item.values() if operation.get("security")}
    assert secured == set(PATHS) - {"/health/live", "/health/ready"}
    assert document["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}


def test_documentation_can_be_disabled(serve: Callable[..., Service], lake: Store) -> None:
    client = serve(lake, RISK_SERVE_DOCS="false").client
    assert [client.get(path).status_code for path in ("/docs", "/openapi.json", "/docs/static/swagger-ui.css")] == [404] * 3


@pytest.mark.long
def test_schemathesis_finds_no_errors(serve: Callable[..., Service], lake: Store, tmp_path: Path) -> None:
    attacked = serve(lake, RISK_SERVE_LOG_SHARE="0")
    command = [f"{sysconfig.get_path('scripts')}/st", "run", f"{attacked.url}/openapi.json", "--checks", "all", "--seed", "4"]
    options = ["--max-examples", "12", "--no-color", "--generation-database", "none"]
    hooks = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.serving.http.schemathesis_hooks"}
    run = subprocess.run(
        [*command, *options], cwd=tmp_path, env=os.environ | hooks, capture_output=True, text=True, timeout=ATTACK_SECONDS, check=False
    )
    assert run.returncode == 0, run.stdout
    assert int(re.findall(r"(\d+) generated, \1 passed", run.stdout)[0]) > 100
    assert len(PATHS) == int(re.findall(r"Tested: (\d+)", run.stdout)[0])
    attacked.stop()
    assert "ERROR" not in attacked.errors


def test_page_works_in_a_browser_without_internet(service: Service, offline_page: Page) -> None:
    messages: list[str] = []
    urls: list[str] = []

    def keep_message(message: ConsoleMessage) -> None:
        messages.extend([message.text] if message.type in {"error", "warning"} else [])

    def keep_url(request: Request) -> None:
        urls.append(request.url)

    offline_page.on("console", keep_message)
    offline_page.on("pageerror", lambda error: messages.append(str(error)))
    offline_page.on("request", keep_url)
    offline_page.goto(f"{service.url}/docs")
    operation = offline_page.locator("#operations-scoring-predict")
    operation.wait_for()
    assert "POST" in operation.inner_text()
    assert "/predict" in operation.inner_text()
    operation.locator("button").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    operation.locator(".live-responses-table .response-col_status").get_by_text("200").first.wait_for()
    assert f'"model_version": "{LOGISTIC}"' in operation.locator(".live-responses-table").inner_text()
    assert messages == []
    assert {urlparse(url).hostname for url in urls if not url.startswith("data:")} == {"127.0.0.1"}


def _abort(route: Route) -> None:
    route.abort()
