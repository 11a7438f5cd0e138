"""The stored impact of a version: the figures are complete only together with the accounts."""

from typing import Any

import msgspec
import polars as pl
import pytest

from risk_assets.domain.governance.impact import CategoryImpact, Impact
from risk_assets.errors import LakeError
from risk_assets.lake import impact_files, layout
from risk_assets.lake.store import Store

VERSION = "model_v002"
FIGURES, ACCOUNTS = layout.version_file(VERSION, layout.IMPACT), layout.version_file(VERSION, layout.IMPACT_ACCOUNTS)
IMPACT = Impact(
    candidate=VERSION,
    against="model_v001",
    dates=("2026-01-06", "2026-01-07"),
    policy="0a1b",
    rows=4,
    accounts=2,
    predicted_bad_rate=0.1 + 0.2,
    live_predicted_bad_rate=0.25,
    flagged=2,
    live_flagged=1,
    newly_flagged=1,
    no_longer_flagged=0,
    newly_flagged_accounts=1,
    no_longer_flagged_accounts=0,
    migration={"A": {"A": 3, "B": 1}, "B": {"A": 0, "B": 0}},
    categories=(CategoryImpact("city", "north", 4, 0.3, 0.25),),
)
CHANGES = pl.DataFrame({"date": ["2026-01-07"], "account_id": ["007"], "change": ["newly flagged"]})


def fail_on(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Let the store reject a write to this path."""
    put = Store.put

    def rejecting(store: Store, target: str, *arguments: Any) -> None:
        if target == path:
            raise LakeError("the disk is full")
        put(store, target, *arguments)

    monkeypatch.setattr(Store, "put", rejecting)


def test_figures_are_not_written_without_their_accounts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_on(monkeypatch, ACCOUNTS)
    with pytest.raises(LakeError, match="the disk is full"):
        impact_files.write(store, IMPACT, CHANGES)
    with pytest.raises(LakeError, match=rf"{FIGURES} is not in the lake. Compute it: risk impact {VERSION}"):
        impact_files.read(store, VERSION)


def test_accounts_without_figures_are_not_an_impact(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_on(monkeypatch, FIGURES)
    with pytest.raises(LakeError, match="the disk is full"):
        impact_files.write(store, IMPACT, CHANGES)
    with pytest.raises(LakeError, match="is not in the lake"):
        impact_files.read(store, VERSION)


def test_a_later_impact_replaces_the_earlier_one(store: Store) -> None:
    impact_files.write(store, IMPACT, CHANGES)
    later = msgspec.structs.replace(IMPACT, dates=("2026-01-08",), newly_flagged=0)
    impact_files.write(store, later, CHANGES.clear())
    assert impact_files.read(store, VERSION) == later
    assert store.get(ACCOUNTS) == b"date,account_id,change\n"
