"""The log of dispositions: what people did about accounts. A CSV for each month (UTC) of recording, to which lines are appended.

Writers of several processes append at an end up to which they have read, so each of them knows what the others recorded before it. A line
is a disposition: line ends and backslashes in ids of accounts are written as escapes. A line that cannot be read stays where it is, and
does not hide the others. Nothing that trains, scores or reports reads these files.
"""

import csv
import io
import logging
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from risk_assets.clock import is_date, shift, utc_now
from risk_assets.domain.morning.dispositions import Disposition, Dispositions, by_account, same_content
from risk_assets.domain.wording import counted
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.append import AppendFile, End, open_append
from risk_assets.lake.store import Store

DAYS_KEPT = 90  # the pages show the dispositions of the months that cover these days
MAX_TRIES = 200
COLUMNS = Disposition.__struct_fields__
HEADER = f"{','.join(COLUMNS)}\n".encode()

logger = logging.getLogger(__name__)

_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True)
class ReadDispositions:
    """The dispositions that were read, in the order in which they were recorded: by id, and by account.

    `damaged` has a message for each file with lines that cannot be read.
    """

    by_id: Mapping[str, Disposition]
    by_account: Dispositions
    damaged: tuple[str, ...]

    @property
    def entries(self) -> tuple[Disposition, ...]:
        """All dispositions."""
        return tuple(self.by_id.values())


@dataclass(frozen=True)
class Recorded:
    """What became of a disposition, and all dispositions of its account.

    The outcome is `recorded`, also if the same form was recorded before; or `conflict` if nothing was recorded, because the account has
    dispositions that the form did not know, or the form was recorded with another content.
    """

    outcome: Literal["recorded", "conflict"]
    entries: tuple[Disposition, ...]


class DispositionLog:
    """The dispositions of the last months. It keeps what it has read, and reads only what was appended since. For one thread at a time.

    Attributes
    ----------
    version
        A number that grows when something new was read.
    """

    def __init__(self, store: Store, days: int = DAYS_KEPT) -> None:
        self.version = 0
        self._store = store
        self._days = days
        self._months: dict[str, _Month] = {}
        self._reported: set[str] = set()
        self._whole = (0, _merged({}))

    def read(self) -> ReadDispositions:
        """Return the dispositions of the months that cover the last days.

        Months that ended more than a day ago are read once. A file with lines that cannot be read is logged once. Raises `LakeError` if
        storage cannot be reached.
        """
        today = utc_now()[: len("YYYY-MM-DD")]
        months = _months(shift(today, -self._days), today)
        growing = {today[:7], shift(today, -1)[:7]}
        for month in self._months.keys() - set(months):
            del self._months[month]
            self.version += 1
        for month in months:
            if month in growing or month not in self._months:
                self._refresh(month)
        if self._whole[0] != self.version:
            self._whole = (self.version, _merged(self._months))
            self._report_damage()
        return self._whole[1]

    def record(self, new: Disposition, known: int) -> Recorded:
        """Append a disposition unless it was recorded before, or its account has more than the `known` dispositions.

        Raises
        ------
        LakeError
            If storage cannot be reached, the month's file was written by another program, or the account's id is too long.
        """
        path, line = layout.dispositions(new.recorded_at[:7]), _line(new)
        if _parse(line) != new:
            raise LakeError(f"the account's id on {new.date} cannot be written to {path}: shorten the ids in the file of the accounts.")
        for _ in range(MAX_TRIES):
            found = self.read()
            entries = found.by_account.get(new.account, ())
            same_form = found.by_id.get(new.id)
            if same_form is not None:
                return Recorded("recorded" if same_content(same_form, new) else "conflict", entries)
            if len(entries) > known:
                return Recorded("conflict", entries)
            if self._append(new.recorded_at[:7], line):
                return Recorded("recorded", (*entries, new))
        raise LakeError(f"{path} changed during each of {MAX_TRIES} attempts to add a line. Send the form again.")

    def _report_damage(self) -> None:
        """Log each file with lines that cannot be read, unless it was logged before."""
        for month, read in sorted(self._months.items()):
            if read.damaged and month not in self._reported:
                logger.warning("%s", _damage(month, read))
                self._reported.add(month)

    def _refresh(self, month: str) -> None:
        """Read what was appended to a month, or all of it if it is new or was written again."""
        known = self._months.get(month)
        with _opened(self._store, month) as log:
            if known is not None and known.end.sound:
                added, end = log.since(known.end)
                if added is not None:
                    known.end = end
                    self.version += known.add(added)
                    return
            content, end = log.read()
        if known is None or known.end != end:
            self._months[month] = _Month(end).reading(content)
            self.version += 1

    def _append(self, month: str, line: bytes) -> bool:
        """Append a line at the end up to which the month was read; return whether it was appended."""
        end = self._months[month].end
        with _opened(self._store, month) as log:
            if end.sound:
                return log.append(line, end)
            content, now = log.read()
            return now == end and log.replace(_sound(content, layout.dispositions(month)) + line, end)


