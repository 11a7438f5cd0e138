"""Generate a synthetic credit book: daily account snapshots and their outcomes, reproducible to the byte.

The generator uses only PCG64 uniforms, addition, multiplication, division and square roots. IEEE 754 defines these to
the last bit, unlike logarithms or sines, which depend on the platform. Every draw has its own random stream, so a day
does not depend on the days generated before it. Changing the name of a stream changes the book.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

# Correlation of each trait with the latent risk of the account: lasting traits, changing traits and categories.
LASTING_LOADS: Mapping[str, float] = MappingProxyType(
    {
        "annual_income": -0.25,
        "months_at_address": -0.1,
        "months_employed": -0.2,
        "months_on_book": -0.15,
        "credit_limit": -0.25,
        "open_accounts": 0.05,
    }
)
CHANGING_LOADS: Mapping[str, float] = MappingProxyType(
    {
        "utilisation": 0.3,
        "payment_ratio": -0.25,
        "cash_advance_share": 0.25,
        "missed_payments": 0.3,
        "days_past_due": 0.25,
        "inquiries_6m": 0.25,
        "debt_to_income": 0.25,
        "bureau_score": -0.4,
    }
)
CATEGORY_LOAD = 0.15
DRIFT_LOAD = 0.4  # correlation of a changing trait with its drifting part
DRIFT_DAYS = 14  # days from one independent draw of a drifting part to the next
BAD_ABOVE = 3.2  # gives a bad rate of about one in eight

# The levels of each category, from the safest to the riskiest, with the lowest trait of each level.
LEVELS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "region": {"south": -9, "west": -0.6, "central": 0.1, "east": 0.5, "north": 1.0},
        "product": {"classic": -9, "rewards": 0.0, "store": 0.7, "student": 1.4},
        "employment_status": {"employed": -9, "retired": 0.3, "self_employed": 0.8, "unemployed": 1.5},
        "home_ownership": {"owner": -9, "mortgage": -0.6, "family": 0.3, "rent": 0.6},
        "channel": {"branch": -9, "online": -0.4, "partner": 0.6, "telephone": 1.4},
    }
)
# Decimal places; other numbers are whole.
DECIMAL_PLACES: Mapping[str, int] = MappingProxyType(
    {"balance": 2, "utilisation": 3, "payment_ratio": 2, "debt_to_income": 3, "cash_advance_share": 2}
)
# The share of accounts with a missing value, by column, and the code for missing where the column has one.
MISSING_SHARES: Mapping[str, float] = MappingProxyType(
    {"annual_income": 0.04, "months_employed": 0.08, "bureau_score": 0.03, "home_ownership": 0.03, "channel": 0.02}
)
MISSING_CODES: Mapping[str, str] = MappingProxyType({"months_employed": "-9"})
# Every third snapshot has corrupted rows: one of these fields is overwritten, or the id repeats that of the row above.
CORRUPT_FIELDS = (("annual_income", "#VALUE!"), ("utilisation", "-1.000"), ("credit_limit", ""), ("account_id", ""))
CORRUPT_EVERY_DAYS = 3
ACCOUNTS_PER_CORRUPT_ROW = 1000
MIN_ACCOUNTS = 10  # enough rows to corrupt each kind once


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
        if self.accounts < MIN_ACCOUNTS:
            raise ValueError(f"a book needs at least {MIN_ACCOUNTS} accounts")

    def snapshot(self, day: date) -> bytes:
        """Return the accounts of a day as CSV (UTF-8, LF): a header, then one row per account.

        Every third day has corrupted rows: an unreadable number, a number out of range, a missing required value, a
        missing id and a repeated id.

        Raises
        ------
        ValueError
            When the day is before the start of the book.
        """
        traits, numbers = self._state(day)
        columns = {"account_id": self._ids()}
        columns |= {name: _format_numbers(self._with_missing(name, values), name) for name, values in numbers.items()}
        columns |= {name: _levels(self._with_missing(name, traits[name]), name) for name in LEVELS}
        self._corrupt(columns, day)
        return _csv([tuple(columns), *zip(*columns.values(), strict=True)])

    def outcomes(self, day: date) -> bytes:
        """Return the outcomes of a day's accounts as CSV with the columns `account_id` and `defaulted` (1 for bad).

        Accounts whose id is missing or overwritten in the snapshot have no outcome.

        Raises
        ------
        ValueError
            When the day is before the start of the book.
        """
        *_, without_id, repeated = self._corrupt_rows(day)
        skipped = {*without_id, *repeated}
        rows = zip(self._ids(), np.where(_is_bad(*self._state(day)), "1", "0").tolist(), strict=True)
        return _csv([("account_id", "defaulted"), *(row for position, row in enumerate(rows) if position not in skipped)])

    def _ids(self) -> list[str]:
        return [f"AC{number:06d}" for number in range(1, self.accounts + 1)]

    def _elapsed(self, day: date) -> int:
        if day < self.start:
            raise ValueError(f"the book starts on {self.start}: pass that date or a later one")
        return (day - self.start).days

    def _uniforms(self, stream: str, period: int, draws: int = 1) -> Floats:
        """Return uniform draws in [0, 1), shape (draws, accounts)."""
        bits = np.random.PCG64([self.seed, crc32(stream.encode()), period])
        return np.random.Generator(bits).random((draws, self.accounts))

    def _normal(self, stream: str, period: int = 0) -> Floats:
        """Return approximately normal draws of mean 0 and variance 1, as the scaled sum of four uniforms; shape (accounts,)."""
        first, second, third, fourth = self._uniforms(stream, period, draws=4)
        return np.asarray((first + second + third + fourth - 2) * math.sqrt(3))

    def _drifting(self, stream: str, elapsed: int) -> Floats:
        """Return normal draws, interpolated between the draws of this period and the next, with variance 1 on every day."""
        period, day = divmod(elapsed, DRIFT_DAYS)
        share = day / DRIFT_DAYS
        interpolated = (1 - share) * self._normal(stream, period) + share * self._normal(stream, period + 1)
        return interpolated / math.sqrt((1 - share) * (1 - share) + share * share)

    def _trait(self, stream: str, elapsed: int | None = None) -> Floats:
        """Return a normal trait of the accounts; with `elapsed` days, a part of it drifts."""
        lasting = self._normal(f"{stream} lasting")
        return lasting if elapsed is None else _correlated(DRIFT_LOAD, self._drifting(stream, elapsed), lasting)

    def _traits(self, elapsed: int) -> dict[str, Floats]:
        """Return all traits, including the latent `risk` and `luck`, which no column shows."""
        lasting, now = self._trait("risk"), self._trait("risk", elapsed)
        traits = {name: _correlated(load, lasting, self._trait(name)) for name, load in LASTING_LOADS.items()}
        traits |= {name: _correlated(CATEGORY_LOAD, lasting, self._trait(name)) for name in LEVELS}
        traits |= {name: _correlated(load, now, self._trait(name, elapsed)) for name, load in CHANGING_LOADS.items()}
        return traits | {"risk": now, "luck": self._trait("luck", elapsed)}

    def _state(self, day: date) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Return the traits and the numeric columns of a day, before any value is missing or corrupted."""
        elapsed = self._elapsed(day)
        traits = self._traits(elapsed)
        return traits, _tenure(traits, elapsed) | _usage(traits) | _arrears(traits) | _bureau(traits)

    def _with_missing(self, name: str, values: Floats) -> Floats:
        """Replace the values of accounts that never report this column by NaN."""
        return np.where(self._uniforms(f"{name} unknown", 0)[0] < MISSING_SHARES.get(name, 0), np.nan, values)

    def _corrupt_rows(self, day: date) -> list[list[int]]:
        """Return the rows to corrupt, by kind: one list for each of `CORRUPT_FIELDS`, then the rows with a repeated id."""
        elapsed = self._elapsed(day)
        count = 1 + self.accounts // ACCOUNTS_PER_CORRUPT_ROW if elapsed % CORRUPT_EVERY_DAYS == CORRUPT_EVERY_DAYS - 1 else 0
        # Odd rows only: a repeated id is copied from the row above, which must stay intact.
        order = np.argsort(self._uniforms("spoilt", elapsed)[0][1::2], kind="stable") * 2 + 1
        return [order[kind * count : (kind + 1) * count].tolist() for kind in range(len(CORRUPT_FIELDS) + 1)]

    def _corrupt(self, columns: dict[str, list[str]], day: date) -> None:
        *kinds, repeated = self._corrupt_rows(day)
        for (column, text), rows in zip(CORRUPT_FIELDS, kinds, strict=True):
            for row in rows:
                columns[column][row] = text
        for row in repeated:
            columns["account_id"][row] = columns["account_id"][row - 1]


