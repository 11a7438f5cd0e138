"""The states of alerts: opened once, repeated, resolved; not evaluated; and the same report for the same evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_assets.domain.contract.policy import Monitoring
from risk_assets.domain.monitoring.alerts import (
    OPENED,
    REPEATED,
    RESOLVED,
    Alert,
    AlertReport,
    Cause,
    Figure,
    Gap,
    evaluate,
    figures_text,
    rows,
    summary,
)
from risk_assets.domain.monitoring.flagged_range import flagged_figure

DRIFT = Cause("drift", "income", "PSI 0.3", "risk monitor 2026-01-07", (Figure("PSI", 0.3, highest=0.2),))
RUN = Cause("run", "daily_scoring:2026-01-05", "the run failed", "risk run 2026-01-05")
NO_DRIFT = Gap(("drift:",), "no drift report")


def states(report: AlertReport) -> dict[str, tuple[str, str]]:
    return {alert.cause: (alert.status, alert.since) for alert in report.alerts}


def test_an_alert_is_opened_repeated_and_resolved() -> None:
    first = evaluate("2026-01-05", None, [DRIFT])
    second = evaluate("2026-01-06", first, [DRIFT])
    third = evaluate("2026-01-07", second, [])
    assert [states(report) for report in (first, second, third)] == [
        {"drift:income": (OPENED, "2026-01-05")},
        {"drift:income": (REPEATED, "2026-01-05")},
        {"drift:income": (RESOLVED, "2026-01-05")},
    ]
    assert third.alerts[0].figures == DRIFT.figures
    assert (len(second.open), third.open) == (1, ())
    assert evaluate("2026-01-08", third, []).alerts == ()


def test_a_cause_that_returns_is_opened_again() -> None:
    gone = evaluate("2026-01-06", evaluate("2026-01-05", None, [DRIFT]), [])
    assert states(evaluate("2026-01-07", gone, [DRIFT])) == {"drift:income": (OPENED, "2026-01-07")}


def test_a_cause_that_was_not_evaluated_stays_open() -> None:
    first = evaluate("2026-01-05", None, [DRIFT, RUN])
    second = evaluate("2026-01-06", first, [], [NO_DRIFT])
    assert states(second) == {"drift:income": (REPEATED, "2026-01-05"), RUN.name: (RESOLVED, "2026-01-05")}
    (alert,) = second.open
    assert (alert.not_evaluated, alert.evidence) == ("no drift report", "PSI 0.3")
    assert rows(second)[0] == (
        "drift:income",
        "repeated, not evaluated",
        "2026-01-05",
        "PSI 0.3 (found last; no drift report)",
        DRIFT.next_step,
    )
    third = evaluate("2026-01-07", second, [DRIFT])
    assert (third.alerts[0].status, third.alerts[0].since, third.alerts[0].not_evaluated) == (REPEATED, "2026-01-05", None)


def test_an_alert_that_its_own_date_retracts_is_resolved() -> None:
    opened = evaluate("2026-01-05", None, [RUN])
    retracted = evaluate("2026-01-05", None, [], before=opened)
    assert states(retracted) == {RUN.name: (RESOLVED, "2026-01-05")}
    assert evaluate("2026-01-05", None, [], before=retracted) == retracted
    back = evaluate("2026-01-05", None, [RUN], before=retracted)
    assert (states(back), back.alerts[0].reopened) == ({RUN.name: (OPENED, "2026-01-05")}, 1)
    assert evaluate("2026-01-05", None, [RUN], before=back) == back
    assert evaluate("2026-01-06", back, [RUN]).alerts[0].reopened == 1


def test_an_alert_that_returns_after_its_date_resolved_it_is_new() -> None:
    earlier = evaluate("2026-01-05", None, [RUN])
    resolved = evaluate("2026-01-06", earlier, [])
    back = evaluate("2026-01-06", earlier, [RUN], before=resolved)
    assert states(back) == {RUN.name: (OPENED, "2026-01-06")}
    assert evaluate("2026-01-06", earlier, [RUN], before=back) == back


def test_what_was_resolved_stays_so_when_it_cannot_be_evaluated_again() -> None:
    earlier = evaluate("2026-01-05", None, [DRIFT])
    resolved = evaluate("2026-01-06", earlier, [])
    assert states(evaluate("2026-01-06", earlier, [], [NO_DRIFT], before=resolved)) == {"drift:income": (RESOLVED, "2026-01-05")}


CAUSES = st.lists(st.sampled_from([DRIFT, RUN]), unique=True)
GAPS = st.sampled_from([(), (NO_DRIFT,)])


@given(st.lists(st.tuples(CAUSES, GAPS), min_size=1, max_size=4), st.lists(st.tuples(CAUSES, GAPS), min_size=1, max_size=4))
def test_evaluating_a_date_again_changes_nothing(days: list, again: list) -> None:
    """The days are evaluated once, the last one again and again; every state is stable, and no open cause is lost."""
    report: AlertReport | None = None
    for day, (found, gaps) in enumerate(days, start=1):
        report = evaluate(f"2026-01-{day:02d}", report, found, gaps)
    date, before = f"2026-01-{len(days) + 1:02d}", None
    for found, gaps in again:
        made = evaluate(date, report, found, gaps, before)
        assert evaluate(date, report, found, gaps, made) == made
        assert {alert.cause for alert in made.open} >= {cause.name for cause in found}
        if not gaps:
            assert {alert.cause for alert in made.open} == {cause.name for cause in found}
        shown = {alert.cause for alert in (*(report.open if report else ()), *(before.alerts if before else ()))}
        assert shown <= {alert.cause for alert in made.alerts}
        before = made


def test_the_summary_counts_and_describes() -> None:
    many = [Cause("drift", name, "PSI 0.3", "look") for name in "abcd"]
    text = summary(evaluate("2026-01-06", evaluate("2026-01-05", None, [RUN, *many[:1]]), many))
    assert text.startswith("4 alerts open, 3 of them new, 1 resolved; drift:a: PSI 0.3 (since 2026-01-05); ")
    assert text.endswith("and 1 more")
    assert summary(evaluate("2026-01-05", None, [])) == "0 alerts open, 0 of them new, 0 resolved"


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure("PSI", 0.3, highest=0.2), "PSI 0.3, 0.1 above the limit of 0.2"),
        (Figure("ratio", 0.5, 0.75, 1.3), "ratio 0.5, 0.25 below the limit of 0.75"),
        (Figure("ratio", 1.0, 0.75, 1.3), "ratio 1"),
        (Figure("left", 3.0), "left 3"),
    ],
)
def test_a_figure_says_which_limit_it_exceeds_and_by_how_much(figure: Figure, text: str) -> None:
    assert figures_text([figure]) == text


def test_the_usual_number_of_flagged_accounts() -> None:
    usual = flagged_figure(100, [100] * 28, Monitoring())
    assert usual and (usual.lowest, usual.highest, usual.beyond) == (50, 150, 0)
    assert flagged_figure(151, [100] * 28, Monitoring()).beyond == 1  # type: ignore[union-attr]
    assert flagged_figure(49, [100] * 28, Monitoring()).beyond == 1  # type: ignore[union-attr]
    assert flagged_figure(5, [1] * 28, Monitoring()).beyond == 0  # type: ignore[union-attr]
    assert flagged_figure(0, [3] * 28, Monitoring()).beyond == 0  # type: ignore[union-attr]
    assert flagged_figure(9, [0] * 28, Monitoring()).beyond > 0  # type: ignore[union-attr]
    assert flagged_figure(9, [1] * 6, Monitoring()) is None


def test_an_alert_is_open_until_it_is_resolved() -> None:
    assert not Alert("run:a", "run", "a", RESOLVED, "2026-01-05", "", "").is_open
