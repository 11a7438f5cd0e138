"""The population rules of the contract for decoded records: the same as `risk_assets.domain.ingest.population` for snapshots."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from risk_assets.domain.contract.schema import Contract, Exclusion
from risk_assets.domain.contract.text import normalize_level
from risk_assets.domain.scorecard.arrays import Floats, Integers
from risk_assets.domain.scorecard.many_rows import Codes
from risk_serving.scoring.fields import Field

Values: TypeAlias = Sequence[Any]


class Eligibility:
    """Finds the records that are not eligible, from the decoded values of `fields`, in their order."""

    def __init__(self, contract: Contract, fields: Sequence[Field]) -> None:
        positions = {field.name: position for position, field in enumerate(fields)}
        self._rules = [(positions[rule.column], _matcher(rule, fields[positions[rule.column]]), rule.reason) for rule in contract.exclude]
        self._column_rules = [_column_matcher(rule, fields) for rule in contract.exclude]
        self.reasons = [rule.reason for rule in contract.exclude]
        self.has_rules = bool(self._rules)

    def excluded(self, values: Values) -> str | None:
        """Return the reason of the first rule that a record matches, or None."""
        return next((reason for position, matches, reason in self._rules if matches(values[position])), None)

    def matched(self, numbers: Floats, categories: Sequence[Codes]) -> Integers:
        """Return for each record the position of the first rule that it matches in `reasons`, -1 for none.

        `numbers`, shape (numbers, records), has NaN for missing values and codes; the levels of `categories` are normalised.
        """
        found = np.full(numbers.shape[1], -1, dtype=np.int64)
        for position in reversed(range(len(self._column_rules))):
            found[self._column_rules[position](numbers, categories)] = position
        return found


def _matcher(rule: Exclusion, field: Field) -> Callable[[Any], bool]:
    """Return whether a decoded value matches a rule; a missing value matches none."""
    if not field.is_number:
        levels = frozenset(map(normalize_level, rule.levels))
        return lambda text: field.level(text) in levels
    return lambda value: value is not None and value not in field.codes and rule.matches_number(value)


def _column_matcher(rule: Exclusion, fields: Sequence[Field]) -> Callable[[Floats, Sequence[Codes]], Any]:
    """Return the function from numbers and categories to a mask of the records that match a rule."""
    at = next(position for position, field in enumerate(fields) if field.name == rule.column)
    is_number = fields[at].is_number
    row = sum(field.is_number is is_number for field in fields[:at])
    if is_number:
        return lambda numbers, _: _within(rule, numbers[row])
    levels = frozenset(map(normalize_level, rule.levels))
    return lambda _, categories: np.array([level in levels for level in categories[row].levels])[categories[row].positions]


def _within(rule: Exclusion, x: Floats) -> Any:
    """Return which numbers are known and within a rule's bounds, as `Exclusion.matches_number` does for one."""
    found = ~np.isnan(x)
    if rule.at_least is not None:
        found &= x >= rule.at_least
    if rule.above is not None:
        found &= x > rule.above
    if rule.at_most is not None:
        found &= x <= rule.at_most
    if rule.below is not None:
        found &= x < rule.below
    return found
