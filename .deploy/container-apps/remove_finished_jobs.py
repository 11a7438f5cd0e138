"""Remove the Container Apps jobs of finished runs: AcaRunLauncher leaves one for each run.

Run it every day, with the environment of the daemon. A job is removed an hour after its run ended, also one that never started.
Jobs of runs that are not in this history are kept, because another deployment can use the same resource group.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator

import dagster as dg
from azure.identity import DefaultAzureCredential
from azure.mgmt.appcontainers import ContainerAppsAPIClient
from azure.mgmt.appcontainers.models import Job

RUN_TAG = "dagster-run-id"
KEPT_SECONDS = 3600


def jobs_of_finished_runs(jobs: Iterable[Job], instance: dg.DagsterInstance, now: float) -> Iterator[str]:
    """Yield the names of jobs whose run ended more than an hour before `now`, in seconds since the epoch."""
    for job in jobs:
        run_id = (job.tags or {}).get(RUN_TAG)
        record = instance.get_run_record_by_id(run_id) if run_id else None
        if record and record.dagster_run.is_finished and (record.end_time or record.update_timestamp.timestamp()) < now - KEPT_SECONDS:
            yield str(job.name)


def main() -> None:
    """Remove the jobs and print how many; raises what Azure's client and Dagster raise."""
    group = os.environ["AZURE_RESOURCE_GROUP"]
    with (
        dg.DagsterInstance.get() as instance,
        ContainerAppsAPIClient(DefaultAzureCredential(), os.environ["AZURE_SUBSCRIPTION_ID"]) as client,
    ):
        finished = list(jobs_of_finished_runs(client.jobs.list_by_resource_group(group), instance, time.time()))
        for name in finished:
            client.jobs.begin_delete(group, name)
    sys.stdout.write(f"{len(finished)} jobs of finished runs are being removed\n")


if __name__ == "__main__":
    main()
