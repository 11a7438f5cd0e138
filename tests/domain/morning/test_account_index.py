"""The index of a date's accounts: bands by the policy that scored them, and comparisons that do not depend on its parts."""

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.morning import changes
from risk_assets.domain.morning.account_index import BAND, index, indexed_columns, parts, with_bands
from risk_assets.domain.morning.account_key import account_key
from risk_assets.domain.morning.changes import Comparison, ReviewedDate, compare, of_predictions
from risk_assets.domain.scorecard.scoring import decide

POLICY = Policy(threshold=0.25, bands={"A": 0.03, "B": 0.25, "C": 1.0})
BY_POINTS = Policy(cut_by="points", threshold=500, bands={"safe": 600, "mid": 500, "risky": None})
ONE_BAND = Policy(threshold=0.25, bands={"all": 1.0})
IDS = ("a", "b", "c", "Ä", "\N{GRINNING FACE}", "x" * 300)
NO_ID, NO_ID_ISSUES = "n/a", "age: below 18; account_id: missing"
Scores = dict[str | None, list[float | None]]  # the log-odds of each row of an id


def date(day: str, scores: Scores, policy: Policy) -> tuple[ReviewedDate, ReviewedDate]:
    """Return a date by its index, and by its predictions. The exposure of a row is its position."""
    rows = [(account, one) for account, ones in scores.items() for one in ones]
    decided = decide(np.array([0.0 if one is None else one for _, one in rows]), policy)
    names, scored = list(policy.bands), pl.Series([one is not None for _, one in rows], dtype=pl.Boolean)
    columns = {
        "probability": pl.Series(decided.probability, dtype=pl.Float64),
        "points": pl.Series(decided.points, dtype=pl.Int64),
        "prediction": pl.Series(decided.prediction).cast(pl.Int8),
        "band": pl.Series([names[at] for at in decided.band], dtype=pl.String),
    }
    ids = pl.Series("account_id", [NO_ID if account is None else account for account, _ in rows], dtype=pl.String)
    issues = pl.Series("issues", [NO_ID_ISSUES if account is None else None for account, _ in rows], dtype=pl.String)
    frame = pl.DataFrame([ids, issues, pl.Series("exposure", [*range(len(rows))], dtype=pl.Float64)])
    frame = frame.with_columns(pl.when(scored).then(values).alias(name) for name, values in columns.items())
    listed = ids.filter(scored).drop_nulls().sort()[:2]
    found = with_bands(index(frame.select(indexed_columns())), policy)
    return ReviewedDate(day, found, frame.lazy().select("account_id", "exposure"), listed), of_predictions(day, frame.lazy(), listed)


def scores() -> st.SearchStrategy[Scores]:
    """Return dates on which an id is scored once, or is repeated without a score; and rows without an id."""
    log_odds = st.floats(-6, 6) | st.sampled_from([-2.0, 0.0, 2.0])  # ties
    rows = log_odds.map(lambda one: [one]) | st.integers(1, 3).map(lambda count: [None] * count)
    named = st.dictionaries(st.sampled_from(IDS), rows)
    return st.builds(lambda found, nameless: found | {None: [None] * nameless}, named, st.integers(0, 2))


def expected_counts(now: Scores, before: Scores, policy: Policy) -> dict[str, int]:
    """Return what a comparison counts, from plain sets."""
    here, there = ({account: ones[0] for account, ones in rows.items() if account is not None} for rows in (now, before))

    def decided(one: float | None) -> tuple[bool, int] | None:
        if one is None:
            return None
        found = decide(np.array([one]), policy)
        return bool(found.prediction[0]), int(found.points[0])

    pairs = {account: (decided(here[account]), decided(there[account])) for account in here.keys() & there.keys()}
    both = [(new, old) for new, old in pairs.values() if new and old]
    return {
        "new_accounts": len(here.keys() - there.keys()),
        "gone": len(there.keys() - here.keys()),
        "returned": sum(new is not None and old is None for new, old in pairs.values()),
        "newly_flagged": sum(new[0] and not old[0] for new, old in both),
        "no_longer_flagged": sum(old[0] and not new[0] for new, old in both),
        "worse": sum(new[1] <= old[1] - 10 for new, old in both),
    }


@pytest.mark.long
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scores(), scores(), st.sampled_from([POLICY, BY_POINTS, ONE_BAND]), st.integers(1, 5), st.integers(1, 8))
def test_indexes_and_predictions_have_the_same_changes(now: Scores, before: Scores, policy: Policy, most: int, rows: int) -> None:
    (indexed, predicted), (indexed_before, predicted_before) = date("2026-01-28", now, policy), date("2026-01-27", before, policy)
    found = compare(indexed, indexed_before, most)
    assert found == compare(predicted, predicted_before, most)
    assert found.changes is not None
    expected = expected_counts(now, before, policy)
    assert {name: getattr(found.changes, name).count for name in expected} == expected
    assert found == in_ranges(indexed, indexed_before, most, rows)


def in_ranges(now: ReviewedDate, before: ReviewedDate, most: int, rows: int) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "RANGE_ROWS", rows)
        return compare(now, before, most)


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_parts_are_the_whole_index(count: int) -> None:
    whole = index(
        pl.DataFrame({"account_id": [f"A{row}" for row in range(500)]}).with_columns(issues=pl.lit(None, pl.String)).select(keyed())
    )
    found = [*parts(whole, count)]
    assert len(found) == count and pl.concat(found).equals(whole)


def keyed() -> list[pl.Expr]:
    return [indexed_columns()[0]]


def test_equally_risky_accounts_are_listed_by_key() -> None:
    ids = [f"A{row}" for row in range(50)]
    now, _ = date("2026-01-28", {account: [2.0] for account in ids}, POLICY)
    before, _ = date("2026-01-27", {}, POLICY)
    for found in (compare(now, before, 5), in_ranges(now, before, 5, 3)):
        assert found.changes is not None
        largest = sorted(ids, key=account_key)[-5:]
        assert [listed.account for listed in found.changes.new_accounts.accounts] == sorted(largest)


@pytest.mark.parametrize("policy", [POLICY, BY_POINTS, ONE_BAND])
def test_accounts_without_a_score_have_no_band(policy: Policy) -> None:
    found = date("2026-01-28", {"a": [None], "b": [0.0], None: [None]}, policy)[0].index
    assert found.sort("row")[BAND].is_null().to_list() == [True, False]
