"""The part of a contract that decides the values of a features table."""

import hashlib
import json

from risk_assets.domain.contract.schema import Contract

WORDING = ("reason", "risk", "input", "sensitive")  # change nothing in a features table


def values_digest(contract: Contract) -> str:
    """Return the SHA-256 of the id, the group, the tokens, the marks, the population rules and the features' types and ranges.

    Reason texts, directions, comments and the target do not count, nor do keys with default values: a later release that
    adds a key does not make every table stale.
    """
    content = contract.model_dump(mode="json", exclude_defaults=True, exclude={"target"})
    for feature in content["features"].values():
        for key in WORDING:
            feature.pop(key, None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
