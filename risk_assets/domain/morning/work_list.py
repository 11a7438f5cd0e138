"""The work list: each account of a review list with what is new about it, and what changed in the words of its features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from risk_assets.domain.batch.review_list import MAX_CHANGES
from risk_assets.domain.contract.column_names import reason_text
from risk_assets.domain.contract.policy import Points
from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.morning.facts import WORSE_POINTS, Category, FeatureChange, WorkItem
from risk_assets.domain.scorecard.arrays import contributions
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Scorecard
from risk_assets.domain.scorecard.scoring import feature_points
from risk_assets.domain.spreadsheet import FORMULA_STARTS

REASON = "reason_"


@dataclass(frozen=True)
class Context:
    """What is known of the accounts of a review list besides the list itself, by account.

    Attributes
    ----------
    days_listed
        The consecutive scored dates before this one on which an account was listed, absent if it was not; None if no earlier date was
        scored, so that nothing is new.
    flagged, newly_flagged
        The accounts that are predicted bad, and those of them that were scored on the previous date and not predicted bad.
    exposures
        The exposures that are known.
    changes
        The features that changed the points most.
    """

    days_listed: Mapping[str, int] | None
    flagged: frozenset[str]
    newly_flagged: frozenset[str]
    exposures: Mapping[str, float]
    changes: Mapping[str, tuple[FeatureChange, ...]]


def read_listed(review: pl.DataFrame) -> pl.DataFrame:
    """Return a review list with its texts as they were before formulas were escaped."""
    text = pl.col(pl.String)
    is_escaped = text.str.starts_with("'") & text.str.slice(1, 1).is_in(FORMULA_STARTS)
    return review.with_columns(pl.when(is_escaped).then(text.str.slice(1)).otherwise(text).name.keep())


def work_items(listed: pl.DataFrame, context: Context) -> tuple[WorkItem, ...]:
    """Return the items of a review list, the result of `read_listed`, in its order."""
    return tuple(_item(row, context) for row in listed.iter_rows(named=True))


def _item(row: Mapping[str, Any], context: Context) -> WorkItem:
    account = row[ACCOUNT_ID]
    return WorkItem(
        rank=row["rank"],
        account=account,
        exposure=context.exposures.get(account),
        probability=row["probability"],
        points=row["points"],
        band=row["band"],
        flagged=account in context.flagged,
        last_snapshot=row["last_snapshot"],
        points_before=row["points_before"],
        band_before=row["band_before"],
        days_listed=(context.days_listed or {}).get(account, 0) + 1,
        categories=_categories(row, context, context.days_listed) if context.days_listed is not None else (),
        changes=context.changes.get(account, ()),
        reasons=tuple(text for name, text in row.items() if name.startswith(REASON) and text is not None),
    )


def _categories(row: Mapping[str, Any], context: Context, days_listed: Mapping[str, int]) -> tuple[Category, ...]:
    account, change = row[ACCOUNT_ID], row["points_change"]
    applies: dict[Category, bool] = {
        "new on the list": account not in days_listed,
        "newly flagged": account in context.newly_flagged,
        "worse": change is not None and change <= -WORSE_POINTS,
        "new account": row["last_snapshot"] is None,
    }
    return tuple(category for category, found in applies.items() if found)


def feature_changes(card: Scorecard, now: pl.DataFrame, before: pl.DataFrame, scale: Points) -> dict[str, tuple[FeatureChange, ...]]:
    """Return the features that changed the points of each account most, by account; those that round to none are left out.

    Parameters
    ----------
    now, before
        `account_id` and the features of two snapshots; accounts that only one of them has are left out.
    """
    current = now.join(before.select(ACCOUNT_ID), on=ACCOUNT_ID, how="semi").sort(ACCOUNT_ID)
    earlier = before.join(now.select(ACCOUNT_ID), on=ACCOUNT_ID, how="semi").sort(ACCOUNT_ID)
    gained = (contributions(card, encode(current, card)) - contributions(card, encode(earlier, card))).T
    rows = zip(current.rows(named=True), earlier.rows(named=True), gained, strict=True)
    return {row[ACCOUNT_ID]: tuple(_changed(card, row, was, parts, scale)) for row, was, parts in rows}


def _changed(card: Scorecard, now: Mapping[str, Any], before: Mapping[str, Any], gained: Any, scale: Points) -> Sequence[FeatureChange]:
    largest = np.argsort(-np.abs(gained), kind="stable")[:MAX_CHANGES]
    names = [(card.terms[at].feature, round(feature_points(gained[at], scale))) for at in largest if gained[at]]
    return [FeatureChange(name, reason_text(name), before[name], now[name], points) for name, points in names if points]
