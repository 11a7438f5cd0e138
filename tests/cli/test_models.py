"""`risk train`, `risk models` and `risk impact`: versions are registered and shown."""

import json
from pathlib import Path

import msgspec
import pytest

from risk_assets.lake.hashing import sha256
from risk_assets.lake.model_files import Metadata
from risk_assets.lake.seals import sealed
from tests.cli.conftest import Risk


def test_register_only_leaves_the_live_version(on_trained: Risk) -> None:
    versions = on_trained("models").stdout
    assert "model_v001 (live)" in versions
    assert "model_v002 " in versions and "scorecard" in versions
    assert versions.count("2026-01-03") == 6, "trained for, matured until and known by"


def test_training_promotes_a_version_that_passes(on_trained: Risk) -> None:
    assert "model_v003 (live)" in on_trained("train", "2026-01-03").stdout


def test_a_version_is_shown_as_a_table_of_points(on_trained: Risk) -> None:
    table = on_trained("models", "show", "model_v002").stdout
    assert "days_past_due" in table and "(missing)" in table and "bad rate" in table
    assert "Base points: " in table
    definition = "Bad: defaulted is 1. Performance window: 0 days."
    assert definition in table and "Snapshots matured until 2026-01-03; outcomes as known by 2026-01-03." in table


@pytest.mark.parametrize("version", ["model_v001", "model_v002"])
def test_a_version_is_reproduced_under_its_own_documents(on_trained: Risk, trained: Path, version: str) -> None:
    policy = trained / "data/policy.yml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("random_state: 42", "random_state: 7"), encoding="utf-8")
    assert f"{version} is reproduced: the scorecard is the same to the bit." in on_trained("models", "reproduce", version).stdout


@pytest.mark.long
def test_a_version_with_a_date_without_labels_is_reproduced(on_trained: Risk, trained: Path) -> None:
    policy, outcomes = trained / "data/policy.yml", trained / "data/landing/outcomes_2026-01-01.csv"
    policy.write_text(policy.read_text(encoding="utf-8").replace("spacing_days: 1", "spacing_days: 3"), encoding="utf-8")
    on_trained("policy", "adopt", "--reason", "a test", "--yes")
    on_trained("run", "2026-01-01")
    header, *lines = outcomes.read_text(encoding="utf-8").splitlines()
    (trained / "lakehouse/raw/outcomes_2026-01-01.csv.manifest.json").unlink()
    (trained / "lakehouse/curated/outcomes_2026-01-01.parquet.manifest.json").unlink()
    outcomes.write_text("\n".join([header, *(f"{line.partition(',')[0]}," for line in lines), ""]), encoding="utf-8")
    on_trained("train", "2026-01-03", "--register-only")
    assert "is reproduced" in on_trained("models", "reproduce", "model_v003").stdout


def test_a_scorecard_that_differs_is_not_reproduced(on_trained: Risk, trained: Path) -> None:
    folder = trained / "lakehouse/registry/model_v001"
    metadata = msgspec.json.decode((folder / "metadata.json").read_bytes(), type=Metadata)
    card = (folder / "scorecard.json").read_bytes().replace(b'"intercept": -', b'"intercept": -1')
    origin = msgspec.structs.replace(metadata.origin, libraries={**metadata.origin.libraries, "numpy": "1.0"})
    changed = msgspec.structs.replace(metadata, sha256={**metadata.sha256, "scorecard.json": sha256(card)}, origin=origin)
    (folder / "scorecard.json").write_bytes(card)
    (folder / "metadata.json").write_bytes(msgspec.json.encode(sealed(changed)))
    result = on_trained("models", "reproduce", "model_v001", code=1)
    assert "model_v001 is NOT reproduced: intercept differ" in result.stdout
    assert "Changed since the training: numpy 1.0 -> " in result.stdout


def test_a_version_of_a_changed_table_is_not_reproduced(on_trained: Risk, trained: Path) -> None:
    landed = trained / "data/landing/accounts_2026-01-02.csv"
    landed.write_bytes(landed.read_bytes().rpartition(b"\nAC")[0] + b"\n")
    on_trained("run", "2026-01-02")
    result = on_trained("models", "reproduce", "model_v001", code=1).stdout
    assert "model_v001 is NOT reproduced" in result
    assert "Changed since the training: curated/accounts_2026-01-02_features.parquet" in result


@pytest.mark.long
def test_a_version_of_an_earlier_contract_is_reproduced_under_it(on_trained: Risk, trained: Path) -> None:
    contract = trained / "data/contract.yml"
    before = contract.read_text(encoding="utf-8")
    contract.write_text(before.replace("max: 5000000", "max: 60000"), encoding="utf-8")
    on_trained("contract", "adopt", "--reason", "x", "--yes")
    on_trained("train", "2026-01-03", "--register-only")
    failed = on_trained("models", "reproduce", "model_v001", code=1).stdout
    assert "model_v001 is NOT reproduced" in failed
    archived = json.loads((trained / "lakehouse/registry/model_v001/metadata.json").read_text(encoding="utf-8"))["origin"]["contract"]
    path = trained / f"lakehouse/registry/contracts/{archived}.json"
    assert f"Its contract, {archived[:12]}, is archived: copy {path} to then.yml" in failed
    assert "(RISK_CONTRACT=then.yml risk train 2026-01-03 --register-only), then: risk models reproduce model_v001" in failed
    (trained / "then.yml").write_bytes(path.read_bytes())
    on_trained("train", "2026-01-03", "--register-only", RISK_CONTRACT="then.yml")
    assert "model_v001 is reproduced" in on_trained("models", "reproduce", "model_v001").stdout


def test_impact_is_shown_and_saved(on_scored: Risk, scored: Path) -> None:
    impact = on_scored("impact", "model_v002").stdout
    assert "newly flagged" in impact and "employment_status" in impact
    folder = scored / "lakehouse/registry/model_v002"
    assert json.loads((folder / "impact.json").read_text(encoding="utf-8"))["candidate"] == "model_v002"
    assert str(folder / "impact_accounts.csv") in impact


def test_training_both_estimators_reports_both_aucs(on_trained: Risk) -> None:
    trained = on_trained("train", "2026-01-03", "--estimator", "both", "--reason", "a new product").stdout
    (line,) = [line for line in trained.splitlines() if "tried, by cross-validated AUC" in line]
    assert line.startswith("model_v003") and "logistic 0." in line and "scorecard 0." in line
    shown = on_trained("models", "show", "model_v003").text
    assert "Trained because: a new product" in shown
    assert "Trained because" not in on_trained("models", "show", "model_v001").stdout
    assert "Tried, by cross-validated AUC: logistic 0." in shown
    assert "compared with" in shown and "chosen" in shown
    assert "other accounts" in shown and "later dates" in shown


def test_the_features_that_a_version_requires_are_shown(on_trained: Risk, trained: Path) -> None:
    assert "Required features" not in on_trained("models", "show", "model_v001").stdout
    policy = trained / "data/policy.yml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("unseen_missing: worst", "unseen_missing: issue"), encoding="utf-8")
    on_trained("policy", "adopt", "--reason", "a test", "--yes")
    on_trained("train", "2026-01-03", "--register-only")
    shown = " ".join(on_trained("models", "show", "model_v003").stdout.split())
    assert "Required features (accounts without a value are not scored): " in shown
    assert "payment_ratio" in shown.partition("passed")[0]
    assert "not scored: a required feature is missing" in on_trained("impact", "model_v003").stdout
