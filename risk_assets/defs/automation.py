"""Jobs, schedules and sensors: what runs by itself, and when."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from risk_assets.clock import NIGHTLY_HOUR_UTC
from risk_assets.defs.assets.champion import champion, impact
from risk_assets.defs.assets.features import features
from risk_assets.defs.assets.model import model, model_version
from risk_assets.defs.assets.predictions import predictions
from risk_assets.defs.assets.raw import accounts, outcomes
from risk_assets.defs.assets.review import review_list
from risk_assets.defs.assets.run_log import batch_runs
from risk_assets.defs.failures import KILLED, PARTITION_TAG, explain_recorded, log_failure, record_failure
from risk_assets.defs.partitions import daily
from risk_assets.defs.resources import Lakehouse
from risk_assets.lake import landing

TRAINING_DAY = 1  # Monday

daily_scoring = dg.define_asset_job(
    "daily_scoring",
    selection=dg.AssetSelection.assets(accounts, features, predictions, review_list, batch_runs),
    description="A date's accounts: landed, checked, scored by the live model, the riskiest listed, logged.",
    hooks={log_failure},
)
outcomes_job = dg.define_asset_job(
    "outcomes",
    selection=dg.AssetSelection.assets(outcomes),
    description="The outcomes of a date's accounts, when they have landed.",
    hooks={log_failure},
)
training = dg.define_asset_job(
    "training",
    selection=dg.AssetSelection.assets(model, model_version, impact, champion),
    description="A model of the labelled dates up to this one, registered; it goes live when it passes the gates.",
    hooks={log_failure},
)
governance = dg.define_asset_job(
    "governance",
    selection=dg.AssetSelection.assets(champion),
    description="What is live: promote, roll back, challenge, by the config of registry/champion.",
    hooks={log_failure},
)

nightly = dg.build_schedule_from_partitioned_job(
    daily_scoring, name="nightly", hour_of_day=NIGHTLY_HOUR_UTC, description="Scores the day that ended, at two at night (UTC)."
)


@dg.schedule(name="weekly_training", job=training, cron_schedule=f"0 {NIGHTLY_HOUR_UTC + 2} * * {TRAINING_DAY}")
def weekly_training(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Trains on Monday morning (UTC) on the window that ends with the day before."""
    date = (context.scheduled_execution_time - timedelta(days=1)).date().isoformat()
    return dg.RunRequest(run_key=date, partition_key=date)


@dg.sensor(name="landing", jobs=[daily_scoring, outcomes_job], minimum_interval_seconds=60)
def landing_sensor(context: dg.SensorEvaluationContext, lakehouse: dg.ResourceParam[Lakehouse]) -> Iterator[dg.RunRequest]:
    """Scores a date when its accounts land, and takes in its outcomes when they land. Each date once."""
    for kind, job in (("accounts", daily_scoring), ("outcomes", outcomes_job)):
        for date in landing.dates(lakehouse.landing, kind):
            if daily.has_partition_key(date):
                yield dg.RunRequest(run_key=f"{kind}_{date}", partition_key=date, job_name=job.name)


@dg.run_failure_sensor(name="log_killed_runs", default_status=dg.DefaultSensorStatus.RUNNING)
def log_killed_runs(context: dg.RunFailureSensorContext, lakehouse: dg.ResourceParam[Lakehouse]) -> None:
    """Gives a run that was killed outright its row in the run log; a run that failed by itself has one already."""
    run = context.dagster_run
    if PARTITION_TAG in run.tags:
        failures: list[Any] = [event.event_specific_data for event in context.get_step_failure_events()]
        error = explain_recorded(failures[0].error) if failures else KILLED
        record_failure(lakehouse, context.instance, run.run_id, error)
