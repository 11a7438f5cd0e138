"""The prediction log: what was asked and answered, in the lake, as Azure ML's data collector lays it out for its monitors.

Each line is one request in one collection, `model_inputs` or `model_outputs`: an event whose `data` are the request's records.
The two lines of a request share its `correlationid`, and a record is at the same index in both: the monitors join them by
`{correlationid}_{index}`. The lines are described at https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data
("Store collected data in Blob Storage").
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
from obstore.exceptions import BaseError

from risk_assets.domain.governance.arms import BUCKET_BYTES, bucket
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_serving.observability.background_writer import Background
from risk_serving.scoring.wire import Result

INPUTS, OUTPUTS = "model_inputs", "model_outputs"
AGENT = "azureml-ai-monitoring/1.0.0"
DATA_TYPE = "pandas.core.frame.DataFrame"
WRITER_BYTES = 8
HOUR_SECONDS = 3600

Pieces: TypeAlias = tuple[bytes | memoryview, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A request's body, and its results, record by record.

    `at` is in seconds since 1970, UTC. `shadow` are the probabilities by a challenger, of version `shadow_version`, that answers
    for none of the records.
    """

    request_id: str
    at: float
    body: bytes
    results: Sequence[Result]
    shadow: Sequence[float] | None
    shadow_version: str | None


class _Request(msgspec.Struct):
    records: msgspec.Raw


class _Output(msgspec.Struct, gc=False):
    id: str | None
    probability: float
    prediction: int
    model_version: str
    arm: str
    challenger_probability: float | None
    challenger_version: str | None


@dataclass(frozen=True, slots=True)
class _Lines:
    """An entry as it is written: its hour since 1970, and what its lines in the two collections are put together of."""

    hour: int
    inputs: Pieces
    outputs: Pieces


