"""Outcomes: did the account of a date's snapshot go bad?"""

import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID, OUTCOME, Contract
from risk_assets.errors import ContractError


def labels(outcomes: pl.LazyFrame, contract: Contract) -> pl.LazyFrame:
    """Return `account_id` and `bad` (1, 0, or null where the token is missing or unknown), one row an account.

    Rows whose id is blank or one of the contract's tokens for missing are left out, as they can't be scored either.
    An account that stands there twice with different outcomes has null.

    Raises
    ------
    ContractError
        When the id's or the target's column is not there.
    """
    target = contract.target
    missing = [name for name in (contract.id, target.column) if name not in outcomes.collect_schema().names()]
    if missing:
        raise ContractError(f"the outcomes have no column {', '.join(missing)}. Mend the file, or the contract's id and target.")
    bad = _is(target.column, target.bad)
    good = _is(target.column, target.good) if target.good is not None else ~bad & ~_missing(target.column, contract)
    label = pl.when(bad).then(1).when(good).then(0)
    known = outcomes.filter(~_missing(contract.id, contract))
    rows = known.select(pl.col(contract.id).alias(ACCOUNT_ID), label.cast(pl.Int8).alias(OUTCOME))
    once = pl.when(pl.col(OUTCOME).n_unique() == 1).then(pl.col(OUTCOME).first())
    return rows.group_by(ACCOUNT_ID, maintain_order=True).agg(once.alias(OUTCOME))


def _is(column: str, token: str) -> pl.Expr:
    """Compare as text, and as numbers where both are: a source may write 1 today and 1.0 tomorrow."""
    text = pl.col(column).str.strip_chars()
    same = text.eq(pl.lit(token))
    number: float | None = pl.Series([token]).cast(pl.Float64, strict=False)[0]
    if number is None:
        return same
    return same | (text.cast(pl.Float64, strict=False) == number).fill_null(False)


def _missing(column: str, contract: Contract) -> pl.Expr:
    return pl.col(column).str.strip_chars().is_in(["", *contract.missing])
