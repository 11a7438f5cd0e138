"""`risk outcomes`, `risk land --outcomes` and `risk train --known-by`."""

from pathlib import Path

import pytest

from risk_assets.clock import utc_now
from tests.cli.conftest import Risk, copy_sample, run_here, sample

TARGET = '  column: defaulted\n  bad: "1"\n  good: "0"\n  matures_after_days: 0\n'
RULE = "  derived: {bad_when: {column: days_past_due, at_least: %d}, within_days: 2, when_gone: unknown}\n"


def derive(folder: Path, at_least: int = 30) -> None:
    """Let the contract derive outcomes."""
    path = folder / "data/contract.yml"
    text = path.read_text(encoding="utf-8")
    assert TARGET in text
    path.write_text(text.replace(TARGET, RULE % at_least), encoding="utf-8")


def test_outcomes_of_a_derived_target_do_not_land(folder: Path, risk: Risk) -> None:
    derive(folder)
    done = risk("land", sample("outcomes_2026-01-01.csv"), "--outcomes", "--date", "2026-01-01", code=1)
    assert "the contract derives outcomes from later snapshots (target.derived), so no file of outcomes is read" in done.text
    assert "risk outcomes DATE" in done.text
    risk("land", sample("accounts_2026-01-01.csv"), "--date", "2026-01-01")


def test_derived_outcomes_of_dates_that_were_run(trained: Path) -> None:
    derive(trained)
    run_here(trained, "contract", "adopt", "--reason", "a test", "--yes")
    done = run_here(trained, "outcomes", "2026-01-02", "--until", "2026-01-03")
    assert "states of 3 dates carried; outcomes of 1 of 1 snapshot that matured is in the lake." in done.text
    again = run_here(trained, "outcomes", "2026-01-03")
    assert "states of 1 date carried; outcomes of 1 of 1 snapshot" in again.text


@pytest.mark.long
def test_restated_outcomes_train_with_known_by(trained: Path) -> None:
    path = trained / "data/landing/outcomes_2026-01-01.csv"
    path.write_bytes(path.read_bytes().replace(b",1\n", b",0\n", 3))
    left_out = run_here(trained, "train", "2026-01-03", "--register-only")
    assert "snapshots up to 2026-01-03 have matured; outcomes as known by 2026-01-03" in left_out.text
    assert "3 outcomes were left out" in left_out.text and "risk train 2026-01-03 --known-by 20" in left_out.text
    used = run_here(trained, "train", "2026-01-03", "--register-only", "--known-by", utc_now()[:10])
    assert f"outcomes as known by {utc_now()[:10]}" in used.text and "left out" not in used.text


def test_too_few_outcomes_name_those_known_later(folder: Path, risk: Risk) -> None:
    copy_sample(folder, "accounts", range(1, 2))
    path, whole = folder / "data/landing/outcomes_2026-01-01.csv", sample("outcomes_2026-01-01.csv").read_bytes()
    path.write_bytes(whole[: whole.index(b"\n") + 1])
    risk("outcomes", "2026-01-01")
    path.write_bytes(whole)
    failed = risk("train", "2026-01-01", code=1).text
    assert f"outcomes were left out: they became known after 2026-01-01, the last one on {utc_now()[:10]}" in failed
    assert f"risk train 2026-01-01 --known-by {utc_now()[:10]}" in failed


@pytest.mark.long
def test_a_version_without_a_date_that_failed_is_shown(trained: Path) -> None:
    """The outcomes of 4 January mature on the 6th, which has no snapshot."""
    derive(trained, at_least=1)
    run_here(trained, "contract", "adopt", "--reason", "a test", "--yes")
    done = run_here(trained, "train", "2026-01-06", code=1)
    assert "Training for 2026-01-06: outcomes mature 2 days after" in done.stdout and "model_v003" in done.stdout
    assert (
        "trained without: the outcomes of 2026-01-04, which failed. Correct the cause, then train again: risk train 2026-01-06" in done.text
    )
    assert "2026-01-04 failed: outcomes of 2026-01-04 mature on 2026-01-06, and 2026-01-06 has no features" in done.text


def test_known_by_is_not_in_the_future(trained: Path) -> None:
    failed = run_here(trained, "train", "2026-01-03", "--register-only", "--known-by", "2999-01-01", code=1)
    assert f"outcomes as known by 2999-01-01 are not known yet. Use --known-by {utc_now()[:10]}" in failed.text


def test_known_by_is_a_date(risk: Risk) -> None:
    assert "'soon' is not a date" in risk("train", "2026-01-03", "--known-by", "soon", code=2).text
