"""The policies that were scored by: each kept under the SHA-256 of its meaning, so that a past date can be scored again."""

import hashlib

from pydantic import ValidationError

from risk_assets.domain.contract.policy import Policy
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.store import Store


def archive(store: Store, policy: Policy) -> None:
    """Keep a policy; one that is there already stays."""
    store.create(layout.policy(policy.digest), policy.canonical)


def read(store: Store, digest: str) -> Policy:
    """Return a policy by its digest; raises `LakeError` when it is not there, or was changed."""
    path = layout.policy(digest)
    content = store.find(path)
    if content is None:
        raise LakeError(f"{path} is not in the lake, so what was scored by it can't be scored again. Restore it from a backup.")
    if hashlib.sha256(content).hexdigest() != digest:
        raise LakeError(f"{path} was changed since it was written. Restore it from a backup.")
    try:
        return Policy.model_validate_json(content)
    except ValidationError as error:
        raise LakeError(f"{path} was written by another release of the product and can't be read by this one.") from error
