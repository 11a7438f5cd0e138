"""The landing files of a simulated bank: daily snapshots, and the outcomes of a snapshot when they have matured."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from risk_assets.simulation.bank import Bank
from risk_assets.simulation.columns import csv
from risk_assets.simulation.corruption import corrupt, corrupt_rows, rows_without_id
from risk_assets.simulation.observation import ids, observe, shown
from risk_assets.simulation.state import OPEN, Integers, State


@dataclass(frozen=True)
class Definition:
    """When an account is bad: it is at least so many days past due on any of the days after the snapshot."""

    days_past_due: int = 30
    within_days: int = 60


def landing_files(bank: Bank, snapshots: Collection[date], until: date, definition: Definition) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of the files that land up to a day, in the order of their landing.

    `accounts_{date}.csv` lands on each of the snapshots' dates. Every third day has corrupted rows: see `corruption.py`.
    `outcomes_{date}.csv` lands when the window of the definition has passed. It has the columns `account_id` and `defaulted`
    (1 for bad), and no row for an account that left the bank within the window without going bad, or has no id of its own in
    the snapshot.

    Raises
    ------
    ValueError
        When a snapshot's date is before the start of the bank.
    """
    if early := [day for day in snapshots if day < bank.start]:
        raise ValueError(f"the bank starts on {bank.start}, after {min(early)}: pass later dates")
    window, last_bad, waiting = timedelta(days=definition.within_days), np.zeros(0, dtype=np.int64), dict[date, Integers]()
    for state in bank.days():
        if state.day > until:
            return
        last_bad = last_bad_days(last_bad, state, definition)
        if state.day in snapshots:
            waiting[state.day], content = _snapshot(bank, state)
            yield f"accounts_{state.day}.csv", content
        if (matured := state.day - window) in waiting:
            yield f"outcomes_{matured}.csv", csv(outcome_columns(state, matured, waiting.pop(matured), last_bad))


def last_bad_days(before: Integers, state: State, definition: Definition) -> Integers:
    """Return the last day on which each account was bad so far, 0 for never."""
    known = np.concatenate((before, np.zeros(len(state.customer) - len(before), dtype=np.int64)))
    return np.where(state.days_past_due >= definition.days_past_due, state.today, known)


def _snapshot(bank: Bank, state: State) -> tuple[Integers, bytes]:
    """Return the accounts of the snapshot that have an id of their own in it, as positions, and its content."""
    rows, columns = np.flatnonzero(shown(state)), observe(bank, state)
    corrupted = corrupt_rows(bank.streams.uniforms("corrupted", state.today, len(rows)), (state.day - bank.start).days)
    corrupt(columns, corrupted)
    return np.delete(rows, sorted(rows_without_id(corrupted))), csv(columns)


def outcome_columns(state: State, snapshot: date, accounts: Integers, last_bad: Integers) -> dict[str, list[str]]:
    """Return the outcomes of accounts, as positions, of a snapshot on the day on which they have matured, by column."""
    bad = last_bad[accounts] > snapshot.toordinal()
    known = bad | (state.status[accounts] == OPEN)
    account = ids(state)
    return {
        "account_id": [account[position] for position in accounts[known].tolist()],
        "defaulted": np.where(bad[known], "1", "0").tolist(),
    }
