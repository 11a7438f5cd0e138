"""Tests of invalid requests: a 422 lists record, field and rule of each error, never a value, and nothing is scored."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import msgspec
import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Term, VersionedScorecard
from risk_assets.lake.store import Store
from risk_serving.http.problems import Problem
from risk_serving.scoring.wire import RequestDecoder
from tests.serving.conftest import Service

MARKER = "zq-73519-marker"
NUMBER = 7351973519  # a marker too, above every bound
JSON = {"content-type": "application/json"}
REQUIRED = ["months_at_address", "months_on_book", "credit_limit", "utilisation", "balance", "missed_payments_12m", "days_past_due"]
REQUIRED += ["region", "product", "employment_status"]

# Changes to a record, and the errors (field, rule) that must be listed.
RECORDS: dict[str, tuple[Mapping[str, object], list[tuple[str, str]]]] = {
    "a text for a number": ({"balance": MARKER}, [("balance", "must be a number or null")]),
    "a number's text for a number": ({"balance": str(NUMBER)}, [("balance", "must be a number or null")]),
    "a code's text for a number": ({"months_employed": "-9"}, [("months_employed", "must be a number or null")]),
    "true for a number": ({"balance": True}, [("balance", "must be a number or null")]),
    "a list for a number": ({"balance": [MARKER]}, [("balance", "must be a number or null")]),
    "an object for a number": ({"balance": {MARKER: 1}}, [("balance", "must be a number or null")]),
    "a number for a text": ({"region": NUMBER}, [("region", "must be text or null")]),
    "false for a text": ({"region": False}, [("region", "must be text or null")]),
    "a list for a text": ({"region": [MARKER]}, [("region", "must be text or null")]),
    "below": ({"credit_limit": 99.5}, [("credit_limit", "below 100")]),
    "above": ({"balance": NUMBER}, [("balance", "above 5000000")]),
    "just above": ({"utilisation": 5.000000000000001}, [("utilisation", "above 5")]),
    "below, beside a code": ({"months_employed": -9.5}, [("months_employed", "below 0")]),
    "null for a required field": ({"utilisation": None}, [("utilisation", "missing")]),
    "a missing-value text for a required field": ({"region": " NA "}, [("region", "missing")]),
    "blanks for a required field": ({"region": " \t"}, [("region", "missing")]),
    "an unknown field": ({"colour": MARKER}, [("colour", "is not in the contract")]),
    "a long name": ({"n" * 5000: MARKER}, [("n" * 100, "is not in the contract")]),
    "the batch id's name": ({"account_id": MARKER}, [("account_id", "is not in the contract")]),
    "the outcome": ({"defaulted": MARKER}, [("defaulted", "is not in the contract")]),
    "an id of a number": ({"id": NUMBER}, [("id", "must be text or null")]),
    "a long id": ({"id": MARKER * 20}, [("id", "longer than 256 characters")]),
    "an id of a list": ({"id": [MARKER]}, [("id", "must be text or null")]),
    "several": (
        {"colour": MARKER, "id": NUMBER, "balance": NUMBER, "region": None},
        [("colour", "is not in the contract"), ("id", "must be text or null"), ("balance", "above 5000000"), ("region", "missing")],
    ),
}
# Numbers in the JSON, and the rule that must be listed for balance.
NUMBERS = {"1e999": "unreadable", "-1e999": "unreadable", "1" + 400 * "0": "unreadable", "-1" + 400 * "0": "unreadable", "-0.01": "below 0"}
# Bodies, and the error (record, field, start of the rule) that must be listed.
BODIES: dict[str, tuple[bytes, tuple[int | None, str | None, str]]] = {
    "empty": (b"", (None, None, "is not valid JSON: ")),
    "malformed": (f'{{"records": [{{"balance": {MARKER}}}]}}'.encode(), (None, None, "is not valid JSON: ")),
    "single quotes": (f"{{'records': [{{'region': '{MARKER}'}}]}}".encode(), (None, None, "is not valid JSON: ")),
    "truncated": (f'{{"records": [{{"region": "{MARKER}'.encode(), (None, None, "is not valid JSON: ")),
    "two documents": (f'{{"records": []}} "{MARKER}"'.encode(), (None, None, "is not valid JSON: ")),
    "NaN": (b'{"records": [{"balance": NaN}]}', (None, None, "is not valid JSON: ")),
    "Infinity": (b'{"records": [{"balance": -Infinity}]}', (None, None, "is not valid JSON: ")),
    "too many digits": (b'{"records": [{"balance": ' + b"1" * 10_000 + b"}]}", (None, None, "is not valid JSON: ")),
    "a lone surrogate": (f'{{"records": [{{"region": "{MARKER}\\ud800"}}]}}'.encode(), (None, None, "is not valid JSON: ")),
    "a lone low surrogate": (f'{{"records": [{{"id": "\\udc00{MARKER}"}}]}}'.encode(), (None, None, "is not valid JSON: ")),
    "Latin-1": (f'{{"records": [{{"region": "{MARKER}ä"}}]}}'.encode("latin-1"), (None, None, "is not UTF-8")),
    "an encoded surrogate": (b'{"records": [{"region": "' + MARKER.encode() + b'\xed\xa0\x80"}]}', (None, None, "is not UTF-8")),
    "UTF-16": (f'{{"records": [{{"region": "{MARKER}"}}]}}'.encode("utf-16"), (None, None, "is not valid JSON: ")),
    "deep lists": (b"[" * 10_000, (None, None, "nested too deeply")),
    "deep lists, closed": (b'{"records": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", (None, None, "nested too deeply")),
    "deep objects": (b'{"records": [{"x": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}]}", (None, None, "nested too deeply")),
    "many empty lists": (b'{"x": [' + b"[]," * 1_300_000 + b"[]]}", (None, None, "is not valid, and has too many values")),
    "many empty texts": (b'{"records": [{"x": [' + b'"",' * 1_300_000 + b'""]}]}', (None, None, "is not valid, and has too many values")),
    "many names": (b"{" + b",".join(b'"%x":1' % n for n in range(300_000)) + b"}", (None, None, "is not valid, and has too many values")),
    "very deep lists": (b"[" * 4_000_000, (None, None, "is not valid, and has too many values")),
    "not an object": (f'["{MARKER}"]'.encode(), (None, None, "must be an object with the field records")),
    "null": (b"null", (None, None, "must be an object with the field records")),
    "no records": (b"{}", (None, "records", "must be a list of objects")),
    "records that is not a list": (f'{{"records": {{"0": "{MARKER}"}}}}'.encode(), (None, "records", "must be a list of objects")),
    "records null": (b'{"records": null}', (None, "records", "must be a list of objects")),
    "no record": (b'{"records": []}', (None, "records", "must have 1 to 1000 records")),
    "too many records": (b'{"records": [' + b"{}," * 1000 + b"{}]}", (None, "records", "must have 1 to 1000 records")),
    "a record that is not an object": (f'{{"records": ["{MARKER}"]}}'.encode(), (0, None, "must be an object")),
    "a record null": (b'{"records": [null]}', (0, None, "must be an object")),
}


def posted(service: Service, body: bytes) -> httpx.Response:
    return service.client.post("/predict", content=body, headers=JSON)


def errors(answer: httpx.Response) -> list[tuple[Any, Any, Any]]:
    """Return the errors that an answer lists; it must be a problem document of RFC 9457 without a marker."""
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["type"], document["status"], document["title"]) == ("urn:risk-serving:invalid-request", 422, "Invalid request")
    assert document["request_id"] == answer.headers["x-request-id"]
    whole = answer.text + str(answer.headers)
    assert MARKER not in whole
    assert str(NUMBER) not in whole
    return [(error["record"], error["field"], error["rule"]) for error in document["errors"]]


@pytest.mark.parametrize("among", [1, 40], ids=["few", "many"])
@pytest.mark.parametrize(("change", "expected"), RECORDS.values(), ids=RECORDS)
def test_each_error_has_record_field_and_rule(
    service: Service, records: list[dict[str, Any]], change: Mapping[str, object], expected: list[tuple[str, str]], among: int
) -> None:
    sent = [*records[:among], {**records[among], **change}, records[among + 1]]
    assert errors(service.predict(sent)) == [(among, field, rule) for field, rule in expected]


@pytest.mark.parametrize("among", [1, 40], ids=["few", "many"])
def test_absent_required_field_is_missing(service: Service, records: list[dict[str, Any]], among: int) -> None:
    assert errors(service.predict([*records[:among], {"id": MARKER}])) == [(among, field, "missing") for field in REQUIRED]


@pytest.mark.parametrize("among", [1, 40], ids=["few", "many"])
@pytest.mark.parametrize(("number", "rule"), NUMBERS.items(), ids=lambda text: text[:8])
def test_number_too_large_for_a_float_is_reported(
    service: Service, records: list[dict[str, Any]], number: str, rule: str, among: int
) -> None:
    body = json.dumps({"records": [*records[:among], {**records[among], "balance": MARKER}]}).replace(f'"{MARKER}"', number)
    assert errors(posted(service, body.encode())) == [(among, "balance", rule)]


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES)
def test_body_without_records_is_reported(service: Service, body: bytes, expected: tuple[int | None, str | None, str]) -> None:
    ((index, field, rule),) = errors(posted(service, body))
    assert (index, field) == expected[:2]
    assert rule.startswith(expected[2])


def test_unknown_field_beside_records_is_reported(service: Service, records: list[dict[str, Any]]) -> None:
    answer = service.client.post("/predict", json={"records": records[:1], "threshold": MARKER})
    assert errors(answer) == [(None, "threshold", "unknown field: only records, on_error, explain and answer are allowed")]


def test_errors_after_the_first_thousand_are_counted(service: Service) -> None:
    answer = service.predict([{} for _ in range(150)])
    assert len(errors(answer)) == 1000
    assert answer.json()["more_errors"] == 150 * len(REQUIRED) - 1000


def test_errors_are_counted_up_to_ten_thousand(service: Service) -> None:
    answer = service.predict([{f"unknown_{number}": 1 for number in range(12_000)}])
    assert len(errors(answer)) == 1000
    assert answer.json()["more_errors"] == 9000


def test_far_too_many_records_are_rejected_before_decoding(serve: Callable[..., Service], lake: Store) -> None:
    small = serve(lake)
    before = small.kilobytes("VmHWM")
    for _ in range(3):
        answer = posted(small, b'{"records": [' + b"{}," * 1_300_000 + b"{}]}")
        assert errors(answer) == [(None, "records", "must have 1 to 1000 records")]
    assert small.kilobytes("VmHWM") - before < 200_000


def test_braces_in_texts_do_not_count_as_records(service: Service, records: list[dict[str, Any]]) -> None:
    braced = [{**record, "id": "{" * 256} for record in records[:40]]
    plain = [{**record, "id": None} for record in records[:40]]
    assert [{**result, "id": None} for result in service.scored(braced)] == service.scored(plain)


def test_up_to_a_thousand_errors_are_listed(service: Service) -> None:
    answer = service.predict([{} for _ in range(100)])
    assert len(errors(answer)) == 1000
    assert "more_errors" not in answer.json()


@pytest.mark.parametrize("among", [0, 40], ids=["few", "many"])
@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("balance", '"balance": 7, "balance":'),
        ("balance", f'"balance": "{MARKER}", "balance":'),
        ("balance", '"balance": null, "balance":'),
        ("balance", r'"b\u0061lance": 7, "balance":'),
        ("id", f'"id": "{MARKER}", "id":'),
        ("id", '"id": null, "id":'),
    ],
)
@pytest.mark.parametrize("other", [{}, {"annual_income": None}, {"channel": "a:b"}], ids=["plain", "null", "colon"])
def test_repeated_field_is_reported(
    service: Service, records: list[dict[str, Any]], name: str, again: str, other: dict[str, Any], among: int
) -> None:
    last = {key: value for key, value in {**records[among], **other}.items() if key != "months_employed"}
    body = json.dumps({"records": [*records[:among], last]})
    head, _, tail = body.rpartition(f'"{name}":')
    assert errors(posted(service, f"{head}{again}{tail}".encode())) == [(among, name, "is repeated")]


@pytest.mark.parametrize("absent", ["months_employed", "channel", "id"])
@pytest.mark.parametrize("among", [0, 40], ids=["few", "many"])
def test_repeated_field_is_reported_beside_an_absent_one(service: Service, records: list[dict[str, Any]], absent: str, among: int) -> None:
    last = {name: value for name, value in records[among].items() if name != absent}
    body = json.dumps({"records": [*records[:among], last]})
    head, _, tail = body.rpartition('"balance":')
    assert errors(posted(service, f'{head}"balance": 7, "balance":{tail}'.encode())) == [(among, "balance", "is repeated")]


def test_repeated_list_of_records_is_reported(service: Service, records: list[dict[str, Any]]) -> None:
    body = json.dumps({"records": records[:1]})
    assert errors(posted(service, f'{{"records": [{{"region": null}}], {body[1:]}'.encode())) == [(None, "records", "is repeated")]


@pytest.mark.parametrize("text", [":", "a:null", "\\u003a", r"\u003a", r"\u003A:", r"\u003a\"\n"])
@pytest.mark.parametrize("size", [1, 40])
def test_colons_in_texts_do_not_count_as_names(service: Service, records: list[dict[str, Any]], text: str, size: int) -> None:
    sent = [{**record, "channel": "TEXT", "months_employed": None} for record in records[:size]]
    answer = posted(service, json.dumps({"records": sent}).replace("TEXT", text).encode())
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["results"]) == size


@pytest.mark.parametrize("body", [BODIES["many empty lists"][0], BODIES["many names"][0], b'{"records": [' + b"{}," * 1_300_000 + b"{}]}"])
def test_hostile_body_is_not_decoded_a_second_time(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    decoder = RequestDecoder(OPTIONAL, Arms(_model("x")), 1000)
    monkeypatch.setattr(msgspec.json, "Decoder", None)
    with pytest.raises(Problem):
        decoder.decode(body)


def test_max_records_is_a_setting(serve: Callable[..., Service], lake: Store, records: list[dict[str, Any]]) -> None:
    small = serve(lake, RISK_SERVE_MAX_RECORDS="3")
    assert len(small.scored(records[:3])) == 3
    assert errors(small.predict(records[:4])) == [(None, "records", "must have 1 to 3 records")]


def test_rejected_requests_are_neither_scored_nor_logged(serve: Callable[..., Service], lake: Store, records: list[dict[str, Any]]) -> None:
    own = serve(lake)
    for change, _ in RECORDS.values():
        for among in (1, 40):
            errors(own.predict([{**record, "id": MARKER} for record in records[:among]] + [{**records[among], **change}]))
    for body, _ in BODIES.values():
        errors(posted(own, body))
    errors(own.client.post("/predict", json={"records": records[:1], "threshold": MARKER}))
    scores = own.metric("risk_serving_scores_total")
    rejected = own.metric("risk_serving_requests_total", route="/predict", status="422")
    own.stop()
    assert (scores, rejected) == (0, 2 * len(RECORDS) + len(BODIES) + 1)
    assert own.output.count('"problem":"invalid-request"') == rejected
    assert MARKER not in own.output + own.errors
    assert str(NUMBER) not in own.output + own.errors
    assert "Traceback" not in own.errors
    assert lake.list("logs/online/") == ()


@pytest.mark.parametrize("count", [1, 40], ids=["few", "many"])
def test_field_without_range_accepts_any_finite_number(count: int) -> None:
    contract = Contract.model_validate(
        {"id": "account", "target": {"column": "outcome", "bad": "1"}, "features": {"x": {"type": "number", "reason": "why"}}}
    )
    decoder = RequestDecoder(contract, Arms(_model("x")), 100)
    assert len(decoder.decode(_numbers("1e308", count)).ids) == count
    assert len(decoder.decode(_numbers("1" + 300 * "0", count)).ids) == count
    for number in ("1e309", "-1e309", "1" + 400 * "0", "-1" + 400 * "0"):
        with pytest.raises(Problem) as caught:
            decoder.decode(_numbers(number, count))
        assert [(error.record, error.field, error.rule) for error in caught.value.errors] == [
            (at, "x", "unreadable") for at in range(count)
        ]


OPTIONAL = Contract.model_validate(
    {"id": "account", "target": {"column": "outcome", "bad": "1"}, "features": {"x": {"type": "number", "missing": [-9], "reason": "why"}}}
)


@pytest.mark.parametrize("count", [1, 40], ids=["few", "many"])
@pytest.mark.parametrize("value", ["null", "-9"])
def test_feature_that_the_model_requires_must_be_known(value: str, count: int) -> None:
    champion, challenger = _model("x"), _model("x", required=True)
    for arms in (Arms(champion), Arms(champion, challenger)):
        assert len(RequestDecoder(OPTIONAL, arms, 100).decode(_numbers(value, count)).ids) == count
    for arms in (Arms(challenger), Arms(champion, challenger, 0.1, "salt")):
        decoder = RequestDecoder(OPTIONAL, arms, 100)
        assert decoder.fields[0].schema()["type"] == "number"
        with pytest.raises(Problem) as caught:
            decoder.decode(_numbers(value, count))
        assert [(error.record, error.field, error.rule) for error in caught.value.errors] == [(at, "x", "missing") for at in range(count)]


def _model(feature: str, required: bool = False) -> VersionedScorecard:
    term = Term(feature, Line(1.0, 0.0, 0.0), 0.0, 0.0, "why", required)
    return VersionedScorecard("model_v001", Scorecard("logistic", 0.0, (term,)))


def _numbers(number: str, count: int) -> bytes:
    return ('{"records": [' + ", ".join([f'{{"x": {number}}}'] * count) + "]}").encode()


@pytest.mark.parametrize("count", [1, 64])
def test_a_field_whose_name_has_a_colon_is_not_repeated(count: int) -> None:
    contract = Contract.model_validate(
        {"id": "id", "target": {"column": "bad", "bad": 1}, "features": {"x:y": {"type": "number", "reason": "X"}}}
    )
    decoder = RequestDecoder(contract, Arms(_model("x:y")), 100)
    record = '{"id": "a", "x:y": 1}'
    assert len(decoder.decode(f'{{"records": [{", ".join([record] * count)}]}}'.encode()).ids) == count
    with pytest.raises(Problem):
        decoder.decode(b'{"records": [{"id": "a", "x:y": 1, "x:y": 2}]}')
