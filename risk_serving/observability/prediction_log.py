"""The prediction log: requests and results in the lake, in the layout of Azure ML's data collector, for Azure ML's monitors.

Each line is one request in one collection, `model_inputs` or `model_outputs`: an event whose `data` are the request's records.
Both lines of a request have the same `correlationid`, the service's own id of the request, and a record has the same index in
both: the monitors join them by `{correlationid}_{index}`. `xrequestid` is the caller's id of the request, if one was sent.
Azure ML documents the lines in "Store collected data in Blob Storage" of
https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data.
"""

import random
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TypeAlias

import msgspec

from risk_assets.domain.contract.field_rules import SEPARATOR
from risk_assets.domain.contract.schema import ISSUE, NOT_ELIGIBLE, SCORED
from risk_assets.domain.governance.arms import BUCKET_BYTES, bucket
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_serving.observability.background_writer import BackgroundWriter
from risk_serving.scoring.answers import NotEligible, RecordResult, WithIssues

INPUTS, OUTPUTS = "model_inputs", "model_outputs"
AGENT = "azureml-ai-monitoring/1.0.0"
DATA_TYPE = "pandas.core.frame.DataFrame"
WRITER_ID_BYTES = 8
HOUR_SECONDS = 3600
ENTRY_BYTES = 1500  # of an entry without its records: the ends of its lines, and the objects that hold them

Pieces: TypeAlias = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request: its body, and the result of each record.

    `client_request_id` is the caller's id, which need not be unique. `received_at` is in seconds since 1970, UTC. `shadow` has the
    probabilities of a challenger in shadow, whose version is `shadow_version`.
    """

    request_id: str
    received_at: float
    body: bytes
    results: Sequence[RecordResult]
    shadow: Sequence[float | None] | None
    shadow_version: str | None
    client_request_id: str | None = None


class _Request(msgspec.Struct):
    records: msgspec.Raw


class _Output(msgspec.Struct, gc=False):
    id: str | None
    status: str
    probability: float | None
    prediction: int | None
    excluded: str | None
    issues: str | None
    model_version: str
    arm: str
    challenger_probability: float | None
    challenger_version: str | None


@dataclass(frozen=True, slots=True)
class _Lines:
    """An entry as it is written: its hour since 1970, and the pieces of its line in each collection."""

    hour: int
    inputs: Pieces
    outputs: Pieces

    @property
    def size(self) -> int:
        """The memory that it takes, in bytes."""
        return ENTRY_BYTES + len(self.inputs[1]) + len(self.outputs[1])


class PredictionLog:
    """Writes entries to the lake in the background, in files for each hour and collection.

    An entry is encoded when it is offered: encoding it later, in the writer's thread, would delay concurrent requests.

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
        self._store = store
        self._starts = {collection: _event_start(source, collection) for collection in (INPUTS, OUTPUTS)}
        self._bucket_limit = int(share * 2 ** (8 * BUCKET_BYTES))
        self._writer = BackgroundWriter(self._write, "the prediction log", limit, seconds)
        self._writer_id = secrets.token_hex(WRITER_ID_BYTES)
        self._batches = 0

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

    def offer(self, entry: Entry) -> None:
        """Log an entry without waiting, if its request belongs to the logged share and the buffer has room."""
        if int.from_bytes(bucket(b"", entry.request_id)) < self._bucket_limit:
            lines = self._lines(entry)
            self._writer.offer(lines, lines.size, len(entry.results))

    def close(self, timeout: float) -> None:
        """Write the pending entries and stop, within `timeout` seconds."""
        self._writer.close(timeout)

    def _lines(self, entry: Entry) -> _Lines:
        inputs, outputs, shared = _inputs(entry.body), _outputs(entry), _shared_fields(entry)
        return _Lines(
            int(entry.received_at // HOUR_SECONDS),
            (self._starts[INPUTS], inputs, _event_end(inputs, shared)),
            (self._starts[OUTPUTS], outputs, _event_end(outputs, shared)),
        )

    def _write(self, batch: Sequence[_Lines]) -> None:
        """Write a batch. On a retry the files have the same names, so those that exist are complete and stay."""
        number = self._batches
        self._batches += 1
        try:
            self._write_files(batch, number)
        except (RiskError, OSError):
            # Only these errors are retried. After any other, the next batch gets a new number: files of this one may exist.
            self._batches = number
            raise

    def _write_files(self, batch: Sequence[_Lines], number: int) -> None:
        for hour, group in groupby(sorted(batch, key=_hour), key=_hour):
            lines, start = tuple(group), time.gmtime(hour * HOUR_SECONDS)
            date, clock = time.strftime("%Y-%m-%d", start), time.strftime("%H", start)
            for collection, pieces in ((INPUTS, (each.inputs for each in lines)), (OUTPUTS, (each.outputs for each in lines))):
                path = layout.online_log(date, collection, clock, self._writer_id, number)
                self._create(path, b"".join(chain.from_iterable(pieces)))

    def _create(self, path: str, content: bytes) -> None:
        folder = self._store.folder
        if folder is not None and not folder.is_dir():
            # The store would create the folder, which then blocks the lake from being moved or mounted there again.
            raise LakeError(f"{path} cannot be written: {self._store.url} does not exist. Restore it; pending entries are written then.")
        self._store.create(path, content)


def _event_start(source: str, collection: str) -> bytes:
    """Return the start of a collection's events, up to their data."""
    event = {
        "specversion": "1.0",
        "source": source,
        "type": f"azureml.inference.{collection}",
        "datacontenttype": "application/json",
        "collectdatatype": DATA_TYPE,
        "agent": AGENT,
    }
    return msgspec.json.encode(event)[:-1] + b',"data":'


def _shared_fields(entry: Entry) -> str:
    """Return the fields that both events of an entry share. Ids and versions contain nothing that JSON must escape."""
    received = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.received_at))
    versions = ",".join(dict.fromkeys([result.model_version for result in entry.results]))
    sent = entry.client_request_id or entry.request_id
    return f'"time":"{received}","correlationid":"{entry.request_id}","xrequestid":"{sent}","modelversion":"{versions}"'


