"""What commands do at their first use of Dagster and of the command line, done once for all commands that are forked from a process.

It compiles the queries of the run history and builds what checks arguments, forms and patterns. It starts no thread.
"""

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from tests.history import close

ROOT = Path(__file__).parents[2]
DATE = "2026-01-01"
WITHOUT_FILES = (
    *(("run", DATE), ("outcomes", DATE), ("train", DATE), ("monitor", DATE)),
    *(("live",), ("models",), ("history",), ("verify", "--all"), ("log",)),
)


def use_everything() -> None:
    """Run commands that find no files and so end before they use a table, and a job with an asset and a check like the product's."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_", "DAGSTER_"))}
    with TemporaryDirectory() as folder, chdir(folder), mock.patch.dict(os.environ, settings, clear=True):
        Path("data/landing").mkdir(parents=True)
        for document in ("data/contract.yml", "tests/policy.yml"):
            shutil.copy(ROOT / document, "data")
        for command in WITHOUT_FILES:
            _risk(*command)
        _run_a_job()
        close()


def _risk(*arguments: str) -> None:
    from risk_assets.cli.main import main

    nowhere = io.StringIO()
    with mock.patch.object(sys, "argv", ["risk", *arguments]), redirect_stdout(nowhere), redirect_stderr(nowhere), suppress(SystemExit):
        main()


def _run_a_job() -> None:
    import dagster as dg

    from risk_assets.runner import QUIET, open_runner
    from risk_assets.settings import Settings

    dates = dg.DailyPartitionsDefinition(DATE)

    @dg.asset(partitions_def=dates)
    def first() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"rows": 1, "share": 0.5, "text": dg.MetadataValue.md("a")}, data_version=dg.DataVersion("1"))

    @dg.asset(partitions_def=dates, deps=[first], check_specs=[dg.AssetCheckSpec("check", asset="second", blocking=True)])
    def second() -> Iterator[dg.MaterializeResult[None]]:
        check = dg.AssetCheckResult(passed=True, check_name="check", metadata={"rows": 1})
        yield dg.MaterializeResult(metadata={"rows": 1}, check_results=[check])

    job = dg.Definitions([first, second], jobs=[dg.define_asset_job("both", [first, second])]).resolve_job_def("both")
    with open_runner(Settings(_env_file=None)) as runner:
        assert job.execute_in_process(instance=runner.instance, partition_key=DATE, run_config=QUIET).success
