"""Alerts of a rehearsal compared with those that incidents must and may raise; costs, timeline and plot."""

from dataclasses import replace

import pytest

from risk_assets.domain.monitoring.alerts import OPENED, REPEATED, RESOLVED
from risk_assets.rehearsal.costs import Errors, errors, excess
from risk_assets.rehearsal.expectations import differences, false_alert_days
from risk_assets.rehearsal.plot import svg
from risk_assets.rehearsal.records import Action, Day
from risk_assets.rehearsal.timeline import events, outcomes
from risk_assets.simulation.incidents import Expected, Incident
from risk_assets.simulation.scenarios import Planned, Scenario

LATE = Incident("late", "A file is late.", days=1, raises=(Expected("late:accounts:*", 0),))
SHOCK = Incident(
    "shock", "A shock.", days=4, raises=(Expected("performance:*", 2),), may_raise=("drift:*",), settles_within=3, retrains=True
)


def scenario(*planned: tuple[int, Incident], days: int = 12) -> Scenario:
    return Scenario("test", tuple(Planned(start, incident) for start, incident in planned), days)


def history(alerts: dict[int, dict[str, str]], actions: dict[int, tuple[Action, ...]] | None = None, days: int = 12) -> tuple[Day, ...]:
    return tuple(
        Day(day, f"2025-03-{day + 1:02d}", alerts.get(day, {}), (actions or {}).get(day, ()), frozenset(), 1.0, "model_v001")
        for day in range(days)
    )


def lasting(cause: str, first: int, last: int) -> dict[int, dict[str, str]]:
    return {day: {cause: OPENED if day == first else REPEATED} for day in range(first, last + 1)} | {last + 1: {cause: RESOLVED}}


RETRAINED = {5: (Action("retrain", "calibration"), Action("promote", "model_v002 by the approver"))}


def test_an_alert_in_time_is_no_difference() -> None:
    assert differences(scenario((3, LATE)), history(lasting("late:accounts:2025-03-04", 3, 3))) == ()
    assert differences(scenario((3, SHOCK)), history(lasting("performance:champion:ranking", 5, 9), RETRAINED)) == ()


def test_quiet_days_without_alerts_have_no_differences() -> None:
    assert differences(scenario(), history({})) == ()


def test_a_missing_alert_is_named() -> None:
    assert differences(scenario((3, LATE)), history({})) == ("late: no alert late:accounts:*, which was due by day 3",)


def test_a_late_alert_is_named() -> None:
    found = differences(scenario((3, SHOCK)), history(lasting("performance:x", 6, 8), RETRAINED))
    assert found == ("shock: performance:* after 3 days, which was due after 2",)


def test_an_alert_that_is_due_after_the_last_day_is_not_missed() -> None:
    assert differences(scenario((11, SHOCK)), history({})) == ()


@pytest.mark.parametrize("day", [2, 5])
def test_an_alert_outside_its_incident_is_named(day: int) -> None:
    alerts = lasting("late:accounts:2025-03-04", 3, 3) | {day: {"late:accounts:2025-03-09": OPENED}}
    (found,) = differences(scenario((3, LATE)), history(alerts))
    assert found.startswith(f"late:accounts:2025-03-09 on day {day} ")


def test_an_alert_that_stays_open_too_long_is_named_once() -> None:
    (found,) = differences(scenario((3, LATE)), history(lasting("late:accounts:2025-03-04", 3, 8)))
    assert found == "late:accounts:2025-03-04 on day 5 (2025-03-06), which no incident explains then"


def test_an_alert_of_another_cause_is_named() -> None:
    alerts = lasting("late:accounts:2025-03-04", 3, 3)
    alerts[3] |= {"drift:region": OPENED}
    found = differences(scenario((3, LATE)), history(alerts))
    assert found == ("drift:region on day 3 (2025-03-04), which no incident explains then",)
    assert [day.day for day in false_alert_days(scenario((3, LATE)), history(alerts))] == [3]


