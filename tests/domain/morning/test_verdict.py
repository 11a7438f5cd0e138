"""The verdict: states, severity and the sentence."""

from dataclasses import replace
from typing import Any

import pytest

from risk_assets.domain.morning.facts import Figure, Figures, Range
from risk_assets.domain.morning.verdict import Monitored, Night, Scored, is_late, verdict

FIGURES = Figures(
    (Figure("received", 300), Figure("scored", 298), Figure("flagged", 47, 48, 50, Range(40, 52, 28))), "2026-01-27", "2026-01-21"
)
SCORED = Scored(FIGURES, "2026-01-29T02:01+00:00", "2026-01-29T02:01+00:00", "model_v001", live_days=7)
SCORED_NIGHT = Night("2026-01-28", "2026-01-29T06:00+00:00", "2026-01-29T06:00+00:00", expected=True, arrived=True, scored=SCORED)
MISSED = replace(SCORED_NIGHT, scored=None, arrived=False, shown="2026-01-27")
LATER = {"first_at": "2026-01-29T07:30+00:00", "at": "2026-01-29T07:30+00:00"}


def with_scored(**changes: Any) -> Night:
    return replace(SCORED_NIGHT, scored=replace(SCORED, **changes))


def test_a_night_on_time() -> None:
    found = verdict(SCORED_NIGHT)
    assert (found.state, found.severity) == ("on time", "good")
    assert found.sentence == (
        "28 Jan 2026: 298 of 300 accounts scored at 02:01 by model_v001 (live for 7 days). "
        "47 flagged (\N{MINUS SIGN}1 on yesterday, \N{MINUS SIGN}3 on last week). Nothing unusual."
    )


def test_an_earlier_date_than_yesterday_is_named() -> None:
    figures = Figures((*FIGURES.shown[:2], Figure("flagged", 47, 47)), "2026-01-23")
    assert "47 flagged (\N{PLUS-MINUS SIGN}0 on 23 Jan 2026)." in verdict(with_scored(figures=figures)).sentence


def test_without_a_normal_range_nothing_is_called_usual() -> None:
    figures = Figures((*FIGURES.shown[:2], Figure("flagged", 47)))
    assert verdict(with_scored(figures=figures)).sentence.endswith("47 flagged.")


def test_a_date_that_was_scored_late() -> None:
    found = verdict(with_scored(**LATER))
    assert (found.state, found.severity) == ("late", "attention")
    assert "scored at 07:30 by model_v001 (live for 7 days), after the deadline." in found.sentence


def test_an_hour_that_occurs_twice_is_compared_as_instants() -> None:
    first, second = "2026-10-25T02:50+02:00", "2026-10-25T02:10+01:00"  # in this order
    night = replace(MISSED, date="2026-10-24", deadline=second, now=first)
    assert verdict(night).state == "waiting"
    assert is_late(second, first) and not is_late(first, second)


def test_a_date_that_was_scored_again_later_was_still_on_time() -> None:
    found = verdict(with_scored(at="2026-02-03T09:00+00:00"))
    assert found.state == "on time"
    assert "scored on 3 Feb 2026 at 09:00 by" in found.sentence


def test_a_backfill_is_not_late() -> None:
    at = "2026-11-27T07:10+00:00"
    found = verdict(with_scored(first_at=at, at=at))
    assert (found.state, found.severity) == ("backfilled", "good")
    assert "live for" not in found.sentence


@pytest.mark.parametrize(
    ("changes", "state", "remark"),
    [
        ({"stale": True}, "stale", "Other accounts have landed since: run the date again."),
        ({"warnings": 2}, "warning", "2 warnings."),
        ({"new_version": True}, "model changed", "model_v001 did not score the date before."),
        ({"new_policy": True}, "policy changed", "The policy is another one than on the date before."),
    ],
)
def test_what_somebody_should_look_at(changes: dict[str, Any], state: str, remark: str) -> None:
    found = verdict(with_scored(**changes))
    assert (found.state, found.severity) == (state, "attention")
    assert found.states == (state, "on time")
    assert "Nothing unusual" not in found.sentence
    assert remark in found.sentence


def test_unusual_figures_are_named_with_their_ranges() -> None:
    unusual = Figure("flagged", 56, normal=Range(40, 52, 28)), Figure("mean probability", 0.1, normal=Range(0.126, 0.134, 28))
    found = verdict(with_scored(figures=Figures((*FIGURES.shown[:2], *unusual))))
    assert (found.state, found.severity) == ("unusual", "attention")
    assert found.sentence.endswith(
        "Unusual: 56 flagged accounts are above their usual range, 40 to 52; "
        "mean probability 10.0% is below its usual range, 12.6% to 13.4%."
    )


