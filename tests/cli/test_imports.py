"""Start-up: a command imports only what it uses. A fresh process runs it and lists its modules."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import process_environment

SLOW = {"sklearn", "pandas", "matplotlib", "joblib", "dagster"}
SCRIPT = """
import sys
from risk_assets.cli.main import main
sys.argv[0] = "risk"
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
sys.stderr.write("modules: " + " ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imported(folder: Path, *arguments: str) -> set[str]:
    """Return the top-level modules that a command has imported when it ends."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(command, cwd=folder, env=process_environment(), capture_output=True, text=True, check=True)
    return set(done.stderr.rpartition("modules: ")[2].split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("models",), ("live",), ("log",), ("explain", "2026-01-05", "AC000001"), ("verify", "--all")]
)
def test_fast_commands_import_no_slow_package(scored: Path, arguments: tuple[str, ...]) -> None:
    modules = imported(scored, *arguments)
    assert "typer" in modules
    assert not modules & SLOW


def test_help_imports_no_storage(scored: Path) -> None:
    assert not imported(scored, "--help") & {"polars", "numpy", "obstore", "pydantic", "yaml"}


@pytest.mark.parametrize("arguments", [("models",), ("live",), ("log",), ("history",), ("dispositions",)])
def test_commands_without_tables_import_no_polars(scored: Path, arguments: tuple[str, ...]) -> None:
    assert not imported(scored, *arguments) & {"polars", "pyarrow"}


def test_scoring_imports_no_training_package(trained: Path) -> None:
    modules = imported(trained, "run", "2026-01-04")
    assert {"dagster", "polars"} <= modules
    assert not modules & (SLOW - {"dagster"})
    assert not modules & {"pyspark", "py4j", "grpc"}
