"""The training window: the snapshots whose outcomes have matured by a training date."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from risk_assets.clock import shift
from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import MAX_WINDOW_DAYS, Contract
from risk_assets.domain.wording import counted
from risk_assets.errors import ContractError, ModelError


@dataclass(frozen=True)
class TrainingWindow:
    """The snapshots that train for a date.

    Attributes
    ----------
    date
        The training date.
    first, last
        The first and the last snapshot; the outcomes of the last one mature on the training date.
    performance_days
        The days from a snapshot to the end of its performance window.
    derived
        Whether outcomes are derived from later snapshots.
    """

    date: str
    first: str
    last: str
    performance_days: int
    derived: bool = False

    def __contains__(self, date: str) -> bool:
        """Return whether a snapshot is in the window."""
        return self.first <= date <= self.last

    def require_labelled(self, features: Collection[str], outcomes: Collection[str], known_by: str) -> None:
        """Verify that a snapshot of the window has features and outcomes.

        Parameters
        ----------
        features, outcomes : collection of str
            The dates in the lake that have features, and those that have outcomes, in the window and after it.
        known_by : str
            The date by which outcomes must have been known.

        Raises
        ------
        ModelError
            If none has both. It names the dates that have both but have not matured, and when they do.
        """
        if any(date in self for date in set(features) & set(outcomes)):
            return
        found = f"{_count(features, self)} have features, {_count(outcomes, self)} outcomes"
        window = f"{self.first} to {self.last}" if self.first < self.last else self.first
        problem = f"no date in the training window, {window}, has both features and outcomes ({found})"
        days = counted(self.performance_days, "day")
        later = sorted(date for date in set(features) & set(outcomes) if self.last < date <= self.date)
        if later:
            ready = shift(later[0], self.performance_days)
            has = "has both and has" if len(later) == 1 else "have both and have"
            raise ModelError(
                f"{problem}. {_listed(later)} {has} not matured by {self.date}: outcomes mature {days} "
                f"after their snapshot. Train for {ready} or later: risk train {ready}; or shorten the target's window in the contract."
            )
        first = shift(self.first, self.performance_days)
        advice = (
            f"Write the outcomes that matured: risk outcomes {first} --until {self.date}"
            if self.derived
            else "Land outcomes for a date of the window that was run: risk land FILE --outcomes --date DATE"
        )
        raise ModelError(
            f"{problem}. Outcomes mature {days} after their snapshot and are used as known by {known_by}. {advice}; "
            "or widen training.window_days in the policy."
        )


def training_window(date: str, contract: Contract, policy: Training) -> TrainingWindow:
    """Return the training window of a date: `window_days` snapshots, counted back from the last one that has matured.

    Raises
    ------
    ContractError
        If the performance window and the training window together are longer than `MAX_WINDOW_DAYS`.
    """
    performance = contract.target.performance_days
    if performance + policy.window_days > MAX_WINDOW_DAYS:
        windows = counted(performance, "day"), counted(policy.window_days, "day")
        raise ContractError(
            f"the performance window of {windows[0]} and the training window of {windows[1]} are longer than "
            f"{MAX_WINDOW_DAYS} days together. Shorten training.window_days in the policy, or the target's window in the contract."
        )
    last = shift(date, -performance)
    return TrainingWindow(date, shift(last, 1 - policy.window_days), last, performance, contract.target.derived is not None)


def _count(dates: Collection[str], window: TrainingWindow) -> int:
    return sum(date in window for date in dates)


def _listed(dates: Sequence[str]) -> str:
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]} ({len(dates)} dates)"
