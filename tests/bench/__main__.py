"""The README's figures: ``python -m tests.bench``, which ``make bench`` calls, prints them as Markdown."""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.bench.azure import azure
from tests.bench.daily import daily, estimators, memory
from tests.bench.dates import dates
from tests.bench.derived import derived
from tests.bench.engine import engine
from tests.bench.measure import BenchError, module, say, set_up, show
from tests.bench.monitoring import monitoring

FOLDER = Path(".bench")
SECTIONS = ("daily", "azure", "engine", "memory", "estimators", "range", "derived", "real", "intervals", "holdouts", "gates", "monitoring")
LIBRARIES = ("polars", "pandas", "scikit-learn", "dagster")
SMALLEST = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections that are asked for; return the exit status."""
    options = _parser().parse_args(arguments)
    wanted = [options.only] if options.only else SECTIONS
    show(_machine())
    try:
        for section in wanted:
            _run(section, options)
    except BenchError as error:
        say(f"bench: {error}")
        return 1
    return 0


def _run(section: str, options: argparse.Namespace) -> None:
    if section == "daily":
        daily(FOLDER / "daily", options.rows, options.rounds, options.missing)
    elif section == "azure":
        azure(FOLDER / "azure", FOLDER / "daily", options.rows, options.rounds, options.missing)
    elif section == "engine":
        engine(FOLDER / "engine", options.rows, options.rounds)
    elif section == "memory":
        memory(FOLDER / "daily", options.rows, options.rounds, options.missing)
    elif section == "estimators":
        estimators(FOLDER / "daily", options.rows, options.rounds)
    elif section == "range":
        dates(FOLDER / "range", options.rounds)
    elif section == "derived":
        derived(FOLDER / "derived", options.rounds)
    elif section == "real":
        _real(options)
    elif section == "monitoring":
        monitoring(FOLDER / "daily", options.rows, options.books)
    else:
        show(f"## {section}\n")
        show(set_up(f"{options.books} books", module(section, options.books)) + "\n")


def _real(options: argparse.Namespace) -> None:
    show("## real: both estimators on a real data set\n")
    if options.real is None:
        show("Left out: give the UCI credit card default data set as a CSV, --real FILE.\n")
        return
    lake = FOLDER / "real"
    show(set_up("five folds", module("real", options.real, lake, options.id, options.target)) + "\n")
    shutil.rmtree(lake)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the product; works in .bench/.")
    parser.add_argument("--rows", type=_rows, default=10_000_000, help="rows of the large file (default: %(default)s)")
    parser.add_argument("--rounds", type=_rounds, default=3, help="how often each thing is run (default: %(default)s)")
    parser.add_argument(
        "--books", type=_rounds, default=500, help="simulated books of intervals, holdouts, gates and monitoring (default: %(default)s)"
    )
    parser.add_argument("--missing", type=float, default=0.0, help="share of values that are missing (default: %(default)s)")
    parser.add_argument("--only", choices=SECTIONS, help="one section instead of all")
    parser.add_argument("--real", type=_file, metavar="FILE", help="a CSV of the UCI credit card default data set")
    parser.add_argument("--id", default="ID", help="its id column (default: %(default)s)")
    parser.add_argument("--target", default="default.payment.next.month", help="its outcome column (default: %(default)s)")
    return parser


def _rows(text: str) -> int:
    rows = int(text)
    if rows < SMALLEST:
        raise argparse.ArgumentTypeError(f"at least {SMALLEST:,}")
    return rows


def _rounds(text: str) -> int:
    rounds = int(text)
    if rounds < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return rounds


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text} is not a file")
    return Path(text)


def _machine() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}. "
        f"Whole processes, in turns, file cache warm; medians. Load average at the start: {os.getloadavg()[0]:.1f}.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
