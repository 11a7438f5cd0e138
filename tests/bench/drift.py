"""Section `monitoring`: how often drift is alerted on dates without drift, and how soon a shift is, next to other rules.

The other rules are fixed limits of the index, and the defaults of Evidently and NannyML.

Books have the same accounts every day, whose traits change slowly, without any drift of the whole book. A version is trained on
weekly snapshots of a part of the accounts. The dates that are compared have so many of these accounts, or so many others.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, GROUP, OUTCOME, SNAPSHOT, Contract
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.domain.monitoring.drift import Reference, count, measure
from risk_assets.domain.monitoring.report import DriftReport
from risk_assets.domain.scorecard.arrays import Floats
from risk_assets.domain.scorecard.expressions import probabilities
from risk_assets.domain.training.train import train
from risk_assets.simulation.book import Book, _arrears, _is_bad
from risk_assets.simulation.columns import bureau, tenure, usage
from risk_assets.simulation.traits import LEVELS, traits
from tests.bench.measure import table
from tests.bench.published_rules import Published

SIZES = (50, 100, 500, 5_000, 50_000)
DAYS = 1_000  # of each size
MOST_BOOKS = 100
LARGE, BOOKS_OF_LARGE = 5_000, 20  # rows from which on the limit of the policy decides, and fewer books are enough
TRAINING = 3_200  # accounts in the snapshots that train, the first ones of a book; three in five of them are training rows
SNAPSHOTS = (0, 7, 14, 21)
FIRST_DAY = 60
SHIFTS = (0.25, 0.5, 1.0)  # standard deviations
SHIFTED = ("utilisation", "debt_to_income", "bureau_score")
WITHIN = 3  # days
FIXED = (0.1, 0.25)
START = date(2026, 1, 1)
POLICY = Policy()
NUMBERS = (
    "annual_income", "months_at_address", "months_employed", "months_on_book", "credit_limit", "utilisation", "balance", "payment_ratio",
    "cash_advance_share", "missed_payments_12m", "days_past_due", "months_since_missed", "inquiries_6m", "open_accounts",
    "debt_to_income", "bureau_score",
)  # fmt: skip
CONTRACT = Contract.model_validate(
    {
        "id": "id",
        "target": {"column": "bad", "bad": 1},
        "features": {name: {"type": "number", "reason": name} for name in NUMBERS}
        | {name: {"type": "category", "reason": name} for name in LEVELS},
    }
)


@dataclass(frozen=True)
class SteadyBook:
    """The sample's simulator, without the months that go by: nothing drifts but single accounts."""

    book: Book

    def frame(self, day: int) -> pl.DataFrame:
        """Return the features and the outcomes of a day."""
        found = traits(self.book._draw, day) | {"luck": self.book._draw("luck", day)}
        numbers = tenure(found, 0) | usage(found) | _arrears(found) | bureau(found)
        columns = {name: self.book._with_missing(name, numbers[name]) for name in NUMBERS}
        levels = {name: self._levels(name, found[name]) for name in LEVELS}
        frame = pl.DataFrame({**columns, **levels}).with_columns(pl.col(*NUMBERS).fill_nan(None))
        return frame.with_columns(pl.Series(OUTCOME, _is_bad(found, numbers).astype(np.int64)))

    def _levels(self, name: str, values: Floats) -> pl.Series:
        lowest = np.array(list(LEVELS[name].values()), dtype=np.float64)
        known = self.book._with_missing(name, values)
        positions = np.where(np.isnan(known), len(lowest), np.searchsorted(lowest, np.nan_to_num(known), side="right") - 1)
        return pl.Series([*LEVELS[name], None], dtype=pl.String).gather(positions)


@dataclass(frozen=True)
class Rules:
    """All rules, with a version and its training rows."""

    model: TrainedModel
    published: Published

    def alerts(self, rows: pl.DataFrame) -> dict[str, bool]:
        """Return whether each rule alerts on a day."""
        found = report(rows, self.model)
        fixed = {f"PSI above {limit}": largest(found) > limit for limit in FIXED}
        return {"this": bool(found.exceeded)} | fixed | self.published.alerts(_with_score(rows, self.model))


