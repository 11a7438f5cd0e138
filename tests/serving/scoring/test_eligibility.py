"""Requests under population rules: who is not eligible, which errors count, and the arm of a customer."""

import json
from typing import Any

import jsonschema_rs
import pytest

from risk_assets.domain.contract.field_rules import account_group
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Term, VersionedScorecard
from risk_serving.http.problems import Problem
from risk_serving.scoring.answers import NotEligible, Result
from risk_serving.scoring.records import Columns, Rows
from risk_serving.scoring.schema import request_schema
from risk_serving.scoring.scored import Scored
from risk_serving.scoring.scorer import Scorer
from risk_serving.scoring.wire import RequestDecoder

CONTENT: dict[str, Any] = {
    "id": "account",
    "target": {"column": "outcome", "bad": "1"},
    "missing": ["NA"],
    "group": "customer",
    "exclude": [
        {"reason": "closed", "column": "status", "is": ["closed"]},
        {"reason": "late", "column": "days", "at_least": 90},
    ],
    "features": {
        "days": {"type": "number", "min": 0, "max": 100, "required": True, "missing": [999], "reason": "D"},
        "status": {"type": "category", "input": False, "reason": "S"},
        "branch": {"type": "category", "input": False, "reason": "B"},
    },
}
CONTRACT = Contract.model_validate(CONTENT)
MANY = pytest.mark.parametrize("times", [1, 40], ids=["few", "many"])
POLICY = Policy(threshold=0.5, bands={"A": 0.5, "B": 1})


def model(version: str) -> VersionedScorecard:
    return VersionedScorecard(version, Scorecard("logistic", 0.0, (Term("days", Line(1.0, 0.0, 0.0), 0.0, 0.0, "D"),)))


def arms(share: float | None) -> Arms:
    return Arms(model("model_v001"), model("model_v002"), share, "salt")


def decoded(records: list[dict[str, Any]], how: Contract = CONTRACT) -> Rows | Columns:
    return RequestDecoder(how, Arms(model("model_v001")), 1000).decode(json.dumps({"records": records}).encode())


def scored(records: list[dict[str, Any]], by: Arms, how: Contract = CONTRACT) -> Scored:
    return Scorer(by, POLICY, how).score(decoded(records, how))


def reasons(records: list[dict[str, Any]]) -> list[str | None]:
    results = scored(records, Arms(model("model_v001"))).results
    return [result.excluded if isinstance(result, NotEligible) else None for result in results]


def errors(records: list[dict[str, Any]]) -> list[tuple[int | None, str | None, str]]:
    with pytest.raises(Problem) as caught:
        decoded(records)
    return [(error.record, error.field, error.rule) for error in caught.value.errors]


@MANY
def test_record_that_matches_a_rule_is_answered_with_its_reason(times: int) -> None:
    records = [
        {"id": " A1 ", "days": 5},
        {"id": "A2", "days": 5, "status": " closed "},
        {"days": 90},
        {"days": 95, "status": "closed"},
        {"days": 5, "status": "NA"},
    ]
    assert reasons(records * times) == [None, "closed", "late", "closed", None] * times
    results = scored(records * times, Arms(model("model_v001"))).results
    assert [result.id for result in results] == ["A1", "A2", None, None, None] * times
    assert results[1] == NotEligible("A2", "closed", "champion", "model_v001")


def test_request_may_have_no_eligible_record() -> None:
    for by in (Arms(model("model_v001")), arms(0.5)):
        assert scored([{"days": 99}] * 40, by).results == [NotEligible(None, "late", "champion", "model_v001")] * 40
    assert scored([{"days": 99}], arms(None)).shadow == [None]


@MANY
@pytest.mark.parametrize("value", [{}, {"days": None}, {"days": 999}, {"days": -1}, {"days": 101}])
def test_values_of_a_record_that_is_not_eligible_are_not_errors(value: dict[str, Any], times: int) -> None:
    closed = {**value, "status": "closed"}
    assert reasons([{"days": 1}, closed] * times) == [None, "closed"] * times
    assert errors([closed, {"days": -1}] * times) == [(at, "days", "below 0") for at in range(1, 2 * times, 2)]


