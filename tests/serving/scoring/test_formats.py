"""Tests of the formats besides `records`: the same results, errors and log as for `records` with the same values."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import httpx
import jsonschema_rs
import msgspec
import pandas as pd
import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Term, VersionedScorecard
from risk_assets.lake.store import Store
from risk_serving.http.problems import Problem
from risk_serving.scoring.formats import FORMATS
from risk_serving.scoring.wire import InvalidRequest, RequestDecoder
from tests.serving.conftest import Service

Records: TypeAlias = Sequence[dict[str, Any]]
MARKER = "zq-73519-marker"
JSON = {"content-type": "application/json"}
SIZES = pytest.mark.parametrize("size", [1, 40], ids=["few", "many"])


def columns(records: Records) -> dict[str, list[Any]]:
    return {name: [record[name] for record in records] for name in records[0]}


def split(records: Records) -> dict[str, Any]:
    return {"columns": list(records[0]), "data": [list(record.values()) for record in records]}


MAKERS: dict[str, Callable[[Records], dict[str, Any]]] = {
    "MLflow's records": lambda records: {"dataframe_records": records},
    "MLflow's split": lambda records: {"dataframe_split": split(records)},
    "MLflow's inputs": lambda records: {"inputs": columns(records)},
    "Azure ML's split": lambda records: {"input_data": {**split(records), "index": list(range(len(records)))}},
    "Azure ML's columns": lambda records: {"input_data": columns(records)},
    "columns": lambda records: {"columns": columns(records)},
}
EACH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def errors(answer: httpx.Response) -> list[tuple[Any, Any, Any]]:
    assert answer.status_code == 422, answer.text
    assert MARKER not in answer.text
    return [(error["record"], error["field"], error["rule"]) for error in answer.json()["errors"]]


def test_every_format_is_tested() -> None:
    assert {next(iter(make([{"id": None}]))) for make in MAKERS.values()} == set(FORMATS)


@SIZES
@EACH
def test_results_equal_those_of_records(service: Service, records: Records, make: Callable[[Records], dict[str, Any]], size: int) -> None:
    sent = [records[0] | {"channel": 'a:b, "[{ü', "months_employed": -9}, *records[1:size]]
    for options in ({}, {"explain": True}, {"on_error": "skip", "explain": False}):
        expected = service.client.post("/predict", json={"records": sent, **options})
        assert expected.status_code == 200
        assert service.client.post("/predict", json={**make(sent), **options}).content == expected.content
        assert service.client.post("/score", json={**options, **make(sent)}).content == expected.content


def as_columns(results: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return results as the columns of an answer."""
    names = ["status", "id", "prediction", "probability", "points", "band", "reasons", "excluded", "issues", "arm", "model_version"]
    names += ["explanation"] if any("explanation" in result for result in results) else []
    return {name: [result.get(name) for result in results] for name in names}


@SIZES
@EACH
@pytest.mark.parametrize("options", [{}, {"on_error": "skip"}, {"explain": True, "on_error": "skip"}], ids=["plain", "skip", "explain"])
def test_answer_of_columns_has_the_results(
    service: Service, records: Records, make: Callable[[Records], dict[str, Any]], options: dict[str, Any], size: int
) -> None:
    sent = [*records[:size], records[0] | {"balance": -1}] if options else records[:size]
    for body in ({"records": sent}, make(sent)):
        expected = service.client.post("/predict", json={**body, **options}).json()
        assert len(expected["results"]) == len(sent)
        answer = service.client.post("/predict", json={**body, **options, "answer": "columns"})
        assert answer.json() == {"model_version": expected["model_version"], "columns": as_columns(expected["results"])}
        assert service.client.post("/predict", json={**body, **options, "answer": "records"}).json() == expected


@SIZES
@EACH
@pytest.mark.parametrize(
    "change",
    [{"balance": -1, "region": None}, {"balance": MARKER}, {"channel": [MARKER]}, {"id": 7}, {"id": " NA "}, {"colour": 1}],
    ids=["range", "type", "nested", "id", "missing id", "unknown"],
)
def test_errors_equal_those_of_records(
    service: Service, records: Records, make: Callable[[Records], dict[str, Any]], change: dict[str, Any], size: int
) -> None:
    sent = [record | change for record in records[:size]]
    assert errors(service.client.post("/predict", json=make(sent))) == errors(service.predict(sent))
    skipping = {"on_error": "skip"}
    expected = service.client.post("/predict", json={"records": sent, **skipping}).json()
    assert service.client.post("/predict", json={**make(sent), **skipping}).json() == expected


@EACH
def test_number_of_records_is_limited(service: Service, records: Records, make: Callable[[Records], dict[str, Any]]) -> None:
    for sent in ([records[0]] * 1001, [{"id": None}] * 5_000):
        assert errors(service.client.post("/predict", json=make(sent))) == [(None, "records", "must have 1 to 1000 records")]


