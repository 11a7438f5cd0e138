"""The code location of the workspace, to which runs started by `risk` are assigned."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import dagster as dg
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

MODULE, LOCATION, REPOSITORY = "risk_assets.definitions", "risk", "__repository__"


@contextmanager
def located_runs(instance: dg.DagsterInstance, job: str) -> Iterator[None]:
    """Assign the runs of a job that are created in the block to the code location.

    Dagster does this only for runs that its daemon or UI launches, and the timeline shows only runs with a code location. There
    is no public way to do it for `execute_in_process`.
    """
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE)
    repository = RemoteRepositoryOrigin(ManagedGrpcPythonEnvCodeLocationOrigin(target, LOCATION), REPOSITORY)
    create = instance.create_run_for_job
    instance.create_run_for_job = partial(create, remote_job_origin=RemoteJobOrigin(repository, job))  # type: ignore[method-assign]
    try:
        yield
    finally:
        instance.create_run_for_job = create  # type: ignore[method-assign]
