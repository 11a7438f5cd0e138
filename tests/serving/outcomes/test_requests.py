"""Bodies of `POST /outcomes`: what is accepted, and the errors by record, field and rule."""

import json
from typing import Any

import pytest

from risk_assets.domain.contract.schema import Contract
from risk_serving.http.problems import Problem
from risk_serving.outcomes.requests import NO_DATE, OutcomeRules, SentOutcome, read_outcomes

TEXT = """
id: number
missing: ["", NA]
target: {column: defaulted, bad: 1, good: 0, known_at: since}
features:
  age: {type: number, reason: Age}
"""
CONTRACT = Contract.parse(TEXT, "contract.yml")
UNDATED = Contract.parse(TEXT.replace(", known_at: since", ""), "contract.yml")
OF_ACCOUNT = {"id": "a", "date": "2026-01-01", "outcome": "1"}
OF_REQUEST = {"request_id": "f" * 32, "record": 0, "outcome": "1"}


def read(body: bytes, contract: Contract = CONTRACT) -> tuple[list[SentOutcome], str | None]:
    return read_outcomes(body, OutcomeRules(contract, 10, "2026-01-01", "2026-06-30"))


def errors(content: object, contract: Contract = CONTRACT) -> list[tuple[int | None, str | None, str]]:
    """Return the errors of a request; it must be rejected."""
    with pytest.raises(Problem) as caught:
        read(content if isinstance(content, bytes) else json.dumps(content).encode(), contract)
    assert (caught.value.status, caught.value.kind) == (422, "invalid-request")
    return [(error.record, error.field, error.rule) for error in caught.value.errors]


def test_outcomes_of_accounts_and_requests_are_read() -> None:
    sent = [
        {**OF_ACCOUNT, "id": " a\t", "outcome": 1, "known_at": "2026-02-01"},
        {**OF_ACCOUNT, "id": "b", "outcome": None},
        {**OF_ACCOUNT, "id": "c", "outcome": 0.0, "known_at": None},
        OF_REQUEST,
        {"request_id": "f" * 32, "id": "d", "date": "2026-01-02", "outcome": "0"},
    ]
    outcomes, reference = read(json.dumps({"outcomes": sent, "reference": "case 17"}).encode())
    assert reference == "case 17"
    assert outcomes == [
        SentOutcome("a", "2026-01-01", None, None, "1", "2026-02-01"),
        SentOutcome("b", "2026-01-01", None, None, None, None),
        SentOutcome("c", "2026-01-01", None, None, "0.0", None),
        SentOutcome(None, None, "f" * 32, 0, "1", None),
        SentOutcome("d", "2026-01-02", "f" * 32, None, "0", None),
    ]


UNKNOWN = "is neither the bad nor the good value of the contract's target"
MISSING = "is a text or number for a missing value: only null withdraws an outcome"
OUTSIDE = "is not one of the dates that are scored, 2026-01-01 to 2026-06-30"
BROKEN: list[tuple[object, str | None, str]] = [
    (1, None, "must be an object"),
    ({**OF_ACCOUNT, "label": 1}, "label", "is not a field of an outcome"),
    ({"id": "a", "date": "2026-01-01"}, "outcome", "is missing; null withdraws an outcome"),
    ({**OF_ACCOUNT, "outcome": "2"}, "outcome", UNKNOWN),
    ({**OF_ACCOUNT, "outcome": 0.5}, "outcome", UNKNOWN),
    ({**OF_ACCOUNT, "outcome": ""}, "outcome", MISSING),
    ({**OF_ACCOUNT, "outcome": " NA\t"}, "outcome", MISSING),
    ({**OF_ACCOUNT, "outcome": True}, "outcome", "must be text, a number or null"),
    ({**OF_ACCOUNT, "outcome": ["1"]}, "outcome", "must be text, a number or null"),
    ({**OF_ACCOUNT, "outcome": "1" * 257}, "outcome", "longer than 256 characters"),
    ({**OF_ACCOUNT, "outcome": "1\0"}, "outcome", "stray control character"),
    ({"date": "2026-01-01", "outcome": "1"}, "id", "is missing; or send request_id"),
    ({"id": "a", "outcome": "1"}, "date", "is missing; or send request_id"),
    ({**OF_ACCOUNT, "id": 7}, "id", "must be text or null"),
    ({**OF_ACCOUNT, "id": "NA"}, "id", "missing"),
    ({**OF_ACCOUNT, "id": "a\nb"}, "id", "has a line end"),
    ({**OF_ACCOUNT, "id": "a" * 257}, "id", "longer than 256 characters"),
    ({**OF_ACCOUNT, "date": "2026-1-1"}, "date", NO_DATE),
    ({**OF_ACCOUNT, "date": 20260101}, "date", NO_DATE),
    ({**OF_ACCOUNT, "date": "2026-07-01"}, "date", OUTSIDE),
    ({**OF_ACCOUNT, "date": "2025-12-31"}, "date", OUTSIDE),
    ({**OF_REQUEST, "date": "0001-01-01"}, "date", OUTSIDE),
    ({**OF_ACCOUNT, "known_at": "soon"}, "known_at", NO_DATE),
    ({**OF_ACCOUNT, "record": 0}, "record", "must not be sent without request_id"),
    ({**OF_REQUEST, "request_id": 5}, "request_id", "must be text of 1 to 64 characters"),
    ({**OF_REQUEST, "request_id": ""}, "request_id", "must be text of 1 to 64 characters"),
    ({**OF_REQUEST, "record": -1}, "record", "must be the index of a record, from 0"),
    ({**OF_REQUEST, "record": True}, "record", "must be the index of a record, from 0"),
    ({**OF_REQUEST, "record": 0.0}, "record", "must be the index of a record, from 0"),
    ({**OF_REQUEST, "record": None}, "record", "must be the index of a record, from 0"),
    ({**OF_REQUEST, "request_id": None}, "request_id", "must be text of 1 to 64 characters"),
    ({**OF_REQUEST, "date": None}, "date", NO_DATE),
    ({**OF_ACCOUNT, "id": None}, "id", "must be text"),
    ({**OF_ACCOUNT, "date": None}, "date", NO_DATE),
    ({**OF_REQUEST, "id": "a"}, "record", "must not be sent beside id"),
]


