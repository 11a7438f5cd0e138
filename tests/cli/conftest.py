"""The `risk` command in a working folder: in this process, or as a process of its own."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from risk_assets.cli.main import main
from tests.conftest import ROOT, copy_documents
from tests.prepared import prepared

RISK = Path(sys.executable).with_name("risk")


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Everything it printed, as one line without the frames of usage errors."""
        return " ".join((self.stdout + self.stderr).replace("│", " ").split())


Risk = Callable[..., Done]


def without_settings() -> dict[str, str]:
    """Return the environment without this machine's own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_", "DAGSTER_"))}


def process_environment() -> dict[str, str]:
    """Return the environment of a command as a process, without measuring coverage: commands run in this process cover the same."""
    return {name: value for name, value in without_settings().items() if not name.startswith("COV")}


def sample(name: str) -> Path:
    """Return a file of the sample book."""
    return ROOT / "data/landing" / name


def copy_sample(folder: Path, kind: str, days: range) -> None:
    """Copy files of the sample book into the landing folder."""
    for day in days:
        shutil.copy(sample(f"{kind}_2026-01-{day:02d}.csv"), folder / "data/landing")


def run_here(folder: Path, *arguments: str | Path, code: int = 0, **settings: str) -> Done:
    """Run the command in this process and check its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with (
        chdir(folder),
        mock.patch.dict(os.environ, without_settings() | settings, clear=True),
        mock.patch.object(sys, "argv", ["risk", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", io.StringIO()),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            found = 0
        except SystemExit as stop:
            found = int(stop.code or 0)
    assert found == code, out.getvalue() + err.getvalue()
    return Done(found, out.getvalue(), err.getvalue())


def run_process(folder: Path, *arguments: str | Path, code: int = 0, **settings: str) -> Done:
    """Run the command as a process of its own and check its exit code."""
    done = subprocess.run(
        [RISK, *arguments], cwd=folder, env=process_environment() | settings, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def _make_empty(folder: Path) -> None:
    copy_documents(folder)
    (folder / "data/landing").mkdir()


def _make_trained(folder: Path) -> None:
    """Make three labelled dates and two unlabelled ones; `model_v001` (logistic) is live, `model_v002` (scorecard) registered."""
    _make_empty(folder)
    copy_sample(folder, "accounts", range(1, 6))
    copy_sample(folder, "outcomes", range(1, 4))
    run_here(folder, "train", "2026-01-03")
    run_here(folder, "train", "2026-01-03", "--estimator", "scorecard", "--register-only")


def _make_scored(folder: Path) -> None:
    """Make `model_v002` a challenger in shadow, and score both unlabelled dates."""
    run_here(folder, "challenge", "model_v002", "--shadow", "--reason", "a second look")
    run_here(folder, "run", "2026-01-04", "--until", "2026-01-05")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the contract, the policy and an empty landing folder."""
    made = tmp_path / "work"
    made.mkdir()
    _make_empty(made)
    return made


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    return prepared("cli-trained", tmp_path_factory, worker_id, _make_trained)


@pytest.fixture(scope="session")
def scored_once(trained_once: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    def make(folder: Path) -> None:
        shutil.copytree(trained_once, folder, dirs_exist_ok=True)
        _make_scored(folder)

    return prepared("cli-scored", tmp_path_factory, worker_id, make)


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    """A working folder with three labelled dates, two unlabelled ones, a live model and a second version."""
    return shutil.copytree(trained_once, tmp_path / "trained")


@pytest.fixture
def scored(scored_once: Path, tmp_path: Path) -> Path:
    """The trained folder with the second version as challenger in shadow, and 2026-01-04 and 2026-01-05 scored."""
    return shutil.copytree(scored_once, tmp_path / "scored")


@pytest.fixture
def risk(folder: Path) -> Risk:
    """Run the command in the empty folder."""
    return lambda *arguments, **options: run_here(folder, *arguments, **options)


@pytest.fixture
def on_trained(trained: Path) -> Risk:
    """Run the command in the trained folder."""
    return lambda *arguments, **options: run_here(trained, *arguments, **options)


@pytest.fixture
def on_scored(scored: Path) -> Risk:
    """Run the command in the scored folder."""
    return lambda *arguments, **options: run_here(scored, *arguments, **options)
