"""120 days of a simulated bank through the real asset graph: every incident raises its alerts in time and no others."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from risk_assets.domain.monitoring.alerts import RESOLVED
from risk_assets.lake import binding_log, registry, run_log
from risk_assets.lake.store import Store, open_store
from risk_assets.rehearsal.rehearse import Rehearsal, rehearse
from risk_assets.rehearsal.timeline import events, outcomes
from risk_assets.simulation.scenarios import EVERYTHING
from tests.conftest import ROOT

pytestmark = pytest.mark.long
SHOCK = "macro-shock"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rehearsal")


@pytest.fixture(scope="module")
def done(folder: Path) -> Iterator[Rehearsal]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("DAGSTER_HOME", str(folder / "dagster"))  # restored after the rehearsal, which sets it
        yield rehearse(EVERYTHING, folder / "book", accounts=6000, seed=1)


@pytest.fixture
def lake(done: Rehearsal, folder: Path) -> Store:
    assert done.days
    return open_store(str(folder / "book/lake"))


def test_every_incident_raises_its_alerts_in_time_and_no_others(done: Rehearsal) -> None:
    assert done.differences == ()
    assert len(done.days) == EVERYTHING.days == 120


def test_every_incident_is_detected_and_over_at_the_end(done: Rehearsal) -> None:
    found = outcomes(EVERYTHING, done.days, done.errors)
    assert [each.name for each in found if each.recovered is None] == ["corrected-file"]  # it raises no alert
    assert done.days[-1].open == ()


def test_the_loop_closes_after_a_shock(done: Rehearsal, lake: Store) -> None:
    (shock,) = (each for each in outcomes(EVERYTHING, done.days, done.errors) if each.name == SHOCK)
    assert shock.detected is not None
    assert shock.recovered is not None
    retrained = [day.day for day in done.days if day.did("retrain")]
    assert shock.detected <= retrained[0] <= shock.promoted[-1] < shock.recovered
    promoted = done.days[shock.promoted[-1]]
    assert [action.kind for action in promoted.actions] == ["retrain", "gates", "impact", "promote"]
    version = registry.read_version(lake, promoted.version)
    assert version.metadata.origin.reason == promoted.actions[0].text
    assert "observed / expected bads of all accounts" in version.metadata.origin.reason
    assert version.metadata.gates.passed
    binding = binding_log.live(lake)
    assert binding
    assert (binding.champion, binding.actor, binding.overrides) == (promoted.version, "the approver", ())


def test_the_model_is_right_again_after_the_recovery(done: Rehearsal) -> None:
    (shock,) = (each for each in outcomes(EVERYTHING, done.days, done.errors) if each.name == SHOCK)
    ratios = [day.ratio for day in done.days if day.ratio and shock.recovered and day.day >= shock.recovered]
    during = [day.ratio for day in done.days if day.ratio and shock.detected and shock.detected <= day.day < shock.detected + 10]
    assert max(ratios) < done.max_calibration_ratio < max(during)


def test_a_shock_costs_missed_bads(done: Rehearsal) -> None:
    costs = {each.name: each.cost for each in outcomes(EVERYTHING, done.days, done.errors)}
    shock, blank, cut_off = costs[SHOCK], costs["blank-column"], costs["changed-cut-off"]
    assert shock
    assert blank
    assert cut_off
    assert shock.missed_bads > 1000
    assert blank.missed_bads > 0 > blank.flagged_goods  # nobody was flagged on that morning
    assert cut_off.flagged_goods > 1000


def test_the_timeline_tells_incident_detection_action_and_recovery(done: Rehearsal) -> None:
    found = [event.kind for event in events(EVERYTHING, done.days)]
    assert {"incident", "alert", "resolved", "decision", "retraining", "gates", "impact", "promotion", "recovery"} <= {*found}
    assert found.count("incident") == len(EVERYTHING.planned)


def test_runs_are_in_the_run_log_in_simulated_time(done: Rehearsal, lake: Store) -> None:
    rows = run_log.read(lake)
    assert {day.date for day in done.days} <= {row["date"] for row in rows.values()}
    assert {row["timestamp"][:4] for row in rows.values()} == {"2025"}


def test_alerts_that_are_resolved_were_open_on_the_day_before(done: Rehearsal) -> None:
    for before, after in pairwise(done.days):
        assert {*after.with_status(RESOLVED)} <= {*before.open}
