"""A simulated bank: customers with one or several accounts that open, age, pay, miss payments, cure, default and close.

`Bank.opening` is the state on the first day and `Bank.next_day` the state on the day after, as a pure function of the state before.
The draws of a day have streams of their own (see `draws.py`), so the same bank gives the same states on every platform. Nothing
here knows columns or files: `observation.py` shows a state as a snapshot, and `files.py` writes it.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from risk_assets.simulation.columns import DAYS_PER_MONTH
from risk_assets.simulation.corruption import MIN_ROWS
from risk_assets.simulation.draws import Floats, Streams, correlated, drifting, exp, normal
from risk_assets.simulation.economy import Economy
from risk_assets.simulation.traits import DRIFT_DAYS, DRIFT_LOAD, LEVELS, TRAITS, traits

Integers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

STATUSES = ("open", "closed", "charged off", "deceased", "fraud")
OPEN, CLOSED, CHARGED_OFF, DECEASED, FRAUD = range(len(STATUSES))

WARM_UP_DAYS = 365  # simulated before the first day, so that accounts have a year of payments behind them
MONTHS = 12  # of payments that are remembered
REMEMBERED = (1 << MONTHS) - 1
CHARGE_OFF_DAYS = 90  # past due
YEAR = 365.25
DEATHS, FRAUDS, CLOSINGS = 0.008 / YEAR, 0.006 / YEAR, 0.09 / YEAR  # the daily probability of each; only paid accounts close
OPENINGS = 0.17 / YEAR  # new accounts a day, as a share of the size of the bank
SECOND_ACCOUNTS = 0.25  # of accounts belong to a customer who has one already
# Traits of the customer; the others are of each account.
CUSTOMER_TRAITS = frozenset(
    {
        "risk",
        "luck",
        "annual_income",
        "months_at_address",
        "months_employed",
        "open_accounts",
        "inquiries_6m",
        "debt_to_income",
        "bureau_score",
        "region",
        "employment_status",
        "home_ownership",
    }
)
# Traits that move the probability of a missed payment, besides risk and luck.
BEHAVIOUR = frozenset({"utilisation", "payment_ratio", "inquiries_6m", "open_accounts", "employment_status"})


class Stress(Protocol):
    """An economy."""

    def stress(self, day: date) -> float:
        """Return the stress of a day, 0 in an average economy and positive in a bad one."""


@dataclass(frozen=True)
class State:
    """All accounts on a day, also those that have left the bank, in the order of their opening; arrays of shape (accounts,).

    Days are ordinals of the calendar, and 0 means never.

    Attributes
    ----------
    day
        The day.
    customer
        The number of the customer, from 0.
    opened
        The day on which the account opened.
    due_day
        The day of the month on which a payment is due, 1 to 28.
    status
        The position in `STATUSES`.
    status_since
        The day on which the account got its status.
    unpaid_since
        The day on which the oldest unpaid payment was due; 0 if nothing is unpaid.
    missed
        The last twelve payments as bits, the newest in the lowest bit: 1 for a missed one.
    last_missed
        The day of the last missed payment.
    """

    day: date
    customer: Integers
    opened: Integers
    due_day: Integers
    status: Integers
    status_since: Integers
    unpaid_since: Integers
    missed: Integers
    last_missed: Integers

    @property
    def today(self) -> int:
        """The day as an ordinal."""
        return self.day.toordinal()

    @property
    def days_past_due(self) -> Integers:
        """The days since the oldest unpaid payment was due, 0 if nothing is unpaid."""
        return np.where(self.unpaid_since > 0, self.today - self.unpaid_since, 0)

    @property
    def missed_payments(self) -> Integers:
        """The missed payments among the last twelve."""
        return np.bitwise_count(self.missed).astype(np.int64)


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

    def traits(self, state: State, names: Container[str] = TRAITS) -> dict[str, Floats]:
        """Return traits of all accounts on the day of a state by name, and two that no column shows: `risk` and `luck`."""
        draw = partial(self._draw, state.customer)
        return traits(draw, state.today, names) | {"luck": draw("luck", state.today)}

    def uniforms(self, stream: str, state: State, *, customers: bool = False) -> Floats:
        """Return lasting uniform draws of a stream, shape (accounts,), with `customers` the same for all accounts of a customer."""
        if customers:
            return self.streams.uniforms(stream, 0, _number_of_customers(state.customer))[state.customer]
        return self.streams.uniforms(stream, 0, len(state.customer))

    def _draw(self, customer: Integers, stream: str, elapsed: int | None = None) -> Floats:
        of_customer = stream in CUSTOMER_TRAITS
        number = _number_of_customers(customer) if of_customer else len(customer)
        independent = partial(self._normal, number, stream)
        drawn = self._normal(number, f"{stream} lasting", 0)
        if elapsed is not None:
            drawn = correlated(DRIFT_LOAD, drifting(independent, elapsed, DRIFT_DAYS), drawn)
        return drawn[customer] if of_customer else drawn

    def _normal(self, number: int, stream: str, period: int) -> Floats:
        return normal(self.streams.uniforms(stream, period, number, 4).T)

    def _founded(self, day: date) -> State:
        """Return the accounts of the first day of the warm-up, all of them paid."""
        number, today = self.accounts, day.toordinal()
        is_new = self.streams.uniforms("founding customers", 0, number) >= SECOND_ACCOUNTS
        is_new[0] = True
        customer = np.cumsum(is_new) - 1
        age = 30 * exp(0.7 * traits(partial(self._draw, customer), today, {"months_on_book"})["months_on_book"]) * DAYS_PER_MONTH
        return self._accounts(day, customer, today - np.floor(age).astype(np.int64))

    def _accounts(self, day: date, customer: Integers, opened: Integers, first: int = 0) -> State:
        """Return accounts without any payment so far; `first` is the number of the first one."""
        number, none = len(customer), np.zeros(len(customer), dtype=np.int64)
        due_day = 1 + np.floor(28 * self.streams.uniforms("due day", 0, first + number)[first:]).astype(np.int64)
        return State(day, customer, opened, due_day, none, opened, none, none, none)

    def _with_payments(self, state: State) -> State:
        today, is_open, behind = state.today, state.status == OPEN, state.unpaid_since > 0
        found, stress = self.traits(state, BEHAVIOUR), (self.economy or Economy(self.seed)).stress(state.day)
        cured = is_open & behind & (self._today("cure", state) < _cure_probability(state, found["risk"], stress))
        due = is_open & (state.due_day == state.day.day) & ~cured
        missed = due & (behind | (self._today("payment", state) < _miss_probability(state, found, stress)))
        return replace(
            state,
            unpaid_since=np.where(cured, 0, np.where(missed & ~behind, today, state.unpaid_since)),
            missed=np.where(due | cured & (state.due_day == state.day.day), state.missed << 1 & REMEMBERED | missed, state.missed),
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
        return (self.streams.uniforms("death", state.today, _number_of_customers(state.customer)) < DEATHS)[state.customer]

    def _with_openings(self, state: State) -> State:
        expected = self.accounts * OPENINGS
        number = int(expected + self.streams.uniforms("openings", state.today, 1)[0])
        if not number:
            return state
        opened = np.full(number, state.today, dtype=np.int64)
        return _joined(state, self._accounts(state.day, self._openers(state, number), opened, len(state.customer)))

    def _openers(self, state: State, number: int) -> Integers:
        """Return the customer of each new account: one of the bank's, or a new one."""
        customers = _number_of_customers(state.customer)
        chosen = np.floor(customers * self.streams.uniforms("opener", state.today, number)).astype(np.int64)
        dead = np.isin(chosen, state.customer[state.status == DECEASED])
        is_new = dead | (self.streams.uniforms("new customer", state.today, number) >= SECOND_ACCOUNTS)
        return np.where(is_new, customers + np.cumsum(is_new) - 1, chosen)

    def _today(self, stream: str, state: State) -> Floats:
        return self.streams.uniforms(stream, state.today, len(state.customer))


