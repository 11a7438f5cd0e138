"""The Dagster UI in a browser: materialize a date, promote a version, and find checks, metadata and log."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from risk_assets.lake import binding_log, layout, run_log
from risk_assets.settings import Settings
from tests.conftest import copy_documents
from tests.defs.conftest import LABELLED, NEXT, recorded, trained_book

START_SECONDS = 90
RUN_SECONDS = 120


@pytest.fixture(scope="module")
def folder(chromium: str, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A working folder with a live model, and a date that has landed and is not scored."""
    trained, made = trained_book(tmp_path_factory, worker_id), tmp_path_factory.mktemp("ui")
    copy_documents(made)
    shutil.copytree(trained / "landing", made / "data/landing")
    shutil.copytree(trained / "lake", made / "lakehouse")
    with recorded(_settings(made)) as book:
        assert book.runner.govern() is None  # records the champion, which stays the same, in the run history
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of `risk ui` on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "ui.log").open("wb") as log:
        server = subprocess.Popen([_risk(), "ui", "--port", str(port)], cwd=folder, env=_environment(), stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, folder / "ui.log")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=60)


@pytest.mark.long
def test_a_date_is_materialized_in_the_ui(address: str, folder: Path, page: Page) -> None:
    page.goto(f"{address}/locations/risk/jobs/daily_scoring")
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_text("Show all partitions").click()
    box = page.locator("[role=dialog] input:not([type=checkbox])").first
    box.fill(NEXT)
    box.press("Tab")
    page.get_by_role("button", name="Launch 1 run").click()
    _wait_for_row(folder)

    page.goto(f"{address}/assets/curated/predictions?view=partitions&partition={NEXT}")
    page.get_by_text("predicted_bad").first.wait_for()
    page.goto(f"{address}/assets/curated/predictions?view=checks")
    for check in ("one_per_row", "probabilities"):
        page.get_by_text(check).first.wait_for()
    page.goto(f"{address}/assets/logs/batch_runs?view=partitions&partition={NEXT}")
    page.get_by_text("mean_score").first.wait_for()


@pytest.mark.long
def test_a_version_is_promoted_in_the_launchpad(address: str, folder: Path, page: Page) -> None:
    # in a process of its own, because the browser's event loop runs in this one
    train = [_risk(), "train", LABELLED[-1], "--estimator", "scorecard", "--register-only"]
    subprocess.run(train, cwd=folder, env=_environment(), check=True, capture_output=True)
    config = 'ops: {registry__champion: {config: {version: model_v002, reason: "better | on paper", actor: ann}}}'
    page.goto(f"{address}/locations/risk/jobs/governance/playground/setup?config={quote(config)}")
    page.get_by_role("button", name="Launch Run").click()
    lake = _settings(folder).open_lake()
    end = time.monotonic() + RUN_SECONDS
    while len(binding_log.read(lake)) < 2 and time.monotonic() < end:
        time.sleep(0.5)
    now = binding_log.read(lake)[-1]
    assert (now.champion, now.actor, now.reason) == ("model_v002", "ann", "better | on paper")
    page.goto(f"{address}/assets/registry/champion")
    page.get_by_text("better | on paper").first.wait_for()
    page.goto(f"{address}/assets/registry/impact?view=partitions&partition={LABELLED[-1]}")
    page.get_by_text("newly_flagged").first.wait_for()


def _wait_for_row(folder: Path) -> None:
    lake = _settings(folder).open_lake()
    end = time.monotonic() + RUN_SECONDS
    while time.monotonic() < end:
        rows = [row for row in run_log.read(lake).values() if row["date"] == NEXT]
        if rows:
            assert rows[0]["status"] == "success", rows[0]["error"]
            assert lake.size(layout.predictions(NEXT))
            return
        time.sleep(0.5)
    pytest.fail(f"no row for {NEXT} in the run log after {RUN_SECONDS} s")


def _wait_for(url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
    pytest.fail(f"the UI did not start in {START_SECONDS} s: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _settings(folder: Path) -> Settings:
    """Return the settings that `risk` has in this working folder."""
    files = {"contract": folder / "data/contract.yml", "policy": folder / "data/policy.yml", "DAGSTER_HOME": folder / ".dagster"}
    return Settings(lake=f"file://{folder / 'lakehouse'}", landing=str(folder / "data/landing"), _env_file=None, **files)


def _risk() -> Path:
    return Path(sys.executable).with_name("risk")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_", "DAGSTER_"))}
