"""A file with one line of JSON for each message, for local use and for programs that ship logs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from risk_assets.alerts.messages import Message
from risk_assets.alerts.receivers import FILE, Accepted, Answer, Unavailable

MAX_MESSAGES = 1000  # in one write


@dataclass(frozen=True)
class MessageFile:
    """A file on this disk to which messages are appended."""

    path: Path
    name: str = FILE
    batch: int = MAX_MESSAGES

    def send(self, messages: Sequence[Message]) -> Answer:
        """Append messages and flush them to the disk. A line that a killed writer left incomplete is ended first."""
        lines = b"".join(msgspec.json.encode(message) + b"\n" for message in messages)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(end - 1, 0))
                file.write((b"" if file.read(1) in (b"", b"\n") else b"\n") + lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return Unavailable(error.strerror or type(error).__name__)
        return Accepted()
