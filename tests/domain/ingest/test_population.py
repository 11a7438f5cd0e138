"""Who is in the population of a snapshot: the reason of an excluded row, its issues, and the customer."""

from typing import Any

import polars as pl
import pytest

from risk_assets.domain.contract.schema import RAGGED, Contract
from risk_assets.domain.ingest.validation import feature_descriptions, feature_facts, raw_descriptions, repeated_ids, validate
from risk_assets.lake.facts import FeatureFacts, facts_from_row

CONTENT: dict[str, Any] = {
    "id": "id",
    "target": {"column": "t", "bad": 1},
    "missing": ["NA"],
    "exclude": [
        {"reason": "closed", "column": "status", "is": ["closed ", "é"]},
        {"reason": "late", "column": "arrears", "at_least": 90},
        {"reason": "odd", "column": "arrears", "above": 10, "below": 20},
        {"reason": "new", "column": "opened", "below": 60},
    ],
    "features": {
        "arrears": {"type": "number", "max": 365, "missing": ["999"], "required": True, "reason": "A"},
        "status": {"type": "category", "missing": ["?"], "input": False, "reason": "S"},
        "opened": {"type": "number", "format": "date(%Y-%m-%d)", "input": False, "reason": "O"},
    },
}
HOW = Contract.model_validate(CONTENT)


def run(rows: list[dict[str, str | None]], how: Contract = HOW) -> pl.DataFrame:
    """Return the features of rows, by default of open accounts without arrears."""
    usual = {"arrears": "0", "status": "open", "opened": "2020-01-01", "customer": "", RAGGED: None}
    frame = pl.LazyFrame([{"id": f"a{at}"} | usual | row for at, row in enumerate(rows)], schema_overrides={RAGGED: pl.String})
    return validate(frame, how, repeated_ids(frame, how), date="2026-03-01").collect(engine="streaming")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, None),
        ({"status": "closed"}, "closed"),
        ({"status": " closed\t"}, "closed"),
        ({"status": "e\u0301"}, "closed"),
        ({"status": "Closed"}, None),
        ({"status": ""}, None),
        ({"status": "?"}, None),
        ({"arrears": "90"}, "late"),
        ({"arrears": "89.9"}, None),
        ({"arrears": "400"}, "late"),  # above max, which is not an issue of an excluded row
        ({"arrears": "15"}, "odd"),
        ({"arrears": "10"}, None),
        ({"arrears": "20"}, None),
        ({"opened": "2026-01-01"}, "new"),
        ({"opened": "2025-12-31"}, None),
        ({"opened": "NA"}, None),
        ({"status": "closed", "arrears": "120", "opened": "2026-02-28"}, "closed"),
        ({"status": "closed", "arrears": "", "opened": "?"}, "closed"),
    ],
)
def test_first_rule_that_matches_names_the_reason(row: dict[str, str | None], reason: str | None) -> None:
    assert run([row]).select("excluded", "issues").row(0) == (reason, None)


@pytest.mark.parametrize(
    ("row", "issues"),
    [
        ({"arrears": "999"}, "arrears: missing"),
        ({"arrears": "x", "opened": "y"}, "arrears: unreadable; opened: unreadable"),
        ({"id": "NA", "status": "closed"}, "id: missing"),
        ({"id": "b", "status": "closed", "arrears": "-"}, "id: repeated; arrears: unreadable"),
        ({"id": "a\nb", "status": "closed"}, "id: has a line end"),
        ({RAGGED: "line: too few fields", "status": "closed", "arrears": "x"}, "line: too few fields"),
    ],
)
def test_row_that_cannot_be_identified_is_an_issue(row: dict[str, str | None], issues: str) -> None:
    found = run([row, {"id": "b"}, {"id": "b"}])
    assert found.select("excluded", "issues").row(0) == (None, issues.replace("id:", "account_id:"))


def test_values_of_an_excluded_row_are_kept() -> None:
    found = run([{"status": "closed", "arrears": "400", "opened": "x"}])
    assert found.row(0) == ("a0", 400.0, "closed", None, "a0", "closed", None)


def test_only_rules_on_inputs_need_no_other_feature() -> None:
    features = {"status": {"type": "category", "reason": "S"}}
    how = Contract.model_validate(CONTENT | {"exclude": CONTENT["exclude"][:1], "features": features})
    assert run([{"status": "closed"}, {}], how)["excluded"].to_list() == ["closed", None]


@pytest.mark.parametrize("rules", [True, False])
@pytest.mark.parametrize(
    ("customer", "group"),
    [
        ("C1", "C1"),
        (" C1 ", "C1"),
        ("", "\x1fa0"),
        ("NA", "\x1fa0"),
        (" NA", "\x1fa0"),
        ("e\u0301", "e\u0301"),
        (None, "\x1fa0"),
        ("\x1fa0", "a0"),
    ],
)
def test_group_is_the_customer_or_else_the_account(customer: str | None, group: str, rules: bool) -> None:
    how = Contract.model_validate(CONTENT | {"group": "customer"} | ({} if rules else {"exclude": []}))
    assert run([{"customer": customer}], how)["group"].to_list() == [group]


def test_without_customers_the_group_is_the_stripped_account() -> None:
    assert run([{"id": " a1 "}, {"id": "NA"}])["group"].to_list() == ["a1", "NA"]


def test_facts_count_excluded_rows_and_missing_values_of_the_others() -> None:
    rows: list[dict[str, str | None]] = [
        {"status": "closed", "arrears": "", "opened": ""},
        {"status": "closed"},
        {"arrears": "90", "opened": ""},
        {"arrears": ""},
        {"opened": ""},
    ]
    row = run(rows).select(feature_facts(HOW)).row(0, named=True)
    assert row.pop("rows") == 5
    assert facts_from_row(row, FeatureFacts) == FeatureFacts(
        with_issues=1,
        issue_counts={"arrears: missing": 1},
        not_eligible=3,
        excluded_counts={"closed": 2, "late": 1},
        missing={"arrears": 1, "status": 0, "opened": 1},
    )


def test_columns_of_the_population_are_described() -> None:
    how = Contract.model_validate(CONTENT | {"group": "customer"})
    described = feature_descriptions(how)
    assert set(described) == set(run([{}], how).columns)
    assert described["group"] == "the customer, from the raw column customer; the account id after U+001F if it is missing"
    assert described["status"] == "category (may be missing) (not an input of models)"
    assert raw_descriptions(how)["customer"] == "the customer"
