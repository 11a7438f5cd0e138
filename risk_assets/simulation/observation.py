"""What a snapshot shows of a bank: the columns of the accounts on its books on a day, as text."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

import numpy as np

from risk_assets.simulation.bank import Bank
from risk_assets.simulation.columns import DAYS_PER_MONTH, bureau, level_texts, number_texts, tenure, usage, with_missing
from risk_assets.simulation.draws import Floats
from risk_assets.simulation.state import CLOSED, OPEN, STATUSES, Flags, State
from risk_assets.simulation.traits import LEVELS

# The days for which an account that is no longer open stays in the snapshots, by status.
DAYS_SHOWN: Mapping[str, int] = MappingProxyType({"closed": 30, "charged off": 60, "deceased": 45, "fraud": 45})


def shown(state: State) -> Flags:
    """Return which accounts are in the snapshot of the day, shape (accounts,): those that are open, or left not long ago."""
    days = np.array([DAYS_SHOWN.get(status, 0) for status in STATUSES])
    return np.asarray((state.status == OPEN) | (state.today - state.status_since < days[state.status]))


def ids(state: State) -> list[str]:
    """Return the ids of all accounts."""
    return [f"AC{number:06d}" for number in range(1, len(state.customer) + 1)]


def observe(bank: Bank, state: State) -> dict[str, list[str]]:
    """Return the columns of a snapshot by name: ids of account and customer, status, and the features; one text per account shown.

    Some values are missing, always for the same accounts.
    """
    rows = np.flatnonzero(shown(state))
    found = bank.traits(state)
    numbers = _numbers(found, state, bank.start)
    account = ids(state)
    columns = {
        "account_id": [account[row] for row in rows.tolist()],
        "customer_id": [f"CU{number:06d}" for number in (state.customer[rows] + 1).tolist()],
        "status": [STATUSES[code] for code in state.status[rows].tolist()],
    }
    unknown = bank.draws(state).unknown
    columns |= {name: number_texts(with_missing(name, values, unknown(name))[rows], name) for name, values in numbers.items()}
    return columns | {name: level_texts(with_missing(name, found[name], unknown(name))[rows], name) for name in LEVELS}


def _numbers(traits: Mapping[str, Floats], state: State, start: date) -> dict[str, Floats]:
    months = np.floor((state.today - state.opened) / DAYS_PER_MONTH)
    return tenure(traits, (state.day - start).days) | {"months_on_book": months} | _usage(traits, state) | _arrears(state) | bureau(traits)


def _usage(traits: Mapping[str, Floats], state: State) -> dict[str, Floats]:
    """Return the usage of the accounts; a closed account owes nothing."""
    found, is_closed = usage(traits), state.status == CLOSED
    return found | {name: np.where(is_closed, 0, found[name]) for name in ("utilisation", "balance")}


def _arrears(state: State) -> dict[str, Floats]:
    since = np.floor((state.today - state.last_missed) / DAYS_PER_MONTH)
    return {
        "missed_payments_12m": state.missed_payments.astype(np.float64),
        "days_past_due": state.days_past_due.astype(np.float64),
        "months_since_missed": np.where(state.last_missed > 0, since, np.nan),
    }
