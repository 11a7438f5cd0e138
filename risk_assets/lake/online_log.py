"""Reads the prediction log of the service: each request with its records and answers, file by file.

The two files of a batch of requests have the same name in both collections, and a request the same id in both. A message about a
file or a line never has a value of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import msgspec

from risk_assets.domain.batch.answers import Answer, Record
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.online_files import dates
from risk_assets.lake.store import Store

SEARCHED_DATES = 31
MAX_FOUND = 20
_OWN_ID = re.compile(r"[0-9a-f]{32}")  # of a request by the service; a caller's id can have this form too
_RESTORE = "Restore the file from a backup."


class _Id(msgspec.Struct):
    correlationid: str


class _Inputs(msgspec.Struct):
    correlationid: str
    data: list[dict[str, float | str | None]]


class _Outputs(msgspec.Struct):
    correlationid: str
    xrequestid: str
    time: str
    binding: int
    contract: str
    policy: str
    data: list[Answer]
    caller: str | None = None


_read_id = msgspec.json.Decoder(_Id).decode
_read_inputs = msgspec.json.Decoder(_Inputs).decode
_read_outputs = msgspec.json.Decoder(_Outputs).decode


class DecidedBy(NamedTuple):
    """What decided a request: the number of the binding, and the digests of its documents."""

    binding: int
    contract: str
    policy: str


@dataclass(frozen=True)
class LoggedRecord:
    """A record with its answer: its request, its position in it, counted from 0, and the line of the outputs that has the request."""

    request: str
    position: int
    record: Record
    answer: Answer
    decided_by: DecidedBy
    path: str
    line: int


@dataclass(frozen=True)
class LoggedRequest:
    """A request with its records and their answers, and the line of the outputs that has it.

    `binding` is the number of the binding that decided, `contract` and `policy` are the digests of its documents. `client_id` is the
    caller's id of the request, or else the same as `id`.
    """

    id: str
    client_id: str
    time: str
    caller: str | None
    binding: int
    contract: str
    policy: str
    records: list[dict[str, float | str | None]]
    answers: list[Answer]
    path: str
    line: int

    @property
    def decided_by(self) -> DecidedBy:
        """What decided the request."""
        return DecidedBy(self.binding, self.contract, self.policy)

    def split(self) -> Iterator[LoggedRecord]:
        """Yield the records with their answers, in order."""
        for position, (record, answer) in enumerate(zip(self.records, self.answers, strict=True)):
            yield LoggedRecord(self.id, position, record, answer, self.decided_by, self.path, self.line)


def read_file(store: Store, path: str) -> Iterator[LoggedRequest | str]:
    """Yield the requests of a file of `files`, in its order, and a message for each line that is damaged or has no partner."""
    partner = layout.online_partner(path)
    content, other = store.find(path), store.find(partner) if partner else None
    if content is None or partner is None:
        yield f"{path} is missing, or is not a file of the prediction log. {_RESTORE}"
        return
    if other is None:
        yield f"{path} has no partner: {partner} is missing. {_RESTORE}"
        return
    lines, problems = _lines_by_id(other, partner)
    yield from problems
    for number, line in _numbered(content):
        yield _request(line, path, number, lines, partner)
    yield from (f"{partner}, line {number}: the request has no line in {path}. {_RESTORE}" for number, _ in lines.values())


def find_requests(store: Store, request: str, date: str | None = None) -> list[LoggedRequest]:
    """Return the request with an id; if there is none, those to which a caller gave it, all of the newest date that has any; at most 20.

    Parameters
    ----------
    request
        The service's id of the request, which is unique, or the caller's.
    date
        The only date to search; the default are the newest 31 dates of the log.

    Raises
    ------
    LakeError
        If there is none, or a line with the id is damaged.
    """
    searched = [date] if date else list(islice(dates(store), SEARCHED_DATES))
    named: list[LoggedRequest] = []
    for each in searched:
        found = _requests_of(store, request, each)
        if any(logged.id == request for logged in found):
            return found
        named = named or found
        if named and not _OWN_ID.fullmatch(request):
            break
    if named:
        return named
    where = searched[0] if date else f"the newest {SEARCHED_DATES} dates"
    step = "Check the id, or give another --date." if date else "Check the id, or search an earlier date: --date DATE."
    raise LakeError(f"{layout.ONLINE_LOG} has no request with this id on {where}. {step}")


def _requests_of(store: Store, request: str, date: str) -> list[LoggedRequest]:
    """Return the request of a date with an id as its own, or else those with it as their caller's, those of later files first."""
    own, client = (f'"{name}":{msgspec.json.encode(request).decode()}'.encode() for name in ("correlationid", "xrequestid"))
    found: list[LoggedRequest] = []
    for path in reversed(store.list(layout.online_folder(layout.ONLINE_OUTPUTS, date))):
        content = store.get(path)
        if own in content:
            requests = [each for each in read_file(store, path) if isinstance(each, str) or each.id == request]
            return list(_readable(requests))
        if client in content and len(found) < MAX_FOUND:
            found += _readable([each for each in read_file(store, path) if isinstance(each, str) or each.client_id == request])
    return found[:MAX_FOUND]


def _readable(requests: list[LoggedRequest | str]) -> Iterator[LoggedRequest]:
    """Yield the requests; raises `LakeError` with the first message if there is none."""
    found = [each for each in requests if isinstance(each, LoggedRequest)]
    if not found and requests:
        raise LakeError(str(requests[0]))
    yield from found


def _lines_by_id(content: bytes, path: str) -> tuple[dict[str, tuple[int, bytes]], list[str]]:
    """Return the number and the content of each line by the request's id, and a message for each line without one."""
    lines: dict[str, tuple[int, bytes]] = {}
    problems: list[str] = []
    for number, line in _numbered(content):
        try:
            name = _read_id(line).correlationid
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            problems.append(_damaged(path, number, error))
            continue
        if name in lines:
            problems.append(f"{path}, line {number}: the request is also in line {lines[name][0]}. {_RESTORE}")
        lines[name] = (number, line)
    return lines, problems


def _request(line: bytes, path: str, number: int, partners: dict[str, tuple[int, bytes]], partner: str) -> LoggedRequest | str:
    """Return the request of a line of outputs, and remove its partner; or a message."""
    try:
        outputs = _read_outputs(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return _damaged(path, number, error)
    found = partners.pop(outputs.correlationid, None)
    if found is None:
        return f"{path}, line {number}: the request has no line in {partner}. {_RESTORE}"
    try:
        inputs = _read_inputs(found[1])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return _damaged(partner, found[0], error)
    if len(inputs.data) != len(outputs.data):
        return f"{path}, line {number}: the request has {len(inputs.data)} records and {len(outputs.data)} results. {_RESTORE}"
    return LoggedRequest(
        outputs.correlationid,
        outputs.xrequestid,
        outputs.time,
        outputs.caller,
        outputs.binding,
        outputs.contract,
        outputs.policy,
        inputs.data,
        outputs.data,
        path,
        number,
    )


def _numbered(content: bytes) -> Iterator[tuple[int, bytes]]:
    return enumerate(content.splitlines(), start=1)


def _damaged(path: str, number: int, error: Exception) -> str:
    return f"{path}, line {number} {_reason(error)}: it was changed, or written by another release. {_RESTORE}"


def _reason(error: Exception) -> str:
    """Return why a line cannot be read: the place of a value that is not valid, but not the message, which can have the value."""
    if isinstance(error, msgspec.ValidationError):
        return f"is not valid at {str(error).rpartition(' - at ')[2] if ' - at ' in str(error) else '$'}"
    return "is not JSON"
