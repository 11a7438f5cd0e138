"""Every policy that scored a date, stored under the SHA-256 of its content, so that the date can be scored again."""

from pydantic import ValidationError

from risk_assets.domain.contract.policy import Policy
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.hashing import sha256
from risk_assets.lake.store import Store


def archive(store: Store, policy: Policy) -> None:
    """Store a policy unless it is already stored; a stored copy that was changed is replaced."""
    path = layout.policy(policy.digest)
    if store.find(path) != policy.canonical:
        store.put(path, policy.canonical)


def digests(store: Store) -> list[str]:
    """Return the digests of all archived policies."""
    return [found for path in store.list(f"{layout.POLICIES}/") if (found := layout.policy_digest(path))]


def read(store: Store, digest: str) -> Policy:
    """Return a policy by its digest; raises `LakeError` if it is missing, was changed or is another release's."""
    path = layout.policy(digest)
    content = store.find(path)
    if content is None:
        raise LakeError(f"{path} is not in the lake, so its dates cannot be scored again. Restore it from a backup.")
    if sha256(content) != digest:
        raise LakeError(f"{path} was changed since it was written. Restore it from a backup.")
    try:
        return Policy.model_validate_json(content)
    except ValidationError as error:
        raise LakeError(f"{path} was written by another release. Use that release to score its dates again.") from error
