"""`risk train`, `risk models` and `risk impact`: versions are registered and shown."""

import json
from pathlib import Path

from tests.cli.conftest import Risk


def test_register_only_leaves_the_live_version(on_trained: Risk) -> None:
    versions = on_trained("models").stdout
    assert "model_v001 (live)" in versions
    assert "model_v002 " in versions and "scorecard" in versions


def test_training_promotes_a_version_that_passes(on_trained: Risk) -> None:
    assert "model_v003 (live)" in on_trained("train", "2026-01-03").stdout


def test_a_version_is_shown_as_a_table_of_points(on_trained: Risk) -> None:
    table = on_trained("models", "show", "model_v002").stdout
    assert "days_past_due" in table and "(missing)" in table and "bad rate" in table
    assert "Base points: " in table


def test_impact_is_shown_and_saved(on_scored: Risk, scored: Path) -> None:
    impact = on_scored("impact", "model_v002").stdout
    assert "newly flagged" in impact and "employment_status" in impact
    folder = scored / "lakehouse/registry/model_v002"
    assert json.loads((folder / "impact.json").read_text(encoding="utf-8"))["candidate"] == "model_v002"
    assert str(folder / "impact_accounts.csv") in impact


def test_training_both_estimators_reports_both_aucs(on_trained: Risk) -> None:
    trained = on_trained("train", "2026-01-03", "--estimator", "both").stdout
    (line,) = [line for line in trained.splitlines() if "tried, by cross-validated AUC" in line]
    assert line.startswith("model_v003") and "logistic 0." in line and "scorecard 0." in line
    shown = on_trained("models", "show", "model_v003").text
    assert "Tried, by cross-validated AUC: logistic 0." in shown
    assert "compared with" in shown and "chosen" in shown
    assert "other accounts" in shown and "later dates" in shown


def test_the_features_that_a_version_requires_are_shown(on_trained: Risk, trained: Path) -> None:
    assert "Required features" not in on_trained("models", "show", "model_v001").stdout
    policy = trained / "data/policy.yml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("unseen_missing: worst", "unseen_missing: issue"), encoding="utf-8")
    on_trained("train", "2026-01-03", "--register-only")
    shown = " ".join(on_trained("models", "show", "model_v003").stdout.split())
    assert "Required features (accounts without a value are not scored): " in shown
    assert "payment_ratio" in shown.partition("passed")[0]
    assert "not scored: a required feature is missing" in on_trained("impact", "model_v003").stdout
