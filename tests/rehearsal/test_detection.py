"""How often quiet days raise alerts, and how soon incidents do, on banks of many seeds; by the functions of the domain."""

import pytest

from risk_assets.domain.monitoring.alerts import OPENED
from risk_assets.simulation.incidents import INCIDENTS
from risk_assets.simulation.scenarios import Planned, Scenario
from tests.rehearsal.domain_book import alerts

SEEDS = range(1, 21)
QUIET = Scenario("quiet", (), 30)


def opened(scenario: Scenario, accounts: int, seed: int) -> dict[int, set[str]]:
    """Return the causes that were opened, by day."""
    found = {day: {alert.cause for alert in report.alerts if alert.status == OPENED} for day, report in alerts(scenario, accounts, seed)}
    return {day: causes for day, causes in found.items() if causes}


@pytest.mark.long
def test_quiet_days_of_twenty_banks_raise_few_alerts() -> None:
    found = [day for seed in SEEDS for day in opened(QUIET, 3000, seed)]
    assert len(found) <= 0.02 * QUIET.days * len(SEEDS)


@pytest.mark.long
@pytest.mark.parametrize(("name", "seed"), [("macro-shock", 2), ("slow-decay", 1)])  # the shock with seed 1 is in test_days.py
def test_a_bad_economy_is_detected_in_time(name: str, seed: int) -> None:
    incident = INCIDENTS[name]
    (expected,) = incident.raises
    found = opened(Scenario(name, (Planned(30, incident),), 31 + expected.within_days), 6000, seed)
    first = min(day for day, causes in found.items() if expected.cause in causes)
    assert 30 <= first <= 30 + expected.within_days
    assert all(incident.explains(cause) for causes in found.values() for cause in causes)


@pytest.mark.long
@pytest.mark.parametrize(("name", "cause"), [("changed-unit", "drift:annual_income"), ("renamed-level", "drift:channel")])
def test_a_fault_that_does_not_stop_scoring_is_detected_at_once(name: str, cause: str) -> None:
    found = opened(Scenario(name, (Planned(2, INCIDENTS[name]),), 5), 2500, 1)
    assert list(found) == [2]
    assert cause in found[2]