class PredictionLog:
    """Writes entries to the lake in the background, a file of each hour and collection at a time.

    An entry is put into words when it is offered, while what it tells of is at hand: kept as it was until it is written, it
    would be in the way of the requests that come meanwhile.

    Parameters
    ----------
    store
        The lake.
    source
        What answers: the events' `source`.
    share
        The share of the requests that are logged, in [0, 1]. Whether one is, whole, follows from its id alone.
    records
        How many records may wait to be written, at some 2 KB of memory each; what is more is dropped and counted.
    seconds
        How long entries gather before they are written.
    """

    def __init__(self, store: Store, source: str, share: float, records: int, seconds: float) -> None:
        self._store = store
        self._heads = {collection: _head(source, collection) for collection in (INPUTS, OUTPUTS)}
        self._below = int(share * 2 ** (8 * BUCKET_BYTES))
        self._background = Background(self._write, "the prediction log", records, seconds)
        self._writer = secrets.token_hex(WRITER_BYTES)
        self._batches = 0

    @property
    def dropped(self) -> int:
        """How many records were to be logged and are not."""
        return self._background.dropped

    @property
    def failures(self) -> int:
        """How often a batch could not be written, each try counted."""
        return self._background.failures

    @property
    def problem(self) -> str | None:
        """Why the last batch was not written; None once one is."""
        return self._background.problem

    @property
    def pending(self) -> int:
        """How many records wait to be written."""
        return self._background.pending

    def start(self) -> None:
        """Start writing."""
        self._background.start()

    def offer(self, entry: Entry) -> None:
        """Log an entry, if its request is one of the share and there is room for it; never waits."""
        if int.from_bytes(bucket(b"", entry.request_id)) < self._below:
            self._background.offer(self._lines(entry), len(entry.results))

    def close(self, timeout: float) -> None:
        """Write what waits and stop, within `timeout` seconds."""
        self._background.close(timeout)

    def _lines(self, entry: Entry) -> _Lines:
        inputs, outputs, told = _inputs(entry.body), _outputs(entry), _told(entry)
        hour = int(entry.at // HOUR_SECONDS)
        return _Lines(hour, (self._heads[INPUTS], inputs, _tail(inputs, told)), (self._heads[OUTPUTS], outputs, _tail(outputs, told)))

    def _write(self, entries: Sequence[_Lines]) -> None:
        """Write a batch; where storage refused it before, what is already there is left: it is of the same entries."""
        number = self._batches
        self._batches += 1
        try:
            self._write_files(entries, number)
        except (RiskError, OSError):
            # The batch comes again, and must find its own files; one that fails otherwise does not, and must leave none to the next.
            self._batches = number
            raise

    def _write_files(self, entries: Sequence[_Lines], number: int) -> None:
        for hour, part in groupby(sorted(entries, key=_hour), key=_hour):
            there, start = tuple(part), time.gmtime(hour * HOUR_SECONDS)
            date, clock = time.strftime("%Y-%m-%d", start), time.strftime("%H", start)
            for collection, lines in ((INPUTS, (each.inputs for each in there)), (OUTPUTS, (each.outputs for each in there))):
                path = layout.online_log(date, collection, clock, self._writer, number)
                self._create(path, b"".join(chain.from_iterable(lines)))

    def _create(self, path: str, content: bytes) -> None:
        folder = self._store.folder
        if folder is not None and not folder.is_dir():
            # Storage would make the folder anew, and stand in the way of the lake when it comes back.
            raise LakeError(f"{path} can't be written: {self._store.url} is not there. Bring it back; what waits is written then.")
        try:
            self._store.create(path, content)
        except BaseError as error:
            # Storage's own words may hold an address with its signature.
            raise LakeError(
                f"{path} can't be written in {self._store.url} ({type(error).__name__}): see that the lake is there and may be written to."
            ) from error


def _head(source: str, collection: str) -> bytes:
    """Return how the events of a collection begin, up to their data."""
    event = {
        "specversion": "1.0",
        "source": source,
        "type": f"azureml.inference.{collection}",
        "datacontenttype": "application/json",
        "collectdatatype": DATA_TYPE,
        "agent": AGENT,
    }
    return msgspec.json.encode(event)[:-1] + b',"data":'


def _told(entry: Entry) -> str:
    """Return what both events of an entry say; ids and versions have nothing that JSON escapes."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.at))
    versions = ",".join(dict.fromkeys([result.model_version for result in entry.results]))
    return f'"time":"{at}","correlationid":"{entry.request_id}","xrequestid":"{entry.request_id}","modelversion":"{versions}"'


def _tail(data: bytes | memoryview, told: str) -> bytes:
    """Return how an event ends, behind its data."""
    size, own = len(data), uuid.UUID(int=random.getrandbits(128), version=4)
    return f',"contentrange":"bytes 0-{size - 1}/{size}","id":"{own}",{told}}}\n'.encode()


def _inputs(body: bytes) -> bytes | memoryview:
    """Return the records as they were sent: not made anew, and on one line, as JSON has line breaks between tokens alone."""
    start, end = body.index(b"["), body.rindex(b"]")
    if body.find(b"[", start + 1) != -1 or body.index(b"]") != end:
        return _one_line(bytes(msgspec.json.decode(body, type=_Request).records))
    return memoryview(body)[start : end + 1] if b"\n" not in body and b"\r" not in body else _one_line(body[start : end + 1])


def _one_line(text: bytes) -> bytes:
    return text.translate(None, b"\r\n")


def _outputs(entry: Entry) -> bytes:
    shadow: Sequence[float | None] = entry.shadow or [None] * len(entry.results)
    version = entry.shadow_version
    rows = [
        _Output(result.id, result.probability, result.prediction, result.model_version, result.arm, probability, version)
        for result, probability in zip(entry.results, shadow, strict=True)
    ]
    return msgspec.json.encode(rows)


def _hour(lines: _Lines) -> int:
    return lines.hour
