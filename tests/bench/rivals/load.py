"""The client, a process of its own: keeps connections busy for some seconds and writes what it saw as JSON."""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

HOST = "127.0.0.1"
LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """A connection that is kept: one question, then its whole answer."""

    def __init__(self) -> None:
        """Begin unconnected."""
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport, self.open = transport, True

    def ask(self, request: bytes) -> asyncio.Future[None]:
        """Send a request; the future is done when all of its answer is here."""
        self._answer, self._wanted = bytearray(), 0
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        """Add to the answer."""
        self._answer += data
        if not self._wanted:
            self._read_head()
        if self._wanted and len(self._answer) >= self._wanted and not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what is not answered."""
        self.open = False
        if not self._answered.done():
            self._answered.set_exception(ConnectionError(f"the server closed the connection: {error}"))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _read_head(self) -> None:
        end = self._answer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._answer[:end]).lower() + b"\r\n"
        at = head.find(LENGTH)
        if not head.startswith(b"http/1.1 200") or at < 0:
            self._answered.set_exception(ConnectionError(f"no answer with 200 and a length, but {head!r}"))
            return
        self._wanted = end + 4 + int(head[at + len(LENGTH) : head.index(b"\r\n", at)])
        self.open = b"connection: close" not in head


async def _connected(port: int) -> Connection:
    return (await asyncio.get_running_loop().create_connection(Connection, HOST, port))[1]


async def _keep_busy(connection: Connection, port: int, requests: Iterator[bytes], end: float, took: list[float]) -> None:
    while (began := time.perf_counter()) < end:
        if not connection.open:
            connection = await _connected(port)
        await connection.ask(next(requests))
        took.append(time.perf_counter() - began)
    connection.close()


async def _run(port: int, requests: list[bytes], connections: int, seconds: float) -> dict[str, float]:
    opened = [await _connected(port) for _ in range(connections)]
    turns, took = itertools.cycle(requests), []
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(_keep_busy(each, port, turns, began + seconds, took) for each in opened))
    lasted, cpu = time.perf_counter() - began, time.process_time() - cpu
    took.sort()
    return {"answers": len(took), "seconds": lasted, "cpu": cpu, "p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}


def main(port: str, requests: str, connections: str, seconds: str) -> None:
    """Send the requests of a file, a JSON list of whole HTTP requests with a character for each byte, in turns."""
    texts = json.loads(Path(requests).read_text(encoding="utf-8"))
    found = uvloop.run(_run(int(port), [text.encode("latin-1") for text in texts], int(connections), float(seconds)))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
