"""Requests do not contain sensitive features."""

import json

import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Term, VersionedScorecard
from risk_serving.http.problems import Problem
from risk_serving.scoring.wire import RequestDecoder

FEATURES = {"sex": {"type": "category", "sensitive": True, "reason": "Sex"}, "x": {"type": "number", "reason": "X"}}
CONTRACT = Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": FEATURES})
MODEL = VersionedScorecard("model_v001", Scorecard("logistic", 0.0, (Term("x", Line(1.0, 0.0, 0.0), 0.0, 0.0, "X"),)))


def test_a_sensitive_feature_is_not_a_field_of_requests() -> None:
    decoder = RequestDecoder(CONTRACT, Arms(MODEL), 10)
    assert [field.name for field in decoder.fields] == ["x"]
    decoder.decode(json.dumps({"records": [{"x": 1}]}).encode())
    with pytest.raises(Problem):
        decoder.decode(json.dumps({"records": [{"x": 1, "sex": "f"}]}).encode())
