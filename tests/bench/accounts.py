"""Daily snapshots of accounts whose risk is known, for `intervals` and `holdouts`: fast, seeded, without files."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl

from risk_assets.clock import date_range, shift
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, ISSUES, OUTCOME, Contract

FIRST = "2026-01-01"
LASTING = 0.95  # share of a feature's variance that an account keeps from day to day
NUMBERS = tuple(f"x{at}" for at in range(8))
CUT = 2.3  # about one account in seven goes bad
CONTRACT = Contract.model_validate(
    {
        "id": "id",
        "target": {"column": "bad", "bad": 1},
        "features": {name: {"type": "number", "reason": name} for name in NUMBERS} | {"k": {"type": "category", "reason": "k"}},
    }
)


@dataclass(frozen=True)
class Accounts:
    """The features and the outcome of each account on each day: numbers of shape (features, days, accounts)."""

    numbers: np.ndarray
    levels: np.ndarray
    bad: np.ndarray

    @property
    def dates(self) -> tuple[str, ...]:
        """The dates of the days."""
        return date_range(FIRST, shift(FIRST, self.bad.shape[0] - 1))

    def table(self, day: int) -> pl.DataFrame:
        """Return a day's features and outcomes."""
        names = [f"AC{at:06d}" for at in range(self.bad.shape[1])]
        columns = {name: self.numbers[at, day] for at, name in enumerate(NUMBERS)}
        return pl.DataFrame({ACCOUNT_ID: names, **columns, "k": self.levels, OUTCOME: self.bad[day]})

    def features(self) -> Mapping[str, pl.LazyFrame]:
        """Return validated features by date."""
        neither = [pl.lit(None, pl.String).alias(name) for name in (ISSUES, EXCLUDED)]
        return {date: self.table(day).lazy().drop(OUTCOME).with_columns(neither) for day, date in enumerate(self.dates)}

    def outcomes(self) -> Mapping[str, pl.LazyFrame]:
        """Return outcomes by date."""
        return {date: self.table(day).lazy().select(ACCOUNT_ID, OUTCOME) for day, date in enumerate(self.dates)}

    def frame(self, day: int) -> pd.DataFrame:
        """Return a day's rows for scikit-learn."""
        return self.table(day).to_pandas()


def accounts(count: int, days: int, seed: int) -> Accounts:
    """Return accounts whose features drift a little from day to day.

    Risk rises with two numbers, falls with one, is highest at both ends of another, and differs by level; the other numbers
    are noise. What the features do not explain stays with the account, so that its outcome is much the same every day.
    """
    random = np.random.default_rng(seed)
    lasting, daily = random.normal(size=(len(NUMBERS), 1, count)), random.normal(size=(len(NUMBERS), days, count))
    numbers = np.sqrt(LASTING) * lasting + np.sqrt(1 - LASTING) * daily
    levels = random.choice(["u", "v", "w"], count)
    risk = 0.8 * numbers[0] + 0.5 * numbers[1] - 0.7 * numbers[2] + 0.4 * (numbers[3] ** 2 - 1) + 0.6 * (levels == "v")
    return Accounts(numbers, levels, (risk + random.logistic(size=count) > CUT).astype(np.int64))
