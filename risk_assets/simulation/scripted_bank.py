"""A simulated bank with scripted incidents: the files that land on each morning, and which accounts really went bad."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from risk_assets.simulation.bank import Bank
from risk_assets.simulation.columns import DAYS_PER_MONTH, csv
from risk_assets.simulation.files import Definition, last_bad_days, outcome_columns
from risk_assets.simulation.incidents import Columns, Incident
from risk_assets.simulation.observation import ids, observe, shown
from risk_assets.simulation.scenarios import Scenario, ScriptedEconomy, change_accounts, change_outcomes
from risk_assets.simulation.state import OPEN, Flags, Integers, State

DEFINITION = Definition(days_past_due=10, within_days=28)
SETTLING_DAYS = 365  # simulated before the first snapshot, until as many accounts leave and get into arrears as come and recover
RECORDED_MONTHS = 12  # for which a missed payment is on record
MIN_MONTHS = 2  # newer accounts are not scored
TRAINING_DAYS = range(-56, -28, 4)  # snapshots before the first day, whose outcomes are known on it


@dataclass(frozen=True)
class Landed:
    """A file that lands: its kind, `accounts` or `outcomes`, the date of its snapshot, and its content."""

    kind: str
    date: str
    content: bytes

    @property
    def name(self) -> str:
        """The name of the file."""
        return f"{self.kind}_{self.date}.csv"


@dataclass(frozen=True)
class Morning:
    """The morning after a day: the files that land, and the accounts of the snapshot that matured that really went bad.

    Attributes
    ----------
    day
        The day, counted from the first one that is scored.
    date
        Its date.
    files
        The files that land, in their order.
    matured, bad
        The date of the snapshot whose window ended on the day, None if there is none, and the ids of its accounts that could be scored and
        really went bad.
    """

    day: int
    date: str
    files: tuple[Landed, ...]
    matured: str | None = None
    bad: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ScriptedBank:
    """A bank with the incidents of a scenario.

    Parameters
    ----------
    accounts, seed
        The number of its accounts, and the seed of its random streams.
    first
        The first day that is scored. Some snapshots before it have outcomes that are known on it.
    """

    scenario: Scenario
    accounts: int
    seed: int
    first: date

    def mornings(self, days: int) -> Iterator[Morning]:
        """Yield the mornings up to a number of days, those of the snapshots before the first day among them."""
        start = self.first + timedelta(days=TRAINING_DAYS.start - SETTLING_DAYS)
        bank = Bank(self.accounts, start, self.seed, ScriptedEconomy(self.scenario, self.first))
        post = _Post(self.scenario)
        last_bad, waiting = np.zeros(0, dtype=np.int64), dict[date, _Accounts]()
        for state in bank.days():
            day = (state.day - self.first).days
            if day >= days:
                return
            last_bad = last_bad_days(last_bad, state, DEFINITION)
            if day >= 0 or day in TRAINING_DAYS:
                waiting[state.day] = _Accounts(np.flatnonzero(shown(state)), np.flatnonzero(can_be_scored(state)))
                post.send_accounts(observed(bank, state), state.day, day)
            matured = state.day - timedelta(days=DEFINITION.within_days)
            accounts = waiting.pop(matured, None)
            bad = frozenset[str]()
            if accounts is not None:
                post.send_outcomes(state, matured, accounts.shown, last_bad, day)
                bad = _bad(state, matured, accounts.scored, last_bad)
            files = post.arrived(day)
            if files or day >= 0:
                yield Morning(day, state.day.isoformat(), files, None if accounts is None else matured.isoformat(), bad)


def observed(bank: Bank, state: State) -> Columns:
    """Return the columns of a snapshot; missed payments are on record for a year.

    A record without an end would become longer every day, so that quiet days would drift.
    """
    columns = observe(bank, state)
    recent = [text if text and int(text) < RECORDED_MONTHS else "" for text in columns["months_since_missed"]]
    return {**columns, "months_since_missed": recent}


def can_be_scored(state: State) -> Flags:
    """Return which accounts the rules of the contract do not exclude, shape (accounts,)."""
    months = np.floor((state.today - state.opened) / DAYS_PER_MONTH)
    return np.asarray((state.status == OPEN) & (state.days_past_due < DEFINITION.days_past_due) & (months >= MIN_MONTHS))


def _bad(state: State, snapshot: date, accounts: Integers, last_bad: Integers) -> frozenset[str]:
    account, bad = ids(state), accounts[last_bad[accounts] > snapshot.toordinal()]
    return frozenset(account[position] for position in bad.tolist())


@dataclass(frozen=True)
class _Accounts:
    """The accounts of a snapshot, and those that can be scored, as positions."""

    shown: Integers
    scored: Integers


@dataclass(frozen=True)
class _Post:
    """The files that are under way, by the day of their arrival."""

    scenario: Scenario
    _waiting: defaultdict[int, list[Landed]] = field(default_factory=lambda: defaultdict(list))

    def send_accounts(self, columns: Columns, snapshot: date, day: int) -> None:
        """Send the snapshot of a day."""
        incidents = self.scenario.active(day)
        right = csv(columns)
        content = csv(change_accounts(columns, incidents))
        for incident in incidents:
            content = incident.content(content) if incident.content else content
        late = sum(incident.accounts_late for incident in incidents)
        self._send("accounts", snapshot, day + late, content)
        if content != right:
            self._correct("accounts", snapshot, day, right, incidents)

    def send_outcomes(self, state: State, matured: date, accounts: Integers, last_bad: Integers, day: int) -> None:
        """Send the outcomes of a snapshot."""
        incidents = self.scenario.active(day)
        columns = outcome_columns(state, matured, accounts, last_bad)
        changed = change_outcomes(columns, incidents)
        self._send("outcomes", matured, day + sum(incident.outcomes_late for incident in incidents), csv(changed))
        if changed != columns:
            self._correct("outcomes", matured, day, csv(columns), incidents)

    def arrived(self, day: int) -> tuple[Landed, ...]:
        """Return the files that arrive on a day."""
        return tuple(self._waiting.pop(day, ()))

    def _correct(self, kind: str, snapshot: date, day: int, content: bytes, incidents: Sequence[Incident]) -> None:
        """Send the right file again, after the end of the incident that changed it."""
        ends = [each for each in self.scenario.planned if each.active(day) and each.incident in incidents]
        for each in ends:
            if each.incident.corrected_after is not None:
                self._send(kind, snapshot, each.last + 1 + each.incident.corrected_after, content)

    def _send(self, kind: str, snapshot: date, day: int, content: bytes) -> None:
        self._waiting[day].append(Landed(kind, snapshot.isoformat(), content))