def trained(steady: SteadyBook, accounts: int) -> Rules:
    """Return the rules with a version trained on weekly snapshots, in each of which a quarter of the accounts train."""
    parts = []
    for at, day in enumerate(SNAPSHOTS):
        rows = steady.frame(day).head(accounts).with_row_index(ACCOUNT_ID).filter(pl.col(ACCOUNT_ID) % len(SNAPSHOTS) == at)
        parts.append(rows.with_columns(pl.lit(str(START + timedelta(days=day))).alias(SNAPSHOT)))
    frame = pl.concat(parts).with_columns(pl.col(ACCOUNT_ID).cast(pl.String), pl.col(ACCOUNT_ID).cast(pl.String).alias(GROUP))
    model = train(frame.to_pandas(), str(START), CONTRACT, POLICY, None)
    return Rules(model, Published(_with_score(frame, model)))


def _with_score(rows: pl.DataFrame, model: TrainedModel) -> pl.DataFrame:
    """Return the features and the probabilities of rows."""
    return rows.select(*NUMBERS, *LEVELS, pl.Series("probability", probabilities(model.scorecard, rows)))


def report(rows: pl.DataFrame, model: TrainedModel) -> DriftReport:
    """Return the drift of a day."""
    reference = Reference("model_v001", model.scorecard, model.profile, model.profile.independent or 0.0)
    scores = pl.LazyFrame({"probability": probabilities(model.scorecard, rows)})
    return measure(count("day", rows.lazy(), scores, reference), reference, POLICY.monitoring, POLICY.points)


def largest(found: DriftReport) -> float:
    """Return the largest index of the score and the features."""
    return max(each.psi.value for each in (found.score, *found.features))


def shifted(rows: pl.DataFrame, name: str, by: float) -> pl.DataFrame:
    """Return rows in which a number is higher by so many standard deviations."""
    return rows.with_columns(pl.col(name) + by * pl.col(name).std())


def book(size: int, seed: int, days: int) -> Iterator[tuple[int, str, Mapping[str, bool]]]:
    """Yield for each day without drift, and for each shift, whether each rule alerts, in the latter case within three days."""
    steady = SteadyBook(Book(TRAINING + size, START, seed))
    rules = trained(steady, TRAINING)
    frames = []
    for day in range(FIRST_DAY, FIRST_DAY + days):
        whole = steady.frame(day)
        rows = whole.head(size)
        frames = [*frames[-WITHIN + 1 :], rows]
        yield size, "no drift", rules.alerts(rows)
        yield size, "no drift, accounts that did not train", rules.alerts(whole.tail(size))
    for name in SHIFTED:
        for by in SHIFTS:
            days_found = [rules.alerts(shifted(rows, name, by)) for rows in frames]
            yield size, f"{by:g} sd", {rule: any(found[rule] for found in days_found) for rule in days_found[0]}


def main(most_books: str) -> None:
    """Write the shares of days without drift that are alerted, and of shifts that are detected, as tables."""
    found = []
    for size in SIZES:
        books = min(int(most_books), MOST_BOOKS if size < LARGE else BOOKS_OF_LARGE)
        for seed in range(books):
            found += [(*each[:2], rule, alert) for each in book(size, seed, DAYS // books) for rule, alert in each[2].items()]
    frame = pd.DataFrame(found, columns=["rows", "what", "rule", "alert"])
    shares = frame.groupby(["rows", "what", "rule"], sort=False)["alert"].mean().unstack("rule")
    cells = [(f"{size:,} rows, {what}", *(f"{share:.1%}" for share in shares.loc[(size, what)])) for size, what in shares.index]
    sys.stdout.write(table(("", *shares.columns), cells))


if __name__ == "__main__":
    main(*sys.argv[1:])
