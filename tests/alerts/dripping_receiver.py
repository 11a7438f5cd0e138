"""A server on 127.0.0.1 that never finishes a response: it sends a byte now and then."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

SECONDS_BETWEEN_BYTES = 0.02
LONGEST_SECONDS = 10


@dataclass
class DrippingReceiver:
    """The port of the server, and whether a connection was ended by it, because the sender waited for `LONGEST_SECONDS`."""

    port: int = 0
    was_waited_for: threading.Event = field(default_factory=threading.Event)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def dripping_receiver(start: bytes) -> Iterator[DrippingReceiver]:
    """Run a server that sends `start` and then drips until the block ends."""
    stop, receiver = threading.Event(), DrippingReceiver()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.sendall(start)
                for _ in range(round(LONGEST_SECONDS / SECONDS_BETWEEN_BYTES)):
                    if stop.wait(SECONDS_BETWEEN_BYTES):
                        return
                    self.request.sendall(b"a")
                receiver.was_waited_for.set()

    with _Server(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            stop.set()
            server.shutdown()
            thread.join()