@EACH
def test_body_fits_the_schema(service: Service, records: Records, make: Callable[[Records], dict[str, Any]]) -> None:
    document = service.client.get("/openapi.json").json()
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    jsonschema_rs.validate(schema, make(records[:40]))
    assert not jsonschema_rs.is_valid(schema, {**make(records[:40]), "records": records[:40]})
    assert not jsonschema_rs.is_valid(schema, make([{"colour": 1}]))


@EACH
def test_body_with_records_too_is_rejected(service: Service, records: Records, make: Callable[[Records], dict[str, Any]]) -> None:
    body = make(records[:1])
    expected = [(None, next(iter(body)), "must not be sent beside records")]
    assert errors(service.client.post("/predict", json={**body, "records": records[:1]})) == expected


@EACH
def test_log_has_the_records(
    serve: Callable[..., Service], lake: Store, records: Records, make: Callable[[Records], dict[str, Any]]
) -> None:
    own = serve(lake)
    assert own.client.post("/predict", json=make(records[:3])).status_code == 200
    own.stop()
    (path,) = lake.list("logs/online/model_inputs/")
    assert json.loads(lake.get(path))["data"] == records[:3]


@pytest.mark.parametrize("name", ["dataframe_split", "input_data"])
def test_pandas_split_frame_is_scored(service: Service, records: Records, name: str) -> None:
    frame = pd.DataFrame(records[:50]).to_json(orient="split", double_precision=15)
    answer = service.client.post("/predict", content=f'{{"{name}": {frame}}}', headers=JSON)
    assert answer.status_code == 200, answer.text
    for found, expected in zip(answer.json()["results"], service.scored(records[:50]), strict=True):
        assert found["probability"] == pytest.approx(expected["probability"], abs=1e-12)


UNKNOWN_RULE = "unknown field: only records, on_error, explain and answer are allowed"
SPLIT_RULE = "must be an object with the lists columns (names) and data (rows), and index if it is sent"
COLUMNS_RULE = "must be an object of columns, each a list of values: values without names are not accepted"
BROKEN: dict[str, tuple[str, tuple[int | None, str | None, str]]] = {
    "not a list": ('{"dataframe_records": {"0": {}}}', (None, "dataframe_records", "must be a list of objects")),
    "not an object": ('{"dataframe_split": [["MARKER"]]}', (None, "dataframe_split", SPLIT_RULE)),
    "no data": ('{"dataframe_split": {"columns": ["id"]}}', (None, "dataframe_split", SPLIT_RULE)),
    "rows of objects": ('{"dataframe_split": {"columns": ["id"], "data": [{"id": "MARKER"}]}}', (None, "dataframe_split", SPLIT_RULE)),
    "unknown key": ('{"input_data": {"columns": ["id"], "data": [[null]], "x": 1}}', (None, "input_data", SPLIT_RULE)),
    "number as name": ('{"dataframe_split": {"columns": [1], "data": [[null]]}}', (None, "dataframe_split", SPLIT_RULE)),
    "short row": (
        '{"dataframe_split": {"columns": ["id", "balance"], "data": [["MARKER", 1], ["MARKER"]]}}',
        (1, None, "must have 2 values, one for each of columns"),
    ),
    "repeated name": ('{"dataframe_split": {"columns": ["id", "id"], "data": []}}', (None, "id", "is repeated")),
    "short index": (
        '{"input_data": {"columns": ["id"], "index": [0], "data": [["a"], ["b"]]}}',
        (None, "index", "must have one value for each row of data"),
    ),
    "no rows": ('{"dataframe_split": {"columns": ["id"], "data": []}}', (None, "records", "must have 1 to 1000 records")),
    "no columns": ('{"columns": {}}', (None, "records", "must have 1 to 1000 records")),
    "values without names": ('{"inputs": [[1, "MARKER"]]}', (None, "inputs", COLUMNS_RULE)),
    "Azure's values without names": ('{"input_data": [[1, "MARKER"]]}', (None, "input_data", COLUMNS_RULE)),
    "a value for a column": ('{"columns": {"id": "MARKER"}}', (None, "columns", COLUMNS_RULE)),
    "null": ('{"columns": null}', (None, "columns", COLUMNS_RULE)),
    "short column": (
        '{"columns": {"id": ["MARKER", "b"], "balance": [1]}}',
        (None, "balance", "must have 2 values, as another column has"),
    ),
    "repeated column": ('{"columns": {"balance": [1], "balance": [2]}}', (None, "balance", "is repeated")),
    "repeated table": ('{"columns": {"balance": [1]}, "columns": {"balance": [2]}}', (None, "columns", "is repeated")),
    "two formats": ('{"columns": {}, "inputs": {}}', (None, "columns", "must not be sent beside inputs")),
    "unknown field": (
        '{"columns": {"id": ["a"]}, "x": 1}',
        (None, "x", "unknown field: only records, on_error, explain and answer are allowed"),
    ),
    "form of the answer": ('{"columns": {"id": ["a"]}, "answer": []}', (None, "answer", "must be records or columns")),
    "option": ('{"columns": {"id": ["a"]}, "on_error": 1}', (None, "on_error", "must be fail or skip")),
}


