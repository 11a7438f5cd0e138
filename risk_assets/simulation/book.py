"""A made-up credit book that anyone can remake to the byte: snapshots, and the outcomes that follow them.

Every figure comes from PCG64 uniforms by additions, products, quotients and square roots alone, which IEEE 754
defines to the last bit: no logarithm, no sine, no platform's own library. Each draw has a stream of its own, named
by what it is for, so that no day depends on another.
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

# How closely each trait follows the account's latent risk: what lasts, what changes with the days, and categories.
LASTING: Mapping[str, float] = MappingProxyType(
    {
        "annual_income": -0.25,
        "months_at_address": -0.1,
        "months_employed": -0.2,
        "months_on_book": -0.15,
        "credit_limit": -0.25,
        "open_accounts": 0.05,
    }
)
CHANGING: Mapping[str, float] = MappingProxyType(
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
DRIFT_LOAD = 0.4
DRIFT_DAYS = 14
# Chosen so that about one account in eight goes bad.
BAD_ABOVE = 3.2

# Each category's levels, from the safest to the riskiest, each with the lowest trait it holds.
LEVELS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "region": {"south": -9, "west": -0.6, "central": 0.1, "east": 0.5, "north": 1.0},
        "product": {"classic": -9, "rewards": 0.0, "store": 0.7, "student": 1.4},
        "employment_status": {"employed": -9, "retired": 0.3, "self_employed": 0.8, "unemployed": 1.5},
        "home_ownership": {"owner": -9, "mortgage": -0.6, "family": 0.3, "rent": 0.6},
        "channel": {"branch": -9, "online": -0.4, "partner": 0.6, "telephone": 1.4},
    }
)
# The decimals of the numbers that have any.
PLACES: Mapping[str, int] = MappingProxyType(
    {"balance": 2, "utilisation": 3, "payment_ratio": 2, "debt_to_income": 3, "cash_advance_share": 2}
)
# The share of accounts for which a column is not known, and a number's own code for that where it has one.
UNKNOWN: Mapping[str, float] = MappingProxyType(
    {"annual_income": 0.04, "months_employed": 0.08, "bureau_score": 0.03, "home_ownership": 0.03, "channel": 0.02}
)
CODES: Mapping[str, str] = MappingProxyType({"months_employed": "-9"})
# How rows are spoilt on a dirty day: the column and what it then reads. A repeated id is one way more.
SPOILT = (("annual_income", "#VALUE!"), ("utilisation", "-1.000"), ("credit_limit", ""), ("account_id", ""))
DIRTY_DAYS = 3
ACCOUNTS_PER_SPOILT = 1000
SMALLEST = 10


@dataclass(frozen=True)
class Book:
    """The same accounts day after day, with slowly changing habits.

    Parameters
    ----------
    accounts : int
        How many accounts, at least 10; every snapshot has as many rows.
    start : date
        The first day of the book.
    seed : int
        Another seed is another book.

    Raises
    ------
    ValueError
        When there are fewer than 10 accounts.
    """

    accounts: int
    start: date
    seed: int = 7

    def __post_init__(self) -> None:
        """Refuse a book too small to spoil rows in every way."""
        if self.accounts < SMALLEST:
            raise ValueError(f"a book needs at least {SMALLEST} accounts")

    def snapshot(self, day: date) -> bytes:
        """Return the day's accounts as a CSV file: UTF-8, LF, header first, one row per account.

        Every third day some rows are spoilt: an unreadable number, one out of range, a required value or an id that
        is missing, an id that is repeated. A day before the book's start raises ValueError.
        """
        traits, numbers = self._state(day)
        columns = {"account_id": self._ids()}
        columns |= {name: _digits(self._known(name, values), name) for name, values in numbers.items()}
        columns |= {name: _words(self._known(name, traits[name]), name) for name in LEVELS}
        self._spoil(columns, day)
        return _csv([tuple(columns), *zip(*columns.values(), strict=True)])

    def outcomes(self, day: date) -> bytes:
        """Return what became of the day's accounts as a CSV file `account_id,defaulted`, 1 for bad.

        Rows of the snapshot that lost their own id have no outcome. A day before the book's start raises ValueError.
        """
        *_, nameless, repeated = self._spoilt(day)
        lost = {*nameless, *repeated}
        rows = zip(self._ids(), np.where(_bad(*self._state(day)), "1", "0").tolist(), strict=True)
        return _csv([("account_id", "defaulted"), *(row for at, row in enumerate(rows) if at not in lost)])

    def _ids(self) -> list[str]:
        return [f"AC{number:06d}" for number in range(1, self.accounts + 1)]

    def _elapsed(self, day: date) -> int:
        if day < self.start:
            raise ValueError(f"the book starts on {self.start}; ask for that day or a later one")
        return (day - self.start).days

    def _uniforms(self, stream: str, period: int, draws: int = 1) -> Floats:
        """Return uniforms of shape (draws, accounts)."""
        bits = np.random.PCG64([self.seed, crc32(stream.encode()), period])
        return np.random.Generator(bits).random((draws, self.accounts))

    def _normal(self, stream: str, period: int = 0) -> Floats:
        """Return nearly normal draws, mean 0 and variance 1: four uniforms added up."""
        first, second, third, fourth = self._uniforms(stream, period, draws=4)
        return np.asarray((first + second + third + fourth - 2) * math.sqrt(3))

    def _drifting(self, stream: str, elapsed: int) -> Floats:
        """Return normal draws that go from one period's to the next one's in equal daily steps."""
        period, day = divmod(elapsed, DRIFT_DAYS)
        share = day / DRIFT_DAYS
        between = (1 - share) * self._normal(stream, period) + share * self._normal(stream, period + 1)
        return between / math.sqrt((1 - share) * (1 - share) + share * share)

    def _trait(self, stream: str, elapsed: int | None = None) -> Floats:
        """Return a normal trait: lasting, or with a small part that changes with the days elapsed."""
        lasting = self._normal(f"{stream} lasting")
        return lasting if elapsed is None else _mixed(DRIFT_LOAD, self._drifting(stream, elapsed), lasting)

    def _traits(self, elapsed: int) -> dict[str, Floats]:
        """Return every trait, with the latent `risk` and the `luck` that no column shows among them."""
        lasting, now = self._trait("risk"), self._trait("risk", elapsed)
        traits = {name: _mixed(load, lasting, self._trait(name)) for name, load in LASTING.items()}
        traits |= {name: _mixed(CATEGORY_LOAD, lasting, self._trait(name)) for name in LEVELS}
        traits |= {name: _mixed(load, now, self._trait(name, elapsed)) for name, load in CHANGING.items()}
        return traits | {"risk": now, "luck": self._trait("luck", elapsed)}

    def _state(self, day: date) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Return the day's traits and numbers, all of them known and in range."""
        elapsed = self._elapsed(day)
        traits = self._traits(elapsed)
        return traits, _tenure(traits, elapsed) | _usage(traits) | _arrears(traits) | _bureau(traits)

    def _known(self, name: str, values: Floats) -> Floats:
        """Return the values with NaN for the accounts of which this column is never known."""
        return np.where(self._uniforms(f"{name} unknown", 0)[0] < UNKNOWN.get(name, 0), np.nan, values)

    def _spoilt(self, day: date) -> list[list[int]]:
        """Return the rows spoilt in each way, those with a repeated id last; no row in two ways."""
        elapsed = self._elapsed(day)
        count = 1 + self.accounts // ACCOUNTS_PER_SPOILT if elapsed % DIRTY_DAYS == DIRTY_DAYS - 1 else 0
        # Odd rows only: a repeated id is that of the row before, which must be left whole.
        order = np.argsort(self._uniforms("spoilt", elapsed)[0][1::2], kind="stable") * 2 + 1
        return [order[way * count : (way + 1) * count].tolist() for way in range(len(SPOILT) + 1)]

    def _spoil(self, columns: dict[str, list[str]], day: date) -> None:
        *ways, repeated = self._spoilt(day)
        for (column, reads), rows in zip(SPOILT, ways, strict=True):
            for row in rows:
                columns[column][row] = reads
        for row in repeated:
            columns["account_id"][row] = columns["account_id"][row - 1]


