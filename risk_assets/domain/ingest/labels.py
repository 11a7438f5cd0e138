"""Convert outcomes to labels: whether each account of a snapshot went bad."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from risk_assets.domain.contract.field_rules import id_tokens
from risk_assets.domain.contract.schema import ACCOUNT_ID, OUTCOME, RAGGED, Contract
from risk_assets.domain.contract.text import normalize_level
from risk_assets.domain.ingest.row_ids import with_ids
from risk_assets.domain.ingest.text import normalize_levels, strip_cells
from risk_assets.errors import ContractError

KNOWN_AT, CONTRADICTORY = "known_at", "contradictory"
STORED_ON, SHARD = "\x1fstored_on", "\x1fshard"  # of posted outcomes: the date, and the number of the shard
_LABELS, _LINES = "labels", "lines"


@dataclass(frozen=True)
class OutcomeCounts:
    """The accounts and lines of an outcome file, by what became of them.

    Attributes
    ----------
    known, bad
        Accounts with a label, and those of them that went bad.
    unlabelled
        Accounts whose token is missing or unknown.
    contradictory
        Accounts with different outcomes. They have no label.
    repeated
        Accounts in more than one line, contradictory or not.
    unknown_labels
        Lines with an id whose token is not missing, and is neither bad nor good.
    missing_ids
        Lines without an id. They are left out.
    line_issues
        Lines whose fields are not certain. They are left out.
    """

    known: int
    bad: int
    unlabelled: int
    contradictory: int
    repeated: int
    unknown_labels: int
    missing_ids: int
    line_issues: int


NO_OUTCOMES = OutcomeCounts(known=0, bad=0, unlabelled=0, contradictory=0, repeated=0, unknown_labels=0, missing_ids=0, line_issues=0)


def labels(outcomes: pl.LazyFrame, contract: Contract) -> pl.LazyFrame:
    """Return `account_id` and `bad`, one row per account, in the order of the first outcome of each.

    `bad` is 1 or 0, or null if the token is missing or unknown or the account has contradictory outcomes. Rows with a
    missing id are dropped, and rows with an issue of their line. Ids are compared without surrounding whitespace, tokens also
    in normal form C. If the contract names accounts by row number, row n of the outcomes belongs to row n of the snapshot.

    Parameters
    ----------
    outcomes : LazyFrame
        The id and target columns as text, and `RAGGED`: the issue of the line, or null. Other columns are ignored.
    contract : Contract
        Names the columns and the tokens.

    Raises
    ------
    ContractError
        When the id or target column is missing or repeated.
    """
    return labels_with_date(outcomes, contract).select(ACCOUNT_ID, OUTCOME)


def labels_with_date(outcomes: pl.LazyFrame, contract: Contract) -> pl.LazyFrame:
    """Return `account_id`, `bad`, `KNOWN_AT` and `CONTRADICTORY`, one row per account; parameters and errors as of `labels`.

    `KNOWN_AT` is the earliest date of the account in the column `known_at` of the target; null without the column, or if no
    date can be read.
    """
    agreed = pl.when(pl.col(_LABELS) == 1).then(pl.col(OUTCOME))
    columns = (agreed.alias(OUTCOME), KNOWN_AT, (pl.col(_LABELS) > 1).alias(CONTRADICTORY))
    return _accounts(outcomes, contract).select(ACCOUNT_ID, *columns)


def posted_labels(posted: pl.LazyFrame, contract: Contract) -> pl.LazyFrame:
    """Return `account_id`, `bad`, `KNOWN_AT`, `SHARD` and `STORED_ON` of posted outcomes, one row for each account of a shard.

    Parameters
    ----------
    posted : LazyFrame
        The columns of a file of outcomes as text, `SHARD` and `STORED_ON`. `known_at` is null where a shard does not have it.
    contract : Contract
        Names the columns and the tokens.
    """
    known_at = contract.target.file.known_at
    rows = posted.filter(~_is_missing(contract.id, contract).fill_null(True)).select(
        strip_cells(pl.col(contract.id)).alias(ACCOUNT_ID),
        _label(contract).cast(pl.Int8).alias(OUTCOME),
        (_date(known_at) if known_at else pl.lit(None, pl.Date)).alias(KNOWN_AT),
        SHARD,
        STORED_ON,
    )
    return rows.unique([ACCOUNT_ID, SHARD], keep="last", maintain_order=True)


def count_known_at(outcomes: pl.LazyFrame, contract: Contract) -> tuple[int, int]:
    """Return the lines with an id and without a date in `known_at`, and those with one that cannot be read."""
    column = contract.target.file.known_at
    if column is None or column not in outcomes.collect_schema().names():
        return 0, 0
    has_id = pl.col(RAGGED).is_null() & ~_is_missing(contract.id, contract).fill_null(True)
    missing = _is_missing(column, contract).fill_null(True)
    counted = with_ids(outcomes, contract).select(
        (has_id & missing).sum().alias("missing"), (has_id & ~missing & _date(column).is_null()).sum().alias("unreadable")
    )
    found = counted.collect(engine="streaming").row(0)
    return int(found[0]), int(found[1])


def count_outcomes(outcomes: pl.LazyFrame, contract: Contract) -> OutcomeCounts:
    """Return the accounts and lines of an outcome file by reason; parameters and errors as of `labels`."""
    accounts = _accounts(outcomes, contract)
    label = pl.when(pl.col(_LABELS) == 1).then(pl.col(OUTCOME))
    certain = pl.col(RAGGED).is_null()
    of_accounts = accounts.select(
        label.count().alias("known"),
        label.sum().alias("bad"),
        ((pl.col(_LABELS) == 1) & pl.col(OUTCOME).is_null()).sum().alias("unlabelled"),
        (pl.col(_LABELS) > 1).sum().alias("contradictory"),
        (pl.col(_LINES) > 1).sum().alias("repeated"),
    )
    of_lines = with_ids(outcomes, contract).select(
        _is_unknown(contract).sum().alias("unknown_labels"),
        (certain & _is_missing(contract.id, contract).fill_null(True)).sum().alias("missing_ids"),
        (~certain).sum().alias("line_issues"),
    )
    counts = pl.concat(pl.collect_all([of_accounts, of_lines], engine="streaming"), how="horizontal")
    return OutcomeCounts(**counts.row(0, named=True))


def count_unknown_labels(outcomes: pl.LazyFrame, contract: Contract) -> int:
    """Return the lines whose label is neither missing, bad nor good; parameters as of `labels`. Streams the file."""
    counted = with_ids(outcomes, contract).select(_is_unknown(contract).sum().alias("lines"))
    return int(counted.collect(engine="streaming").item())


def _is_unknown(contract: Contract) -> pl.Expr:
    """Return whether a line with an id has a token that is neither missing, bad nor good."""
    has_id = pl.col(RAGGED).is_null() & ~_is_missing(contract.id, contract).fill_null(True)
    has_token = ~_is_missing(contract.target.file.column, contract).fill_null(True)
    return has_id & has_token & _label(contract).is_null()


def _accounts(outcomes: pl.LazyFrame, contract: Contract) -> pl.LazyFrame:
    """Return each account with the first label, the earliest date, the number of distinct labels and the number of lines."""
    require_outcome_columns(outcomes.collect_schema().names(), contract, "the outcomes")
    known = with_ids(outcomes, contract).filter(pl.col(RAGGED).is_null() & ~_is_missing(contract.id, contract))
    known_at = contract.target.file.known_at
    date = _date(known_at) if known_at else pl.lit(None, pl.Date)
    rows = known.select(
        strip_cells(pl.col(contract.id)).alias(ACCOUNT_ID), _label(contract).cast(pl.Int8).alias(OUTCOME), date.alias(KNOWN_AT)
    )
    label = pl.col(OUTCOME)
    return rows.group_by(ACCOUNT_ID, maintain_order=True).agg(
        label.first(), pl.col(KNOWN_AT).min(), label.n_unique().alias(_LABELS), pl.len().alias(_LINES)
    )


def require_outcome_columns(names: Sequence[str], contract: Contract, where: str) -> None:
    """Verify that outcomes have the id and the target once; raises `ContractError` that names the file, `where`."""
    columns = contract.outcome_columns
    missing = [name for name in columns if name not in names]
    if missing:
        raise ContractError(
            f"no column {', '.join(missing)} in {where}. Fix the file, or {outcome_keys(missing, contract)} in the contract."
        )
    repeated = [name for name in columns if f"{name}#2" in names]
    if repeated:
        raise ContractError(f"the column {', '.join(repeated)} appears twice in {where}. Land a file that has it once with --replace.")


def outcome_keys(columns: Sequence[str], contract: Contract) -> str:
    """Return the keys of the contract that name columns of a file of outcomes, for messages."""
    file = contract.target.file
    keys = {contract.id: "id", file.column: "target.column", file.known_at: "target.known_at"}
    return " and ".join(keys[column] for column in columns)


def _label(contract: Contract) -> pl.Expr:
    target = contract.target.file
    bad = _is(target.column, target.bad)
    good = _is(target.column, target.good) if target.good is not None else ~bad & ~_is_missing(target.column, contract)
    return pl.when(bad).then(1).when(good).then(0)


def _is(column: str, token: str) -> pl.Expr:
    """Compare as text and, if both are numbers, as numbers: a source may write 1 on one day and 1.0 on the next."""
    text = normalize_levels(pl.col(column))
    same = text.eq(pl.lit(normalize_level(token)))
    number: float | None = pl.Series([token]).cast(pl.Float64, strict=False)[0]
    if number is None:
        return same
    return same | (text.cast(pl.Float64, strict=False) == number).fill_null(False)


def _date(column: str) -> pl.Expr:
    return strip_cells(pl.col(column)).str.to_date("%Y-%m-%d", strict=False)


def _is_missing(column: str, contract: Contract) -> pl.Expr:
    tokens = id_tokens(contract) if column == contract.id else ("", *map(normalize_level, contract.missing))
    return normalize_levels(pl.col(column)).is_in(list(tokens))
