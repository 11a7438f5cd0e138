"""Why the number of flagged accounts changed: the parts add up."""

import polars as pl

from risk_assets.domain.monitoring.flagged import FlaggedChange, ScoredDate, flagged_change


def predictions(**accounts: int | None) -> pl.LazyFrame:
    """Return a table of predictions: 1 for flagged, 0 for not, None for not scored."""
    columns = {"account_id": list(accounts), "prediction": list(accounts.values())}
    return pl.LazyFrame(columns, schema={"account_id": pl.String, "prediction": pl.Int8})


def scored(**accounts: int | None) -> ScoredDate:
    table = predictions(**accounts)
    return ScoredDate(table, table.drop_nulls().select("account_id"))


def test_a_change_is_split_into_features_and_accounts() -> None:
    before = scored(stays=1, rises=0, falls=1, left=1, unscored=None, gone=1)
    now = scored(stays=1, rises=1, falls=0, joined=1, unscored=1, gone=None, other=1)
    found = flagged_change("2026-01-04", before, now)
    assert found == FlaggedChange("2026-01-04", before=4, now=5, joined=3, left=-2, model=0, policy=0, features=0)


def test_models_and_policy_are_separated_from_features() -> None:
    before = scored(a=1, b=0, c=0, d=0, left=1)
    by_models = predictions(a=1, b=1, c=0, d=0, left=1)  # the earlier features, scored by the later version
    by_policy = predictions(a=1, b=1, c=1, d=0, left=1)  # and with the later cut-off
    now = scored(a=1, b=1, c=1, d=1, joined=0)
    found = flagged_change("2026-01-04", before, now, by_models, by_policy)
    assert (found.model, found.policy, found.features, found.joined, found.left) == (1, 1, 1, 0, -1)
    assert found.now - found.before == found.model + found.policy + found.features + found.joined + found.left


def test_a_changed_policy_alone_is_not_taken_for_a_changed_model() -> None:
    before, now = scored(a=1, b=0), scored(a=1, b=1)
    found = flagged_change("2026-01-04", before, now, by_policy=predictions(a=1, b=1))
    assert (found.model, found.policy, found.features) == (0, 1, 0)
