"""The folder of a rehearsal: settings and documents of its own."""

from pathlib import Path

import pytest
import yaml

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import RiskError
from risk_assets.rehearsal import book
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_documents_are_the_banks_with_shorter_windows(tmp_path: Path) -> None:
    settings = book.prepare(tmp_path / "book", 10)
    contract, policy = settings.read_contract(), settings.read_policy()
    assert (contract.target.performance_days, policy.training.window_days, policy.promotion.mode) == (28, 28, "manual")
    assert settings.why_not_run("2025-01-06") is None
    assert {"already 10 days past due"} <= {rule.reason for rule in contract.exclude}


def test_settings_of_the_shell_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_TIME_ZONE", "Asia/Tokyo")
    monkeypatch.setenv("RISK_LAKE", "az://bank/lake")
    settings = book.prepare(tmp_path / "book", 10)
    assert settings.time_zone == "UTC"
    assert settings.lake == (tmp_path / "book" / "lake").as_uri()


def test_a_folder_with_files_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RiskError, match="a folder of its own"):
        book.prepare(tmp_path, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_documents_of_the_bank_must_be_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RiskError, match="project's folder"):
        book.prepare(tmp_path / "book", 10)


def test_a_worse_version_does_without_the_strongest_features() -> None:
    contract = yaml.safe_load((ROOT / "data/bank/contract.yml").read_text(encoding="utf-8"))
    weaker = Contract.model_validate(book.weaker_contract(contract))
    assert {*weaker.inputs}.isdisjoint(book.STRONGEST)
    assert {*book.STRONGEST} <= {*weaker.features}


def test_a_document_is_edited_in_place(tmp_path: Path) -> None:
    path = tmp_path / "policy.yml"
    book.write(path, yaml.safe_load((ROOT / "data/bank/policy.yml").read_text(encoding="utf-8")))
    book.edit(path, lambda policy: book.with_cut_off(policy, 0.1))
    assert Policy.parse(path.read_text(encoding="utf-8"), "policy.yml").threshold == 0.1
