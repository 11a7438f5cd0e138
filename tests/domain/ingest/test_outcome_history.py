"""Outcomes of a snapshot over time: what is known from when, and what restatements change."""

from datetime import date

import polars as pl
import pytest

from risk_assets.domain.contract.schema import RAGGED, Contract
from risk_assets.domain.ingest.labels import SHARD, STORED_ON, count_known_at
from risk_assets.domain.ingest.outcome_history import (
    LeftOut,
    OutcomeRevision,
    PostedOutcomes,
    derived_outcomes,
    known_by,
    landed_outcomes,
    left_out,
    matures_on,
    restated,
)

SNAPSHOT = "2026-01-10"
MATURED = "2026-02-09"  # 30 days later
TEXT = """
id: id
target: {column: defaulted, bad: 1, good: 0, matures_after_days: 30}
features:
  age: {type: number, reason: Age}
"""
CONTRACT = Contract.parse(TEXT, "contract.yml")
DATED = Contract.parse(TEXT.replace("good: 0", "good: 0, known_at: since"), "contract.yml")


def file(rows: dict[str, str | None], since: dict[str, str] | None = None) -> pl.LazyFrame:
    """Return a file of outcomes with these labels by account."""
    dates = {"since": [(since or {}).get(account, "") for account in rows]} if since is not None else {}
    columns = {"id": list(rows), "defaulted": list(rows.values()), **dates, RAGGED: [None] * len(rows)}
    return pl.LazyFrame(columns, schema_overrides={RAGGED: pl.String})


def rows(table: pl.LazyFrame) -> list[tuple[str, int | None, str, int]]:
    """Return account, label, date and revision of each row."""
    shown = table.select("account_id", "bad", pl.col("known_on").dt.to_string("%Y-%m-%d"), "revision")
    return shown.collect(engine="streaming").rows()


def posted(*shards: tuple[dict[str, str | None], str]) -> PostedOutcomes:
    """Return shards of posted outcomes, each received on a day."""
    found = [
        file(labels).with_columns(pl.lit(number, pl.Int32).alias(SHARD), pl.lit(date.fromisoformat(day)).alias(STORED_ON))
        for number, (labels, day) in enumerate(shards)
    ]
    return PostedOutcomes(pl.concat(found), len(shards))


def history(*revisions: tuple[dict[str, str] | None, str], contract: Contract = CONTRACT) -> pl.LazyFrame:
    found = [OutcomeRevision(file(labels) if labels is not None else None, stored_on) for labels, stored_on in revisions]
    return landed_outcomes(found, contract, SNAPSHOT)


def test_a_first_outcome_is_known_at_the_end_of_the_window() -> None:
    early, late = history(({"a": "1", "b": "0"}, "2026-01-12")), history(({"a": "1", "b": "0"}, "2027-01-01"))
    assert rows(early) == rows(late) == [("a", 1, MATURED, 1), ("b", 0, MATURED, 1)]
    assert set(late.collect()["source"]) == {"landed"}


def test_a_restatement_is_known_when_it_was_stored() -> None:
    table = history(({"a": "1", "b": "0", "c": "0"}, "2026-02-10"), ({"a": "0", "b": "0", "d": "1"}, "2026-05-01"))
    assert rows(table)[3:] == [("a", 0, "2026-05-01", 2), ("c", None, "2026-05-01", 2), ("d", 1, "2026-05-01", 2)]
    assert dict(known_by(table, "2026-04-30").collect().iter_rows()) == {"a": 1, "b": 0, "c": 0}
    assert dict(known_by(table, "2026-05-01").collect().iter_rows()) == {"a": 0, "b": 0, "c": None, "d": 1}
    assert known_by(table, "2026-02-08").collect().is_empty()


def test_a_restatement_is_not_known_before_the_end_of_the_window() -> None:
    table = history(({"a": "1"}, "2026-01-11"), ({"a": "0"}, "2026-01-12"))
    assert rows(table) == [("a", 1, MATURED, 1), ("a", 0, MATURED, 2)]
    assert known_by(table, MATURED).collect().rows() == [("a", 0)]


def test_a_label_restated_back_has_three_rows() -> None:
    table = history(({"a": "1"}, "2026-03-01"), ({"a": "0"}, "2026-03-02"), ({"a": "1"}, "2026-03-03"))
    assert rows(table) == [("a", 1, MATURED, 1), ("a", 0, "2026-03-02", 2), ("a", 1, "2026-03-03", 3)]
    assert [known_by(table, day).collect()["bad"].to_list() for day in ("2026-03-01", "2026-03-02", "2026-03-03")] == [[1], [0], [1]]


def test_the_next_labels_count_as_added_if_the_first_file_is_lost() -> None:
    assert rows(history((None, "2026-03-01"), ({"a": "1"}, "2026-03-02"))) == [("a", 1, "2026-03-02", 2)]
    later = history(({"a": "1"}, "2026-03-01"), (None, "2026-03-02"), ({"a": "1", "b": "0"}, "2026-03-03"))
    assert rows(later) == [("a", 1, MATURED, 1), ("b", 0, "2026-03-03", 3)]


