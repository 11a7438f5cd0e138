"""The removal of Container Apps jobs whose run has ended."""

import runpy
import time
from typing import Any

import dagster as dg
import pytest
from azure.mgmt.appcontainers.models import Job

from tests.conftest import ROOT

SCRIPT = ROOT / ".deploy/container-apps/remove_finished_jobs.py"
HOUR = 3600


@pytest.fixture
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_only_jobs_of_runs_that_ended_are_removed(script: dict[str, Any]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        started, ended, never_started = (instance.create_run_for_job(_job()) for _ in range(3))
        instance.report_run_failed(never_started)
        instance.report_run_failed(ended)
        jobs = [_resource(name, run.run_id) for name, run in (("a", started), ("b", ended), ("c", never_started))]
        jobs += [_resource("of-another-deployment", "unknown"), Job(location="westeurope")]
        removed = script["jobs_of_finished_runs"]
        assert list(removed(jobs, instance, time.time())) == []
        assert list(removed(jobs, instance, time.time() + 1.1 * HOUR)) == ["b", "c"]


def _job() -> dg.JobDefinition:
    return dg.JobDefinition(name="empty", graph_def=dg.GraphDefinition(name="empty"))


def _resource(name: str, run_id: str) -> Job:
    """Return a job as Azure lists it, with the tags that AcaRunLauncher gives it."""
    job = Job(location="westeurope", tags={"dagster-run-id": run_id, "dagster-job-name": "daily_scoring"})
    job.name = name
    return job