@pytest.mark.parametrize(("sent", "field", "rule"), BROKEN)
def test_a_broken_rule_has_record_and_field(sent: object, field: str | None, rule: str) -> None:
    assert errors({"outcomes": [OF_ACCOUNT, sent]}) == [(1, field, rule)]


def test_known_at_is_rejected_without_a_column_for_it() -> None:
    expected = (0, "known_at", "must not be sent: the contract has no target.known_at")
    assert errors({"outcomes": [{**OF_ACCOUNT, "known_at": "2026-02-01"}]}, UNDATED) == [expected]


def test_all_errors_of_a_request_are_listed() -> None:
    assert errors({"outcomes": [{"x": 1}, OF_ACCOUNT, 3], "reference": 4, "more": 5}) == [
        (None, "more", "unknown field: only outcomes and reference are allowed"),
        (None, "reference", "must be text or null"),
        (0, "x", "is not a field of an outcome"),
        (0, "outcome", "is missing; null withdraws an outcome"),
        (0, "id", "is missing; or send request_id"),
        (0, "date", "is missing; or send request_id"),
        (2, None, "must be an object"),
    ]


@pytest.mark.parametrize("content", [[], 1, {}, {"outcomes": {}}, {"outcomes": []}, {"outcomes": [OF_ACCOUNT] * 11}])
def test_a_request_without_a_list_of_outcomes_is_rejected(content: object) -> None:
    ((record, _, rule),) = errors(content)
    assert record is None and rule.startswith("must ")


def test_repeated_fields_are_rejected() -> None:
    body = b'{"outcomes": [{"id": "a", "date": "2026-01-01", "outcome": "1", "outcome": "0"}]}'
    assert errors(body) == [(0, "outcome", "is repeated")]
    assert errors(b'{"outcomes": [1], ' + json.dumps({"outcomes": [OF_ACCOUNT]}).encode()[1:]) == [(None, "outcomes", "is repeated")]


BODIES = {
    "not UTF-8": b'{"outcomes": "\xff"}',
    "not JSON": b'{"outcomes": [',
    "a lone surrogate": b'{"outcomes": [{"id": "\\ud800", "date": "2026-01-01", "outcome": "1"}]}',
    "nested": b'{"outcomes": ' + b"[" * 900 + b"]" * 900 + b"}",
    "nested deeply": b"[" * 100_000,
    "many lists": b'{"outcomes": [' + b"[]," * 1_000_000 + b"[]]}",
    "a number that is too large": b'{"outcomes": [1e999]}',
    "a long integer": json.dumps({"outcomes": [{**OF_ACCOUNT, "outcome": 10**300}]}).encode(),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_rejected(name: str) -> None:
    assert errors(BODIES[name])


def test_no_error_has_a_value() -> None:
    secret = "Secret-4711"
    sent: list[dict[str, Any]] = [{**OF_ACCOUNT, name: secret} for name in ("outcome", "date", "known_at", "record")]
    sent += [{**OF_ACCOUNT, "id": [secret]}, {"id": f"{secret}\n{secret}", "date": "2026-01-01", "outcome": "1"}]
    assert secret not in str(errors({"outcomes": sent}))