def test_what_monitoring_found_is_named() -> None:
    found = verdict(replace(SCORED_NIGHT, monitored=Monitored(("utilisation",), 1, "2026-01-28")))
    assert (found.state, found.states, found.severity) == ("drift", ("drift", "open alerts", "on time"), "attention")
    assert "Beyond its drift limit: utilisation. 1 open alert. No key figure is outside its usual range." in found.sentence
    many = Monitored(("the model's score", "a", "b", "c", "d"), 2, "2026-01-26")
    found = verdict(replace(SCORED_NIGHT, monitored=many))
    assert "Beyond their drift limits: the model's score, a, b and 2 more. 2 open alerts as of 26 Jan 2026." in found.sentence
    alerts = verdict(replace(SCORED_NIGHT, monitored=Monitored(alerts=2, alerts_on="2026-01-28")))
    assert (alerts.state, alerts.severity) == ("open alerts", "attention")


def test_a_date_that_was_not_compared_with_training_is_not_called_usual() -> None:
    found = verdict(replace(SCORED_NIGHT, monitored=Monitored(None)))
    assert (found.state, found.severity) == ("on time", "good")
    assert found.sentence.endswith("No key figure is outside its usual range; drift was not measured.")


def test_the_states_of_a_night_come_before_what_monitoring_found() -> None:
    monitored = Monitored(("utilisation",), 1, "2026-01-28")
    states = verdict(replace(with_scored(warnings=1, new_version=True), monitored=monitored)).states
    assert states == ("warning", "drift", "open alerts", "model changed", "on time")
    missed = verdict(replace(MISSED, monitored=Monitored(alerts=1, alerts_on="2026-01-28")))
    assert (missed.state, missed.severity, missed.states) == ("no file", "bad", ("no file", "open alerts"))
    assert missed.sentence.endswith("Showing yesterday's list. 1 open alert.")
    quiet = verdict(replace(MISSED, expected=False, monitored=Monitored(alerts=1, alerts_on="2026-01-28")))
    assert quiet.severity == "attention" and "no snapshot is expected on this day" in quiet.sentence


def test_the_most_severe_state_comes_first() -> None:
    states = verdict(with_scored(**LATER, stale=True, warnings=1, new_version=True)).states
    assert states == ("stale", "late", "warning", "model changed")


def test_no_file_by_the_deadline() -> None:
    found = verdict(MISSED)
    assert (found.state, found.severity) == ("no file", "bad")
    assert found.sentence == "28 Jan 2026: NOT SCORED: no file arrived by 06:00. Showing yesterday's list."


def test_before_the_deadline_a_file_may_still_arrive() -> None:
    found = verdict(replace(MISSED, now="2026-01-29T05:59+00:00"))
    assert (found.state, found.severity) == ("waiting", "attention")
    assert "not scored yet: no file has arrived; it is due by 06:00" in found.sentence
    arrived = verdict(replace(MISSED, now="2026-01-29T05:59+00:00", arrived=True))
    assert "the file has arrived and is not scored yet" in arrived.sentence


def test_a_day_without_a_snapshot() -> None:
    found = verdict(replace(MISSED, expected=False))
    assert (found.state, found.severity) == ("not expected", "good")
    assert found.sentence == "28 Jan 2026: not scored: no snapshot is expected on this day. Showing yesterday's list."


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"incident": "failed", "error": "the lake cannot be reached"}, "failed", "the run failed: the lake cannot be reached"),
        ({"incident": "blocked", "error": "issue_share"}, "blocked", "a check stopped the run: issue_share"),
        ({}, "failed", "the file arrived, and no run has scored it"),
        ({"is_damaged": True, "error": "the manifest cannot be read"}, "damaged", "the manifest cannot be read"),
    ],
)
def test_a_file_that_was_not_scored(changes: dict[str, Any], state: str, reason: str) -> None:
    found = verdict(replace(MISSED, arrived=True, shown="2026-01-23", **changes))
    assert (found.state, found.severity) == (state, "bad")
    assert found.sentence == f"28 Jan 2026: NOT SCORED: {reason}. Showing the list of 23 Jan 2026."


def test_a_run_that_failed_before_the_deadline_is_reported_at_once() -> None:
    assert verdict(replace(MISSED, arrived=True, incident="failed", now="2026-01-29T03:00+00:00")).state == "failed"


def test_a_lake_without_any_scores() -> None:
    assert verdict(replace(MISSED, shown=None)).sentence.endswith("No earlier date was scored.")
