"""Tables with several threads of polars: `make test` gives each process one, which cannot interleave writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
FILES = ("test_tables.py", "test_csv_scan.py", "test_outcome_tables.py")
THREADS = "4"


@pytest.mark.long
def test_tables_are_the_same_with_several_threads(tmp_path: Path) -> None:
    without_workers = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--basetemp={tmp_path / 'inner'}",
            *(FOLDER / name for name in FILES),
        ],
        cwd=FOLDER.parents[1],
        env=without_workers | {"POLARS_MAX_THREADS": THREADS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
