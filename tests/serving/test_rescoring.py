"""Tests of rescoring logged answers: the batch's code agrees with every answer of the service, and finds every change."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from risk_assets.domain.batch.answers import Answer, Decision, Record, differences, is_recomputable, record_features
from risk_assets.domain.batch.predictions import predictions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Term, VersionedScorecard
from risk_assets.domain.scorecard.scoring import base_points, feature_points
from risk_serving.observability.event_lines import Entry, EventLines
from tests.answered import answered
from tests.domain.scorecard.test_forms import policies
from tests.serving.observability.test_prediction_log import BINDING, ENTRY
from tests.serving.scoring.test_scorer import live_snapshot, requests

STRANGE: list[Any] = [[], {"x": 1}, True, "ten", 10**400]


def logged(contract: Contract, models: Arms, policy: Policy, body: bytes) -> tuple[list[Record], list[Answer]]:
    """Return the records and the answers that the log has of a request."""
    live = live_snapshot(contract, models, policy)
    records = live.decoder.decode(body)
    scored = answered(live, body)
    challenger = models.challenger.version if models.challenger else None
    binding = msgspec.structs.replace(BINDING, challenger=challenger, challenger_share=models.share)
    logged = {"sent": records.sent.content(), "answer": scored.content, "records": len(scored.scored)}
    entry: Entry = msgspec.structs.replace(ENTRY, **logged, binding=binding, shadow=scored.scored.shadow)
    (lines,) = EventLines("test").encode([entry], 0).values()
    inputs, outputs = (msgspec.json.decode(b"".join(pieces))["data"] for pieces in (lines.inputs, lines.outputs))
    return msgspec.convert(inputs, list[dict[str, float | str | None]]), msgspec.convert(outputs, list[Answer])


@given(requests(), policies, st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_batch_agrees_with_every_answer(made: tuple[Contract, Arms, list[dict[str, Any]]], policy: Policy, data: st.DataObject) -> None:
    contract, models, records = made
    for record in records:
        if data.draw(st.integers(0, 9)) == 0:
            record[data.draw(st.sampled_from(list(record)))] = data.draw(st.sampled_from(STRANGE))
        if data.draw(st.integers(0, 9)) == 0:
            record.pop("id", None)
    body = json.dumps({"on_error": "skip", "explain": data.draw(st.booleans()), "records": records}).encode()
    inputs, answers = logged(contract, models, policy, body)
    decision = Decision(models, policy, contract)
    assert list(differences(answers, record_features(inputs, decision), decision)) == []


CONTRACT = """
id: account
decimal: ","
missing: ["", "NA", "-1"]
group: customer
target: {column: bad, bad: "1"}
exclude:
  - {column: status, is: [closed], reason: closed}
features:
  share: {type: number, format: percent, min: 0, max: 100, missing: ["-9,5"], reason: Share, required: true}
  opened: {type: number, format: "date(%d.%m.%Y)", reason: Age}
  city: {type: category, reason: City}
  status: {type: category, input: false, reason: Status}
