"""`risk simulate`: the list of scenarios, wrong usage, and one short scenario."""

import shutil
from pathlib import Path

import pytest

from risk_assets.simulation.incidents import INCIDENTS
from tests.cli.conftest import run_here
from tests.cli.test_imports import imported
from tests.conftest import ROOT


def test_scenarios_are_listed_with_their_alerts(tmp_path: Path) -> None:
    shown = run_here(tmp_path, "simulate", "--list").text
    assert all(name in shown for name in INCIDENTS)
    assert "performance:champion:calibration, 28" in shown


def test_the_list_imports_no_dagster(tmp_path: Path) -> None:
    assert not imported(tmp_path, "simulate", "--list") & {"dagster", "sklearn", "matplotlib"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "must be one of quiet, macro-shock"),
        (("earthquake",), 2, "must be one of"),
        (("quiet", "--days", "0"), 2, "--days"),
        (("quiet", "--accounts", "100"), 2, "--accounts"),
        (("quiet", "--folder", "."), 1, "is not empty"),
        (("quiet", "--folder", "book"), 1, "project's folder"),
    ],
)
def test_wrong_usage_is_explained(tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert message in run_here(tmp_path, "simulate", *arguments, code=code).text


@pytest.mark.long
def test_a_scenario_ends_with_a_timeline_and_a_plot(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data/bank", tmp_path / "data/bank")
    shown = run_here(tmp_path, "simulate", "late-file", "--days", "10", "--folder", "book", RISK_LAKE="az://x/y")
    assert "late:accounts:2025-03-10 (late-file detected after 0 days)" in shown.text
    assert "late-file, 1 day after its start" in shown.text
    assert "every alert came in time, and no others did" in shown.text
    assert (tmp_path / "book/timeline.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "book/lake/monitoring/alerts_2025-03-10.json").is_file()
    assert run_here(tmp_path, "simulate", "late-file", "--folder", "book", code=1).stdout == ""
