"""What one value of the target means: the same as `risk_assets.domain.ingest.labels` for files of outcomes."""

from typing import Literal, TypeAlias

from risk_assets.domain.contract.schema import Contract, same_token
from risk_assets.domain.contract.text import normalize_level

Meaning: TypeAlias = Literal["bad", "good", "missing", "unknown"]


def token_meaning(token: str, contract: Contract) -> Meaning:
    """Return what a value of the target means; raises `ContractError` if the contract derives outcomes."""
    target = contract.target.file
    if same_token(token, target.bad):
        return "bad"
    if target.good is not None and same_token(token, target.good):
        return "good"
    if normalize_level(token) in ("", *map(normalize_level, contract.missing)):
        return "missing"
    return "good" if target.good is None else "unknown"
