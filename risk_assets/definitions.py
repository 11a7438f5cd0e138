"""Builds what Dagster loads: assets, checks, jobs, schedules and sensors over one lake."""

import dagster as dg

from risk_assets.defs.graph import assets
from risk_assets.defs.io_managers import io_managers
from risk_assets.defs.jobs import JOBS
from risk_assets.defs.partitions import partitions
from risk_assets.defs.resources import Lakehouse, azure_blob, run_resource
from risk_assets.defs.schedules import schedules
from risk_assets.defs.sensors import sensors
from risk_assets.engine.engines import Engine
from risk_assets.settings import Settings, load_settings


def build(settings: Settings, kept_engine: Engine | None = None) -> dg.Definitions:
    """Return the definitions over the lake of these settings; each run has an engine of its own unless the caller keeps one for all.

    dagster-azure's resource is held by the lakehouse and not registered: Dagster writes the configuration of registered
    resources, including keys and SAS tokens, into its snapshots as plain text.
    """
    credential = settings.credential() if settings.on_azure else None
    lakehouse = Lakehouse(settings, azure_blob(credential) if credential else None, kept_engine)
    dates = partitions(settings)
    return dg.Definitions(
        assets=assets(dates, lakehouse),
        jobs=JOBS,
        schedules=schedules(settings.calendar),
        sensors=sensors(dates, settings.calendar),
        resources={"lakehouse": run_resource(lakehouse), **io_managers(lakehouse)},
        executor=dg.in_process_executor,
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """Return what `dagster dev` and the daemon load."""
    return build(load_settings())
