"""`risk simulate`: scripted incidents on a simulated bank."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli.console import FAILED, err, out, print_error

if TYPE_CHECKING:
    from risk_assets.rehearsal.rehearse import Rehearsal
    from risk_assets.simulation.scenarios import Scenario
    from risk_assets.simulation.scripted_bank import Morning

PLOT = "timeline.svg"
MIN_ACCOUNTS = 2000  # fewer do not train


def simulate(
    scenario: Annotated[str | None, typer.Argument(metavar="[SCENARIO]", help="Scenario, such as macro-shock: see --list.")] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=1000, help="Days to simulate. Defaults to those of the scenario.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the simulated bank.")] = 1,
    accounts: Annotated[int, typer.Option("--accounts", min=MIN_ACCOUNTS, help="Number of accounts.")] = 6000,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Empty folder for the lake of the simulation. Defaults to a new temporary one.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the scenarios and the alerts that they must raise.")] = False,
) -> None:
    """Run a scripted incident on a simulated bank: days of scoring, outcomes, monitoring, alerts, retraining and promotion.

    The jobs are those of a real book, in simulated time, in a lake of their own under a policy with a performance window of 28 days. The
    settings of this shell are not used, and no alert is sent. Prints a timeline and writes a plot of it.

    The exit code is 0 if the alerts of the scenario came in time and no others, and 1 with the differences otherwise.
    """
    from risk_assets.cli.report import simulation as report

    if listed:
        report.scenarios(out())
        return
    chosen = _chosen(scenario, days)
    from risk_assets.rehearsal.rehearse import rehearse

    root = folder or Path(mkdtemp(prefix="risk-simulate-"))
    done = rehearse(chosen, root, accounts, seed, lambda mornings: _tracked(mornings, chosen.days))
    report.timeline(out(), done)
    out().print(f"Plot: {_plot(done, root)}\nLake: {root / 'lake'}", soft_wrap=True)
    for difference in done.differences:
        print_error("difference", difference)
    if done.differences:
        raise typer.Exit(FAILED)


def _chosen(name: str | None, days: int | None) -> "Scenario":
    """Return a scenario by its name, with another number of days if one is given."""
    from risk_assets.simulation.scenarios import SCENARIOS

    if name is None or name not in SCENARIOS:
        raise typer.BadParameter(f"SCENARIO must be one of {', '.join(SCENARIOS)}. See risk simulate --list.")
    return replace(SCENARIOS[name], days=days) if days else SCENARIOS[name]


def _tracked(mornings: "Iterable[Morning]", days: int) -> "Iterator[Morning]":
    """Yield the mornings and show how many of the days are simulated."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err()) as progress:
        task = progress.add_task("first model", total=days)
        for morning in mornings:
            yield morning
            if 0 <= morning.day < days:
                progress.update(task, advance=1, description=f"day {morning.date}")


def _plot(done: "Rehearsal", root: Path) -> Path:
    """Write the plot, and return its path."""
    from risk_assets.rehearsal.plot import svg

    path = root / PLOT
    path.write_bytes(svg(done.scenario, done.days, done.max_calibration_ratio))
    return path
