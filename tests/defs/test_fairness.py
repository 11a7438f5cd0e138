"""The figures of sensitive features are shown in the UI and by `risk models show`."""

import io
from types import SimpleNamespace
from typing import Any

import pytest

from risk_assets.cli.console import LiteralConsole
from risk_assets.cli.report import governance
from risk_assets.defs.assets.model import _figures
from risk_assets.domain.contract.policy import Points
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.domain.training.dataset import labelled
from risk_assets.domain.training.train import train
from tests.domain.training.test_sensitive_features import CONTRACT, DATES, POLICY, book, contract


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return train(labelled(*book(), CONTRACT, POLICY.training), DATES[-1], CONTRACT, POLICY, live=None)


def test_the_ui_shows_the_groups_of_sensitive_features(model: TrainedModel) -> None:
    table = _figures(model)["fairness"].value
    assert "| sex | f |" in table
    assert "| age | under " in table


def test_a_model_of_a_contract_without_sensitive_features_shows_none() -> None:
    plain = contract()
    found = train(labelled(*book(), plain, POLICY.training), DATES[-1], plain, POLICY, live=None)
    assert "fairness" not in _figures(found)


def test_models_show_lists_the_groups_of_sensitive_features(model: TrainedModel) -> None:
    metadata = SimpleNamespace(origin=model.origin, gates=model.gates)
    version: Any = SimpleNamespace(name="model_v001", metrics=model.metrics, metadata=metadata)
    console = LiteralConsole(file=io.StringIO(), width=200)
    governance.scorecard(console, version, model.scorecard, model.steps, Points())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Sensitive features, on other accounts" in shown
    assert "impact ratio" in shown
