"""The dates of the graph: one partition a day, and the window of dates that trains a model."""

import warnings
from dataclasses import dataclass

import dagster as dg

from risk_assets.clock import date_range, is_date, shift
from risk_assets.settings import Settings


@dataclass(frozen=True)
class Partitions:
    """The daily partitions, and the mapping from a training date to the dates of its window."""

    daily: dg.DailyPartitionsDefinition
    training_window: dg.TimeWindowPartitionMapping
    window_days: int
    settings: Settings

    def window(self, date: str) -> tuple[str, ...]:
        """Return the dates that train a model for a date; none for an asset without partitions."""
        if not date:
            return ()
        return tuple(day for day in date_range(shift(date, 1 - self.window_days), date) if self.daily.has_partition_key(day))

    def why_missing(self, date: str) -> str | None:
        """Return why a date is not a partition, or None if it is one."""
        if self.daily.has_partition_key(date):
            return None
        if not is_date(date):
            return f"{date} is not a date: dates are written YYYY-MM-DD."
        return self.settings.why_not_run(date) or f"{date} cannot be run. List the dates in the UI."


def partitions(settings: Settings) -> Partitions:
    """Return the partitions from the start date, and the policy's training window."""
    days = settings.read_policy().training.window_days
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # allow_nonexistent_upstream_partitions is in beta
        window = dg.TimeWindowPartitionMapping(
            start_offset=1 - days,
            allow_nonexistent_upstream_partitions=True,
        )
    daily = dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(),
        end_date=shift(settings.end_date.isoformat(), 1) if settings.end_date else None,  # Dagster leaves the end out
        timezone=settings.time_zone,
    )
    return Partitions(daily, window, days, settings)
