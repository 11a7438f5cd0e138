"""Every policy and contract that trained a model or was bound, under the SHA-256 of its content.

With them a date can be scored again and a version trained again.
"""

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from risk_assets.domain.contract.documents import Document
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.hashing import sha256
from risk_assets.lake.store import Store

D = TypeVar("D", bound=Document)
_PATHS: dict[type[Document], Callable[[str], str]] = {Policy: layout.policy, Contract: layout.contract}


def archive(store: Store, *documents: Policy | Contract) -> None:
    """Store each document unless it is already stored; a stored copy that was changed is replaced."""
    for document in documents:
        path = _PATHS[type(document)](document.digest)
        if store.find(path) != document.canonical:
            store.put(path, document.canonical)


def digests(store: Store, kind: type[Document]) -> list[str]:
    """Return the digests of all archived documents of a kind."""
    folder = _PATHS[kind]("").rpartition("/")[0]
    return [found for path in store.list(f"{folder}/") if (found := layout.document_digest(path))]


def read(store: Store, kind: type[D], digest: str) -> D:
    """Return a document by its kind and digest; raises `LakeError` if it is missing, was changed or is another release's."""
    path = _PATHS[kind](digest)
    content = store.find(path)
    if content is None:
        raise LakeError(f"{path} is not in the lake, so nothing made under it can be made again. Restore it from a backup.")
    if sha256(content) != digest:
        raise LakeError(f"{path} was changed since it was written. Restore it from a backup.")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise LakeError(f"{path} was written by another release. Use that release to make again what was made under it.") from error


def problems(store: Store, kind: type[Document], digest: str) -> list[str]:
    """Return a message if a document is missing, was changed or is another release's."""
    try:
        read(store, kind, digest)
    except LakeError as error:
        return [str(error)]
    return []


def find(store: Store, kind: type[D], digest: str) -> D | None:
    """Return a document by its kind and digest, or None if it cannot be read."""
    try:
        return read(store, kind, digest)
    except LakeError:
        return None
