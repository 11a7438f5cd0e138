"""What Dagster loads: assets, checks, jobs, schedules and sensors over one lake."""

import dagster as dg

from risk_assets.defs.assets.champion import champion, impact
from risk_assets.defs.assets.features import features
from risk_assets.defs.assets.model import model, model_version
from risk_assets.defs.assets.predictions import predictions
from risk_assets.defs.assets.raw import accounts, outcomes
from risk_assets.defs.assets.review import review_list
from risk_assets.defs.assets.run_log import batch_runs
from risk_assets.defs.automation import (
    daily_scoring,
    governance,
    landing_sensor,
    log_killed_runs,
    nightly,
    outcomes_job,
    training,
    weekly_training,
)
from risk_assets.defs.checks import CHECKS
from risk_assets.defs.io_managers import io_managers
from risk_assets.defs.resources import Lakehouse, azure_blob
from risk_assets.settings import Settings, load_settings


def build(settings: Settings) -> dg.Definitions:
    """Return the definitions over the lake of these settings.

    dagster-azure's resource is held by the lakehouse and not registered: Dagster writes the configuration of what is
    registered, its key or SAS too, into its snapshots as plain text.
    """
    credential = settings.credential() if settings.on_azure else None
    lakehouse = Lakehouse(settings, azure_blob(credential) if credential else None)
    return dg.Definitions(
        assets=[accounts, outcomes, features, model, model_version, impact, champion, predictions, review_list, batch_runs],
        asset_checks=CHECKS,
        jobs=[daily_scoring, outcomes_job, training, governance],
        schedules=[nightly, weekly_training],
        sensors=[landing_sensor, log_killed_runs],
        resources={"lakehouse": lakehouse, **io_managers(lakehouse)},
        executor=dg.in_process_executor,
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """Return what `dagster dev` and the daemon load."""
    return build(load_settings())
