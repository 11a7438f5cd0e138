"""The prediction log: requests and answers in the lake, in the layout of Azure ML's data collector, for Azure ML's monitors.

Each line is one request in one collection, `model_inputs` or `model_outputs`: an event whose `data` are the request's records as
they were sent, or the results as they were answered. Both lines of a request have the same `correlationid`, the service's own id
of the request, and a record has the same index in both: the monitors join them by `{correlationid}_{index}`. `xrequestid` is the
caller's id of the request, if one was sent. The outputs have, as attributes of the event, who has asked (`caller`), and what has
decided: the number of the `binding`, and the digests of its `contract` and `policy`.
"""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from risk_assets.domain.governance.arms import BUCKET_BYTES, bucket
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_serving.observability.background_writer import BackgroundWriter
from risk_serving.observability.event_lines import HOUR_SECONDS, Entry, EventLines

WRITER_ID_BYTES = 8
ENTRY_BYTES = 1500  # of an entry without its records and results: the ends of its lines, and the objects that hold them
SHADOW_BYTES = 32  # of a record
NAME = "the prediction log"


class NotStoredError(Exception):
    """An entry was not stored, so its answer must not be sent. A file may still have it, if its write has not ended."""


class PredictionLog(ABC):
    """Writes entries to the lake in a thread of its own."""

    def __init__(self, writer: BackgroundWriter[Any]) -> None:
        self._writer = writer

    @property
    def dropped(self) -> int:
        """The number of records that should have been logged and were not."""
        return self._writer.dropped

    @property
    def failures(self) -> int:
        """The number of failed attempts to write a batch."""
        return self._writer.failures

    @property
    def problem(self) -> str | None:
        """Why the last batch was not written, or None if it was."""
        return self._writer.problem

    @property
    def pending(self) -> int:
        """The number of records that are not yet written."""
        return self._writer.pending

    def start(self) -> None:
        """Start to write."""
        self._writer.start()

    def close(self, timeout: float) -> None:
        """Write the pending entries and stop, within `timeout` seconds."""
        self._writer.close(timeout)

    @abstractmethod
    def has(self, request_id: str) -> bool:
        """Return whether a request belongs to those that are logged."""

    @abstractmethod
    async def add(self, entry: Entry) -> None:
        """Log an entry; raises `NotStoredError` if its answer must not be sent."""


class BufferedLog(PredictionLog):
    """Logs without waiting: entries are written at intervals, and dropped if too many wait.

    Parameters
    ----------
    store
        The lake.
    source
        The `source` of the events: the name of the service.
    share
        The share of requests that are logged, in [0, 1]. The service's own request id alone decides whether a request is logged.
    limit
        The most bytes that wait to be written; the records of further requests are dropped and counted.
    seconds
        The interval between writes.
    """

    def __init__(self, store: Store, source: str, share: float, limit: int, seconds: float) -> None:
        super().__init__(BackgroundWriter(EntryFiles(store, source).write, NAME, limit, seconds))
        self._bucket_limit = int(share * 2 ** (8 * BUCKET_BYTES)) if share < 1 else None

    async def add(self, entry: Entry) -> None:
        """Log an entry without waiting; never raises `NotStoredError`."""
        self.offer(entry)

    def has(self, request_id: str) -> bool:
        """Return whether a request belongs to the logged share."""
        return self._bucket_limit is None or int.from_bytes(bucket(b"", request_id)) < self._bucket_limit

    def offer(self, entry: Entry) -> None:
        """Log an entry, if the buffer has room."""
        self._writer.offer(entry, weight(entry), entry.records)


class EntryFiles:
    """Writes batches of entries to the lake: files for each hour and collection, whose names no other process has."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._lines = EventLines(source)
        self._writer_id = secrets.token_hex(WRITER_ID_BYTES)
        self._batches = self._entries = 0

    def write(self, batch: Sequence[Entry]) -> None:
        """Write a batch. On a retry the files have the same names and contents, so those that exist are complete and stay."""
        number, self._batches = self._batches, self._batches + 1
        first, self._entries = self._entries, self._entries + len(batch)
        try:
            self._write_files(batch, number, first)
        except (RiskError, OSError):
            # Only these errors are retried. After any other, the next batch gets a new number: files of this one may exist.
            self._batches, self._entries = number, first
            raise

    def _write_files(self, batch: Sequence[Entry], number: int, first: int) -> None:
        for hour, lines in self._lines.encode(batch, first).items():
            start = time.gmtime(hour * HOUR_SECONDS)
            date, clock = time.strftime("%Y-%m-%d", start), time.strftime("%H", start)
            for collection, pieces in ((layout.ONLINE_INPUTS, lines.inputs), (layout.ONLINE_OUTPUTS, lines.outputs)):
                path = layout.online_log(date, collection, clock, self._writer_id, number)
                self._create(path, b"".join(pieces))

    def _create(self, path: str, content: bytes) -> None:
        folder = self._store.folder
        if folder is not None and not folder.is_dir():
            # The store would create the folder, which then blocks the lake from being moved or mounted there again.
            raise LakeError(f"{path} cannot be written: {self._store.url} does not exist. Restore it; pending entries are written then.")
        self._store.create(path, content)


def weight(entry: Entry) -> int:
    """Return the memory that an entry takes, in bytes."""
    shadow = 0 if entry.shadow is None else SHADOW_BYTES * len(entry.shadow)
    return ENTRY_BYTES + len(entry.sent) + len(entry.answer) + shadow
