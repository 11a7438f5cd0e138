"""The population in polars: which rows are excluded and why, which can be scored, and the group of an account."""

import operator
from collections.abc import Callable
from functools import reduce

import polars as pl

from risk_assets.domain.contract.field_rules import ACCOUNT_MARK, group_tokens
from risk_assets.domain.contract.schema import EXCLUDED, ISSUES, Contract, Exclusion
from risk_assets.domain.contract.text import normalize_level
from risk_assets.domain.ingest.text import normalize_levels

_COMPARISONS: dict[str, Callable[[pl.Expr, float], pl.Expr]] = {
    "at_least": operator.ge,
    "above": operator.gt,
    "at_most": operator.le,
    "below": operator.lt,
}


def excluded(contract: Contract) -> pl.Expr:
    """Return the reason of the first population rule that a row of typed features matches; null if none does."""
    reason: pl.Expr = pl.lit(None, dtype=pl.String)
    for rule in reversed(contract.exclude):
        reason = pl.when(_matches(rule)).then(pl.lit(rule.reason)).otherwise(reason)
    return reason


def group(contract: Contract) -> pl.Expr:
    """Return the group of a row of stripped cells: the account id, or the customer if the contract has `group`.

    An account whose customer is missing is a group of its own, named as by `account_group`.
    """
    account = pl.col(contract.id)
    if contract.group is None:
        return account
    customer = pl.col(contract.group)
    missing = normalize_levels(customer).is_in(list(dict.fromkeys(group_tokens(contract))))
    return pl.coalesce(pl.when(~missing).then(customer), pl.lit(ACCOUNT_MARK) + account)


def is_eligible() -> pl.Expr:
    """Return whether a row of features matches no population rule."""
    return pl.col(EXCLUDED).is_null()


def can_be_scored() -> pl.Expr:
    """Return whether a row of features is eligible and has no issue."""
    return is_eligible() & pl.col(ISSUES).is_null()


def _matches(rule: Exclusion) -> pl.Expr:
    column = pl.col(rule.column)
    if rule.levels:
        return column.is_in(list(dict.fromkeys(map(normalize_level, rule.levels))))
    bounds = {name: bound for name in _COMPARISONS if (bound := getattr(rule, name)) is not None}
    return reduce(operator.and_, (_COMPARISONS[name](column, bound) for name, bound in bounds.items()))