def test_a_date_of_its_own_counts_if_it_is_later() -> None:
    since = {"a": "2026-04-01", "b": "2026-01-20", "c": "", "d": "soon"}
    revision = OutcomeRevision(file(dict.fromkeys(since, "1"), since), "2026-01-11")
    table = landed_outcomes([revision], DATED, SNAPSHOT)
    assert [row[2] for row in rows(table)] == ["2026-04-01", MATURED, MATURED, MATURED]
    assert count_known_at(file(dict.fromkeys(since, "1"), since), DATED) == (1, 1)
    assert count_known_at(file({"a": "1"}), CONTRACT) == (0, 0)


@pytest.mark.parametrize(("day", "expected"), [("2026-04-30", LeftOut(2, "2026-06-01")), ("2026-05-01", LeftOut(1, "2026-06-01"))])
def test_restatements_that_are_left_out_are_counted(day: str, expected: LeftOut) -> None:
    one = history(({"a": "1"}, "2026-02-10"), ({"a": "0"}, "2026-05-01"), ({"a": "1"}, "2026-06-01"))
    assert left_out([one, history(({"b": "1"}, "2026-02-10"))], day) == expected
    assert left_out([one], "2026-06-01") == LeftOut()


def test_derived_outcomes_are_restated_when_they_are_derived_again() -> None:
    first = derived_outcomes(pl.LazyFrame({"account_id": ["a", "b"], "bad": [0, None]}), CONTRACT, SNAPSHOT)
    assert rows(first) == [("a", 0, MATURED, 1), ("b", None, MATURED, 1)]
    again = restated(pl.LazyFrame({"account_id": ["a", "b"], "bad": [1, None]}), first, matures_on(SNAPSHOT, CONTRACT), 2, "2026-03-05")
    assert rows(again.lazy()) == [("a", 1, "2026-03-05", 2)]
    assert set(again["source"]) == {"derived"}


def test_a_posted_outcome_is_known_when_it_was_received() -> None:
    table = landed_outcomes([posted(({"a": "1"}, "2026-01-12"), ({"b": "0"}, "2026-03-01"))], CONTRACT, SNAPSHOT)
    assert rows(table) == [("a", 1, MATURED, 1), ("b", 0, "2026-03-01", 2)]
    assert set(table.collect()["source"]) == {"posted"}


def test_posted_outcomes_change_only_their_accounts() -> None:
    landed = OutcomeRevision(file({"a": "1", "b": "0"}), "2026-02-10")
    shards = posted(({"b": "1", "a": "1"}, "2026-03-01"), ({"b": "1"}, "2026-03-02"), ({"b": None, "c": "0"}, "2026-03-03"))
    table = landed_outcomes([landed, shards], CONTRACT, SNAPSHOT)
    assert rows(table)[2:] == [("b", 1, "2026-03-01", 2), ("b", None, "2026-03-03", 4), ("c", 0, "2026-03-03", 4)]
    assert dict(known_by(table, "2026-03-02").collect().iter_rows()) == {"a": 1, "b": 1}


def test_a_label_posted_back_and_forth_has_a_row_each_time() -> None:
    table = landed_outcomes([posted(*(({"a": label}, f"2026-03-0{day}") for day, label in enumerate("10110", 1)))], CONTRACT, SNAPSHOT)
    assert rows(table) == [("a", 1, "2026-03-01", 1), ("a", 0, "2026-03-02", 2), ("a", 1, "2026-03-03", 3), ("a", 0, "2026-03-05", 5)]


def test_a_first_file_after_posted_outcomes_restates_those_that_differ() -> None:
    landed = OutcomeRevision(file({"a": "1", "b": "1", "c": "0"}), "2026-04-01")
    table = landed_outcomes([posted(({"a": "1", "b": "0"}, "2026-03-01")), landed], CONTRACT, SNAPSHOT)
    assert rows(table)[2:] == [("b", 1, "2026-04-01", 2), ("c", 0, MATURED, 2)]


def test_a_later_file_restates_only_accounts_whose_label_in_it_changes() -> None:
    first = OutcomeRevision(file({"a": "1", "b": "1", "c": "0"}), "2026-02-10")
    shards = posted(({"a": "0", "c": "1", "d": "1"}, "2026-03-01"))
    later = OutcomeRevision(file({"a": "1", "b": "0", "c": "1"}), "2026-04-01")
    table = landed_outcomes([first, shards, later], CONTRACT, SNAPSHOT)
    assert rows(table)[6:] == [("b", 0, "2026-04-01", 3)]
    assert dict(known_by(table, "2026-04-01").collect().iter_rows()) == {"a": 0, "b": 0, "c": 1, "d": 1}


def test_a_date_of_a_posted_outcome_counts_if_it_is_later() -> None:
    shard = file({"a": "1", "b": "0", "c": "0"}, {"a": "2026-05-01", "b": "2026-02-20", "c": ""})
    marked = shard.with_columns(pl.lit(0, pl.Int32).alias(SHARD), pl.lit(date(2026, 3, 1)).alias(STORED_ON))
    table = landed_outcomes([PostedOutcomes(marked, 1)], DATED, SNAPSHOT)
    assert [row[2] for row in rows(table)] == ["2026-05-01", "2026-03-01", "2026-03-01"]
