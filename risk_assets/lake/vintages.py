"""Accounts that went bad before the performance window ends, by their age, next to an earlier cohort at the same age.

They are known only if the contract derives outcomes: the states of accounts of each day say who was bad since the snapshot.
"""

from collections.abc import Iterator

import polars as pl

from risk_assets.clock import shift
from risk_assets.domain.contract.schema import ACCOUNT_ID, OUTCOME, Contract
from risk_assets.domain.contract.values import states_digest
from risk_assets.domain.ingest.account_states import derive
from risk_assets.domain.monitoring.performance import PROBABILITY
from risk_assets.domain.monitoring.performance_report import Cohort, Vintage, VintagePoint
from risk_assets.lake import layout
from risk_assets.lake.manifests import find_readable
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table

WEEKS, MONTH = (7, 14, 21), 28  # ages in days: weekly at first, then every four weeks, so that it is the same day of the week


def ages(window: int) -> tuple[int, ...]:
    """Return the ages in days at which a cohort with a performance window is looked at, before the window ends."""
    return tuple(age for age in (*WEEKS, *range(MONTH, window, MONTH)) if age < window)


def next_age_on(date: str, window: int, today: str) -> str | None:
    """Return the first date after today on which a cohort reaches another age; None if the window ends first."""
    return next((day for age in ages(window) if (day := shift(date, age)) > today), None)


def vintage(store: Store, date: str, earlier: str | None, contract: Contract, today: str) -> Vintage | None:
    """Return the bads so far of the accounts that were scored on a date, and of those of an earlier date at the same ages.

    An age without states of accounts is left out. None if there is no age with states, or the contract does not derive outcomes.
    """
    points = tuple(_points(store, date, earlier, contract, today))
    return Vintage(earlier, points) if points else None


def _points(store: Store, date: str, earlier: str | None, contract: Contract, today: str) -> Iterator[VintagePoint]:
    for age in ages(contract.target.performance_days) if contract.target.derived else ():
        now = _cohort(store, date, age, contract) if shift(date, age) <= today else None
        if now:
            yield VintagePoint(age, now, _cohort(store, earlier, age, contract) if earlier else None)


def _cohort(store: Store, date: str, age: int, contract: Contract) -> Cohort | None:
    """Return the accounts that were scored on a date and the bad ones of them at an age; None if a table is missing."""
    derived, end = contract.target.derived, shift(date, age)
    found = [find_readable(store, path) for path in (layout.features(date), layout.account_states(end), layout.predictions(date))]
    features, states, predictions = found
    if derived is None or features is None or states is None or predictions is None:
        return None
    if states.made_from.contract_values != states_digest(contract):
        return None
    labels = derive(read_table(store, features.path), read_table(store, states.path), derived, date, end)
    scored = read_table(store, predictions.path).filter(pl.col(PROBABILITY).is_not_null()).select(ACCOUNT_ID)
    bad = pl.col(OUTCOME)
    accounts, bads = (
        labels.join(scored, on=ACCOUNT_ID, how="semi").select(bad.count(), bad.sum().alias("b")).collect(engine="streaming").row(0)
    )
    return Cohort(accounts, bads)
