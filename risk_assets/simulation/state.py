"""The state of a bank: all its accounts on a day."""

from dataclasses import dataclass, fields
from datetime import date
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

STATUSES = ("open", "closed", "charged off", "deceased", "fraud")
OPEN, CLOSED, CHARGED_OFF, DECEASED, FRAUD = range(len(STATUSES))


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

    @property
    def number_of_customers(self) -> int:
        """The customers so far."""
        return int(self.customer.max()) + 1

    def with_accounts(self, new: "State") -> "State":
        """Return the state with more accounts of the same day after its own."""
        names = [field.name for field in fields(State) if field.name != "day"]
        return State(self.day, *(np.concatenate((getattr(self, name), getattr(new, name))) for name in names))
