"""Outcomes of a snapshot over time: what is known from when, and what restatements change."""

import polars as pl
import pytest

from risk_assets.domain.contract.schema import RAGGED, Contract
from risk_assets.domain.ingest.labels import count_known_at
from risk_assets.domain.ingest.outcome_history import (
    LeftOut,
    OutcomeRevision,
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


def file(rows: dict[str, str], since: dict[str, str] | None = None) -> pl.LazyFrame:
    """Return a file of outcomes with these labels by account."""
    dates = {"since": [(since or {}).get(account, "") for account in rows]} if since is not None else {}
    columns = {"id": list(rows), "defaulted": list(rows.values()), **dates, RAGGED: [None] * len(rows)}
    return pl.LazyFrame(columns, schema_overrides={RAGGED: pl.String})


def rows(table: pl.LazyFrame) -> list[tuple[str, int | None, str, int]]:
    """Return account, label, date and revision of each row."""
    shown = table.select("account_id", "bad", pl.col("known_on").dt.to_string("%Y-%m-%d"), "revision")
    return shown.collect(engine="streaming").rows()


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
