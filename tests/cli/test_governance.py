"""`risk promote`, `rollback`, `challenge`, `live` and `history`: every change is recorded with its reason."""

import io
import json
from pathlib import Path

import pytest

from risk_assets.cli.console import LiteralConsole
from risk_assets.cli.report import governance as report
from tests.cli.conftest import Risk
from tests.domain.governance.test_impact import ALONE, LIVE, STRICTER, measured


def test_challenger_is_shown_in_the_list(on_trained: Risk) -> None:
    assert "model_v002 (shadow)" in on_trained("challenge", "model_v002", "--shadow", "--reason", "a second look").stdout
    assert "model_v002 (challenger)" in on_trained("models").stdout
    assert "model_v002 (10%)" in on_trained("challenge", "model_v002", "--share", "0.1", "--reason", "a tenth").stdout
    assert "model_v002" not in on_trained("challenge", "--end", "--reason", "enough").stdout


def test_promote_shows_the_impact_and_requires_yes(on_scored: Risk) -> None:
    done = on_scored("promote", "model_v002", "--reason", "better", code=1)
    assert "newly flagged" in done.stdout
    assert "stdin is not a terminal: review the impact above, add --yes to the same command" in " ".join(done.text.split())
    assert "model_v001" in on_scored("live").stdout


def test_the_impact_without_a_live_model_has_no_lines_of_changes() -> None:
    shown = {}
    for live in (LIVE, None):
        console = LiteralConsole(file=io.StringIO(), width=160)
        report.impact(console, measured(ALONE, STRICTER, live)[0])
        assert isinstance(console.file, io.StringIO)
        shown[live] = console.file.getvalue()
    assert "newly flagged" in shown[LIVE] and "no longer flagged" in shown[LIVE] and "1 account)" in shown[LIVE]
    assert "against no live model" in shown[None] and "flagged" in shown[None]
    assert not any(text in shown[None] for text in ("newly", "no longer", "account)"))


def test_promote_and_rollback_are_recorded(on_scored: Risk) -> None:
    assert "model_v002" in on_scored("promote", "model_v002", "--yes", "--reason", "better on the holdout", "--by", "ann").stdout
    assert "model_v001" in on_scored("rollback", "--reason", "too many flagged").stdout
    on_scored("promote", "model_v002", "--yes", "--reason", "the flags were right")
    history = on_scored("history").stdout
    assert all(text in history for text in ("ann", "too many flagged", "the flags were right", "challenge", "rollback"))
    assert "The chain is complete" in on_scored("history", "--verify").stdout


def test_live_shows_an_earlier_version(on_trained: Risk, trained: Path) -> None:
    first = json.loads((trained / "lakehouse/registry/bindings/000001.json").read_text(encoding="utf-8"))["effective_from"]
    on_trained("promote", "model_v002", "--yes", "--reason", "better")
    assert "model_v002" in on_trained("live").stdout
    assert "model_v001" in on_trained("live", "--at", first).stdout


def test_history_of_an_empty_lake_is_complete(risk: Risk) -> None:
    assert "There are no bindings." in risk("history", "--verify").stdout


def test_verify_names_a_changed_binding(on_scored: Risk, scored: Path) -> None:
    binding = scored / "lakehouse/registry/bindings/000002.json"
    binding.write_bytes(binding.read_bytes().replace(b"a second look", b"a first look!"))
    done = on_scored("history", "--verify", code=1)
    assert "broken:" in done.stderr and "000002.json was changed" in done.text


@pytest.mark.parametrize("version", ["model_v001", "model_v002"])
def test_live_names_a_changed_file_of_the_champion_and_the_challenger(on_scored: Risk, scored: Path, version: str) -> None:
    scorecard = scored / f"lakehouse/registry/{version}/scorecard.json"
    scorecard.write_bytes(scorecard.read_bytes().replace(b"1", b"2", 1))
    done = on_scored("live", code=1)
    assert "model_v001" in done.stdout
    assert f"damaged: registry/{version}/scorecard.json is not the file that was registered" in done.text
