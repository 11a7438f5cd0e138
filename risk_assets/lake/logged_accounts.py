"""Finds requests in the prediction log by the service's id of them: the date on which they were answered, and their accounts."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import msgspec

from risk_assets.lake import layout, online_files
from risk_assets.lake.store import Store

_ID = re.compile(rb'"correlationid":"([^"]*)"')  # a text of a record has its quotes escaped


@dataclass(frozen=True)
class LoggedAccounts:
    """An answered request: its date (UTC), and the id of each record without surrounding whitespace, None if it has none."""

    date: str
    accounts: tuple[str | None, ...]


class _Result(msgspec.Struct):
    id: str | None = None


class _Line(msgspec.Struct):
    data: tuple[_Result, ...]


def find_accounts(
    store: Store, ids: Collection[str], dates: Collection[str] | None, is_late: Callable[[], bool]
) -> tuple[dict[str, LoggedAccounts], bool]:
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
    found: dict[str, LoggedAccounts] = {}
    for date in sorted(online_files.dates(store) if dates is None else dates, reverse=True):
        for path in store.list(layout.online_folder(layout.ONLINE_OUTPUTS, date)):
            if len(found) == len(set(ids)):
                return found, True
            if is_late():
                return found, False
            found |= {name: LoggedAccounts(date, accounts) for name, accounts in _requests(store.find(path) or b"", ids)}
    return found, True


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
