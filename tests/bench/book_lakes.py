"""Set-up of `range`: a live model, ten dates really run, sixty more landed; and the same lake with copied dates before them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date as Date
from datetime import timedelta
from pathlib import Path

from risk_assets.lake import layout, run_log
from risk_assets.lake.format import open_lake
from risk_assets.lake.store import Store
from risk_assets.simulation.book import Book
from tests.bench.dates import ACCOUNTS, DATES, REAL, Home, day


def land(home: Home) -> None:
    """Land the ten dates before the range with their outcomes, and the dates of the range."""
    book = Book(ACCOUNTS, Date.fromisoformat(day(-REAL)))
    home.landing.mkdir(parents=True)
    for offset in range(-REAL, DATES):
        date = day(offset)
        (home.landing / f"accounts_{date}.csv").write_bytes(book.snapshot(Date.fromisoformat(date)))
        if offset < 0:
            (home.landing / f"outcomes_{date}.csv").write_bytes(book.outcomes(Date.fromisoformat(date)))


def run_for_real(home: Home) -> None:
    """Train on the ten dates and run them: this lake is what the product makes."""
    for command in (("train", day(-1)), ("run", day(-REAL), "--until", day(-1))):
        subprocess.run(home.risk(*command), env={**os.environ, **home.env}, check=True, stdout=sys.stderr)


def copy_dates(home: Home, number: int) -> None:
    """Copy the oldest real date's files to so many dates before it, their dates written anew, and log their runs."""
    lake, source = open_lake(str(home.lake)), day(-REAL)
    wanted = [(Date.fromisoformat(source) - timedelta(days=back)).isoformat() for back in range(1, number + 1)]
    files = list(_files_of(lake, source))
    for date in wanted:
        for path in files:
            _copy(lake, path, source, date)
        for kind in ("accounts", "outcomes"):
            shutil.copyfile(home.landing / f"{kind}_{source}.csv", home.landing / f"{kind}_{date}.csv")
    run_log.repair(lake)  # adds the rows of the copied records


def _files_of(lake: Store, date: str) -> Iterator[str]:
    for path_of in layout.PATHS.values():
        if lake.size(path_of(date)) is not None:
            yield from (path_of(date), layout.manifest(path_of(date)))
    yield from lake.list(f"{layout.RUN_RECORDS}/{date}/")


def _copy(lake: Store, path: str, source: str, date: str) -> None:
    content = lake.get(path)
    renewed = content.replace(source.encode(), date.encode()) if path.endswith(".json") else content
    lake.put(path.replace(source, date), renewed)


def main(root: str, before: str) -> None:
    """Make the lake with ten real dates and the one with `before` dates in all."""
    few, many = Home(Path(root) / str(REAL)), Home(Path(root) / before)
    shutil.rmtree(root, ignore_errors=True)
    land(few)
    run_for_real(few)
    shutil.copytree(few.root, many.root)
    copy_dates(many, int(before) - REAL)


if __name__ == "__main__":
    main(*sys.argv[1:])
