"""Killed runs: each ends as failed with its row, and is retried; its date is free again."""

import os
import signal

import pytest

from tests.deploy.deployment import CODE_SERVER, Deployment

pytestmark = pytest.mark.long

SCORED = {"success", "warning"}


def test_a_killed_worker_is_retried(machine: Deployment) -> None:
    date = "2026-03-11"
    machine.land(date)
    run_id = machine.launch(date)
    os.kill(machine.worker(run_id), signal.SIGKILL)
    failed, *_, status = machine.statuses(date)
    assert failed == "failed"
    assert status in SCORED
    assert machine.run(run_id).status == "FAILURE"


def test_a_run_killed_with_its_code_server_ends(machine: Deployment) -> None:
    date = "2026-03-12"
    machine.land(date)
    run_id = machine.launch(date)
    machine.worker(run_id)
    machine.kill_with_children(CODE_SERVER)
    machine.start(CODE_SERVER)
    failed, *_, status = machine.statuses(date)
    assert failed == "failed"
    assert status in SCORED
    assert machine.run(run_id).status == "FAILURE"
