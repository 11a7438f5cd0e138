"""What the incidents of a rehearsal cost: bad accounts that were missed, and good ones that were flagged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from risk_assets.rehearsal.records import Day
from risk_assets.simulation.scenarios import Scenario


@dataclass(frozen=True)
class Errors:
    """The errors of a day's decisions: accounts that went bad and were not flagged, and flagged ones that stayed good."""

    missed_bads: float
    flagged_goods: float

    def __sub__(self, other: "Errors") -> "Errors":
        """Return the errors beyond others."""
        return Errors(self.missed_bads - other.missed_bads, self.flagged_goods - other.flagged_goods)


def errors(days: Sequence[Day], bad: Mapping[str, frozenset[str]]) -> dict[int, Errors]:
    """Return the errors of each day whose outcomes are known, given the accounts that really went bad by date.

    On a day that was not scored in the morning, nobody was flagged.
    """
    found = {day.day: (day.flagged or frozenset(), bad[day.date]) for day in days if day.date in bad}
    return {day: Errors(len(true - flagged), len(flagged - true)) for day, (flagged, true) in found.items()}


def excess(scenario: Scenario, found: Mapping[int, Errors], first: int, last: int) -> Errors | None:
    """Return the errors of the days from the first to the last beyond those of as many quiet days; None without a quiet day."""
    quiet = [each for day, each in found.items() if scenario.is_quiet(day)]
    during = [found[day] for day in range(first, last + 1) if day in found]
    if not quiet:
        return None
    usual = _mean(quiet)
    return Errors(
        sum(each.missed_bads for each in during) - len(during) * usual.missed_bads,
        sum(each.flagged_goods for each in during) - len(during) * usual.flagged_goods,
    )


def _mean(found: Sequence[Errors]) -> Errors:
    return Errors(fmean(each.missed_bads for each in found), fmean(each.flagged_goods for each in found))
