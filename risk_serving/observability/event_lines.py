"""The lines of the prediction log: one event for the inputs and one for the outputs of a request, as Azure ML's data collector writes them.

Azure ML documents them in "Store collected data in Blob Storage" of
https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data.
"""

import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from risk_assets.domain.governance.bindings import Binding
from risk_assets.lake import layout

AGENT = "azureml-ai-monitoring/1.0.0"
DATA_TYPE = "pandas.core.frame.DataFrame"
HOUR_SECONDS = 3600
# After a slice, other threads run: a thread that waits for the interpreter gets it after 5 ms otherwise. On a busy machine, where
# a pause takes long, slices are as long as pauses, so that the encoding keeps up with the requests.
SLICE_SECONDS = 0.0001
MAX_SLICE_SECONDS = 0.002
PAUSE_SECONDS = 0.0001
CALLERS = 1000  # whose encoded names are kept

_read_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One answered request as it is kept until it is written.

    `sent` is the list of records as it was sent, and `answer` the body of the answer, which ends with the results of the
    `records` records. `received_at` is in seconds since 1970, UTC. `binding` decided the answer. `client_request_id` is the
    caller's id, which need not be unique. `shadow` has the probabilities of a challenger in shadow; None if not scored.
    """

    request_id: str
    received_at: float
    sent: bytes
    answer: bytes
    records: int
    binding: Binding
    caller: str | None
    client_request_id: str | None = None
    shadow: Sequence[float | None] | None = None


@dataclass(frozen=True)
class Lines:
    """The lines of the requests of one hour, in each collection."""

    inputs: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)


class EventLines:
    """Encodes entries, in short slices: a thread that answers requests never waits long for the interpreter."""

    def __init__(self, source: str) -> None:
        self._starts = {collection: _event_start(source, collection) for collection in (layout.ONLINE_INPUTS, layout.ONLINE_OUTPUTS)}
        self._ids = str(uuid.uuid4())[:-12]  # of the events: a number of 12 digits follows
        self._second, self._time = -1, ""
        self._binding: Binding | None = None
        self._versions = self._decision = ""

    def encode(self, entries: Sequence[Entry], number: int) -> dict[int, Lines]:
        """Return the lines of entries by their hour since 1970; `number` is that of the first entry, of which event ids are made."""
        hours: defaultdict[int, Lines] = defaultdict(Lines)
        end = time.perf_counter() + SLICE_SECONDS
        for position, entry in enumerate(entries, number):
            self._append(entry, position, hours[int(entry.received_at) // HOUR_SECONDS])
            if (now := time.perf_counter()) > end:
                time.sleep(PAUSE_SECONDS)
                resumed = time.perf_counter()
                end = resumed + min(max(resumed - now, SLICE_SECONDS), MAX_SLICE_SECONDS)
        return hours

    def _append(self, entry: Entry, number: int, lines: Lines) -> None:
        if entry.binding is not self._binding:
            self._use_binding(entry.binding)
        second = int(entry.received_at)
        if second != self._second:
            self._second, self._time = second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
        sent, results = _one_line(entry.sent), _results(entry)
        name = entry.request_id
        shared = f'"time":"{self._time}","correlationid":"{name}","xrequestid":"{entry.client_request_id or name}",{self._versions}'
        decided = f',"caller":{_quoted(entry.caller)}{self._decision}' if entry.caller is not None else self._decision
        inputs = f',"contentrange":"bytes 0-{len(sent) - 1}/{len(sent)}","id":"{self._ids}{2 * number:012x}",{shared}}}\n'
        outputs = (
            f',"contentrange":"bytes 0-{len(results) - 1}/{len(results)}","id":"{self._ids}{2 * number + 1:012x}",{shared}{decided}}}\n'
        )
        lines.inputs.extend((self._starts[layout.ONLINE_INPUTS], sent, inputs.encode()))
        lines.outputs.extend((self._starts[layout.ONLINE_OUTPUTS], results, outputs.encode()))

    def _use_binding(self, binding: Binding) -> None:
        """Prepare the fields that depend on a binding only. Versions and digests contain nothing that JSON must escape."""
        deciding = (binding.champion, binding.challenger if binding.challenger_share is not None else None)
        self._versions = f'"modelversion":"{",".join(filter(None, deciding))}"'
        self._decision = f',"binding":{binding.seq},"contract":"{binding.contract}","policy":"{binding.policy}"'
        self._binding = binding


def sent_records(body: bytes) -> bytes:
    """Return the list of records in a valid request: a copy, because the rest of the body may be large.

    Nothing else in a valid request has brackets.
    """
    return body[body.index(b"[") : body.rindex(b"]") + 1]


def _one_line(text: bytes) -> bytes:
    """Return JSON without line breaks, which valid JSON has only between tokens."""
    return text if b"\n" not in text and b"\r" not in text else text.translate(None, b"\r\n")


def _results(entry: Entry) -> bytes:
    """Return the results as they were sent, those of a challenger in shadow added."""
    results = entry.answer[entry.answer.index(b"[") : -1]
    if entry.shadow is None:
        return results
    version = msgspec.json.encode(entry.binding.challenger)
    probabilities = msgspec.json.encode(entry.shadow)[1:-1].split(b",")
    rows = zip(_read_rows(results), probabilities, strict=True)
    return (
        b"["
        + b",".join([b'%b,"challenger_probability":%b,"challenger_version":%b}' % (bytes(row)[:-1], p, version) for row, p in rows])
        + b"]"
    )


@lru_cache(CALLERS)
def _quoted(caller: str) -> str:
    return msgspec.json.encode(caller).decode()


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
