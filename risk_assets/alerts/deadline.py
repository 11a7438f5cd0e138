"""A deadline for a whole exchange: the timeout of a socket is for each read, and starts again with each byte that arrives."""

import socket
import threading
from contextlib import suppress
from types import TracebackType


class Deadline:
    """Ends the connections that it watches when its time is over; the time starts with the block.

    The lookup of a host's name is not part of it: the resolver of the system has limits of its own.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.is_over = seconds, False
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    @property
    def reason(self) -> str:
        """Why the exchange ended, for people."""
        return f"no complete response within {self.seconds:g} s"

    def watch(self, connection: socket.socket) -> None:
        """End a connection when the time is over, also if TLS begins on it later."""
        own = connection.dup()  # TLS takes the descriptor of the connection over
        with self._lock:
            self._connections.append(own)
            if self.is_over:
                _shut_down(own)

    def __enter__(self) -> "Deadline":
        """Start the time."""
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the time; the connections are left as they are."""
        self._timer.cancel()
        with self._lock:
            while self._connections:
                self._connections.pop().close()

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for connection in self._connections:
                _shut_down(connection)


def _shut_down(connection: socket.socket) -> None:
    """End a connection for all that use it: a read that waits returns at once."""
    with suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)
