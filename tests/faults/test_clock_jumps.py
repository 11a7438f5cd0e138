"""A clock that was wrong once does not date later bindings, and `risk live` answers by what was decided last."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from risk_assets.lake import binding_log
from tests.faults.places import Place
from tests.faults.states import WHY
from tests.faults.writes import Fault

PROMOTE = ("promote", "model_v002", "--yes", "--override", *WHY)


def instant(days: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(days=days, seconds=1)).isoformat(timespec="seconds")


@pytest.mark.long
def test_bindings_after_a_clock_ahead_are_dated_now(state: Callable[[str], Place], tmp_path: Path) -> None:
    place = state("trained").copy(tmp_path / "place")
    assert place.run(*PROMOTE, fault=Fault(clock_days=30)).code == 0
    place.require("rollback", *WHY)
    place.require("challenge", "model_v002", "--shadow", *WHY)
    later = binding_log.read(place.lake)[2:]
    assert [binding.champion for binding in later] == ["model_v001", "model_v001"]
    assert all(binding.effective_from <= instant() for binding in later), [binding.effective_from for binding in later]
    place.require("history", "--verify")


@pytest.mark.parametrize("days", [0, 31])
def test_live_at_an_instant_ignores_a_clock_ahead(days: int, state: Callable[[str], Place], tmp_path: Path) -> None:
    place = state("trained").copy(tmp_path / "place")
    assert place.run(*PROMOTE, fault=Fault(clock_days=30)).code == 0
    place.require("challenge", "model_v001", "--shadow", *WHY)
    assert _champion(place.require("live")) == "model_v002"
    assert _champion(place.require("live", "--at", instant(days))) == "model_v002"


def test_a_clock_behind_does_not_hide_a_promotion(state: Callable[[str], Place], tmp_path: Path) -> None:
    place = state("trained").copy(tmp_path / "place")
    assert place.run(*PROMOTE, fault=Fault(clock_days=-30)).code == 0
    assert _champion(place.require("live")) == "model_v002"
    assert _champion(place.require("live", "--at", instant())) == "model_v002"
    place.require("history", "--verify")


def _champion(shown: str) -> str:
    """Return the version that `risk live` names first."""
    return shown[shown.index("model_v") :][: len("model_v001")]
