"""`risk demo`, `risk run`, `risk outcomes` and `risk log`: dates are scored and logged."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import typer

from risk_assets.cli.console import finish
from risk_assets.runner import Result
from risk_assets.simulation import demo as bank
from tests.cli.conftest import Risk, sample
from tests.conftest import ROOT


def test_landed_files_become_model_predictions_and_log(risk: Risk, folder: Path) -> None:
    for day in range(1, 4):
        risk("land", sample(f"accounts_2026-01-0{day}.csv"), "--date", f"2026-01-0{day}")
        risk("land", sample(f"outcomes_2026-01-0{day}.csv"), "--date", f"2026-01-0{day}", "--outcomes")
    risk("land", sample("accounts_2026-01-04.csv"), "--date", "2026-01-04")
    assert "model_v001 (live)" in risk("train", "2026-01-03").stdout

    scored = risk("run", "2026-01-04")
    assert "2026-01-04" in scored.stdout and "300" in scored.stdout
    assert (folder / "lakehouse/curated/accounts_2026-01-04_predictions.csv").exists()
    assert "model_v001" in risk("models").stdout
    live = risk("live").stdout
    assert "the version of this training passed the gates" in live and "AUC, other accounts" in live and "accuracy (base rate)" in live
    assert "daily_scoring" in risk("log").stdout
    assert "outcomes: 1 of 1 date is in the lake." in risk("outcomes", "2026-01-03").stdout


def test_a_range_continues_after_a_failed_date(on_trained: Risk, trained: Path) -> None:
    (trained / "data/landing/accounts_2026-01-04.csv").unlink()
    done = on_trained("run", "2026-01-03", "--until", "2026-01-05", code=1)
    assert "2026-01-04 failed: no accounts for 2026-01-04" in done.text
    assert "2026-01-03 warning: unique_ids of curated/features" in done.text
    predicted = sorted(path.name for path in (trained / "lakehouse/curated").glob("*predictions.csv"))
    assert predicted == ["accounts_2026-01-03_predictions.csv", "accounts_2026-01-05_predictions.csv"]
    rows = [row.split(",") for row in (trained / "lakehouse/logs/batch_runs_log.csv").read_text(encoding="utf-8").splitlines()]
    assert [row[1:4] for row in rows[-3:]] == [
        ["2026-01-03", "daily_scoring", "warning"],
        ["2026-01-04", "daily_scoring", "failed"],
        ["2026-01-05", "daily_scoring", "success"],
    ]


def test_a_date_without_features_prints_no_table(risk: Risk) -> None:
    assert "Snapshots" not in risk("run", "2026-01-01", code=1).stdout


def test_a_date_is_scored_with_a_named_version(on_trained: Risk, trained: Path) -> None:
    on_trained("run", "2026-01-04", "--model", "model_v002")
    header, first = (trained / "lakehouse/curated/accounts_2026-01-04_predictions.csv").read_text(encoding="utf-8").splitlines()[:2]
    assert first.split(",")[header.split(",").index("model_version")].strip('"') == "model_v002"


def test_log_shows_only_the_newest_rows(on_scored: Risk) -> None:
    shown = on_scored("log", "--last", "1").stdout
    assert "2026-01-05" in shown and "2026-01-04" not in shown


def test_demo_trains_and_scores_a_simulated_bank(risk: Risk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "data/bank", folder / "data/bank", dirs_exist_ok=True)
    policy = folder / "data/bank/policy.yml"  # two snapshots of twelve have too few bad accounts for the limit of the demo
    wider = policy.read_text(encoding="utf-8").replace("max_band_calibration_ratio: 2.5", "max_band_calibration_ratio: 5")
    policy.write_text(wider, encoding="utf-8")
    monkeypatch.setattr(bank, "LABELLED", bank.LABELLED[5::6])
    monkeypatch.setattr(bank, "UNLABELLED", bank.UNLABELLED[-1:])
    shown = risk("demo").stdout
    for text in (
        "3200 accounts, 2 weekly snapshots from 2025-10-08 to 2025-11-19 with outcomes",
        "at least 30 days past due within 60 days",
        "Snapshots",
        "2026-01-28",
        "model_v001 (live)",
        "2026-01-27",
        "AUC",
        "The 10 riskiest accounts of 2026-01-28",
        "Drift of 2026-01-28: ",
        "Performance of 2026-01-28: ",
        "compared with",
        "What to do next",
        "make ui",
        "data/bank/settings.env",
    ):
        assert text in shown
    landed = {path.name for path in (folder / "bank-landing").glob("*.csv")}
    assert landed == {f"accounts_{date}.csv" for date in ("2025-10-08", "2025-11-19", "2026-01-28")} | {
        f"outcomes_{date}.csv" for date in ("2025-10-08", "2025-11-19")
    }


def test_demo_uses_the_files_that_landed(on_trained: Risk, trained: Path) -> None:
    (trained / "data/landing/accounts_2026-01-05.csv").unlink()
    shown = on_trained("demo", RISK_LANDING="data/landing").stdout
    assert "model_v003 (live)" in shown and "The 10 riskiest accounts of 2026-01-04" in shown
    assert "simulated" not in shown and "settings.env" not in shown


def test_demo_needs_files(risk: Risk) -> None:
    shown = risk("demo", code=1, RISK_LANDING="data/landing").text
    assert "no data for the demo" in shown and "unset RISK_LANDING" in shown


def test_demo_without_the_bank_s_settings_is_an_error(risk: Risk, folder: Path) -> None:
    shutil.rmtree(folder / "data/bank", ignore_errors=True)
    assert "data/bank/settings.env with the settings of the simulated bank is not here" in risk("demo", code=1).text


def blank_scores(trained: Path, date: str) -> None:
    path = trained / f"data/landing/accounts_{date}.csv"
    rows = pl.read_csv(path, infer_schema=False)
    path.write_bytes(rows.with_columns(pl.lit("").alias("bureau_score")).write_csv().encode())


def test_a_blocked_date_shows_its_cause_and_can_be_released(on_trained: Risk, trained: Path) -> None:
    blank_scores(trained, "2026-01-04")
    blocked = on_trained("run", "2026-01-04", code=1)
    assert "2026-01-04 blocked: missing_share of curated/features: missing: bureau_score 100.0%" in blocked.text
    assert "risk run 2026-01-04 --release missing_share --reason WHY" in blocked.text
    released = on_trained("run", "2026-01-04", "--release", "missing_share", "--reason", "the bureau is down", "--by", "ann")
    assert "2026-01-04 warning: missing_share of curated/features" in released.text
    assert "Released by ann: the bureau is down" in released.text
    log = on_trained("log").stdout
    assert "blocked" in log and "warning" in log


def test_a_release_that_released_nothing_is_noted(on_trained: Risk) -> None:
    done = on_trained("run", "2026-01-04", "--release", "missing_share", "--reason", "the bureau is down", "--by", "ann")
    assert "2026-01-04 note: missing_share: the check passed: nothing was released" in done.text


def test_a_release_requires_a_person(on_trained: Risk) -> None:
    for by in ("", " "):
        rejected = on_trained("run", "2026-01-04", "--release", "missing_share", "--reason", "x", "--by", by, code=1)
        assert "requires the person" in rejected.text


@pytest.mark.parametrize(
    ("checks", "offered"),
    [
        ((), ""),
        (("missing_share",), ", or release the check: risk run 2026-01-04 --release missing_share --reason WHY --by WHO"),
        (("a", "b"), ", or release the checks: risk run 2026-01-04 --release a --release b --reason WHY --by WHO"),
    ],
)
def test_a_release_is_offered_by_name_if_it_is_possible(checks: tuple[str, ...], offered: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        finish([Result("2026-01-04", "a check failed", "blocked", releasable=checks)])
    assert f"Next: fix the file and land the whole date with --replace{offered}\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("run", "2026-01-05"), ("outcomes", "2026-01-03")])
def test_missing_landing_folder_is_noted(on_trained: Risk, trained: Path, command: tuple[str, ...]) -> None:
    assert "landing folder" not in on_trained(*command).text
    shutil.rmtree(trained / "data/landing")
    done = on_trained(*command)
    assert "landing: the landing folder data/landing does not exist, so only files that the lake has already are used. Set" in done.text


def test_training_refreshes_stored_dates_without_the_landing_folder(on_trained: Risk, trained: Path) -> None:
    contract = trained / "data/contract.yml"
    contract.write_text(contract.read_text(encoding="utf-8").replace("max: 5000000", "max: 4000000"), encoding="utf-8")
    shutil.rmtree(trained / "data/landing")
    assert "model_v003" in on_trained("train", "2026-01-03", "--register-only").stdout


def test_training_stops_if_a_date_lacks_a_column_of_the_contract(on_trained: Risk, trained: Path) -> None:
    contract = trained / "data/contract.yml"
    contract.write_text(
        contract.read_text(encoding="utf-8") + "  tenure: {type: number, required: true, reason: Tenure}\n", encoding="utf-8"
    )
    done = on_trained("train", "2026-01-03", code=1)
    assert "2026-01-03 failed: raw/accounts_2026-01-01.csv has no column tenure. Land a file that has them" in done.text
    assert "data/contract.yml differs from the bound contract and is not used (features.tenure)" in done.text
    assert "made under another contract" not in done.text


def test_a_release_requires_a_reason_and_a_blocking_check(on_trained: Risk) -> None:
    assert "requires a reason" in on_trained("run", "2026-01-04", "--release", "missing_share", code=1).text
    assert "not a blocking check" in on_trained("run", "2026-01-04", "--release", "row_count", "--reason", "x", code=1).text
