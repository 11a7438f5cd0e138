"""A sample of the records of a date in the prediction log: bounded in files, bytes and records, and the same each time."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain

from risk_assets.lake import layout
from risk_assets.lake.objects import Entry
from risk_assets.lake.online_files import is_over
from risk_assets.lake.online_log import LoggedRecord, LoggedRequest, read_file
from risk_assets.lake.store import Store

SAMPLE_RECORDS = 2000  # finds a difference of one record in 650 with a probability of 95 %
SAMPLE_FILES = 200  # of outputs, read one after another, each with its partner
SAMPLE_BYTES = 64 * 2**20  # of these files; four times what a service buffers by default


@dataclass(frozen=True)
class OnlineSample:
    """Records of a date.

    Attributes
    ----------
    files
        The number of files of the date, of both collections.
    pairs, read
        The number of files of outputs, and how many of them were read; inputs without outputs count too.
    problems
        The number of lines and files that are damaged or have no partner.
    """

    files: int
    pairs: int
    read: int
    problems: int
    records: tuple[LoggedRecord, ...]


def sample(store: Store, date: str, report: Callable[[str], None]) -> OnlineSample | None:
    """Return a sample of the records of a date (UTC), or None if the log has no file of it.

    The hash of its path decides whether a file is read. Each record of these files has the same chance, which the hash of its
    request's id and of its position decides. At most `SAMPLE_RECORDS` are kept in memory, and the file that is read.

    Parameters
    ----------
    report
        Is called with a message for each line or file that is damaged or has no partner. While the date lasts, inputs without outputs
        are left out: the service may be about to write the outputs.
    """
    outputs, inputs = (
        store.entries(layout.online_folder(collection, date)) for collection in (layout.ONLINE_OUTPUTS, layout.ONLINE_INPUTS)
    )
    if not outputs and not inputs:
        return None
    partners = {layout.online_partner(entry.path) for entry in outputs}
    lone = [entry for entry in inputs if entry.path not in partners] if is_over(date) else []
    pairs = [*outputs, *lone]
    chosen = _chosen(pairs)
    problems = 0

    def count(problem: str) -> None:
        nonlocal problems
        problems += 1
        report(problem)

    records = _records(chain.from_iterable(read_file(store, path) for path in chosen), count)
    kept = heapq.nsmallest(SAMPLE_RECORDS, records, key=lambda each: _digest(f"{each.request}\n{each.position}"))
    return OnlineSample(len(outputs) + len(inputs), len(pairs), len(chosen), problems, tuple(kept))


def _chosen(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return the paths of the files to read: at least one, at most `SAMPLE_FILES`, of about `SAMPLE_BYTES`."""
    found: list[str] = []
    size = 0
    for entry in heapq.nsmallest(SAMPLE_FILES, entries, key=lambda each: _digest(each.path)):
        if found and size + entry.size > SAMPLE_BYTES:
            break
        found.append(entry.path)
        size += entry.size
    return tuple(found)


def _records(lines: Iterable[LoggedRequest | str], report: Callable[[str], None]) -> Iterator[LoggedRecord]:
    for line in lines:
        if isinstance(line, str):
            report(line)
        else:
            yield from line.split()


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()
