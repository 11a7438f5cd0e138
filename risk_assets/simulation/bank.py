"""A simulated bank: customers with one or several accounts that open, age, pay, miss payments, cure, default and close.

`Bank.opening` is the state on the first day and `Bank.next_day` the state on the day after, as a pure function of the state before.
The draws of a day have streams of their own (see `draws.py`), so the same bank gives the same states on every platform. Nothing
here knows columns or files: `observation.py` shows a state as a snapshot, and `files.py` writes it.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from risk_assets.simulation.account_draws import AccountDraws
from risk_assets.simulation.behaviour import BEHAVIOUR, cure_probability, miss_probability
from risk_assets.simulation.columns import DAYS_PER_MONTH
from risk_assets.simulation.corruption import MIN_ROWS
from risk_assets.simulation.draws import Floats, Streams, exp
from risk_assets.simulation.economy import Economy, Stress
from risk_assets.simulation.state import CHARGED_OFF, CLOSED, DECEASED, FRAUD, OPEN, Flags, Integers, State
from risk_assets.simulation.traits import TRAITS, traits

WARM_UP_DAYS = 365  # simulated before the first day, so that accounts have a year of payments behind them
MONTHS = 12  # of payments that are remembered
REMEMBERED = (1 << MONTHS) - 1
CHARGE_OFF_DAYS = 90  # past due
YEAR = 365.25
DEATHS, FRAUDS, CLOSINGS = 0.008 / YEAR, 0.006 / YEAR, 0.09 / YEAR  # the daily probability of each; only paid accounts close
OPENINGS = 0.17 / YEAR  # new accounts a day, as a share of the size of the bank
SECOND_ACCOUNTS = 0.25  # of accounts belong to a customer who has one already


@dataclass(frozen=True)
class Bank:
    """A bank that keeps about the same number of accounts.

    Parameters
    ----------
    accounts : int
        The number of accounts, at least 10. The number in a snapshot varies around it.
    start : date
        The first day that can be observed.
    seed : int
        The seed of all random streams.
    economy : Stress or None
        The economy; by default one with the same seed.

    Raises
    ------
    ValueError
        When there are fewer than 10 accounts.
    """

    accounts: int
    start: date
    seed: int = 7
    economy: Stress | None = None

    def __post_init__(self) -> None:
        """Check the number of accounts."""
        if self.accounts < MIN_ROWS:
            raise ValueError(f"a bank needs at least {MIN_ROWS} accounts")

    @property
    def streams(self) -> Streams:
        """The random streams of the bank."""
        return Streams(self.seed)

    def days(self) -> Iterator[State]:
        """Yield the state of every day from the first one, without end."""
        state = self.opening()
        while True:
            yield state
            state = self.next_day(state)

    def opening(self) -> State:
        """Return the state on the first day, after a year of simulated payments."""
        state = self._founded(self.start - timedelta(days=WARM_UP_DAYS))
        for _ in range(WARM_UP_DAYS):
            state = self.next_day(state)
        return state

    def next_day(self, state: State) -> State:
        """Return the state on the next day: payments are made, missed and cured; accounts leave; new ones open."""
        return self._with_openings(self._with_departures(self._with_payments(replace(state, day=state.day + timedelta(days=1)))))

    def draws(self, state: State) -> AccountDraws:
        """Return the lasting and drifting draws of the accounts of a state."""
        return AccountDraws(self.streams, state.customer)

    def traits(self, state: State, names: Container[str] = TRAITS) -> dict[str, Floats]:
        """Return traits of all accounts on the day of a state by name, and two that no column shows: `risk` and `luck`."""
        draw = self.draws(state).trait
        return traits(draw, state.today, names) | {"luck": draw("luck", state.today)}

    def _founded(self, day: date) -> State:
        """Return the accounts of the first day of the warm-up, all of them paid."""
        number, today = self.accounts, day.toordinal()
        is_new = self.streams.uniforms("founding customers", 0, number) >= SECOND_ACCOUNTS
        is_new[0] = True
        customer = np.cumsum(is_new) - 1
        tenure = traits(AccountDraws(self.streams, customer).trait, today, {"months_on_book"})["months_on_book"]
        age = 30 * exp(0.7 * tenure) * DAYS_PER_MONTH
        return self._accounts(day, customer, today - np.floor(age).astype(np.int64))

    def _accounts(self, day: date, customer: Integers, opened: Integers, first: int = 0) -> State:
        """Return accounts without any payment so far; `first` is the number of the first one."""
        number, none = len(customer), np.zeros(len(customer), dtype=np.int64)
        due_day = 1 + np.floor(28 * self.streams.uniforms("due day", 0, first + number)[first:]).astype(np.int64)
        return State(day, customer, opened, due_day, none, opened, none, none, none)

    def _with_payments(self, state: State) -> State:
        today, is_open, behind = state.today, state.status == OPEN, state.unpaid_since > 0
        found, stress = self.traits(state, BEHAVIOUR), (self.economy or Economy(self.seed)).stress(state.day)
        due = is_open & (state.due_day == state.day.day)
        cured = is_open & behind & (self._today("cure", state) < cure_probability(state, found["risk"], stress))
        missed = due & ~cured & (behind | (self._today("payment", state) < miss_probability(state, found, stress)))
        return replace(
            state,
            unpaid_since=np.where(cured, 0, np.where(missed & ~behind, today, state.unpaid_since)),
            missed=np.where(due, state.missed << 1 & REMEMBERED | missed, state.missed),
            last_missed=np.where(missed, today, state.last_missed),
        )

    def _with_departures(self, state: State) -> State:
        is_open, luck = state.status == OPEN, self._today("departure", state)
        status = np.select(
            [
                ~is_open,
                state.days_past_due >= CHARGE_OFF_DAYS,
                self._deaths(state),
                luck < FRAUDS,
                (state.unpaid_since == 0) & (luck < FRAUDS + CLOSINGS),
            ],
            [state.status, CHARGED_OFF, DECEASED, FRAUD, CLOSED],
            OPEN,
        )
        frozen = is_open & ((status == DECEASED) | (status == FRAUD))  # no payment is asked for any more
        return replace(
            state,
            status=status,
            status_since=np.where(status == state.status, state.status_since, state.today),
            unpaid_since=np.where(frozen, 0, state.unpaid_since),
        )

    def _deaths(self, state: State) -> Flags:
        return (self.streams.uniforms("death", state.today, state.number_of_customers) < DEATHS)[state.customer]

    def _with_openings(self, state: State) -> State:
        expected = self.accounts * OPENINGS
        number = int(expected + self.streams.uniforms("openings", state.today, 1)[0])
        if not number:
            return state
        opened = np.full(number, state.today, dtype=np.int64)
        return state.with_accounts(self._accounts(state.day, self._openers(state, number), opened, len(state.customer)))

    def _openers(self, state: State, number: int) -> Integers:
        """Return the customer of each new account: one of the bank's, or a new one."""
        customers = state.number_of_customers
        chosen = np.floor(customers * self.streams.uniforms("opener", state.today, number)).astype(np.int64)
        dead = np.isin(chosen, state.customer[state.status == DECEASED])
        is_new = dead | (self.streams.uniforms("new customer", state.today, number) >= SECOND_ACCOUNTS)
        return np.where(is_new, customers + np.cumsum(is_new) - 1, chosen)

    def _today(self, stream: str, state: State) -> Floats:
        return self.streams.uniforms(stream, state.today, len(state.customer))
