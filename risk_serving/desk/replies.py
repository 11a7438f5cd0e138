"""What the process of the desk replies to a question, and how questions and replies are written to a pipe."""

import struct
from typing import TypeAlias

import msgspec

from risk_serving.desk.questions import Answer, Question

_LENGTH = struct.Struct("<I")  # of the message that follows
LENGTH_BYTES = _LENGTH.size


class Answered(msgspec.Struct, frozen=True, tag=True):
    """The answer."""

    answer: Answer


class Unreadable(msgspec.Struct, frozen=True, tag=True):
    """The lake cannot be read, or what it has is damaged: the message of the `LakeError`, with the next step."""

    text: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An unexpected error: its type and the lines that raised it, without its message, which may contain a customer's values."""

    where: str


Reply: TypeAlias = Answered | Unreadable | Failed

encode = msgspec.msgpack.Encoder().encode
decode_question = msgspec.msgpack.Decoder(Question).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


def framed(message: bytes) -> bytes:
    """Return a message with its length before it."""
    return _LENGTH.pack(len(message)) + message


def length_of(head: bytes) -> int:
    """Return the length of the message that follows a head of `LENGTH_BYTES`."""
    (length,) = _LENGTH.unpack(head)
    assert isinstance(length, int)
    return length
