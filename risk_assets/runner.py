"""Runs jobs by date in this process, on the run history that the UI shows."""

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from risk_assets.clock import DateError
from risk_assets.definitions import build
from risk_assets.defs.failures import add_failure, explain_recorded
from risk_assets.defs.partitions import daily
from risk_assets.settings import Settings

QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
DAGSTER_YAML = """\
# Written once; edit it freely. Two runs never write one date at the same time.
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs:
    tag_concurrency_limits:
      - {key: dagster/partition, value: {applyLimitPerUniqueValue: true}, limit: 1}
run_monitoring: {enabled: true}
"""

WORKSPACE_YAML = """\
load_from:
  - python_module:
      module_name: risk_assets.definitions
      location_name: risk
"""


@dataclass(frozen=True)
class Result:
    """How a date went: None, or what went wrong and what to do."""

    date: str
    error: str | None = None


def prepare_home(settings: Settings) -> Path:
    """Make the run history's folder, point Dagster to it, and return it."""
    home = settings.dagster_home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    for name, content in (("dagster.yaml", DAGSTER_YAML), ("workspace.yaml", WORKSPACE_YAML)):
        if not (home / name).exists():
            (home / name).write_text(content, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def open_runner(settings: Settings) -> Iterator["Runner"]:
    """Yield the run history and close it afterwards."""
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        yield Runner(settings, instance)


@dataclass(frozen=True)
class Runner:
    """Runs the jobs of the definitions, one date after the other, each a run of the shared history."""

    settings: Settings
    instance: dg.DagsterInstance

    @cached_property
    def _definitions(self) -> dg.Definitions:
        return build(self.settings)

    def run(self, job: str, date: str, *only: str, **config: Mapping[str, Any]) -> Result:
        """Run a job, or only some of its assets, for a date; a failure is told, logged and not raised.

        `config` maps an asset, such as `training__model`, to its configuration.
        """
        refusal = why_no_partition(date)
        if refusal:
            add_failure(self.settings.open_lake(), date, job, f"refused-{uuid.uuid4()}", refusal)
            return Result(date, refusal)
        return Result(date, self._execute(job, date, only, config))

    def govern(self, **choice: Any) -> str | None:
        """Change what is live by the configuration of `registry/champion`; return None, or what went wrong."""
        return self._execute("governance", None, (), {"registry__champion": choice})

    def _execute(self, job: str, date: str | None, only: Sequence[str], config: Mapping[str, Mapping[str, Any]]) -> str | None:
        selection = [dg.AssetKey.from_user_string(key) for key in only] or None
        ops = {"ops": {name: {"config": dict(values)} for name, values in config.items()}} if config else {}
        ran = self._definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, partition_key=date, raise_on_error=False, run_config=QUIET | ops, asset_selection=selection
        )
        return None if ran.success else _first_error(ran)


def why_no_partition(date: str) -> str | None:
    """Return why a date can't be run, or None when it can."""
    if daily.has_partition_key(date):
        return None
    first, last = daily.get_first_partition_key(), daily.get_last_partition_key()
    return (
        f"{date} is no date that can be run: dates are written YYYY-MM-DD and go from {first} (RISK_START_DATE) to {last}, "
        "the last day that has ended (UTC)."
    )


def require_partitions(*dates: str) -> None:
    """Refuse dates that no partition has; raises `DateError`."""
    for date in dates:
        refusal = why_no_partition(date)
        if refusal:
            raise DateError(refusal)


def _first_error(ran: dg.ExecuteInProcessResult) -> str:
    for event in ran.all_events:
        if event.is_step_failure:
            failure: Any = event.step_failure_data
            return explain_recorded(failure.error)
    return "the run failed before its first step: open it in the UI"
