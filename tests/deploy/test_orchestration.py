"""One machine with real processes: every run of a launch, a backfill, a schedule and a sensor ends and has its row."""

from datetime import datetime

import pytest

from risk_assets.lake import layout
from tests.defs.conftest import NEXT
from tests.deploy.conftest import previous_day
from tests.deploy.deployment import CODE_SERVER, DAEMON, RUN_SECONDS, WEBSERVER, Deployment
from tests.deploy.runs import most_at_once, overlapping

pytestmark = pytest.mark.long

DATES = [f"2026-02-{day:02d}" for day in range(1, 13)]
SCORED = {"success", "warning"}
TICK_SECONDS = 300


def test_a_date_launched_in_the_ui_is_scored(machine: Deployment) -> None:
    run_id = machine.launch(NEXT)
    (status,) = machine.statuses(NEXT)
    assert status in SCORED
    assert machine.run(run_id).status == "SUCCESS"
    assert machine.lake.size(layout.predictions(NEXT))


@pytest.mark.parametrize("name", [CODE_SERVER, WEBSERVER, DAEMON])
def test_the_health_check_knows_the_process(machine: Deployment, name: str) -> None:
    machine.wait(lambda: machine.is_healthy(name), f"{name} is not healthy", RUN_SECONDS)


def test_dates_are_backfilled_with_one_run_of_a_date_at_a_time(machine: Deployment) -> None:
    machine.land(*DATES)
    again = DATES[:2]
    machine.backfill(DATES)
    for date in again:
        machine.launch(date)
    machine.wait(lambda: len(machine.runs(DATES[-1])) == 1, "the backfill did not start", RUN_SECONDS)
    statuses = {date: machine.statuses(date) for date in DATES}
    assert {date: len(each) for date, each in statuses.items()} == {date: 2 if date in again else 1 for date in DATES}
    assert {status for each in statuses.values() for status in each} <= SCORED
    runs = {date: machine.runs(date) for date in DATES}
    assert [overlapping(each) for each in runs.values()] == [[]] * len(DATES)
    assert 1 < most_at_once([run for each in runs.values() for run in each]) <= 4


def test_a_date_that_lands_is_scored_once(machine: Deployment) -> None:
    date = "2026-03-01"
    machine.land(date)
    with machine.sensor("landing"):
        machine.wait(lambda: bool(machine.runs(date)), "the sensor started no run", TICK_SECONDS)
        assert len(machine.statuses(date)) == 1
    assert machine.statuses(date)[0] in SCORED


def test_a_run_waits_for_a_killed_daemon(machine: Deployment) -> None:
    date = "2026-03-02"
    machine.land(date)
    machine.kill(DAEMON)
    run_id = machine.launch(date)
    assert machine.run(run_id).status == "QUEUED"
    machine.start(DAEMON)
    (status,) = machine.statuses(date)
    assert status in SCORED


def test_runs_survive_a_killed_code_server(machine: Deployment) -> None:
    date = "2026-03-03"
    machine.land(date)
    under_way, due = machine.launch(date), machine.launch(date)
    machine.worker(under_way)
    machine.kill(CODE_SERVER)
    machine.wait(lambda: "re-submitting the run into the queue" in machine.messages(due), "the run did not wait", RUN_SECONDS)
    machine.start(CODE_SERVER)
    statuses = machine.statuses(date)
    assert len(statuses) == 2
    assert set(statuses) <= SCORED


def test_the_schedule_scores_the_previous_day(machine: Deployment, tick: datetime) -> None:
    date = previous_day(tick)  # the landing sensor may have scored it too
    scheduled = {"dagster/schedule_name": "nightly"}
    machine.wait(
        lambda: any(scheduled.items() <= run.tags.items() for run in machine.runs(date)), "the schedule started no run", TICK_SECONDS
    )
    assert set(machine.statuses(date)) <= SCORED
