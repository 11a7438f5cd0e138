"""Runs jobs by date in this process, on the run history that the UI shows."""

import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._check import CheckError
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.exc import SQLAlchemyError

from risk_assets.clock import DateError
from risk_assets.definitions import build
from risk_assets.defs.code_location import LOCATION, MODULE, located_runs
from risk_assets.defs.failures import INTERRUPTED, INTERRUPTED_TAG, ending, failed_checks, passed_checks
from risk_assets.defs.liveness import lineage_tags, process_tags, report, sweep_killed, unreported_tags
from risk_assets.defs.outcomes import record_error, record_outcome, upload_spooled
from risk_assets.defs.partitions import Partitions, partitions
from risk_assets.defs.releases import RELEASABLE, unused_releases
from risk_assets.defs.resources import Lakehouse
from risk_assets.engine.engines import Engine, open_engine
from risk_assets.errors import HistoryError, LakeError, RiskError
from risk_assets.lake.run_log import SUCCESS, WARNING
from risk_assets.lake.spool import lake_name
from risk_assets.processes import RUNNING, abandoned, noted_signals, under_way
from risk_assets.settings import Settings, current_user

log = logging.getLogger(__name__)
TRAINED = "training/model"
STARTED_BY_TAG, SOURCE_TAG = "risk/started_by", "risk/source"
DATABASES = ("history/runs.db", "history/runs/index.db")  # of the run history, to which every run writes
POLL_SECONDS = 0.5
QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
CONFIGURATION = "dagster.yaml"
DAGSTER_YAML = """\
# Written once; edit it freely. Two runs never write the same date at the same time.
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs:
    tag_concurrency_limits:
      - {key: dagster/partition, value: {applyLimitPerUniqueValue: true}, limit: 1}
# A run that hangs ends after four hours: it would keep the date's morning report, which is due then, from starting.
run_monitoring: {enabled: true, max_runtime_seconds: 14400}
"""