def read_all(store: Store, since: str = "") -> ReadDispositions:
    """Return the dispositions that were recorded on a date (UTC) or later; raises `LakeError` if storage cannot be reached."""
    found = (layout.dispositions_month(f"{layout.LOGS}/{name}") for name in store.names(layout.LOGS))
    months: dict[str, _Month] = {}
    for month in sorted(month for month in found if month is not None and month >= since[:7]):
        with _opened(store, month) as log:
            content, end = log.read()
        months[month] = _Month(end).reading(content)
    return _merged(months, since)


@dataclass
class _Month:
    """What was read of a month: its end, its dispositions by id, and the lines that cannot be read."""

    end: End
    entries: dict[str, Disposition] = field(default_factory=dict)
    damaged: set[bytes] = field(default_factory=set)

    def reading(self, content: bytes) -> "_Month":
        """Add the lines of a file, and return this month."""
        self.add(content)
        return self

    def add(self, content: bytes) -> bool:
        """Add lines, some of which can be known; return whether there is a new one."""
        before = len(self.entries) + len(self.damaged)
        for line in content.split(b"\n"):
            text = line.rstrip(b"\r")
            if text and text != HEADER.rstrip():
                self._add_line(text)
        return len(self.entries) + len(self.damaged) > before

    def _add_line(self, line: bytes) -> None:
        entry = _parse(line)
        if entry is None:
            self.damaged.add(line)
        else:
            self.entries.setdefault(entry.id, entry)


def _merged(months: dict[str, _Month], since: str = "") -> ReadDispositions:
    """Return the dispositions of all months; of two with the same id the first one."""
    entries: dict[str, Disposition] = {}
    for _, month in sorted(months.items()):
        for entry in month.entries.values():
            if entry.recorded_at >= since:
                entries.setdefault(entry.id, entry)
    damaged = tuple(_damage(month, read) for month, read in sorted(months.items()) if read.damaged)
    return ReadDispositions(entries, by_account(entries.values()), damaged)


def _damage(month: str, read: _Month) -> str:
    lines = counted(len(read.damaged), "line that cannot be read", "lines that cannot be read")
    return f"{layout.dispositions(month)} has {lines}: compare it with a backup."


def _months(first: str, last: str) -> tuple[str, ...]:
    """Return the months from that of the first date to that of the last one."""
    found = [first[:7]]
    while found[-1] < last[:7]:
        found.append(shift(f"{found[-1]}-28", 4)[:7])
    return tuple(found)


def _opened(store: Store, month: str) -> AbstractContextManager[AppendFile]:
    return open_append(store, layout.dispositions(month), HEADER)


def _sound(content: bytes, path: str) -> bytes:
    """Return the content to which a line can be added: nothing that was written is lost."""
    if content and not content.startswith(HEADER):
        raise LakeError(f"{path} does not begin with the columns of this release, so nothing can be added to it. Restore it from a backup.")
    return (content if content.endswith(b"\n") else content + b"\n") if content else HEADER


def _line(entry: Disposition) -> bytes:
    target = io.StringIO()
    row = [entry.id, entry.recorded_at, entry.date, entry.account.translate(_ESCAPES), entry.kind, entry.promised_on, entry.note, entry.by]
    csv.writer(target, lineterminator="\n").writerow(row)
    return target.getvalue().encode()


def _parse(line: bytes) -> Disposition | None:
    """Return the disposition of a line, or None if it cannot be read."""
    try:
        (row,) = csv.reader(io.StringIO(line.decode(), newline=""), strict=True)
        fields = dict(zip(COLUMNS, row, strict=True))
        found = msgspec.convert(fields | {"promised_on": fields["promised_on"] or None}, Disposition)
    except (csv.Error, UnicodeDecodeError, ValueError, msgspec.ValidationError):
        return None
    if not (found.id and is_date(found.date) and is_date(found.promised_on or found.date) and _is_instant(found.recorded_at)):
        return None
    return msgspec.structs.replace(found, account=_unescaped(found.account))


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _unescaped(text: str) -> str:
    """Return a text before its line ends and backslashes were escaped."""
    return _ESCAPE.sub(lambda match: {"n": "\n", "r": "\r"}.get(match[1], match[1]), text) if "\\" in text else text
