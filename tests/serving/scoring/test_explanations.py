"""Tests of explanations in answers: the same numbers as `risk explain`, and only on request."""

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from risk_assets.domain.batch.predictions import predictions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ISSUES, Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.explanation import explain
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_assets.lake import layout, registry
from risk_assets.lake.store import open_store
from risk_serving.scoring.answers import Result
from risk_serving.scoring.scorer import Scorer
from risk_serving.scoring.wire import RequestDecoder
from tests.defs.conftest import NEXT
from tests.serving.conftest import LOGISTIC, SCORECARD, Service

NEAR = 1e-9
SIZES = pytest.mark.parametrize("size", [1, 40], ids=["few", "many"])


@pytest.fixture(scope="module")
def models(served_book: Path) -> dict[str, VersionedScorecard]:
    lake = open_store(str(served_book / "lake"))
    return {version: registry.read_scorecard(lake, version) for version in (LOGISTIC, SCORECARD)}


@SIZES
@pytest.mark.parametrize("champion", [LOGISTIC, SCORECARD])
def test_explanation_equals_that_of_batch(
    served_book: Path,
    models: dict[str, VersionedScorecard],
    records: list[dict[str, Any]],
    contract: Contract,
    policy: Policy,
    champion: str,
    size: int,
) -> None:
    arms = Arms(models[champion])
    body = json.dumps({"explain": True, "records": records[:size]}).encode()
    results = Scorer(arms, policy, contract).score(RequestDecoder(contract, arms, 1000).decode(body)).results
    features = pl.scan_parquet(served_book / "lake" / layout.features(NEXT)).filter(pl.col(ISSUES).is_null()).head(size)
    stored = predictions(features, arms, policy).collect().to_dicts()
    for at, result in enumerate(results):
        expected = explain(features.collect()[[at]], stored[at], models[champion].scorecard, policy)
        assert isinstance(result, Result)
        assert result.explanation
        assert result.explanation.base_points == expected.base_points
        assert [(each.feature, each.log_odds, each.points) for each in result.explanation.features] == [
            (each.feature, each.log_odds, each.points) for each in expected.contributions
        ]


@SIZES
@pytest.mark.parametrize("share", [0.3, None], ids=["share", "shadow"])
def test_parts_add_up_to_the_score_of_the_arm_that_decides(
    models: dict[str, VersionedScorecard],
    records: list[dict[str, Any]],
    contract: Contract,
    policy: Policy,
    share: float | None,
    size: int,
) -> None:
    arms = Arms(models[LOGISTIC], models[SCORECARD], share, "spring")
    body = json.dumps({"explain": True, "records": records[:size]}).encode()
    results = Scorer(arms, policy, contract).score(RequestDecoder(contract, arms, 1000).decode(body)).results
    for result in results:
        assert isinstance(result, Result)
        assert result.explanation
        features = result.explanation.features
        assert tuple(each.feature for each in features) == tuple(models[result.model_version].scorecard.features)
        points = result.explanation.base_points + sum(each.points for each in features)
        log_odds = result.explanation.base_log_odds + sum(each.log_odds for each in features)
        assert abs(points - result.points) <= 0.5 + NEAR
        assert abs(policy.points.base - policy.points.pdo * (log_odds + math.log(policy.points.odds)) / math.log(2) - points) <= NEAR


@SIZES
@pytest.mark.parametrize("others", [{}, {"explain": False}])
def test_results_are_explained_only_on_request(
    service: Service, records: list[dict[str, Any]], others: dict[str, object], size: int
) -> None:
    explained = service.client.post("/predict", json={"explain": True, "records": records[:size]}).json()["results"]
    plain = service.client.post("/predict", json={**others, "records": records[:size]}).json()["results"]
    assert all(result.pop("explanation")["features"] for result in explained)
    assert explained == plain


def test_skipped_records_are_not_explained(service: Service, records: list[dict[str, Any]]) -> None:
    sent = {"explain": True, "on_error": "skip", "records": [records[0], records[1] | {"balance": -1}]}
    scored, skipped = service.client.post("/predict", json=sent).json()["results"]
    assert "explanation" in scored
    assert (skipped["status"], "explanation" in skipped) == ("issue", False)


@pytest.mark.parametrize("value", [None, 1, "true"])
def test_explain_must_be_true_or_false(service: Service, records: list[dict[str, Any]], value: object) -> None:
    answer = service.client.post("/predict", json={"explain": value, "records": records[:1]})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"record": None, "field": "explain", "rule": "must be true or false"}]
