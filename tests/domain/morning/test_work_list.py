"""The work list: what is new about an account, and what changed in its features."""

import math
from typing import Any

import polars as pl

from risk_assets.domain.batch.review_list import escape_formulas
from risk_assets.domain.contract.policy import Points
from risk_assets.domain.morning.facts import Category, FeatureChange
from risk_assets.domain.morning.work_list import Context, feature_changes, read_listed, work_items
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Term
from risk_assets.domain.spreadsheet import FORMULA_STARTS

TWENTY_POINTS = math.log(2)
NOTHING = Context(days_listed={}, flagged=frozenset(), newly_flagged=frozenset(), exposures={}, changes={})


def listed(**row: Any) -> pl.DataFrame:
    """Return a review list with one account, which was on no earlier list and did not change."""
    usual = {"rank": 1, "account_id": "A1", "probability": 0.5, "points": 480, "band": "E", "reason_1": "Arrears", "reason_2": None}
    earlier = {"last_snapshot": "2026-01-27", "points_before": 480, "points_change": 0, "band_before": "E", "changes": "nothing"}
    return pl.DataFrame([usual | earlier | row], schema_overrides={"reason_2": pl.String})


def categories(row: pl.DataFrame, context: Context) -> tuple[Category, ...]:
    (item,) = work_items(row, context)
    return item.categories


def test_an_account_that_was_listed_before_and_did_not_change() -> None:
    context = Context({"A1": 3}, frozenset({"A1"}), frozenset(), {"A1": 250.0}, {})
    (item,) = work_items(listed(), context)
    assert (item.days_listed, item.flagged, item.exposure, item.categories) == (4, True, 250.0, ())
    assert (item.reasons, item.points_change, item.changes) == (("Arrears",), 0, ())


def test_why_somebody_should_look_at_an_account() -> None:
    known = Context({"A1": 1}, frozenset(), frozenset(), {}, {})
    assert categories(listed(), NOTHING) == ("new on the list",)
    assert categories(listed(points_before=490, points_change=-10), known) == ("worse",)
    assert categories(listed(points_before=489, points_change=-9), known) == ()
    assert categories(listed(), Context({"A1": 1}, frozenset({"A1"}), frozenset({"A1"}), {}, {})) == ("newly flagged",)
    new = {"last_snapshot": None, "points_before": None, "points_change": None, "band_before": None}
    assert categories(listed(**new), NOTHING) == ("new on the list", "new account")


def test_on_the_first_date_nothing_is_new() -> None:
    first = Context(None, frozenset({"A1"}), frozenset(), {}, {})
    (item,) = work_items(listed(last_snapshot=None, points_before=None, points_change=None), first)
    assert (item.categories, item.days_listed) == ((), 1)


def test_texts_are_read_as_they_were_before_formulas_were_escaped() -> None:
    ids = [*(f"{start}SUM(1)" for start in FORMULA_STARTS), "plain", "'quoted"]
    frame = pl.DataFrame({"account_id": ids, "points": range(len(ids))})
    assert read_listed(escape_formulas(frame)).equals(frame)


HOMES = Levels(("rent", "own"), (TWENTY_POINTS, 0.0), missing=0.0, unseen=0.0)
CARD = Scorecard(
    "logistic",
    0.0,
    (
        Term("days_past_due", Line(TWENTY_POINTS, 0.0, 0.0), 0.0, 0.0, "Arrears"),
        Term("home", HOMES, 0.0, 0.0, "Home"),
        Term("age", Line(TWENTY_POINTS / 100, 0.0, 0.0), 0.0, 0.0, "Age"),
    ),
)


def features(account: str, days_past_due: float | None, home: str | None, age: float = 40.0) -> pl.DataFrame:
    kinds = {"account_id": pl.String, "days_past_due": pl.Float64, "home": pl.String, "age": pl.Float64}
    return pl.DataFrame([(account, days_past_due, home, age)], schema=kinds, orient="row")


def test_changes_are_ordered_by_points() -> None:
    found = feature_changes(CARD, features("A1", 2.0, "rent"), features("A1", 0.0, "own"), Points())
    assert found == {
        "A1": (
            FeatureChange("days_past_due", "Days past due", 0.0, 2.0, -40),
            FeatureChange("home", "Home", "own", "rent", -20),
        )
    }


def test_changes_that_round_to_no_points_are_left_out() -> None:
    assert feature_changes(CARD, features("A1", 0.0, "own", 41.0), features("A1", 0.0, "own", 40.0), Points()) == {"A1": ()}


def test_a_value_may_become_missing() -> None:
    (change,) = feature_changes(CARD, features("A1", None, "own"), features("A1", 1.0, "own"), Points())["A1"]
    assert (change.before, change.now, change.points) == (1.0, None, 20)


def test_accounts_without_both_snapshots_have_no_changes() -> None:
    now = pl.concat([features("A2", 1.0, "own"), features("A1", 1.0, "own")])
    assert feature_changes(CARD, now, features("A1", 0.0, "own"), Points()).keys() == {"A1"}
