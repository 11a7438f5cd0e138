"""Section `range`: seconds a date in a catch-up run of sixty dates, compared with a chain of assets that do nothing."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta
from pathlib import Path

from tests.bench.measure import Figures, Task, interleaved, module, set_up, show, table
from tests.bench.workspace import SAMPLE_POLICY, Workspace

FIRST = "2023-01-01"
BEFORE = 1000
REAL = 10
DATES = 60
ACCOUNTS = 300
CHAIN = "four trivial assets, ten checks"


class Home(Workspace):
    """A lake, a landing folder and a run history of their own."""

    @property
    def env(self) -> dict[str, str]:
        """The settings that point the product here."""
        here = {"RISK_LAKE": self.lake.as_uri(), "RISK_LANDING": self.landing.as_uri(), "DAGSTER_HOME": str(self.root / "dagster")}
        return {**here, "RISK_START_DATE": FIRST, "RISK_POLICY": str(SAMPLE_POLICY)}

    def risk(self, *arguments: str) -> tuple[str, ...]:
        """Return the command line of the `risk` command."""
        return (str(Path(sys.executable).with_name("risk")), *arguments)

    def clear(self) -> None:
        """Start from nothing."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)

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
    """Report seconds and CPU seconds a date, next to a chain of assets that do nothing: the run of sixty dates minus the run of one."""
    templates = root.absolute() / "templates"
    set_up(f"lakes with {REAL} and {BEFORE:,} dates", module("book_lakes", templates, BEFORE))
    run = Home(root.absolute() / "run")
    lakes = {f"`risk run`, {before:,} dates in the lake": Home(templates / str(before)) for before in (REAL, BEFORE)}
    tasks = {
        (name, number): Task(f"{name}, {number}", run.risk("run", day(0), "--until", day(number - 1)), run.env, run.renew(template))
        for name, template in lakes.items()
        for number in (1, DATES)
    }
    empty = Home(root.absolute() / "empty")
    chain = {
        number: Task(f"{CHAIN}, {number}", module("trivial_chain", day(0), day(number - 1)), empty.env, empty.clear)
        for number in (1, DATES)
    }
    tasks |= {(CHAIN, number): task for number, task in chain.items()}
    runs = interleaved(list(tasks.values()), rounds)
    costs = {name: Cost(*(Figures.of(runs[tasks[name, number].name]) for number in (1, DATES))) for name in (*lakes, CHAIN)}
    show(f"## range: {DATES} dates of {ACCOUNTS} accounts, asset checks and run log included\n")
    head = ("", "one date, s", f"{DATES} dates, s", "seconds a date", "CPU s a date", "time / chain", "CPU / chain", "peak MB")
    show(table(head, [cost.row(name, costs[CHAIN]) for name, cost in costs.items()]))
    show(
        f"Per-date figures leave start-up out. Beyond the first {REAL}, dates are copies of files: Dagster's history has no runs of them.\n"
    )
    shutil.rmtree(root)


@dataclass(frozen=True)
class Cost:
    """What one date costs: seconds and CPU seconds."""

    one: Figures
    all: Figures

    @property
    def seconds(self) -> float:
        """Wall seconds a date."""
        return (self.all.seconds - self.one.seconds) / (DATES - 1)

    @property
    def cpu(self) -> float:
        """CPU seconds a date."""
        return (self.all.cpu - self.one.cpu) / (DATES - 1)

    def row(self, name: str, chain: "Cost") -> tuple[str, ...]:
        """Return the row of a table."""
        return (
            name,
            f"{self.one.seconds:.2f}",
            f"{self.all.seconds:.1f}",
            f"{self.seconds:.3f}",
            f"{self.cpu:.3f}",
            f"{self.seconds / chain.seconds:.2f}",
            f"{self.cpu / chain.cpu:.2f}",
            f"{self.all.megabytes:,.0f}",
        )
