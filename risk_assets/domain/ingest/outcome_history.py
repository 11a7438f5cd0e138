"""Outcomes of a snapshot over time: the label of each account, and the date from which it is known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta
from typing import Literal

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID, OUTCOME, Contract
from risk_assets.domain.ingest.labels import KNOWN_AT, labels_with_date

KNOWN_ON, REVISION, SOURCE = "known_on", "revision", "source"
COLUMNS = (ACCOUNT_ID, OUTCOME, KNOWN_ON, REVISION, SOURCE)
LAST_DAY = Date.max.isoformat()  # everything is known by then
FIRST = 1  # the number of the first revision
_BEFORE = "before"


@dataclass(frozen=True)
class OutcomeRevision:
    """A file of outcomes as it was stored: its rows as text, or None if its content is lost, and the date."""

    rows: pl.LazyFrame | None
    stored_on: str


LOST = OutcomeRevision(None, "")


@dataclass(frozen=True)
class LeftOut:
    """Outcomes that were not known yet: their number, and the date from which all of them are known."""

    outcomes: int = 0
    known_on: str | None = None

    def __or__(self, other: "LeftOut") -> "LeftOut":
        """Return the sum with others."""
        return LeftOut(self.outcomes + other.outcomes, max(filter(None, (self.known_on, other.known_on)), default=None))


def matures_on(snapshot: str, contract: Contract) -> Date:
    """Return the date on which the performance window of a snapshot ends."""
    return Date.fromisoformat(snapshot) + timedelta(days=contract.target.performance_days)


def landed_outcomes(revisions: Sequence[OutcomeRevision], contract: Contract, snapshot: str) -> pl.LazyFrame:
    """Return the outcomes of all revisions of a file: `account_id`, `bad`, `known_on`, `revision` and `source`.

    The first revision has a row for each of its accounts. A later one has a row for each account whose label it changes, adds or
    withdraws (`bad` is null). An outcome is known at the end of the performance window, or from the later date in the column
    `known_at`; one of a later revision also not before the date on which that revision was stored.

    Parameters
    ----------
    revisions : sequence of OutcomeRevision
        Oldest first. If the content of the first one is lost, the labels of the next one count as added by it.

    Raises
    ------
    ContractError
        When a column of the contract's outcomes is missing or repeated.
    """
    matured, latest = matures_on(snapshot, contract), _nothing()
    parts = [_dated(latest, matured, FIRST, "landed")]
    for number, revision in enumerate(revisions, FIRST):
        if revision.rows is not None:
            labelled = labels_with_date(revision.rows, contract).select(ACCOUNT_ID, OUTCOME, KNOWN_AT)
            rows = labelled if number == FIRST else _changes(latest, labelled)
            floor = matured if number == FIRST else max(matured, Date.fromisoformat(revision.stored_on))
            parts.append(_dated(rows, floor, number, "landed"))
            latest = labelled
    return pl.concat(parts)


def derived_outcomes(labels: pl.LazyFrame, contract: Contract, snapshot: str) -> pl.LazyFrame:
    """Return derived outcomes as their first revision: all are known at the end of the performance window.

    Parameters
    ----------
    labels : LazyFrame
        `account_id` and `bad`.
    """
    return _dated(labels.with_columns(_no_date()), matures_on(snapshot, contract), FIRST, "derived")


def restated(labels: pl.LazyFrame, earlier: pl.LazyFrame, matured: Date, number: int, derived_on: str) -> pl.DataFrame:
    """Return the rows of a further revision of derived outcomes: one for each account whose label differs from the earlier ones."""
    changes = _changes(known_by(earlier, LAST_DAY), labels.with_columns(_no_date()))
    return _dated(changes, max(matured, Date.fromisoformat(derived_on)), number, "derived").collect(engine="streaming")


def derived_again(labels: pl.LazyFrame, earlier: pl.LazyFrame, contract: Contract, snapshot: str) -> pl.LazyFrame:
    """Return outcomes derived by another rule than earlier ones, as their first revision.

    What was restated is derived from what became known later. So an account with a restated outcome is known from that date on.
    """
    later = earlier.filter(pl.col(REVISION) > FIRST).group_by(ACCOUNT_ID).agg(pl.col(KNOWN_ON).max().alias(KNOWN_AT))
    dated = labels.join(later, on=ACCOUNT_ID, how="left", maintain_order="left")
    return _dated(dated, matures_on(snapshot, contract), FIRST, "derived")


def known_by(outcomes: pl.LazyFrame, date: str) -> pl.LazyFrame:
    """Return the labels as known by a date: `account_id` and `bad`, one row for each account, of the last revision known by then."""
    known = outcomes.filter(pl.col(KNOWN_ON) <= Date.fromisoformat(date))
    return known.unique(ACCOUNT_ID, keep="last", maintain_order=True).select(ACCOUNT_ID, OUTCOME)


def left_out(outcomes: Iterable[pl.LazyFrame], date: str) -> LeftOut:
    """Return the outcomes that were not known by a date, and the date from which all of them are known."""
    later = pl.col(KNOWN_ON) > Date.fromisoformat(date)
    counts = [frame.select(later.sum(), pl.col(KNOWN_ON).filter(later).max().dt.to_string("%Y-%m-%d").alias("until")) for frame in outcomes]
    total = LeftOut()
    for found in pl.collect_all(counts, engine="streaming"):
        total |= LeftOut(*found.row(0))
    return total


def outcome_facts() -> list[pl.Expr]:
    """Return the aggregations of a table of outcomes: rows, labels and bad ones of the first revision, rows of later ones."""
    first = pl.col(REVISION) == FIRST
    return [
        pl.len().alias("rows"),
        pl.col(OUTCOME).filter(first).count().alias("labelled"),
        (pl.col(OUTCOME).filter(first) == 1).sum().alias("bad"),
        (~first).sum().alias("restated"),
        pl.col(KNOWN_ON).max().dt.to_string("%Y-%m-%d").alias("known_on"),
    ]


def outcome_descriptions() -> dict[str, str]:
    """Return a description of each column of a table of outcomes."""
    return {
        ACCOUNT_ID: "account id, without surrounding whitespace",
        OUTCOME: "1 if the account went bad, 0 if not; null if its outcome is missing, unknown, contradictory or withdrawn",
        KNOWN_ON: "the date from which the outcome is known: training for an earlier date does not use it",
        REVISION: "the number of the revision that has the outcome; the last one that is known counts",
        SOURCE: "landed: from a file of outcomes; derived: from later snapshots",
    }


def _nothing() -> pl.LazyFrame:
    return pl.LazyFrame(schema={ACCOUNT_ID: pl.String, OUTCOME: pl.Int8, KNOWN_AT: pl.Date})


def _no_date() -> pl.Expr:
    return pl.lit(None, pl.Date).alias(KNOWN_AT)


def _changes(before: pl.LazyFrame, labels: pl.LazyFrame) -> pl.LazyFrame:
    """Return the accounts whose label is another one than before, sorted; a withdrawn label is null."""
    both = before.select(ACCOUNT_ID, pl.col(OUTCOME).alias(_BEFORE)).join(labels, on=ACCOUNT_ID, how="full", coalesce=True)
    changed = both.filter(pl.col(OUTCOME).ne_missing(pl.col(_BEFORE)))
    return changed.select(ACCOUNT_ID, OUTCOME, KNOWN_AT).sort(ACCOUNT_ID)


def _dated(labels: pl.LazyFrame, floor: Date, number: int, source: Literal["landed", "derived"]) -> pl.LazyFrame:
    """Return labels as outcomes that are known from a date on, or from the later date of their own."""
    return labels.select(
        ACCOUNT_ID,
        pl.col(OUTCOME).cast(pl.Int8),
        pl.max_horizontal(KNOWN_AT, pl.lit(floor)).alias(KNOWN_ON),
        pl.lit(number, pl.Int32).alias(REVISION),
        pl.lit(source).alias(SOURCE),
    )
