"""Finds requests in the prediction log by the service's id of them: the date on which they were answered, and their accounts."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import msgspec

from risk_assets.lake import layout
from risk_assets.lake.store import Store

OUTPUTS = "model_outputs"
_ID = re.compile(rb'"correlationid":"([^"]*)"')  # a text of a record has its quotes escaped


@dataclass(frozen=True)
class LoggedRequest:
    """An answered request: its date (UTC), and the id of each record without surrounding whitespace, None if it has none."""

    date: str
    accounts: tuple[str | None, ...]


class _Result(msgspec.Struct):
    id: str | None = None


class _Line(msgspec.Struct):
    data: tuple[_Result, ...]


def find_requests(
    store: Store, ids: Collection[str], dates: Collection[str] | None, is_late: Callable[[], bool]
) -> tuple[dict[str, LoggedRequest], bool]:
    """Return the requests that are in the prediction log by id, and whether all of it was searched, newest dates first.

    Parameters
    ----------
    ids
        The service's ids, as in `X-Request-ID`.
    dates
        The dates (UTC) to search; None for all.
    is_late
        Ends the search, before the next file, when it returns true.

    Raises
    ------
    LakeError
        If the log cannot be read.
    """
    found: dict[str, LoggedRequest] = {}
    for date in sorted(_dates(store) if dates is None else dates, reverse=True):
        for path in store.list(layout.online_folder(OUTPUTS, date)):
            if len(found) == len(set(ids)):
                return found, True
            if is_late():
                return found, False
            found |= {name: LoggedRequest(date, accounts) for name, accounts in _requests(store.find(path) or b"", ids)}
    return found, True


def _dates(store: Store) -> Iterator[str]:
    """Yield the dates of the log."""
    root = layout.online_collection(OUTPUTS)
    for year in store.names(root):
        for month in store.names(f"{root}/{year}"):
            for day in store.names(f"{root}/{year}/{month}"):
                yield f"{year}-{month}-{day}"


def _requests(content: bytes, ids: Collection[str]) -> Iterator[tuple[str, tuple[str | None, ...]]]:
    """Yield the requests with one of the ids, and their accounts; a line that cannot be read is left out."""
    for match in _ID.finditer(content):
        name = match[1].decode("latin-1")
        if name not in ids:
            continue
        end = content.find(b"\n", match.start())
        line = content[content.rfind(b"\n", 0, match.start()) + 1 : end if end >= 0 else len(content)]
        try:
            yield name, tuple(result.id for result in msgspec.json.decode(line, type=_Line).data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
