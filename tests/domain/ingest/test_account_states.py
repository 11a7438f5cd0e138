"""States of accounts, and the outcomes that are derived from them."""

from collections.abc import Mapping
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.clock import date_range, shift
from risk_assets.domain.contract.schema import BadWhen, Derived
from risk_assets.domain.ingest.account_states import carry, derive, state_facts

FIRST = "2026-01-01"
RULE = Derived(bad_when=BadWhen(column="days", at_least=90), within_days=3, when_gone="unknown")
Book = Mapping[str, Mapping[str, float | None]]


def snapshot(days: Mapping[str, float | None], issues: Mapping[str, str] | None = None) -> pl.LazyFrame:
    """Return checked features of accounts."""
    columns = {"account_id": list(days), "days": list(days.values()), "issues": [(issues or {}).get(account) for account in days]}
    return pl.LazyFrame(columns, schema={"account_id": pl.String, "days": pl.Float64, "issues": pl.String})


def states(book: Book, rule: Derived = RULE) -> dict[str, pl.LazyFrame]:
    """Carry the states through all dates of a book."""
    found: dict[str, pl.LazyFrame] = {}
    before: pl.LazyFrame | None = None
    for date, days in sorted(book.items()):
        before = carry(snapshot(days), before, rule, date).collect(engine="streaming").lazy()
        found[date] = before
    return found


def state(frame: pl.LazyFrame) -> dict[str, tuple[str | None, ...]]:
    text = frame.with_columns(pl.exclude("account_id").dt.to_string("%d")).collect()
    return {account: tuple(values) for account, *values in text.iter_rows()}


def test_states_are_carried() -> None:
    book = {
        "2026-01-01": {"a": 0, "b": 95, "c": 100},
        "2026-01-02": {"a": 90, "b": 96, "c": 0},
        "2026-01-03": {"a": 91, "c": 120, "d": None},
    }
    found = states(book)
    assert state(found["2026-01-01"]) == {"a": ("01", None, None), "b": ("01", "01", "01"), "c": ("01", "01", "01")}
    assert state(found["2026-01-02"]) == {"a": ("02", "02", "02"), "b": ("02", "02", "01"), "c": ("02", "01", "01")}
    assert state(found["2026-01-03"]) == {
        "a": ("03", "03", "02"),
        "b": ("02", "02", "01"),
        "c": ("03", "03", "03"),
        "d": ("03", None, None),
    }
    facts = found["2026-01-03"].select(state_facts("2026-01-03")).collect().row(0, named=True)
    assert facts == {"rows": 4, "seen": 3, "bad": 2, "became_bad": 1}


def test_lines_with_an_issue_say_nothing_about_bad() -> None:
    features = snapshot({"a": 95, "b": 95, " c ": 95, "": 95}, {"a": "line: too many fields", "b": "days: above 90"})
    assert state(carry(features, None, RULE, FIRST)) == {"a": ("01", None, None), "b": ("01", "01", "01"), "c": ("01", "01", "01")}


def test_a_repeated_id_is_one_account() -> None:
    rows = pl.concat([snapshot({"a": 0}), snapshot({"a": 95})])
    assert state(carry(rows, None, RULE, FIRST)) == {"a": ("01", "01", "01")}


def test_accounts_gone_for_longer_than_any_window_are_dropped() -> None:
    before = carry(snapshot({"a": 0}), None, RULE, FIRST)
    assert list(state(carry(snapshot({"b": 0}), before, RULE, shift(FIRST, 1826)))) == ["a", "b"]
    assert list(state(carry(snapshot({"b": 0}), before, RULE, shift(FIRST, 1827)))) == ["b"]


@pytest.mark.parametrize(("when_gone", "bad"), [("good", 0), ("bad", 1), ("unknown", None)])
def test_an_account_that_is_gone(when_gone: str, bad: int | None) -> None:
    rule = RULE.model_copy(update={"when_gone": when_gone})
    book = {"2026-01-01": {"a": 0, "b": 0, "c": 0}, "2026-01-02": {"a": 0, "b": 95, "c": 0}, "2026-01-04": {"c": 0}}
    found = derive(snapshot(book["2026-01-01"]), states(book)["2026-01-04"], rule, "2026-01-01", "2026-01-04").collect()
    assert dict(found.iter_rows()) == {"a": bad, "b": 1, "c": 0}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), within=st.integers(1, 6))
def test_outcomes_equal_those_of_all_later_snapshots(seed: int, within: int) -> None:
    random, rule = Random(seed), RULE.model_copy(update={"within_days": within})
    dates = date_range(FIRST, shift(FIRST, 9))
    book = {date: {account: random.choice([0.0, 89.9, 90.0, None]) for account in "abcdef" if random.random() < 0.7} for date in dates}
    carried = states(book, rule)
    for date in dates[: len(dates) - within]:
        end = shift(date, within)
        found = dict(derive(snapshot(book[date]), carried[end], rule, date, end).collect().iter_rows())
        later = [book[day] for day in dates if date < day <= end]
        for account in book[date]:
            bad = any((days.get(account) or 0) >= 90 for days in later)
            assert found[account] == (1 if bad else 0 if account in book[end] else None)
