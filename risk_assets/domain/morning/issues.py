"""The issues of a date by column, next to what is usual."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from risk_assets.domain.contract.field_rules import SEPARATOR
from risk_assets.domain.morning.facts import ColumnIssues
from risk_assets.domain.morning.ranges import MIN_DATES


def column_issues(counts: Mapping[str, int], earlier: Sequence[Mapping[str, int]]) -> tuple[ColumnIssues, ...]:
    """Return the issues by column, the most rows first; columns that usually have issues and have none on the date are listed too.

    Parameters
    ----------
    counts
        The rows of each combination of issues, such as `balance: missing; utilisation: above 5`.
    earlier
        The same of each earlier date.
    """
    rules, usual = _rules(counts), [_rows(date) for date in earlier]
    rows = _rows(counts)
    columns = {*rows, *(column for date in usual for column in date)}
    found = [ColumnIssues(column, rows[column], rules.get(column, {}), _median([date[column] for date in usual])) for column in columns]
    listed = (issues for issues in found if issues.rows or issues.median)
    return tuple(sorted(listed, key=lambda issues: (-issues.rows, issues.column)))


def _rows(counts: Mapping[str, int]) -> Counter[str]:
    """Return the rows with an issue of each column; a row with several issues of a column counts once."""
    found: Counter[str] = Counter()
    for combination, rows in counts.items():
        found.update(dict.fromkeys((column for column, _ in _split(combination)), rows))
    return found


def _rules(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for combination, rows in counts.items():
        for column, rule in _split(combination):
            found.setdefault(column, Counter())[rule] += rows
    return {column: dict(rules.most_common()) for column, rules in found.items()}


def _split(combination: str) -> Iterable[tuple[str, str]]:
    """Yield the column and the rule of each issue; a column's name may contain a colon, a rule does not."""
    for issue in dict.fromkeys(combination.split(SEPARATOR)):
        column, _, rule = issue.rpartition(": ")
        yield column, rule


def _median(values: Sequence[int]) -> float | None:
    return statistics.median(values) if len(values) >= MIN_DATES else None