def _event_end(data: bytes, shared: str) -> bytes:
    """Return the end of an event, after its data."""
    size, event_id = len(data), uuid.UUID(int=random.getrandbits(128), version=4)
    return f',"contentrange":"bytes 0-{size - 1}/{size}","id":"{event_id}",{shared}}}\n'.encode()


def _inputs(body: bytes) -> bytes:
    """Return the records as they were sent, on one line: valid JSON has line breaks only between tokens."""
    start, end = body.index(b"["), body.rindex(b"]")
    if body.find(b"[", start + 1) != -1 or body.index(b"]") != end:
        return _one_line(bytes(msgspec.json.decode(body, type=_Request).records))
    records = body[start : end + 1]  # a copy: the rest of the body may be large
    return records if b"\n" not in records and b"\r" not in records else _one_line(records)


def _one_line(text: bytes) -> bytes:
    return text.translate(None, b"\r\n")


def _outputs(entry: Entry) -> bytes:
    shadow: Sequence[float | None] = entry.shadow or [None] * len(entry.results)
    version = entry.shadow_version
    rows = [_output(result, probability, version) for result, probability in zip(entry.results, shadow, strict=True)]
    return msgspec.json.encode(rows)


def _output(result: RecordResult, challenger_probability: float | None, challenger_version: str | None) -> _Output:
    challenger = (challenger_probability, challenger_version)
    if isinstance(result, NotEligible):
        return _Output(result.id, NOT_ELIGIBLE, None, None, result.excluded, None, result.model_version, result.arm, *challenger)
    if isinstance(result, WithIssues):
        return _Output(result.id, ISSUE, None, None, None, SEPARATOR.join(result.issues), result.model_version, result.arm, *challenger)
    return _Output(result.id, SCORED, result.probability, result.prediction, None, None, result.model_version, result.arm, *challenger)


def _hour(lines: _Lines) -> int:
    return lines.hour
