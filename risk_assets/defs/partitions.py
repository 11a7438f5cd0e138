"""The dates of the graph: one partition a day, and which dates of an asset other dates depend on."""

import warnings
from dataclasses import dataclass

import dagster as dg

from risk_assets.clock import date_range, is_date, shift
from risk_assets.domain.contract.schema import MAX_WINDOW_DAYS
from risk_assets.settings import Settings


@dataclass(frozen=True)
class Partitions:
    """The daily partitions, and the dates that a date depends on.

    The windows are configuration, and nothing is read when definitions are built. So the mappings span the longest windows that
    the contract and the policy accept, and the assets read what they need.

    Attributes
    ----------
    past
        From a training date to all snapshots that can train for it.
    future
        From a snapshot to all dates on which its outcomes can mature. Dagster leaves dates in the future out.
    day_before
        From a date to the one before it.
    """

    daily: dg.DailyPartitionsDefinition
    past: dg.TimeWindowPartitionMapping
    future: dg.TimeWindowPartitionMapping
    day_before: dg.TimeWindowPartitionMapping
    settings: Settings

    def between(self, first: str, last: str) -> tuple[str, ...]:
        """Return the partitions from the first date to the last, both included."""
        start = self.settings.start_date.isoformat()
        return tuple(day for day in date_range(max(first, start), last) if self.daily.has_partition_key(day))

    def why_missing(self, date: str) -> str | None:
        """Return why a date is not a partition, or None if it is one."""
        if self.daily.has_partition_key(date):
            return None
        if not is_date(date):
            return f"{date} is not a date: dates are written YYYY-MM-DD."
        return self.settings.why_not_run(date) or f"{date} cannot be run. List the dates in the UI."


def partitions(settings: Settings) -> Partitions:
    """Return the partitions from the start date, and the mappings between them."""
    daily = dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(),
        end_date=shift(settings.end_date.isoformat(), 1) if settings.end_date else None,  # Dagster leaves the end out
        timezone=settings.time_zone,
    )
    return Partitions(daily, _mapping(1 - MAX_WINDOW_DAYS, 0), _mapping(0, MAX_WINDOW_DAYS), _mapping(-1, -1), settings)


def _mapping(start: int, end: int) -> dg.TimeWindowPartitionMapping:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # allow_nonexistent_upstream_partitions is in beta
        return dg.TimeWindowPartitionMapping(start_offset=start, end_offset=end, allow_nonexistent_upstream_partitions=True)
