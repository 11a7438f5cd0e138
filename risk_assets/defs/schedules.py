"""The schedules: scoring every night, training every Monday."""

from datetime import timedelta

import dagster as dg

from risk_assets.clock import NIGHTLY_HOUR_UTC
from risk_assets.defs.jobs import DAILY_SCORING, TRAINING

MONDAY = 1
TRAINING_HOUR_UTC = NIGHTLY_HOUR_UTC + 2


def schedules() -> list[dg.ScheduleDefinition]:
    """Return the schedules; all are off until somebody switches them on."""
    nightly: dg.ScheduleDefinition = dg.build_schedule_from_partitioned_job(  # type: ignore[assignment]
        DAILY_SCORING,
        name="nightly",
        hour_of_day=NIGHTLY_HOUR_UTC,
        description=f"Scores the previous day at {NIGHTLY_HOUR_UTC:02d}:00 UTC.",
    )
    weekly = dg.ScheduleDefinition(
        name="weekly_training",
        job=TRAINING,
        cron_schedule=f"0 {TRAINING_HOUR_UTC} * * {MONDAY}",
        execution_fn=weekly_training,
        description=f"Trains on Mondays at {TRAINING_HOUR_UTC:02d}:00 UTC, on the window that ends with the previous day.",
    )
    return [nightly, weekly]


def weekly_training(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Request training for the day before the tick."""
    date = (context.scheduled_execution_time - timedelta(days=1)).date().isoformat()
    return dg.RunRequest(run_key=date, partition_key=date)
