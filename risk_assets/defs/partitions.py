"""The one daily partitions definition, when a date falls due, and the window of dates that trains a model."""

import warnings

import dagster as dg

from risk_assets.settings import load_settings

_settings = load_settings()

daily = dg.DailyPartitionsDefinition(start_date=_settings.start_date.isoformat())

with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # allow_nonexistent_upstream_partitions is in beta
    training_window = dg.TimeWindowPartitionMapping(
        start_offset=1 - _settings.read_policy().training.window_days,
        allow_nonexistent_upstream_partitions=True,
    )
