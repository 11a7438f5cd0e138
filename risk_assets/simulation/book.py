"""Generate a synthetic credit book: daily account snapshots and their outcomes, reproducible to the byte.

A day does not depend on the days generated before it. See `draws.py` for what makes it reproducible.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from risk_assets.simulation.columns import bureau, csv, level_texts, number_texts, tenure, usage, with_missing
from risk_assets.simulation.corruption import MIN_ROWS, corrupt, corrupt_rows, rows_without_id
from risk_assets.simulation.draws import Floats, Streams, correlated, drifting, normal, whole
from risk_assets.simulation.traits import DRIFT_DAYS, DRIFT_LOAD, LEVELS, traits

BAD_ABOVE = 3.2  # gives a bad rate of about one in eight


@dataclass(frozen=True)
class Book:
    """A book with the same accounts every day and slowly changing behaviour.

    Parameters
    ----------
    accounts : int
        The number of accounts and of rows in every snapshot, at least 10.
    start : date
        The first day of the book.
    seed : int
        The seed of all random streams.

    Raises
    ------
    ValueError
        When there are fewer than 10 accounts.
    """

    accounts: int
    start: date
    seed: int = 7

    def __post_init__(self) -> None:
        """Check the number of accounts."""
        if self.accounts < MIN_ROWS:
            raise ValueError(f"a book needs at least {MIN_ROWS} accounts")

    def snapshot(self, day: date) -> bytes:
        """Return the accounts of a day as CSV (UTF-8, LF): a header, then one row per account.

        Every third day has corrupted rows: an unreadable number, a number out of range, a missing required value, a
        missing id and a repeated id.

        Raises
        ------
        ValueError
            When the day is before the start of the book.
        """
        found, numbers = self._state(day)
        columns = {"account_id": self._ids()}
        columns |= {name: number_texts(self._with_missing(name, values), name) for name, values in numbers.items()}
        columns |= {name: level_texts(self._with_missing(name, found[name]), name) for name in LEVELS}
        corrupt(columns, self._corrupt_rows(day))
        return csv(columns)

    def outcomes(self, day: date) -> bytes:
        """Return the outcomes of a day's accounts as CSV with the columns `account_id` and `defaulted` (1 for bad).

        Accounts whose id is missing or overwritten in the snapshot have no outcome.

        Raises
        ------
        ValueError
            When the day is before the start of the book.
        """
        skipped = rows_without_id(self._corrupt_rows(day))
        kept = [position for position in range(self.accounts) if position not in skipped]
        ids, flags = self._ids(), np.where(_is_bad(*self._state(day)), "1", "0").tolist()
        return csv({"account_id": [ids[at] for at in kept], "defaulted": [flags[at] for at in kept]})

    @property
    def _streams(self) -> Streams:
        return Streams(self.seed)

    def _ids(self) -> list[str]:
        return [f"AC{number:06d}" for number in range(1, self.accounts + 1)]

    def _elapsed(self, day: date) -> int:
        if day < self.start:
            raise ValueError(f"the book starts on {self.start}: pass that date or a later one")
        return (day - self.start).days

    def _normal(self, stream: str, period: int = 0) -> Floats:
        return normal(self._streams.uniforms(stream, period, 4, self.accounts))

    def _draw(self, stream: str, elapsed: int | None = None) -> Floats:
        lasting = self._normal(f"{stream} lasting")
        if elapsed is None:
            return lasting
        return correlated(DRIFT_LOAD, drifting(partial(self._normal, stream), elapsed, DRIFT_DAYS), lasting)

    def _state(self, day: date) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Return the traits with the hidden `luck`, and the numeric columns of a day before any value is missing or corrupted."""
        elapsed = self._elapsed(day)
        found = traits(self._draw, elapsed) | {"luck": self._draw("luck", elapsed)}
        return found, tenure(found, elapsed) | usage(found) | _arrears(found) | bureau(found)

    def _with_missing(self, name: str, values: Floats) -> Floats:
        return with_missing(name, values, self._streams.uniforms(f"{name} unknown", 0, self.accounts))

    def _corrupt_rows(self, day: date) -> list[list[int]]:
        elapsed = self._elapsed(day)
        return corrupt_rows(self._streams.uniforms("spoilt", elapsed, self.accounts), elapsed)


SAMPLE = Book(accounts=300, start=date(2026, 1, 1))
SAMPLE_DAYS, SAMPLE_LABELLED_DAYS = 28, 21


def sample_files() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every file in `data/landing`: 28 snapshots, and outcomes of the first 21."""
    for elapsed in range(SAMPLE_DAYS):
        day = SAMPLE.start + timedelta(days=elapsed)
        yield f"accounts_{day}.csv", SAMPLE.snapshot(day)
        if elapsed < SAMPLE_LABELLED_DAYS:
            yield f"outcomes_{day}.csv", SAMPLE.outcomes(day)


def _arrears(traits: Mapping[str, Floats]) -> dict[str, Floats]:
    habit = traits["missed_payments"]
    missed = whole(2.2 * habit - 0.8, 0, 12)
    late = whole(45 * (0.6 * habit + 0.8 * traits["days_past_due"] - 1.3), 0, 180)
    overdue = np.where(missed > 0, late, 0)
    since = np.where(missed > 0, whole(12 - 4 * (habit - 0.5), 0, 11), whole(42 - 40 * habit, 12, 72))
    since = np.where(overdue > 0, np.minimum(since, np.floor(overdue / 30)), since)
    since = np.where(habit < -0.3, np.nan, since)
    return {"missed_payments_12m": missed, "days_past_due": overdue, "months_since_missed": since}


def _is_bad(traits: Mapping[str, Floats], numbers: Mapping[str, Floats]) -> NDArray[np.bool_]:
    """Return whether each account goes bad: risk, luck, and effects that a linear model cannot fit."""
    excess_accounts = (numbers["open_accounts"] - 6) / 3
    score = (
        0.8 * traits["risk"]
        + 1.5 * traits["luck"]
        + 0.9 * (numbers["utilisation"] > 0.7)
        + 1.1 * (numbers["days_past_due"] > 0)
        + 0.7 * (numbers["payment_ratio"] < 0.2)
        + 0.6 * (numbers["inquiries_6m"] > 3)
        + 0.3 * np.minimum(excess_accounts * excess_accounts, 4)
        + 0.5 * (numbers["months_on_book"] < 15)
        + 0.4 * (traits["employment_status"] > LEVELS["employment_status"]["unemployed"])
    )
    return np.asarray(score > BAD_ABOVE)