def _number_of_customers(customer: Integers) -> int:
    return int(customer.max()) + 1


def _joined(state: State, new: State) -> State:
    names = [field.name for field in fields(State) if field.name != "day"]
    return State(state.day, *(np.concatenate((getattr(state, name), getattr(new, name))) for name in names))


def _probability(log_odds: Floats) -> Floats:
    odds = exp(log_odds)
    return np.asarray(odds / (1 + odds))


def _miss_probability(state: State, traits: dict[str, Floats], stress: float) -> Floats:
    """Return the probability that an account misses the payment that is due: risk, economy, habit, and effects that are not linear."""
    new = state.today - state.opened < 15 * DAYS_PER_MONTH
    unusual = np.minimum(traits["open_accounts"] * traits["open_accounts"], 4)
    return _probability(
        -2.7
        + 0.5 * traits["risk"]
        + 0.7 * traits["luck"]
        + 0.25 * stress
        + 0.1 * np.minimum(state.missed_payments, 4)
        + 0.6 * (traits["utilisation"] > 0.9)
        + 0.4 * (traits["payment_ratio"] < -0.7)
        + 0.3 * (traits["inquiries_6m"] > 0.9)
        + 0.15 * unusual
        + 0.3 * new
        + 0.3 * (traits["employment_status"] > LEVELS["employment_status"]["unemployed"])
    )


def _cure_probability(state: State, risk: Floats, stress: float) -> Floats:
    """Return the probability that an account in arrears pays everything today: lower the riskier it is and the longer it is behind."""
    return 0.17 * _probability(-0.3 * risk - 0.15 * stress) / (1 + state.days_past_due / 30)
