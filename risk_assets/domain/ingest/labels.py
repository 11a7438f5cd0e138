"""Convert outcomes to labels: whether each account of a snapshot went bad."""

import polars as pl

from risk_assets.domain.contract.field_rules import id_tokens
from risk_assets.domain.contract.schema import ACCOUNT_ID, OUTCOME, Contract
from risk_assets.domain.ingest.row_ids import with_ids
from risk_assets.errors import ContractError


def labels(outcomes: pl.LazyFrame, contract: Contract) -> pl.LazyFrame:
    """Return `account_id` and `bad`, one row per account, in the order of the first outcome of each.

    `bad` is 1 or 0, or null if the token is missing or unknown or the account has contradictory outcomes. Rows with a
    missing id are dropped. If the contract names accounts by row number, row n of the outcomes belongs to row n of the
    snapshot.

    Parameters
    ----------
    outcomes : LazyFrame
        The id and target columns as text; other columns are ignored.
    contract : Contract
        Names the columns and the tokens.

    Raises
    ------
    ContractError
        When the id or target column is missing.
    """
    missing = [name for name in contract.outcome_columns if name not in outcomes.collect_schema().names()]
    if missing:
        raise ContractError(f"the outcomes have no column {', '.join(missing)}. Fix the file, or id and target in the contract.")
    known = with_ids(outcomes, contract).filter(~_is_missing(contract.id, contract))
    rows = known.select(pl.col(contract.id).alias(ACCOUNT_ID), _label(contract).cast(pl.Int8).alias(OUTCOME))
    agreed = pl.when(pl.col(OUTCOME).n_unique() == 1).then(pl.col(OUTCOME).first())
    return rows.group_by(ACCOUNT_ID, maintain_order=True).agg(agreed.alias(OUTCOME))


def _label(contract: Contract) -> pl.Expr:
    target = contract.target
    bad = _is(target.column, target.bad)
    good = _is(target.column, target.good) if target.good is not None else ~bad & ~_is_missing(target.column, contract)
    return pl.when(bad).then(1).when(good).then(0)


def _is(column: str, token: str) -> pl.Expr:
    """Compare as text and, if both are numbers, as numbers: a source may write 1 on one day and 1.0 on the next."""
    text = pl.col(column).str.strip_chars()
    same = text.eq(pl.lit(token))
    number: float | None = pl.Series([token]).cast(pl.Float64, strict=False)[0]
    if number is None:
        return same
    return same | (text.cast(pl.Float64, strict=False) == number).fill_null(False)


def _is_missing(column: str, contract: Contract) -> pl.Expr:
    tokens = id_tokens(contract) if column == contract.id else ("", *contract.missing)
    return pl.col(column).str.strip_chars().is_in(list(tokens))
