"""Seals: a record that holds the SHA-256 of its own content, so that a change of any value is found."""

from typing import Protocol, TypeVar

import msgspec

from risk_assets.lake.hashing import sha256


class Sealed(Protocol):
    """A struct with a seal: the SHA-256 of itself as compact JSON with an empty seal; None if an earlier release wrote it."""

    @property
    def seal(self) -> str | None:
        """The seal."""


S = TypeVar("S", bound=msgspec.Struct)


def sealed(value: S) -> S:
    """Return a struct with its seal, as it is read back: a whole number in a field of floats is another text in JSON than the float."""
    as_read = msgspec.json.decode(msgspec.json.encode(value), type=type(value))
    return msgspec.structs.replace(as_read, seal=_seal(as_read))


def has_seal(value: Sealed) -> bool:
    """Return whether a struct is unchanged since it was sealed, or was never sealed."""
    assert isinstance(value, msgspec.Struct)
    return value.seal is None or value.seal == _seal(value)


def has_seal_as_written(content: bytes) -> bool:
    """Return whether the JSON of a struct is unchanged since it was sealed, or was never sealed.

    Fields that the struct has got since then do not matter: the seal is compared with what was written, not with what is read.
    """
    record = msgspec.json.decode(content)
    if not isinstance(record, dict) or record.get("seal") is None:
        return True
    return bool(record["seal"] == sha256(msgspec.json.encode(record | {"seal": ""})))


def _seal(value: msgspec.Struct) -> str:
    return sha256(msgspec.json.encode(msgspec.structs.replace(value, seal="")))
