"""The sensors: files that land start runs, and failed runs get their row in the run log."""

from collections.abc import Iterator

import dagster as dg

from risk_assets.defs.failures import record_failure
from risk_assets.defs.jobs import DAILY_SCORING, OUTCOMES
from risk_assets.defs.partitions import Partitions
from risk_assets.defs.resources import Lakehouse
from risk_assets.lake import landing

LANDING_SECONDS = 60


def sensors(partitions: Partitions) -> list[dg.SensorDefinition]:
    """Return the sensors: `landing` is off until somebody switches it on, `log_failed_runs` is on."""

    @dg.sensor(name="landing", jobs=[DAILY_SCORING, OUTCOMES], minimum_interval_seconds=LANDING_SECONDS)
    def landing_sensor(lakehouse: dg.ResourceParam[Lakehouse]) -> Iterator[dg.RunRequest]:
        """Scores a date when its accounts land, and stores its outcomes when they land; each date once."""
        for kind, job in (("accounts", DAILY_SCORING), ("outcomes", OUTCOMES)):
            for date in landing.dates(lakehouse.landing, kind):
                if partitions.daily.has_partition_key(date):
                    yield dg.RunRequest(run_key=f"{kind}_{date}", partition_key=date, job_name=job.name)

    return [landing_sensor, log_failed_runs]


@dg.run_failure_sensor(name="log_failed_runs", default_status=dg.DefaultSensorStatus.RUNNING)
def log_failed_runs(context: dg.RunFailureSensorContext, lakehouse: dg.ResourceParam[Lakehouse]) -> None:
    """Adds each failed run to the run log, including runs that were killed."""
    record_failure(lakehouse.store, context.instance, context.dagster_run.run_id)
