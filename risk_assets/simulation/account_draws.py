"""Draws of the accounts of a bank, some of which all accounts of a customer share."""

from dataclasses import dataclass
from functools import partial

from risk_assets.simulation.draws import Floats, Streams, correlated, drifting
from risk_assets.simulation.state import Integers
from risk_assets.simulation.traits import DRIFT_DAYS, DRIFT_LOAD

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


@dataclass(frozen=True)
class AccountDraws:
    """The draws of accounts. More accounts or customers do not change the draws of the others.

    Parameters
    ----------
    streams : Streams
        The random streams of the bank.
    customer : Integers
        The customer of each account, shape (accounts,).
    """

    streams: Streams
    customer: Integers

    def trait(self, stream: str, elapsed: int | None = None) -> Floats:
        """Return normal draws of a trait, shape (accounts,); with `elapsed` days, a part of them drifts."""
        drawn = self._normal(f"{stream} lasting", stream)
        if elapsed is None:
            return drawn
        return correlated(DRIFT_LOAD, drifting(partial(self._normal, stream, stream), elapsed, DRIFT_DAYS), drawn)

    def unknown(self, column: str) -> Floats:
        """Return the uniform draws that decide which accounts never have a value of a column, shape (accounts,)."""
        return self._of_accounts(self.streams.uniforms(f"{column} unknown", 0, self._number(column)), column)

    def _normal(self, stream: str, trait: str, period: int = 0) -> Floats:
        return self._of_accounts(self.streams.normals(stream, period, self._number(trait)), trait)

    def _number(self, trait: str) -> int:
        return int(self.customer.max()) + 1 if trait in CUSTOMER_TRAITS else len(self.customer)

    def _of_accounts(self, drawn: Floats, trait: str) -> Floats:
        return drawn[self.customer] if trait in CUSTOMER_TRAITS else drawn
