"""Processes that tests start: their ports, and their end with the test."""

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ending_with_parent(command: Sequence[str | Path], *options: str) -> list[str | Path]:
    """Return a command that ends when the process that starts it is killed, on Linux."""
    setpriv = shutil.which("setpriv")
    return [setpriv, *options, "--pdeathsig=TERM", *command] if setpriv else list(command)
