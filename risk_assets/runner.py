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
from risk_assets.defs.code_location import LOCATION, MODULE, located_runs
from risk_assets.defs.failures import ending, failed_checks, passed_checks, record_failure, record_refusal, record_warnings
from risk_assets.defs.jobs import OUTCOMES
from risk_assets.defs.partitions import Partitions, partitions
from risk_assets.defs.releases import unused_releases
from risk_assets.lake.run_log import FAILED, SUCCESS, WARNING
from risk_assets.settings import Settings, current_user

STARTED_BY_TAG, SOURCE_TAG = "risk/started_by", "risk/source"
QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
DAGSTER_YAML = """\
# Written once; edit it freely. Two runs never write the same date at the same time.
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs:
    tag_concurrency_limits:
      - {key: dagster/partition, value: {applyLimitPerUniqueValue: true}, limit: 1}
run_monitoring: {enabled: true}
"""

WORKSPACE_YAML = f"""\
load_from:
  - python_module:
      module_name: {MODULE}
      location_name: {LOCATION}
"""


@dataclass(frozen=True)
class Result:
    """The result of a date: its status, the checks that warned, the error if it was blocked or failed, and releases without effect."""

    date: str
    error: str | None = None
    status: str = SUCCESS
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def prepare_home(settings: Settings) -> Path:
    """Create the run history's folder, point Dagster to it, and return it."""
    home = settings.dagster_home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    for name, content in (("dagster.yaml", DAGSTER_YAML), ("workspace.yaml", WORKSPACE_YAML)):
        if not (home / name).exists():
            (home / name).write_text(content, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def open_runner(settings: Settings) -> Iterator["Runner"]:
    """Yield a runner on the run history, which is closed afterwards."""
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        yield Runner(settings, instance)


@dataclass(frozen=True)
class Runner:
    """Runs the jobs of the definitions, one date after the other, each as a run of the shared history."""

    settings: Settings
    instance: dg.DagsterInstance

    @cached_property
    def definitions(self) -> dg.Definitions:
        """The definitions over the lake of the settings."""
        return build(self.settings)

    @cached_property
    def partitions(self) -> Partitions:
        """The dates that can be run."""
        return partitions(self.settings)

    def run(self, job: str, date: str, *only: str, tags: Mapping[str, str] | None = None, **config: Mapping[str, Any]) -> Result:
        """Run a job, or only some of its assets, for a date; a failure is logged and returned, not raised.

        Parameters
        ----------
        tags : mapping of str to str
            More run tags, such as those of a release.
        config : mapping of str to mapping
            The configuration of an asset, such as `training__model`.
        """
        refusal = self.partitions.why_missing(date)
        if refusal:
            record_refusal(self.settings.open_lake(), date, job, f"refused-{uuid.uuid4()}", refusal)
            return Result(date, refusal, FAILED)
        return self._execute(job, date, only, config, tags or {})

    def govern(self, **config: Any) -> str | None:
        """Change what is live by the configuration of `registry/champion`; return None, or the error."""
        return self._execute("governance", None, (), {"registry__champion": config}, {}).error

    def require_dates(self, *dates: str) -> None:
        """Verify that dates are partitions; raises `DateError`."""
        for date in dates:
            refusal = self.partitions.why_missing(date)
            if refusal:
                raise DateError(refusal)

    def _execute(
        self, job: str, date: str | None, only: Sequence[str], config: Mapping[str, Mapping[str, Any]], tags: Mapping[str, str]
    ) -> Result:
        selection = [dg.AssetKey.from_user_string(key) for key in only] or None
        ops = {"ops": {name: {"config": dict(values)} for name, values in config.items()}} if config else {}
        with located_runs(self.instance, job):
            ran = self.definitions.resolve_job_def(job).execute_in_process(
                instance=self.instance,
                partition_key=date,
                raise_on_error=False,
                run_config=QUIET | ops,
                asset_selection=selection,
                tags={STARTED_BY_TAG: current_user(), SOURCE_TAG: "risk", **tags},
            )
        notes = unused_releases(tags, passed_checks(self.instance, ran.run_id))
        warnings = tuple(str(check) for check in failed_checks(self.instance, ran.run_id) if check.warns or ran.success)
        if ran.success:
            if job == OUTCOMES.name:  # a scored date logs its own row
                record_warnings(self.settings.open_lake(), self.instance, ran.run_id)
            return Result(date or "", None, WARNING if warnings else SUCCESS, warnings, notes)
        record_failure(self.settings.open_lake(), self.instance, ran.run_id)
        how = ending(self.instance, ran.run_id)
        return Result(date or "", how.error, how.status, warnings, notes)
