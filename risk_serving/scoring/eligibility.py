"""The population rules of the contract for decoded records: the same as `risk_assets.domain.ingest.population` for snapshots."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from risk_assets.domain.contract.schema import Contract, Exclusion
from risk_assets.domain.contract.text import normalize_level
from risk_serving.scoring.fields import Field

Values: TypeAlias = Sequence[Any]


class Eligibility:
    """Finds the records that are not eligible, from the decoded values of `fields`, in their order."""

    def __init__(self, contract: Contract, fields: Sequence[Field]) -> None:
        positions = {field.name: position for position, field in enumerate(fields)}
        self._rules = [(positions[rule.column], _matcher(rule, fields[positions[rule.column]]), rule.reason) for rule in contract.exclude]
        self.has_rules = bool(self._rules)

    def excluded(self, values: Values) -> str | None:
        """Return the reason of the first rule that a record matches, or None."""
        return next((reason for position, matches, reason in self._rules if matches(values[position])), None)


def _matcher(rule: Exclusion, field: Field) -> Callable[[Any], bool]:
    """Return whether a decoded value matches a rule; a missing value matches none."""
    if not field.is_number:
        levels = frozenset(map(normalize_level, rule.levels))
        return lambda text: field.level(text) in levels
    return lambda value: value is not None and value not in field.codes and rule.matches_number(value)
