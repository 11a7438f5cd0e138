"""Files of one sealed record as JSON: written with its seal, and read only if the seal is that of the content."""

from typing import TypeVar

import msgspec

from risk_assets.errors import LakeError
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.seals import Sealed, has_seal, sealed
from risk_assets.lake.store import Store

S = TypeVar("S", bound=Sealed)


def write(store: Store, path: str, record: msgspec.Struct, guard: Guard = no_guard) -> None:
    """Write a record with its seal; replaces an earlier one.

    Parameters
    ----------
    guard
        Keeps other writers out while the file is replaced; raises if one has taken over.
    """
    store.put(path, msgspec.json.format(msgspec.json.encode(sealed(record)), indent=1), guard)


def read(store: Store, path: str, kind: type[S], step: str) -> S:
    """Return the record of a file.

    Parameters
    ----------
    step
        How the file is made again, as a sentence: the next step of an error.

    Raises
    ------
    LakeError
        If there is no file, or it was changed or is another release's.
    """
    content = store.find(path)
    if content is None:
        raise LakeError(f"{path} is not in the lake. {step}")
    return decode(content, path, kind, step)


def decode(content: bytes, path: str, kind: type[S], step: str) -> S:
    """Return the record of a file's content; raises `LakeError` as `read`."""
    try:
        record = msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeError(f"{path} cannot be read. {step}") from error
    if not has_seal(record):
        raise LakeError(f"{path} was changed since it was written. {step}")
    return record