SAMPLE = Book(accounts=300, start=date(2026, 1, 1))
SAMPLE_DAYS, SAMPLE_LABELLED = 28, 21


def sample_files() -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file in `data/landing`: 28 days of accounts, the first 21 with outcomes."""
    for elapsed in range(SAMPLE_DAYS):
        day = SAMPLE.start + timedelta(days=elapsed)
        yield f"accounts_{day}.csv", SAMPLE.snapshot(day)
        if elapsed < SAMPLE_LABELLED:
            yield f"outcomes_{day}.csv", SAMPLE.outcomes(day)


def _mixed(load: float, common: Floats, own: Floats) -> Floats:
    """Return a trait of variance 1 that follows the common one with correlation `load`."""
    return load * common + math.sqrt(1 - load * load) * own


def _grown(trait: Floats) -> Floats:
    """Return about e to the trait, as (1 + trait / 8) to the 8th by three squarings."""
    power = np.maximum(1 + trait / 8, 0)
    for _ in range(3):
        power = power * power
    return np.asarray(power)


def _whole(values: Floats, low: float, high: float) -> Floats:
    return np.asarray(np.clip(np.floor(values), low, high), dtype=np.float64)


def _tenure(traits: Mapping[str, Floats], elapsed: int) -> dict[str, Floats]:
    lived = elapsed / 30.4375
    return {
        "annual_income": _whole(320 * _grown(0.45 * traits["annual_income"]), 60, 5000) * 100,
        "months_at_address": _whole(48 * _grown(0.9 * traits["months_at_address"]) + lived, 0, 900),
        "months_employed": _whole(54 * _grown(0.8 * traits["months_employed"]) + lived, 0, 720),
        "months_on_book": _whole(30 * _grown(0.7 * traits["months_on_book"]) + lived, 1, 600),
    }


def _usage(traits: Mapping[str, Floats]) -> dict[str, Floats]:
    limit = _whole(46 * _grown(0.65 * traits["credit_limit"]), 5, 500) * 100
    used = np.rint(1000 * np.clip(0.42 + 0.3 * traits["utilisation"], 0, 1.3)) / 1000
    return {
        "credit_limit": limit,
        "utilisation": used,
        "balance": limit * used,
        "payment_ratio": np.clip(0.35 * _grown(0.8 * traits["payment_ratio"]), 0.02, 2),
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


def _bad(traits: Mapping[str, Floats], numbers: Mapping[str, Floats]) -> NDArray[np.bool_]:
    """Return who goes bad: risk and luck count, and steps and bends that a straight line misses."""
    crowded = (numbers["open_accounts"] - 6) / 3
    push = (
        0.8 * traits["risk"]
        + 1.5 * traits["luck"]
        + 0.9 * (numbers["utilisation"] > 0.7)
        + 1.1 * (numbers["days_past_due"] > 0)
        + 0.7 * (numbers["payment_ratio"] < 0.2)
        + 0.6 * (numbers["inquiries_6m"] > 3)
        + 0.3 * np.minimum(crowded * crowded, 4)
        + 0.5 * (numbers["months_on_book"] < 15)
        + 0.4 * (traits["employment_status"] > LEVELS["employment_status"]["unemployed"])
    )
    return np.asarray(push > BAD_ABOVE)


def _digits(values: Floats, name: str) -> list[str]:
    """Return each number as text; each distinct one is written once."""
    places = PLACES.get(name, 0)
    distinct, positions = np.unique(np.round(values, places) + 0.0, return_inverse=True)
    unknown = CODES.get(name, "")
    texts = [unknown if math.isnan(value) else f"{value:.{places}f}" for value in distinct.tolist()]
    return [texts[position] for position in positions.tolist()]


def _words(values: Floats, name: str) -> list[str]:
    """Return each trait's level as text, empty where it is not known."""
    lowest = np.array(list(LEVELS[name].values()), dtype=np.float64)
    texts = [*LEVELS[name], ""]
    positions = np.where(np.isnan(values), len(lowest), np.searchsorted(lowest, values, side="right") - 1)
    return [texts[position] for position in positions.tolist()]


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    return "\n".join((*map(",".join, rows), "")).encode()
