"""The one daily partitions definition, and the window of dates that trains a model."""

import dagster as dg

from risk_assets.settings import load_settings

_settings = load_settings()

daily = dg.DailyPartitionsDefinition(start_date=_settings.start_date.isoformat())
training_window = dg.TimeWindowPartitionMapping(
    start_offset=1 - _settings.read_policy().training.window_days,
    allow_nonexistent_upstream_partitions=True,
)