def test_an_alert_that_an_incident_may_raise_is_no_difference() -> None:
    alerts = lasting("performance:x", 4, 6)
    alerts[4] |= {"drift:score": OPENED}
    assert differences(scenario((3, SHOCK)), history(alerts, RETRAINED)) == ()


def test_a_retraining_must_follow_or_must_not() -> None:
    assert differences(scenario((3, SHOCK)), history(lasting("performance:x", 4, 6))) == ("shock: no retraining",)
    alerts = lasting("late:accounts:2025-03-04", 3, 3)
    assert differences(scenario((3, LATE)), history(alerts, RETRAINED)) == ("a retraining on day 5, which no incident explains",)
    may = replace(LATE, retrains=None, settles_within=5)
    assert differences(scenario((3, may)), history(alerts, RETRAINED)) == ()


def test_errors_are_missed_bads_and_flagged_goods() -> None:
    days = tuple(replace(day, flagged=flagged) for day, flagged in zip(history({}, days=2), (frozenset("ab"), None), strict=True))
    assert errors(days, {"2025-03-01": frozenset("bcd"), "2025-03-02": frozenset("x")}) == {0: Errors(2, 1), 1: Errors(1, 0)}
    assert errors(days, {}) == {}


def test_the_cost_is_what_quiet_days_do_not_have() -> None:
    found = {day: Errors(10, 4) for day in range(12)} | {3: Errors(25, 0)}
    assert excess(scenario((3, LATE)), found, 3, 4) == Errors(15, -4)
    assert excess(scenario((0, replace(SHOCK, days=12))), found, 3, 4) is None


def test_the_timeline_has_incident_detection_action_and_recovery_in_order() -> None:
    days = history(lasting("performance:champion:calibration", 4, 6), RETRAINED)
    found = events(scenario((3, SHOCK)), days)
    assert [(event.day, event.kind) for event in found] == [
        (3, "incident"), (4, "alert"), (5, "retraining"), (5, "promotion"), (7, "resolved"), (7, "recovery"),
    ]  # fmt: skip
    assert found[1].text == "performance:champion:calibration (shock detected after 1 day)"
    assert found[-1].text == "shock, 4 days after its start"


def test_an_incident_in_one_row() -> None:
    found = {day: Errors(10.0, 4.0) for day in range(12)} | {5: Errors(16.0, 3.0)}
    (row,) = outcomes(scenario((3, SHOCK)), history(lasting("performance:x", 4, 6), RETRAINED), found)
    assert (row.detected, row.promoted, row.recovered, row.cost) == (4, (5,), 7, Errors(6.0, -1.0))


def test_an_incident_that_lasts_has_no_recovery() -> None:
    (row,) = outcomes(scenario((9, SHOCK)), history(lasting("performance:x", 10, 11)), {})
    assert (row.detected, row.recovered, row.cost) == (10, None, None)


def test_the_plot_names_incidents_and_alerts() -> None:
    days = history(lasting("run:daily_scoring:2025-03-04", 3, 3), RETRAINED)
    drawn = svg(scenario((3, LATE)), days, 1.3)
    assert drawn.startswith(b"<?xml")
    assert b"run:daily_scoring" in drawn
    assert svg(scenario((3, LATE)), days, 1.3)[:200] == drawn[:200]


def test_an_alert_that_two_incidents_explain_belongs_to_the_later_one() -> None:
    days = history(lasting("performance:x", 1, 2) | lasting("performance:y", 6, 6), RETRAINED)
    first, second = (replace(SHOCK, name=name, settles_within=9) for name in ("first", "second"))
    found = outcomes(scenario((0, first), (5, second)), days, {})
    assert [(each.name, each.detected, each.promoted) for each in found] == [("first", 1, ()), ("second", 6, (5,))]


def test_an_alert_that_soon_comes_back_is_no_recovery() -> None:
    days = history(lasting("performance:x", 4, 5) | lasting("performance:x", 8, 9), RETRAINED, days=30)
    (row,) = outcomes(scenario((3, replace(SHOCK, days=20)), days=30), days, {})
    assert row.recovered == 10
