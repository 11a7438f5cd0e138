"""Accounts with an outcome, and those without by reason."""

import polars as pl

from risk_assets.domain.ingest.labels import CONTRADICTORY
from risk_assets.domain.ingest.outcome_coverage import count_coverage

ISSUES = {"i": "age: missing"}
EXCLUDED = {"x": "closed"}
LABELS = {"a": 1, "b": 0, "i": 1, "x": 0, "n": None, "c": None, "w": None}
NONE = {
    "with issues": 0,
    "not eligible": 0,
    "not in the outcomes": 0,
    "with a missing or unknown label": 0,
    "with contradictory labels": 0,
    "gone before the end of the window": 0,
}


def features(*accounts: str) -> pl.LazyFrame:
    reasons = {"issues": ISSUES, "excluded": EXCLUDED}
    columns = {name: pl.Series([known.get(account) for account in accounts], dtype=pl.String) for name, known in reasons.items()}
    return pl.LazyFrame({"account_id": accounts, **columns})


def labels(*accounts: str) -> pl.LazyFrame:
    return pl.LazyFrame({"account_id": accounts, "bad": [LABELS[account] for account in accounts]}, schema_overrides={"bad": pl.Int8})


def test_landed_outcomes_by_reason() -> None:
    file = pl.LazyFrame({"account_id": list("abixnc"), CONTRADICTORY: [False] * 5 + [True]})
    found = count_coverage(features(*"abixncwz"), labels(*"abixncw"), file)
    assert (found.accounts, found.labelled) == (8, 2)
    assert found.reasons == NONE | {
        "with issues": 1,
        "not eligible": 1,
        "not in the outcomes": 2,  # one was withdrawn
        "with a missing or unknown label": 1,
        "with contradictory labels": 1,
    }
    assert found.share_without == 4 / 6


def test_derived_outcomes_without_a_label_are_gone() -> None:
    found = count_coverage(features(*"abn"), labels(*"abn"), None)
    assert (found.labelled, found.reasons, found.share_without) == (2, NONE | {"gone before the end of the window": 1}, 0)
