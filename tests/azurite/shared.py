"""One Azurite for all processes of a test session."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from tests.azurite.server import Azurite, answers, running
from tests.prepared import locked


@contextmanager
def shared(folder: Path) -> Iterator[Azurite]:
    """Yield the server of this folder. The first process starts it, and stops it when all others have left.

    Each user holds a shared lock on `users.lock`. The starter waits for the exclusive one before it stops the server.
    If the starter dies, its server ends too, and the next process that enters starts another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port_file = folder / "port"
    with ExitStack() as leaving:
        users = leaving.enter_context((folder / "users.lock").open("w", encoding="utf-8"))
        fcntl.flock(users, fcntl.LOCK_SH)
        with locked(folder / "start.lock"):
            port = _port_in_use(port_file)
            if port is None:
                server = leaving.enter_context(running(folder / "data"))
                leaving.callback(_wait_for_other_users, users, port_file)
                port = server.port
                port_file.write_text(str(port), encoding="ascii")
        yield Azurite(port)


def _port_in_use(port_file: Path) -> int | None:
    if not port_file.exists():
        return None
    port = int(port_file.read_text(encoding="ascii"))
    return port if answers(port) else None


def _wait_for_other_users(users: TextIO, port_file: Path) -> None:
    fcntl.flock(users, fcntl.LOCK_EX)
    port_file.unlink()
