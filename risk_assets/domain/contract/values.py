"""The parts of a contract that decide the values of features tables, and of outcomes."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from risk_assets.domain.contract.schema import Contract

WORDING = ("reason", "reason_missing", "reason_low", "reason_high", "risk", "input", "sensitive")  # change nothing in a features table


def values_digest(contract: Contract) -> str:
    """Return the SHA-256 of the id, the group, the tokens, the marks, the population rules and the features' types and ranges.

    Reason texts, directions, comments, the exposure and the target do not count, nor do keys with default values: a later release that
    adds a key does not make every table stale.
    """
    return _digest(_values(contract))


def outcomes_digest(contract: Contract) -> str:
    """Return the SHA-256 of what decides outcomes: the target without its definition, the id and the tokens.

    Derived outcomes also depend on the values of features, by which tables they were made from.
    """
    content = contract.model_dump(mode="json", include={"id", "missing"})
    return _digest(content | {"target": contract.target.model_dump(mode="json", exclude_defaults=True, exclude={"definition"})})


def states_digest(contract: Contract) -> str:
    """Return the SHA-256 of what decides the states of accounts: the condition of bad, and the values of features."""
    derived = contract.target.derived
    return _digest(_values(contract) | {"bad_when": derived.bad_when.model_dump(mode="json") if derived else None})


def reads_alike(one: Contract, other: Contract, features: Iterable[str]) -> bool:
    """Return whether two contracts read the same values of features from a file: types, formats, ranges and missing values are equal."""
    parts = [_values(contract) for contract in (one, other)]
    shared = [{key: value for key, value in part.items() if key not in ("id", "group", "exclude", "features")} for part in parts]
    return shared[0] == shared[1] and all(parts[0]["features"].get(name) == parts[1]["features"].get(name) for name in features)


def _values(contract: Contract) -> dict[str, Any]:
    content = contract.model_dump(mode="json", exclude_defaults=True, exclude={"target", "exposure"})
    for feature in content["features"].values():
        for key in WORDING:
            feature.pop(key, None)
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