TO_THE_TERMINAL = {"compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}}

WORKSPACE_YAML = f"""\
load_from:
  - python_module:
      module_name: {MODULE}
      location_name: {LOCATION}
"""


@dataclass(frozen=True)
class Result:
    """The result of a date: its status, the checks that warned, the error if it was blocked or failed, and releases without effect.

    `releasable`: the checks that blocked the date, if `risk run` can release all of them.
    """

    date: str
    error: str | None = None
    status: str = SUCCESS
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    releasable: tuple[str, ...] = ()


class InterruptedRunError(RiskError):
    """Ctrl-C or SIGTERM arrived during a run: nothing is started after it.

    `result` is that of the run if it has ended nevertheless, as if the signal arrived after its last step; otherwise None.
    """

    def __init__(self, date: str, result: Result | None) -> None:
        what = INTERRUPTED if result is None else "the command was interrupted after this run, which is complete. Run the command again."
        super().__init__(f"{date}: {what}" if date else what)
        self.result = result


def prepare_home(settings: Settings) -> Path:
    """Create the run history's folder, point Dagster to it, and return it; raises `HistoryError` if it cannot be written."""
    home = settings.dagster_home.absolute()
    unusable = [mark for mark in ("?", "%") if mark in str(home)]
    if unusable:
        raise HistoryError(
            f"the run history cannot be in {home}: its database cannot have {' or '.join(unusable)} in its path. Set DAGSTER_HOME to "
            "another folder, then run again."
        )
    with _translate_history_errors(home):
        home.mkdir(parents=True, exist_ok=True)
        for name, content in ((CONFIGURATION, DAGSTER_YAML), ("workspace.yaml", WORKSPACE_YAML)):
            if not (home / name).exists():
                (home / name).write_text(content, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def open_runner(settings: Settings, notify: Callable[[str], None] = log.warning) -> Iterator["Runner"]:
    """Yield a runner on the run history, which is closed afterwards. Runs that were killed are settled first.

    The block also prints the results: if it ends with an error, or its process is killed, the same training or change of what is
    live counts as a retry, which does not train another version or change again.

    Parameters
    ----------
    notify : callable
        Called with each message about the run log, such as a run that was killed or a row that waits for the lake.

    Raises
    ------
    HistoryError
        If the run history cannot be read or written, Dagster cannot use its configuration, or another process keeps it locked for
        `settings.lease_wait_seconds`.
    """
    home = prepare_home(settings)
    with ExitStack() as stack:
        with _translate_history_errors(home):
            _wait_until_free(home, settings.lease_wait_seconds)
            runner = Runner(settings, stack.enter_context(_open_history(home)), notify)
            stack.callback(runner.close)
            runner.settle()
        yield runner
        with _translate_history_errors(home):
            runner.report()


@dataclass(frozen=True)
class Runner:
    """Runs the jobs of the definitions, one date after the other, each as a run of the shared history."""

    settings: Settings
    instance: dg.DagsterInstance
    notify: Callable[[str], None] = log.warning
    _unreported: list[str] = field(default_factory=list)

    @cached_property
    def definitions(self) -> dg.Definitions:
        """The definitions over the lake of the settings."""
        return build(self.settings, self.engine)

    @cached_property
    def engine(self) -> Engine:
        """The engine of all runs: Spark starts once for a range of dates."""
        return open_engine(self.settings)

    @cached_property
    def partitions(self) -> Partitions:
        """The dates that can be run."""
        return partitions(self.settings)

    @cached_property
    def lakehouse(self) -> Lakehouse:
        """The lake of the settings."""
        return Lakehouse(self.settings)

    @property
    def _running(self) -> Path:
        """The folder with a file for each run under way; a killed process leaves its file."""
        return self.settings.dagster_home.absolute() / RUNNING / lake_name(self.settings.lake)

    def close(self) -> None:
        """End the engine, if there was a run."""
        if "engine" in self.__dict__:
            self.engine.close()

    def settle(self) -> None:
        """Report runs that were killed as failed, and add the rows that waited on this disk to the run log."""
        with suppress(LakeError):  # the run reports it
            self.lakehouse.store.remove_old_temporary_files()
        messages = [*sweep_killed(self.lakehouse, self.instance), *upload_spooled(self.lakehouse, self.instance)]
        for left in abandoned(self._running):  # a command that was killed between the end of its run and the row
            messages += record_outcome(self.lakehouse, self.instance, left.stem)
            left.unlink(missing_ok=True)
        for message in messages:
            self.notify(message)

    def report(self) -> None:
        """Mark the results of this runner's runs as printed."""
        while self._unreported:
            report(self.instance, self._unreported.pop())

    def run(self, job: str, date: str, *only: str, tags: Mapping[str, str] | None = None, **config: Mapping[str, Any]) -> Result:
        """Run a job, or only some of its assets, for a date; a failure is logged and returned, not raised.

        Parameters
        ----------
        tags : mapping of str to str
            More run tags, such as those of a release.
        config : mapping of str to mapping
            The configuration of an asset, such as `training__model`.

        Raises
        ------
        DateError
            If the date is not a partition.
        HistoryError
            If the run history cannot be written.
        InterruptedRunError
            If Ctrl-C or SIGTERM arrived.
        """
        self.require_dates(date)
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
        selection = [dg.AssetKey.from_user_string(key) for key in only]
        ops = {"ops": {name: {"config": dict(values)} for name, values in config.items()}} if config else {}
        run_id = str(uuid.uuid4())
        unreported = unreported_tags(run_id, job)
        tags = {**tags, **unreported, **lineage_tags(self.instance, self.settings.lake, job, date, ops.get("ops", {}), selection)}
        with (
            noted_signals() as interrupted,
            self._logged(run_id, job, date, interrupted),
            located_runs(self.instance, job),
            under_way(self._running, run_id),
        ):
            ran = self.definitions.resolve_job_def(job).execute_in_process(
                instance=self.instance,
                partition_key=date,
                raise_on_error=False,
                run_config=QUIET | ops,
                asset_selection=selection or None,
                run_id=run_id,
                tags={STARTED_BY_TAG: current_user(), SOURCE_TAG: "risk", **process_tags(run_id, self.settings.lake), **tags},
            )
        self.lakehouse.begin()  # the run may have changed what is in force
        if ran.success:
            self._unreported.extend(unreported.values())
        result = self._result(ran.dagster_run.run_id, date or "", ran.success)
        if interrupted():
            raise InterruptedRunError(result.date, None if result.error == INTERRUPTED else result)
        return result

    def _result(self, run_id: str, date: str, success: bool) -> Result:
        run = self.instance.get_run_by_id(run_id)
        failed = failed_checks(self.instance, run_id)
        warnings = tuple(str(check) for check in failed if check.warns or success)
        notes = unused_releases(run.tags if run else {}, passed_checks(self.instance, run_id))
        if success or run is None:
            return Result(date, None, WARNING if warnings else SUCCESS, warnings, notes)
        how = ending(self.instance, run)
        blocking = [check for check in failed if not check.warns]
        can_release = all(check.check in RELEASABLE and check.asset != TRAINED for check in blocking)
        return Result(date, how.error, how.status, warnings, notes, tuple(check.check for check in blocking) if can_release else ())

    @contextmanager
    def _logged(self, run_id: str, job: str, date: str | None, interrupted: Callable[[], bool]) -> Iterator[None]:
        """Add the row of the run of the block to the run log when its outcome is known; failed if the history cannot be written."""
        try:
            with _translate_history_errors(self.settings.dagster_home.absolute()):
                yield
                if interrupted():
                    self._mark_interrupted(run_id)
                warnings = record_outcome(self.lakehouse, self.instance, run_id)
        except HistoryError as error:
            for warning in record_error(self.lakehouse, self.instance, run_id, date, job, str(error)):
                self.notify(warning)
            raise
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
            self._mark_interrupted(run_id)
            record_outcome(self.lakehouse, self.instance, run_id)
            raise InterruptedRunError(date or "", None) from None
        for warning in warnings:
            self.notify(warning)

    def _mark_interrupted(self, run_id: str) -> None:
        """Note that a signal ended a run, unless it is complete or has not begun."""
        run = self.instance.get_run_by_id(run_id)
        if run is None or run.is_success:
            return
        self.instance.add_run_tags(run_id, {INTERRUPTED_TAG: "true"})
        if not run.is_finished:
            self.instance.report_run_failed(run, message=INTERRUPTED)


def _open_history(home: Path) -> dg.DagsterInstance:
    """Open the run history. Output of a command's steps goes to its terminal, unless `dagster.yaml` says where to keep it.

    Dagster's default copies it through files, by four processes for each run. Raises `HistoryError` if Dagster cannot use `dagster.yaml`.
    """
    file = home / CONFIGURATION
    try:
        configured = yaml.load(file.read_bytes(), yaml.CSafeLoader) or {}  # Dagster's own way takes a twentieth of a run
        own = {} if "compute_logs" in configured else TO_THE_TERMINAL
        history = dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=own))
        _ = history.compute_log_manager  # it is made at its first use, and a run ends without an error if it cannot be made
    except (yaml.YAMLError, dg.DagsterError, CheckError) as error:  # its text is not shown: it can have a password
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise HistoryError(
            f"Dagster cannot use {file} ({type(error).__name__}{where}). To see why: DAGSTER_HOME={home} dagster instance info. Fix the "
            "file, or delete it: the next command writes the default."
        ) from error
    return history


@contextmanager
def _translate_history_errors(home: Path) -> Iterator[None]:
    """Turn errors of the run history's files and database into a `HistoryError` with a next step."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise HistoryError(
            f"the run history in {home} cannot be read or written ({_reason(error)}). Set DAGSTER_HOME to a folder that can be "
            "written and has space, then run again."
        ) from error


def _wait_until_free(home: Path, seconds: float) -> None:
    """Wait until the databases of the run history can be written; raises `HistoryError` if another process keeps one locked.

    Otherwise each event of a run would wait for a process that was stopped inside a write.
    """
    end = time.monotonic() + seconds
    for path in (home / name for name in DATABASES):
        while path.exists() and not _is_free(path):
            if time.monotonic() >= end:
                raise HistoryError(
                    f"the run history in {home} is locked: a process has not ended its write to {path.name} for {seconds:.0f} s. It may "
                    f"be stopped: find it (fuser {path}), continue it (kill -CONT) or end it, then run again. Or set DAGSTER_HOME to "
                    "another folder."
                )
            time.sleep(POLL_SECONDS)


def _is_free(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True


def _reason(error: Exception) -> str:
    """Return what the system or the database says, without statements and their values."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(getattr(error, "orig", None) or error).splitlines()[0]