SAMPLE = Book(accounts=300, start=date(2026, 1, 1))
SAMPLE_DAYS, SAMPLE_LABELLED_DAYS = 28, 21


def sample_files() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every file in `data/landing`: 28 snapshots, and outcomes of the first 21."""
    for elapsed in range(SAMPLE_DAYS):
        day = SAMPLE.start + timedelta(days=elapsed)
        yield f"accounts_{day}.csv", SAMPLE.snapshot(day)
        if elapsed < SAMPLE_LABELLED_DAYS:
            yield f"outcomes_{day}.csv", SAMPLE.outcomes(day)


def _correlated(load: float, common: Floats, own: Floats) -> Floats:
    """Return a trait of variance 1 whose correlation with the common trait is `load`."""
    return load * common + math.sqrt(1 - load * load) * own


def _exp(trait: Floats) -> Floats:
    """Approximate the exponential by (1 + trait / 8) ** 8, with three squarings, so that every bit is reproducible."""
    power = np.maximum(1 + trait / 8, 0)
    for _ in range(3):
        power = power * power
    return np.asarray(power)


def _whole(values: Floats, low: float, high: float) -> Floats:
    """Round down and clip."""
    return np.asarray(np.clip(np.floor(values), low, high), dtype=np.float64)


def _tenure(traits: Mapping[str, Floats], elapsed: int) -> dict[str, Floats]:
    months = elapsed / 30.4375
    return {
        "annual_income": _whole(320 * _exp(0.45 * traits["annual_income"]), 60, 5000) * 100,
        "months_at_address": _whole(48 * _exp(0.9 * traits["months_at_address"]) + months, 0, 900),
        "months_employed": _whole(54 * _exp(0.8 * traits["months_employed"]) + months, 0, 720),
        "months_on_book": _whole(30 * _exp(0.7 * traits["months_on_book"]) + months, 1, 600),
    }


def _usage(traits: Mapping[str, Floats]) -> dict[str, Floats]:
    limit = _whole(46 * _exp(0.65 * traits["credit_limit"]), 5, 500) * 100
    used = np.rint(1000 * np.clip(0.42 + 0.3 * traits["utilisation"], 0, 1.3)) / 1000
    return {
        "credit_limit": limit,
        "utilisation": used,
        "balance": limit * used,
        "payment_ratio": np.clip(0.35 * _exp(0.8 * traits["payment_ratio"]), 0.02, 2),
        "cash_advance_share": np.clip(0.22 * traits["cash_advance_share"] - 0.05, 0, 1),
    }


def _arrears(traits: Mapping[str, Floats]) -> dict[str, Floats]:
    habit = traits["missed_payments"]
    missed = _whole(2.2 * habit - 0.8, 0, 12)
    late = _whole(45 * (0.6 * habit + 0.8 * traits["days_past_due"] - 1.3), 0, 180)
    overdue = np.where(missed > 0, late, 0)
    since = np.where(missed > 0, _whole(12 - 4 * (habit - 0.5), 0, 11), _whole(42 - 40 * habit, 12, 72))
    since = np.where(overdue > 0, np.minimum(since, np.floor(overdue / 30)), since)
    since = np.where(habit < -0.3, np.nan, since)
    return {"missed_payments_12m": missed, "days_past_due": overdue, "months_since_missed": since}


def _bureau(traits: Mapping[str, Floats]) -> dict[str, Floats]:
    return {
        "inquiries_6m": _whole(1.4 + 1.7 * traits["inquiries_6m"], 0, 20),
        "open_accounts": _whole(6.5 + 3 * traits["open_accounts"], 1, 30),
        "debt_to_income": np.clip(0.32 + 0.16 * traits["debt_to_income"], 0, 1.5),
        "bureau_score": _whole(665 + 70 * traits["bureau_score"], 300, 850),
    }


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


def _format_numbers(values: Floats, name: str) -> list[str]:
    """Format the numbers, NaN as the column's code for missing. Each distinct number is formatted once."""
    places = DECIMAL_PLACES.get(name, 0)
    distinct, positions = np.unique(np.round(values, places) + 0.0, return_inverse=True)
    missing = MISSING_CODES.get(name, "")
    texts = [missing if math.isnan(value) else f"{value:.{places}f}" for value in distinct.tolist()]
    return [texts[position] for position in positions.tolist()]


def _levels(values: Floats, name: str) -> list[str]:
    """Return the level of each trait, empty if NaN."""
    lowest = np.array(list(LEVELS[name].values()), dtype=np.float64)
    texts = [*LEVELS[name], ""]
    positions = np.where(np.isnan(values), len(lowest), np.searchsorted(lowest, values, side="right") - 1)
    return [texts[position] for position in positions.tolist()]


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    return "\n".join((*map(",".join, rows), "")).encode()