"""


@pytest.fixture
def decision(policy: Policy) -> Decision:
    """A contract with notations, and a model of one feature."""
    card = Scorecard("logistic", -1.5, (Term("share", Line(0.05, 20.0, 0.1), 0.0, -1.0, "Share"),))
    return Decision(Arms(VersionedScorecard("model_v001", card)), policy, Contract.parse(CONTRACT, "contract.yml"))


def test_values_have_the_meaning_of_requests(decision: Decision) -> None:
    records: list[Record] = [
        {"id": " A1 ", "share": 24.5, "opened": -1.0, "city": " Zürich ", "status": "open"},
        {"id": "A2", "share": -9.5, "opened": 1e-5, "city": "NA", "customer": " c1 "},
        {"share": 101, "status": " closed"},
        {"customer": "NA", "id": "A4"},
    ]
    features = record_features(records, decision)
    assert features.rows() == [
        ("A1", 24.5, -1.0, "Zürich", "open", "\x1fA1", None, None),
        ("A2", None, 1e-5, None, None, "c1", None, "share: missing"),
        (None, 101.0, None, None, "closed", None, "closed", None),
        ("A4", None, None, None, None, "\x1fA4", None, "share: missing"),
    ]


def changed(answer: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return an answer with one change each, and the column that differs."""
    return [
        ("probability", answer | {"probability": answer["probability"] + 1e-11}),
        ("prediction", answer | {"prediction": 1 - answer["prediction"]}),
        ("points", answer | {"points": answer["points"] + 1}),
        ("band", answer | {"band": "Z"}),
        ("reason_1", answer | {"reasons": ["Another"]}),
        ("reasons", answer | {"reasons": ["Another"] * 99}),
        ("arm", answer | {"arm": "challenger"}),
        ("model_version", answer | {"model_version": "model_v009"}),
        ("account_id", answer | {"id": "A9"}),
        ("challenger_probability", answer | {"challenger_probability": 0.5}),
        ("challenger_version", answer | {"challenger_version": "model_v009"}),
        ("status", {name: answer[name] for name in ("id", "arm", "model_version")} | {"status": "not eligible", "excluded": "closed"}),
        ("issues", {name: answer[name] for name in ("id", "arm", "model_version")} | {"status": "issue", "issues": ["share: missing"]}),
    ]


def test_every_change_of_an_answer_is_found(decision: Decision) -> None:
    records: list[Record] = [{"id": "A1", "share": 50.0, "status": "open"}]
    features = record_features(records, decision)
    row = predictions(features.lazy(), decision.arms, decision.policy).collect().row(0, named=True)
    answer = {name: row[name] for name in ("status", "probability", "prediction", "points", "band", "arm", "model_version")}
    answer |= {"id": "A1", "reasons": [row[name] for name in row if name.startswith("reason_") and row[name]]}

    def found(content: dict[str, Any]) -> dict[int, tuple[str, ...]]:
        return dict(differences([msgspec.convert(content, Answer)], features, decision))

    assert found(answer) == {}
    assert found(answer | {"probability": answer["probability"] + 1e-13}) == {}
    for column, other in changed(answer):
        assert column in found(other)[0]


def test_changed_explanation_is_found(decision: Decision) -> None:
    features = record_features([{"id": "A1", "share": 50.0, "status": "open"}], decision)
    row = predictions(features.lazy(), decision.arms, decision.policy).collect().row(0, named=True)
    names = ("status", "probability", "prediction", "points", "band", "arm", "model_version")
    answer = {"id": "A1", "reasons": [row["reason_1"]] if row["reason_1"] else [], **{name: row[name] for name in names}}
    card, scale = decision.arms.champion.scorecard, decision.policy.points
    share = {"feature": "share", "log_odds": 0.05 * (50.0 - 20.0), "points": feature_points(1.5, scale)}
    right = {"base_log_odds": card.intercept, "base_points": base_points(card, scale), "features": [share]}
    wrong = (
        right | {"base_log_odds": -1.4},
        right | {"base_points": right["base_points"] + 1},
        right | {"features": []},
        right | {"features": [share, share]},
        right | {"features": [share | {"feature": "city"}]},
        right | {"features": [share | {"log_odds": 1.6}]},
        right | {"features": [share | {"points": 1.0}]},
    )

    def found(explanation: dict[str, Any]) -> dict[int, tuple[str, ...]]:
        return dict(differences([msgspec.convert(answer | {"explanation": explanation}, Answer)], features, decision))

    assert found(right) == {}
    assert [found(explanation) for explanation in wrong] == [{0: ("explanation",)}] * len(wrong)


def test_issue_that_no_file_can_have_is_not_checked(decision: Decision) -> None:
    common = {"id": "A1", "arm": "champion", "model_version": "model_v001", "status": "issue"}
    of_type, of_value = (
        msgspec.convert(common | {"issues": issues}, Answer) for issues in (["share: must be a number"], ["share: below 0"])
    )
    records: list[Record] = [{"id": "A1"}, {"id": "A1", "share": -2.0}]
    assert [is_recomputable(answer, decision) for answer in (of_type, of_value)] == [False, True]
    assert list(differences([of_type, of_value], record_features(records, decision), decision)) == []
