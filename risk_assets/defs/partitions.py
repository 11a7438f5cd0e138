"""The dates of the graph: one partition a day, and the window of dates that trains a model."""

import warnings
from dataclasses import dataclass

import dagster as dg

from risk_assets.settings import Settings


@dataclass(frozen=True)
class Partitions:
    """The daily partitions, and the mapping from a training date to the dates of its window."""

    daily: dg.DailyPartitionsDefinition
    training_window: dg.TimeWindowPartitionMapping
    window_days: int

    def why_missing(self, date: str) -> str | None:
        """Return why a date is not a partition, or None if it is one."""
        if self.daily.has_partition_key(date):
            return None
        first, last = self.daily.get_first_partition_key(), self.daily.get_last_partition_key()
        return (
            f"{date} is not a date that can be run: dates are written YYYY-MM-DD, from {first} (RISK_START_DATE) to {last}, "
            "the last day that has ended (UTC)."
        )


def partitions(settings: Settings) -> Partitions:
    """Return the partitions from the start date, and the policy's training window."""
    days = settings.read_policy().training.window_days
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # allow_nonexistent_upstream_partitions is in beta
        window = dg.TimeWindowPartitionMapping(
            start_offset=1 - days,
            allow_nonexistent_upstream_partitions=True,
        )
    return Partitions(dg.DailyPartitionsDefinition(start_date=settings.start_date.isoformat()), window, days)
