"""Runs a scenario on a simulated bank, through the real asset graph."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from risk_assets.clock import shift
from risk_assets.rehearsal.book import FIRST, prepare
from risk_assets.rehearsal.costs import Errors, errors
from risk_assets.rehearsal.expectations import differences
from risk_assets.rehearsal.records import Day
from risk_assets.rehearsal.team import Team
from risk_assets.runner import open_runner
from risk_assets.simulation.scenarios import Scenario
from risk_assets.simulation.scripted_bank import DEFINITION, Morning, ScriptedBank

Track = Callable[[Iterable[Morning]], Iterable[Morning]]


@dataclass(frozen=True)
class Rehearsal:
    """What happened in a scenario.

    Attributes
    ----------
    days
        Its days.
    errors
        The errors of each day's decisions.
    max_calibration_ratio
        The policy's limit of observed to expected bads.
    """

    scenario: Scenario
    days: tuple[Day, ...]
    errors: Mapping[int, Errors]
    max_calibration_ratio: float

    @property
    def differences(self) -> tuple[str, ...]:
        """What differs from the scenario."""
        return differences(self.scenario, self.days)


def rehearse(scenario: Scenario, folder: Path, accounts: int, seed: int, track: Track = iter) -> Rehearsal:
    """Run a scenario in a folder of its own, and return what happened.

    Parameters
    ----------
    folder
        Gets the lake, the landing folder, the documents and the run history.
    accounts, seed
        The size of the bank, and the seed of its random streams.
    track
        Shows the progress over the mornings.

    Raises
    ------
    RiskError
        If the folder is not empty, or the first version cannot be trained.
    """
    settings = prepare(folder, scenario.days)
    bank = ScriptedBank(scenario, accounts, seed, FIRST)
    days: list[Day] = []
    bad: dict[str, frozenset[str]] = {}
    with open_runner(settings) as runner:
        team = Team(runner, scenario)
        for morning in track(bank.mornings(scenario.days + DEFINITION.within_days)):
            if morning.day == 0:
                team.begin(shift(morning.date, -1))
            if morning.matured:
                bad[morning.matured] = morning.bad
            if morning.day < 0:
                team.prepare(morning)
            elif morning.day < scenario.days:
                days.append(team.work(morning))
    return Rehearsal(scenario, tuple(days), errors(days, bad), settings.read_policy().monitoring.max_calibration_ratio)