@MANY
def test_required_column_of_a_rule_must_be_sent(times: int) -> None:
    features = CONTENT["features"] | {"status": CONTENT["features"]["status"] | {"required": True}}
    required = Contract.model_validate(CONTENT | {"features": features})
    records = [{"days": 1, "status": "open"}, {"days": 1}, {"days": 1, "status": None}, {"days": 95}]
    with pytest.raises(Problem) as caught:
        decoded(records * times, required)
    assert {(error.record, error.field, error.rule) for error in caught.value.errors} == {
        (at + offset, "status", "missing") for at in range(0, 4 * times, 4) for offset in (1, 2)
    }


def test_code_for_a_missing_value_matches_no_rule() -> None:
    assert errors([{"days": 999}]) == [(0, "days", "missing")]


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ({"days": "5"}, ("days", "must be a number or null")),
        ({"days": 5, "status": 1}, ("status", "must be text or null")),
        ({"days": 5, "status": "closed", "customer": 7}, ("customer", "must be text or null")),
        ({"days": 5, "status": "closed", "other": 7}, ("other", "is not in the contract")),
        ({"days": 5, "status": "closed", "customer": "C\0"}, ("customer", "stray control character")),
        ({"days": 95, "status": "a\0"}, ("status", "stray control character")),
        ({"id": "NA", "days": 5, "status": "closed"}, ("id", "missing")),
        ({"id": "a\nb", "days": 5, "status": "closed"}, ("id", "has a line end")),
        ({"days": 5, "branch": "north"}, ("branch", "is not in the contract")),
        ({"days": "5", "status": "closed"}, ("days", "must be a number or null")),
    ],
)
def test_record_that_cannot_be_read_is_an_error(record: dict[str, Any], error: tuple[str, str]) -> None:
    assert errors([record]) == [(0, *error)]


def test_number_that_cannot_be_read_is_an_error_of_any_record() -> None:
    body = b'{"records": [{"status": "closed", "days": 1e400}]}'
    with pytest.raises(Problem) as caught:
        RequestDecoder(CONTRACT, Arms(model("model_v001")), 1000).decode(body)
    assert [(error.field, error.rule) for error in caught.value.errors] == [("days", "unreadable")]


@MANY
def test_customer_decides_the_arm(times: int) -> None:
    by = arms(0.5)
    customers = [" C1", "C2", "C3\t", "C4", "NA", "", None]
    records = [{"id": "A1", "customer": customer, "days": days} for customer in customers for days in (5, 95)]
    groups = ["C1", "C2", "C3", "C4", *[account_group("A1")] * 3]
    expected = ["challenger" if taken else "champion" for taken in by.challenged(groups) for _ in (5, 95)]
    assert [result.arm for result in scored(records * times, by).results] == expected * times
    assert len(set(expected)) == 2
    (nameless,) = scored([{"days": 5}], arms(1 - 1e-9)).results
    assert nameless.arm == "champion"


@MANY
def test_without_customers_the_account_decides_the_arm(times: int) -> None:
    how = Contract.model_validate({key: value for key, value in CONTENT.items() if key not in ("group", "exclude")})
    by = arms(0.5)
    results = scored([{"id": f"A{at}", "days": 5} for at in range(times)], by, how).results
    expected = ["challenger" if taken else "champion" for taken in by.challenged(f"A{at}" for at in range(times))]
    assert [result.arm for result in results] == expected


@MANY
def test_shadow_has_no_probability_of_a_record_that_is_not_eligible(times: int) -> None:
    found = scored([{"days": 95}, {"days": 5}] * times, arms(None))
    assert found.shadow is not None
    assert [probability is None for probability in found.shadow] == [True, False] * times
    assert [isinstance(result, Result) for result in found.results] == [False, True] * times


def test_schema_has_the_columns_of_rules_and_the_customer() -> None:
    schema, schemas = request_schema(RequestDecoder(CONTRACT, Arms(model("model_v001")), 1000), {"days": 5.0})
    record: Any = schemas["Record"]
    assert list(record["properties"]) == ["id", "days", "status", "customer"]
    assert record["required"] == ["days"]
    assert record["description"].endswith("may be missing or out of range: closed, late.")
    whole = {**schema, "components": {"schemas": schemas}}
    jsonschema_rs.validate(whole, {"records": [{"days": 5, "status": "closed", "customer": None}]})
