"""Outcomes of a snapshot over time: the label of each account, and the date from which it is known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID, OUTCOME, Contract
from risk_assets.domain.ingest.labels import KNOWN_AT, SHARD, STORED_ON, labels_with_date, posted_labels

KNOWN_ON, REVISION, SOURCE = "known_on", "revision", "source"
COLUMNS = (ACCOUNT_ID, OUTCOME, KNOWN_ON, REVISION, SOURCE)
LAST_DAY = Date.max.isoformat()  # everything is known by then
FIRST = 1  # the number of the first revision
LANDED, POSTED, DERIVED = "landed", "posted", "derived"  # where an outcome is from
_BEFORE, _IS_NEW = "before", "is_new"


@dataclass(frozen=True)
class OutcomeRevision:
    """A file of outcomes as it was stored: its rows as text, or None if its content is lost, and the date."""

    rows: pl.LazyFrame | None
    stored_on: str


LOST = OutcomeRevision(None, "")


@dataclass(frozen=True)
class PostedOutcomes:
    """Outcomes that the service has received, in shards one after another: the rows as `posted_labels` reads them.

    Each shard is a revision of the accounts that it has; the others stay as they were.
    """

    rows: pl.LazyFrame
    shards: int


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


def landed_outcomes(revisions: Sequence[OutcomeRevision | PostedOutcomes], contract: Contract, snapshot: str) -> pl.LazyFrame:
    """Return the outcomes of all revisions of a file, and of posted ones: `account_id`, `bad`, `known_on`, `revision` and `source`.

    The first revision of the file has a row for each of its accounts. A later one has a row for each account whose label it
    changes, adds or withdraws (`bad` is null), compared with the file before it. A posted outcome has a row if it is not the label
    that its account has already; a file's label has none if it is. An outcome is known at the end of the performance window, or
    from the later date in the column `known_at`; one of a later revision, or a posted one, also not before the date on which it was
    stored. So is one of the first file whose account had another label by then.

    Parameters
    ----------
    revisions : sequence of OutcomeRevision and PostedOutcomes
        Oldest first. If the content of the first file is lost, the labels of the next one count as added by it.

    Raises
    ------
    ContractError
        When a column of the contract's outcomes is missing or repeated.
    """
    matured, file = matures_on(snapshot, contract), _nothing()
    parts = [_dated(file, pl.lit(matured), pl.lit(FIRST), LANDED)]
    number, is_first, is_posted = FIRST, True, False
    for revision in revisions:
        if isinstance(revision, PostedOutcomes):
            parts.append(_posted(revision, pl.concat(parts), contract, matured, number))
            number, is_posted = number + revision.shards, True
            continue
        if revision.rows is not None:
            labelled = labels_with_date(revision.rows, contract).select(ACCOUNT_ID, OUTCOME, KNOWN_AT)
            rows = labelled if is_first else _changes(file, labelled)
            stored = max(matured, Date.fromisoformat(revision.stored_on))
            earlier = pl.concat(parts) if is_posted else None
            parts.append(_landed(rows, earlier, matured if is_first else stored, stored, number))
            file = labelled
        number, is_first = number + 1, False
    return pl.concat(parts)


def derived_outcomes(labels: pl.LazyFrame, contract: Contract, snapshot: str) -> pl.LazyFrame:
    """Return derived outcomes as their first revision: all are known at the end of the performance window.

    Parameters
    ----------
    labels : LazyFrame
        `account_id` and `bad`.
    """
    return _dated(labels.with_columns(_no_date()), pl.lit(matures_on(snapshot, contract)), pl.lit(FIRST), DERIVED)


def restated(labels: pl.LazyFrame, earlier: pl.LazyFrame, matured: Date, number: int, derived_on: str) -> pl.DataFrame:
    """Return the rows of a further revision of derived outcomes: one for each account whose label differs from the earlier ones."""
    changes = _changes(known_by(earlier, LAST_DAY), labels.with_columns(_no_date()))
    known_from = pl.lit(max(matured, Date.fromisoformat(derived_on)))
    return _dated(changes, known_from, pl.lit(number), DERIVED).collect(engine="streaming")


def derived_again(labels: pl.LazyFrame, earlier: pl.LazyFrame, contract: Contract, snapshot: str) -> pl.LazyFrame:
    """Return outcomes derived by another rule than earlier ones, as their first revision.

    What was restated is derived from what became known later. So an account with a restated outcome is known from that date on.
    """
    later = earlier.filter(pl.col(REVISION) > FIRST).group_by(ACCOUNT_ID).agg(pl.col(KNOWN_ON).max().alias(KNOWN_AT))
    dated = labels.join(later, on=ACCOUNT_ID, how="left", maintain_order="left")
    return _dated(dated, pl.lit(matures_on(snapshot, contract)), pl.lit(FIRST), DERIVED)


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
        SOURCE: "landed: from a file of outcomes; posted: from POST /outcomes; derived: from later snapshots",
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


def _landed(rows: pl.LazyFrame, earlier: pl.LazyFrame | None, new: Date, restated: Date, number: int) -> pl.LazyFrame:
    """Return the labels of a file that are not those of earlier outcomes, if there are any others than the file's.

    Labels of new accounts are known from the date `new` on, those of others from `restated` on.
    """
    if earlier is None:
        return _dated(rows, pl.lit(new), pl.lit(number), LANDED)
    floor = pl.when(_IS_NEW).then(pl.lit(new)).otherwise(pl.lit(restated))
    return _dated(_not_known_yet(rows, earlier), floor, pl.lit(number), LANDED)


def _posted(posted: PostedOutcomes, earlier: pl.LazyFrame, contract: Contract, matured: Date, number: int) -> pl.LazyFrame:
    """Return the posted outcomes that are not the label of their account before; their shards are the revisions from `number` on."""
    labelled = posted_labels(posted.rows, contract).sort(SHARD, maintain_order=True)
    is_first = pl.col(SHARD) == pl.col(SHARD).min().over(ACCOUNT_ID)
    is_changed = pl.col(OUTCOME).ne_missing(pl.col(OUTCOME).shift(1).over(ACCOUNT_ID))
    first = _not_known_yet(labelled.filter(is_first), earlier).drop(_IS_NEW)
    rows = pl.concat([first, labelled.filter(~is_first & is_changed)]).sort(SHARD, ACCOUNT_ID)
    return _dated(rows, pl.max_horizontal(pl.lit(matured), STORED_ON), pl.col(SHARD) + number, POSTED)


def _not_known_yet(labels: pl.LazyFrame, earlier: pl.LazyFrame) -> pl.LazyFrame:
    """Return the labels that are not those of earlier outcomes, in order, and `is_new`: whether the account has no earlier outcome."""
    before = known_by(earlier, LAST_DAY).select(ACCOUNT_ID, pl.col(OUTCOME).alias(_BEFORE), pl.lit(False).alias(_IS_NEW))
    joined = labels.join(before, on=ACCOUNT_ID, how="left", maintain_order="left").with_columns(pl.col(_IS_NEW).fill_null(True))
    return joined.filter(pl.col(_IS_NEW) | pl.col(OUTCOME).ne_missing(pl.col(_BEFORE))).drop(_BEFORE)


def _dated(labels: pl.LazyFrame, floor: pl.Expr, number: pl.Expr, source: str) -> pl.LazyFrame:
    """Return labels as outcomes that are known from a date on, or from the later date of their own."""
    return labels.select(
        ACCOUNT_ID,
        pl.col(OUTCOME).cast(pl.Int8),
        pl.max_horizontal(KNOWN_AT, floor).alias(KNOWN_ON),
        number.cast(pl.Int32).alias(REVISION),
        pl.lit(source).alias(SOURCE),
    )