@pytest.mark.parametrize(("body", "expected"), BROKEN.values(), ids=BROKEN)
def test_table_that_cannot_be_read_is_reported(service: Service, body: str, expected: tuple[int | None, str | None, str]) -> None:
    answer = service.client.post("/predict", content=body.replace("MARKER", MARKER), headers=JSON)
    found = errors(answer)
    assert found[0] == expected
    assert len(found) == 1 or expected[1] in {"x", "on_error", "answer"}  # records are checked too


@pytest.mark.parametrize(
    "body",
    [
        '{"columns": {"x": [' + "1," * 100_000 + "1]}}",
        '{"dataframe_split": {"columns": [' + '"x",' * 100_000 + '"x"], "data": []}}',
        '{"dataframe_split": {"columns": [], "data": [' + "[]," * 100_000 + "[]]}}",
        '{"dataframe_records": ' + "[" * 100_000,
    ],
    ids=["values", "names", "rows", "depth"],
)
def test_hostile_table_is_rejected_without_the_list(service: Service, body: str) -> None:
    ((_, _, rule),) = errors(service.client.post("/predict", content=body, headers=JSON))
    assert rule.startswith("is not valid, and has too many values")


CONTRACT = Contract.model_validate(
    {"id": "account", "target": {"column": "outcome", "bad": "1"}, "features": {"x": {"type": "number", "missing": [-9], "reason": "why"}}}
)
CARD = VersionedScorecard("model_v001", Scorecard("logistic", 0.0, (Term("x", Line(1.0, 0.0, 0.0), 0.0, 0.0, "why"),)))
DECODER = RequestDecoder(CONTRACT, Arms(CARD), 100)


@pytest.mark.parametrize("number", ["0.1", "1e308", "-0.0", "5e-324", "123456789012345678901234", "0.30000000000000004"])
@pytest.mark.parametrize("count", [1, 40])
def test_values_are_not_changed(number: str, count: int) -> None:
    sent = (
        json.dumps({"records": [{"id": None, "x": MARKER}] * count}),
        json.dumps({"columns": {"id": [None] * count, "x": [MARKER] * count}}),
    )
    rows, columns = (DECODER.decode(body.replace(f'"{MARKER}"', number).encode()) for body in sent)
    assert rows.sent.make() == columns.sent.make()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + 400 * "0"])
def test_number_too_large_for_a_float_is_reported(number: str) -> None:
    with pytest.raises(Problem) as caught:
        DECODER.decode(f'{{"columns": {{"x": [1, {number}]}}}}'.encode())
    assert [(error.record, error.field, error.rule) for error in caught.value.errors] == [(1, "x", "unreadable")]


def test_body_that_is_nested_almost_too_deeply_is_answered() -> None:
    bodies = (
        '{"on_error": "skip", "records": [{"x": %s}]}',
        '{"columns": {"x": [%s], "y": [":"]}}',
        '{"columns": {"x": [1]}, "columns": {"x": [%s]}}',
    )
    for body in bodies:
        for depth in range(950, 1050):
            try:
                DECODER.decode((body % ("[" * depth + "]" * depth)).encode())
            except Problem as problem:
                assert problem.errors


@pytest.mark.parametrize(
    "body",
    [
        '{"columns": {"x": [' + "1," * 4_000 + "1]}}",
        '{"columns": {"x": [1]}, "columns": {"x": [":' + ":" * 1_000_000 + '"]}}',
        '{"columns": {"x": [1], "x": [2], "y": [":' + ":" * 1_000_000 + '"]}}',
        '{"dataframe_split": {"columns": ["x", "x"], "data": []}}',
    ],
    ids=["many", "repeated table", "repeated column", "repeated name"],
)
def test_errors_of_a_table_are_listed_only_when_it_is_read_again(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(json, "loads", None)
        patched.setattr(msgspec.json, "Decoder", None)
        with pytest.raises(InvalidRequest):
            DECODER.read(body.encode())
    with pytest.raises(Problem) as caught:
        DECODER.reread(body.encode())
    assert caught.value.errors


@pytest.mark.parametrize("table", ['{"dataframe_split": {"columns": ["NAME"], "data": DATA}}', '{"inputs": {"NAME": ROW}}'])
def test_long_name_is_not_repeated_for_each_record(table: str) -> None:
    name, rows = "n" * 5_000, 100
    body = table.replace("NAME", name).replace("DATA", json.dumps([[1]] * rows)).replace("ROW", json.dumps([1] * rows))
    for options in ("", '"on_error": "skip", '):
        with pytest.raises(Problem) as caught:
            DECODER.decode(("{" + options + body[1:]).encode())
        ((index, _, rule),) = [(error.record, error.field, error.rule) for error in caught.value.errors]
        assert (index, rule) == (None, "has columns that are not in the contract, and whose names are too long to list them")
