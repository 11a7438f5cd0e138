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
    place.require("rollback", *WHY)
    assert "model_v001" in place.require("live")
    found = place.require("live", "--at", instant(days))
    assert "model_v001" in found and "model_v002" not in found


def test_a_clock_behind_does_not_hide_a_promotion(state: Callable[[str], Place], tmp_path: Path) -> None:
    place = state("trained").copy(tmp_path / "place")
    assert place.run(*PROMOTE, fault=Fault(clock_days=-30)).code == 0
    assert "model_v002" in place.require("live")
    assert "model_v002" in place.require("live", "--at", instant())
    assert "model_v001" in place.require("live", "--at", binding_log.read(place.lake)[0].effective_from)
    place.require("history", "--verify")
