"""What has landed, seen in one listing: each date's files with a version that changes when they do."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from risk_assets.clock import is_date
from risk_assets.lake.store import Entry, Store

DONE = "_SUCCESS"
INCOMPLETE = "_LANDING"  # in a folder of shards while `risk land` writes them
_FILE = re.compile(r"(?P<kind>accounts|outcomes)_(?P<date>\d{4}-\d{2}-\d{2})(\.csv|/(?P<shard>.+))")


@dataclass(frozen=True)
class Arrival:
    """The files of a date: `accounts` or `outcomes`, a version of them all, and whether a `_SUCCESS` file says that all are there.

    `parts` are the CSV files, in order.
    """

    kind: str
    date: str
    version: str
    complete: bool
    parts: tuple[Entry, ...] = ()

    @property
    def key(self) -> str:
        """The kind and the date, as in the files' names."""
        return f"{self.kind}_{self.date}"


class Watch(msgspec.Struct, frozen=True):
    """What a watcher remembers between two looks: the versions it saw last, and those it has dealt with."""

    seen: dict[str, str] = {}
    settled: dict[str, str] = {}


def arrivals(landing: Store) -> tuple[Arrival, ...]:
    """Return what has landed completely, by kind and date; one listing, whatever the number of files."""
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in landing.entries(""):
        match = _FILE.fullmatch(entry.path)
        if match and is_date(match["date"]):
            groups[match["kind"], match["date"]].append(entry)
    return tuple(_arrival(kind, date, entries) for (kind, date), entries in sorted(groups.items()) if not _is_incomplete(entries))


def stable(found: Iterable[Arrival], watch: Watch) -> tuple[list[Arrival], list[Arrival]]:
    """Return the arrivals that have not been dealt with: those that are complete, and those that may still change.

    Files are complete with a `_SUCCESS` file, or if they are the same as at the look before.
    """
    new = [arrival for arrival in found if watch.settled.get(arrival.key) != arrival.version]
    ready = [arrival for arrival in new if arrival.complete or watch.seen.get(arrival.key) == arrival.version]
    return ready, [arrival for arrival in new if arrival not in ready]


def remember(found: Iterable[Arrival], settled: Iterable[Arrival], watch: Watch) -> Watch:
    """Return what to remember: all versions seen, and the ones dealt with."""
    versions = {arrival.key: arrival.version for arrival in found}
    done: Mapping[str, str] = watch.settled | {arrival.key: arrival.version for arrival in settled}
    return Watch(versions, {key: version for key, version in done.items() if key in versions})


def _is_incomplete(entries: Iterable[Entry]) -> bool:
    return any(entry.path.endswith(f"/{INCOMPLETE}") for entry in entries)


def _arrival(kind: str, date: str, entries: list[Entry]) -> Arrival:
    digest = hashlib.sha256(repr([(entry.path, entry.size, entry.version) for entry in entries]).encode()).hexdigest()
    parts = tuple(entry for entry in entries if entry.path.endswith(".csv"))
    return Arrival(kind, date, digest[:16], any(entry.path.endswith(f"/{DONE}") for entry in entries), parts)
