"""The Dagster UI in a real browser: a date is materialized by clicking, and its checks, figures and log row are there."""

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
from playwright.sync_api import Page, sync_playwright

from risk_assets.lake import binding_log, layout, run_log
from risk_assets.settings import Settings
from tests.conftest import ROOT

CHROMIUM = shutil.which("chromium")
START_SECONDS = 90
RUN_SECONDS = 120
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DATE = "2026-01-04"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: the UI is not tried in a browser")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with three labelled dates, a live model, a second version, and one more date that has landed."""
    made = tmp_path_factory.mktemp("ui")
    shutil.copytree(ROOT / "data", made / "data", ignore=shutil.ignore_patterns("landing"))
    (made / "data/landing").mkdir()
    for day in range(1, 5):
        for kind in ("accounts", "outcomes")[: 2 if day < 4 else 1]:
            name = f"{kind}_2026-01-0{day}.csv"
            shutil.copy(ROOT / "data/landing" / name, made / "data/landing" / name)
    for more in ((), ("--estimator", "scorecard", "--register-only")):
        command = [_risk(), "train", "2026-01-03", *more]
        subprocess.run(command, cwd=made, env=_environment(), check=True, capture_output=True, timeout=300)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """`risk ui` on a free port; it is stopped, with what it started, at the end."""
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


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser.new_page(viewport={"width": 1500, "height": 1000})
        browser.close()


def test_a_date_is_materialized_by_clicking_and_shows_checks_figures_and_log(address: str, folder: Path, page: Page) -> None:
    page.goto(f"{address}/locations/risk/jobs/daily_scoring")
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_text("Show all partitions").click()
    box = page.locator("[role=dialog] input:not([type=checkbox])").first
    box.fill(DATE)
    box.press("Tab")
    page.get_by_role("button", name="Launch 1 run").click()
    _wait_for_row(folder)

    page.goto(f"{address}/assets/curated/predictions?view=partitions&partition={DATE}")
    page.get_by_text("predicted_bad").first.wait_for()
    page.goto(f"{address}/assets/curated/predictions?view=checks")
    for check in ("one_per_row", "probabilities"):
        page.get_by_text(check).first.wait_for()
    page.goto(f"{address}/assets/logs/batch_runs?view=partitions&partition={DATE}")
    page.get_by_text("mean_score").first.wait_for()


def test_a_version_is_promoted_by_the_config_of_the_champion(address: str, folder: Path, page: Page) -> None:
    config = 'ops: {registry__champion: {config: {version: model_v002, reason: "better | on paper", actor: ann}}}'
    page.goto(f"{address}/locations/risk/jobs/governance/playground/setup?config={quote(config)}")
    page.get_by_role("button", name="Launch Run").click()
    lake = Settings(lake=f"file://{folder / 'lakehouse'}", _env_file=None).open_lake()
    end = time.monotonic() + RUN_SECONDS
    while len(binding_log.read(lake)) < 2 and time.monotonic() < end:
        time.sleep(0.5)
    now = binding_log.read(lake)[-1]
    assert (now.champion, now.actor, now.reason) == ("model_v002", "ann", "better | on paper")
    page.goto(f"{address}/assets/registry/champion")
    page.get_by_text("better | on paper").first.wait_for()
    page.goto(f"{address}/assets/registry/impact?view=partitions&partition=2026-01-03")
    page.get_by_text("newly_flagged").first.wait_for()


def _wait_for_row(folder: Path) -> None:
    lake = Settings(lake=f"file://{folder / 'lakehouse'}", _env_file=None).open_lake()
    end = time.monotonic() + RUN_SECONDS
    while time.monotonic() < end:
        rows = [row for row in run_log.read(lake).values() if row["date"] == DATE]
        if rows:
            assert rows[0]["status"] == "success", rows[0]["error"]
            assert lake.size(layout.predictions(DATE))
            return
        time.sleep(0.5)
    pytest.fail(f"no row for {DATE} in the run log after {RUN_SECONDS} s")


def _wait_for(url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
    pytest.fail(f"the UI did not start in {START_SECONDS} s: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _risk() -> Path:
    return Path(sys.executable).with_name("risk")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_", "DAGSTER_"))}
