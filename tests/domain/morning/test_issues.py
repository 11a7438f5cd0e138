"""Issues by column next to what is usual."""

from risk_assets.domain.morning.facts import ColumnIssues
from risk_assets.domain.morning.issues import column_issues


def test_issues_are_counted_by_column_and_rule() -> None:
    found = column_issues({"balance: missing": 3, "balance: missing; utilisation: above 5": 2, "line: too few fields": 1}, [])
    assert found == (
        ColumnIssues("balance", 5, {"missing": 5}),
        ColumnIssues("utilisation", 2, {"above 5": 2}),
        ColumnIssues("line", 1, {"too few fields": 1}),
    )


def test_a_row_with_two_issues_of_a_column_counts_once() -> None:
    assert column_issues({"age: below 18; age: unreadable": 4}, []) == (ColumnIssues("age", 4, {"below 18": 4, "unreadable": 4}),)


def test_the_median_is_that_of_all_earlier_dates() -> None:
    earlier = [{"age: missing": 2}] * 4 + [{}] * 3 + [{"age: missing": 50}]
    (found,) = column_issues({"age: missing": 3}, earlier)
    assert found.median == 2.0


def test_a_column_that_usually_has_issues_is_listed_without_any() -> None:
    assert column_issues({}, [{"age: missing": 2}] * 7) == (ColumnIssues("age", 0, {}, 2.0),)
    assert column_issues({}, [{"age: missing": 2}] * 5) == ()


def test_a_column_may_have_a_colon_in_its_name() -> None:
    assert column_issues({"a: b: missing": 1}, []) == (ColumnIssues("a: b", 1, {"missing": 1}),)
