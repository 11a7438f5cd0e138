"""Section `range`: seconds a date in a catch-up run of sixty dates, with few and with many dates in the lake."""

import shutil
import sys
from collections.abc import Callable
from datetime import date as Date
from datetime import timedelta
from pathlib import Path

from tests.bench.measure import Figures, Task, interleaved, module, set_up, show, table
from tests.bench.workspace import Workspace

FIRST = "2023-01-01"
BEFORE = 1000
REAL = 10
DATES = 60
ACCOUNTS = 300


class Home(Workspace):
    """A lake, a landing folder and a run history of their own."""

    @property
    def env(self) -> dict[str, str]:
        """The settings that point the product here."""
        here = {"RISK_LAKE": self.lake.as_uri(), "RISK_LANDING": self.landing.as_uri(), "DAGSTER_HOME": str(self.root / "dagster")}
        return {**here, "RISK_START_DATE": FIRST}

    def risk(self, *arguments: str) -> tuple[str, ...]:
        """Return the command line of the `risk` command."""
        return (str(Path(sys.executable).with_name("risk")), *arguments)

    def renew(self, template: "Home") -> Callable[[], None]:
        """Return what makes this home a fresh copy of another one."""

        def copy() -> None:
            shutil.rmtree(self.root, ignore_errors=True)
            shutil.copytree(template.root, self.root)

        return copy


def day(offset: int) -> str:
    """Return a date counted from the range's first one, before which there is room for all dates in the lake."""
    return (Date.fromisoformat(FIRST) + timedelta(days=BEFORE + offset)).isoformat()


def dates(root: Path, rounds: int) -> None:
    """Report seconds a date: the run of sixty dates less the run of one, divided by fifty-nine."""
    templates = root.absolute() / "templates"
    set_up(f"lakes with {REAL} and {BEFORE:,} dates", module("book_lakes", templates, BEFORE))
    run = Home(root.absolute() / "run")
    tasks = {
        (before, number): _task(Home(templates / str(before)), run, before, number) for number in (1, DATES) for before in (REAL, BEFORE)
    }
    runs = interleaved(list(tasks.values()), rounds)
    figures = {key: Figures.of(runs[task.name]) for key, task in tasks.items()}
    show(f"## range: `risk run D1 --until D{DATES}`, {ACCOUNTS} accounts a date, asset checks and run log included\n")
    head = ("dates in the lake", "one date, s", f"{DATES} dates, s", "seconds a date", "peak MB")
    show(table(head, [_row(before, figures[before, 1], figures[before, DATES]) for before in (REAL, BEFORE)]))
    show(f"Seconds a date leave start-up out. Beyond the first {REAL}, dates are copies of files: Dagster's history has no runs of them.\n")
    shutil.rmtree(root)


def _task(template: Home, run: Home, before: int, number: int) -> Task:
    command = run.risk("run", day(0), "--until", day(number - 1))
    return Task(f"{number} dates on a lake with {before}", command, run.env, run.renew(template))


def _row(before: int, one: Figures, sixty: Figures) -> tuple[str, ...]:
    each = (sixty.seconds - one.seconds) / (DATES - 1)
    return (f"{before:,}", f"{one.seconds:.2f}", f"{sixty.seconds:.1f}", f"{each:.3f}", f"{sixty.megabytes:,.0f}")
