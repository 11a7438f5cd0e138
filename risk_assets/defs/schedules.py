"""The schedules: scoring every night, the report in the morning, training every Monday, in the team's time zone."""

from datetime import timedelta

import dagster as dg

from risk_assets.clock import Calendar
from risk_assets.defs.jobs import DAILY_SCORING, MORNING_REPORT, TRAINING

HOURS_AFTER_SCORING = 2
MONDAY = 1


def schedules(calendar: Calendar) -> list[dg.ScheduleDefinition]:
    """Return the schedules; all are off until somebody switches them on."""
    at, zone = calendar.scoring, calendar.zone.key
    training_hour = (at.hour + HOURS_AFTER_SCORING) % 24
    nightly = dg.ScheduleDefinition(
        name="nightly",
        job=DAILY_SCORING,
        cron_schedule=f"{at.minute} {at.hour} * * *",
        execution_timezone=zone,
        execution_fn=lambda context: _previous_business_day(context, calendar),
        description=f"Scores the previous day at {at:%H:%M} {zone}, if it is one of the business days.",
    )
    weekly = dg.ScheduleDefinition(
        name="weekly_training",
        job=TRAINING,
        cron_schedule=f"{at.minute} {training_hour} * * {MONDAY}",
        execution_timezone=zone,
        execution_fn=_weekly_training,
        description=f"Trains on Mondays at {training_hour:02d}:{at:%M} {zone}, on what has matured by the previous day.",
    )
    due = calendar.deadline
    morning = dg.ScheduleDefinition(
        name="morning",
        job=MORNING_REPORT,
        cron_schedule=f"{due.minute} {due.hour} * * *",
        execution_timezone=zone,
        execution_fn=lambda context: _previous_business_day(context, calendar),
        description=f"Reports on the previous day at {due:%H:%M} {zone}, the deadline of its file, if it is one of the business days.",
    )
    return [nightly, morning, weekly]


def _previous_business_day(context: dg.ScheduleEvaluationContext, calendar: Calendar) -> dg.RunRequest | dg.SkipReason:
    date = _previous_day(context)
    if not calendar.expects(date):
        return dg.SkipReason(f"{date} is not a business day (RISK_BUSINESS_DAYS)")
    return dg.RunRequest(run_key=date, partition_key=date)


def _weekly_training(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    date = _previous_day(context)
    return dg.RunRequest(run_key=date, partition_key=date)


def _previous_day(context: dg.ScheduleEvaluationContext) -> str:
    """Return the day before the tick, which is in the schedule's time zone."""
    return (context.scheduled_execution_time - timedelta(days=1)).date().isoformat()
