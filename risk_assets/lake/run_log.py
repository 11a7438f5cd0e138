"""The run log: a record of each run, and one CSV with all of them.

The records are the truth: `logs/batch_runs/{date}/{run_id}.json`, written once. A row is appended to the CSV in five steps, so
that it is neither lost nor doubled if the writer is killed at any point, or if two processes add the same run:

0. note the end of the CSV; then finish the run's own pending record, if another writer left one, and stop if it has a record,
1. store the record as a pending one,
2. append the row at the noted end; if the CSV has grown, read only what was added, and append unless the row is in it,
3. store the record,
4. delete the pending one.

The row cannot be before the noted end: nobody appends it without a pending record, and there was none. Pending records that
writers of other runs left are finished by the next one.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from risk_assets.clock import is_date
from risk_assets.domain.wording import counted
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.append import AppendFile, End, open_append
from risk_assets.lake.store import Store

MAX_TRIES = 200

SUCCESS, WARNING, BLOCKED, FAILED, LATE = "success", "warning", "blocked", "failed", "late"

Key: TypeAlias = tuple[str, str]
Rows: TypeAlias = dict[Key, dict[str, str]]


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run: its end (UTC), date, job and result, the version, the rows, and the addresses of input and output.

    `status` is `success`, `warning` (scored, but a check warned), `blocked` (a check stopped it), `failed`, or `late` (no file
    arrived before the deadline). `warnings` are the checks that warned, `released` the blocking checks that somebody released.
    """

    timestamp: str
    date: str
    job: str
    status: str
    model_version: str | None = None
    rows_in: int | None = None
    scored: int | None = None
    with_issues: int | None = None
    not_eligible: int | None = None
    min_score: float | None = None
    mean_score: float | None = None
    max_score: float | None = None
    predicted_bad: int | None = None
    challenger: str | None = None
    challenger_scored: int | None = None
    challenger_mean_score: float | None = None
    seconds: float | None = None
    input: str | None = None
    output: str | None = None
    run_id: str
    error: str | None = None
    warnings: str | None = None
    released: str | None = None


COLUMNS = RunRecord.__struct_fields__
HEADER = f"{','.join(COLUMNS)}\n".encode()
_SPECIAL = re.compile('[,"\r\n]')
_WARNED = re.compile(r"(?:^|; )([a-z_]+) of ([a-z]+/[a-z_]+): ")


def add(store: Store, record: RunRecord) -> bool:
    """Add a run to the log unless it has a record; return whether it was added.

    The cost does not depend on the length of the log. A CSV that another release or another program has written is rebuilt first.

    Raises
    ------
    LakeError
        If storage cannot be reached. The run can be added again.
    """
    with open_append(store, layout.RUN_LOG, HEADER) as log:
        for _ in range(MAX_TRIES):
            end = _sound_end(store, log)
            others = set(_pending(store)) - {layout.pending_record(record.run_id)}
            added = _try_to_add(store, log, record, end)
            _finish_pending(store, log, others)  # of writers that are alive, they are gone by now
            if added is not None:
                return added
    raise LakeError(f"{layout.RUN_LOG} is changed by too many runs at the same time. Run again: the row is added then.")


def records(store: Store, date: str) -> tuple[RunRecord, ...]:
    """Return the records of a date's runs, in the order in which they ended; those that cannot be read are left out."""
    found = (_decode(store.find(path)) for path in store.list(f"{layout.RUN_RECORDS}/{date}/"))
    return tuple(sorted((record for record in found if record is not None), key=lambda record: (record.timestamp, record.run_id)))


def dates(store: Store) -> tuple[str, ...]:
    """Return the dates with a record, oldest first; costs one listing."""
    return tuple(name for name in store.names(layout.RUN_RECORDS) if is_date(name))


def jobs(store: Store, date: str) -> set[str]:
    """Return the jobs of the records of a date, whatever the results of their runs."""
    return {record.job for record in records(store, date)}


def warned_checks(record: RunRecord) -> dict[str, str]:
    """Return the checks that warned in a run, as `asset.check`, with their figures."""
    parts = _WARNED.split(record.warnings or "")[1:]
    return {f"{asset}.{check}": text for check, asset, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)}


def _try_to_add(store: Store, log: AppendFile, record: RunRecord, end: End) -> bool | None:
    """Add a run whose row can only be after `end`; return False if it has a record, None if another process is adding it."""
    pending = layout.pending_record(record.run_id)
    _finish_pending(store, log, {pending})
    size = store.size(layout.run_record(record.date, record.run_id))
    if size:
        return False
    if not store.create(pending, msgspec.json.encode(record)):
        return None
    if size is None:
        _append(store, log, record, end)
        _commit(store, log, record)
    else:  # a power failure left an empty record: the CSV may have the row
        _finish_pending(store, log, {pending})
    return True


def read(store: Store) -> Rows:
    """Return the rows of the CSV by date and run id, as text, ordered by time; if it is damaged, with the rows of the records."""
    with open_append(store, layout.RUN_LOG, HEADER) as log:
        content, _ = log.read()
    rows = _parse(content)
    return _by_time(_merge(store, content).rows if rows is None else rows)


def repair(store: Store) -> tuple[str, ...]:
    """Finish the rows of writers that were killed, and rebuild damaged files; return what was rebuilt or skipped.

    Compares the CSV with the list of the records. Writes nothing if there is nothing to repair.
    """
    pending = _pending(store)
    records = {key: entry.size for entry in store.entries(f"{layout.RUN_RECORDS}/") if (key := layout.run_record_key(entry.path))}
    with open_append(store, layout.RUN_LOG, HEADER) as log:
        content, end = log.read()
        if not (pending or records or content):
            return ()
        rows = _parse(content)
        sound = end.sound and rows is not None and records.keys() <= rows.keys() and all(records.values())
        return (*(() if sound else _rebuild(store, log)), *_finish_pending(store, log, pending))


def _sound_end(store: Store, log: AppendFile) -> End:
    """Return the end of the CSV; rebuild it first if it is missing or was not written by this release."""
    for _ in range(MAX_TRIES):
        end = log.end()
        if end.sound:
            return end
        _rebuild(store, log)
    raise LakeError(f"{layout.RUN_LOG} was damaged by another program during each of {MAX_TRIES} attempts to rebuild it. Run again.")


def _append(store: Store, log: AppendFile, record: RunRecord, end: End) -> None:
    """Append the row of a run; it is not before `end`."""
    row = _csv([_as_row(record)])
    for _ in range(MAX_TRIES):
        if log.append(row, end):
            return
        added, end = log.since(end)
        rows = _parse(HEADER + added.removeprefix(HEADER)) if added is not None and end.sound else None
        if rows is None:
            rows, end = _complete(store, log)
        if (record.date, record.run_id) in rows:
            return
    raise LakeError(f"{layout.RUN_LOG} changed during each of {MAX_TRIES} attempts to add a row. Run again: the record is kept.")


def _commit(store: Store, log: AppendFile, record: RunRecord) -> None:
    """Store the record of a run whose row is in the CSV, and delete the pending one."""
    path, content = layout.run_record(record.date, record.run_id), msgspec.json.encode(record)
    if not store.create(path, content) and _decode(store.find(path)) is None:
        store.put(path, content)
    log.discard(layout.pending_record(record.run_id))


def _pending(store: Store) -> tuple[str, ...]:
    return store.list(f"{layout.PENDING_RECORDS}/")


def _finish_pending(store: Store, log: AppendFile, paths: Iterable[str]) -> tuple[str, ...]:
    """Add the rows of writers that were killed while they added them; return what was skipped.

    Reads the whole CSV if such a record exists and is not stored yet. A writer that is alive finds its row.
    """
    notes = []
    for path in sorted(paths):
        content = store.find(path)
        record = _decode(content)
        if record is not None:
            if not store.size(layout.run_record(record.date, record.run_id)):
                rows, end = _complete(store, log)
                if (record.date, record.run_id) not in rows:
                    _append(store, log, record, end)
            _commit(store, log, record)
        elif content is not None:
            notes.append(f"{path} cannot be read: deleted. If its run has no row, materialize logs/batch_runs for its date.")
            log.discard(path)
    return tuple(notes)


def _complete(store: Store, log: AppendFile) -> tuple[Rows, End]:
    """Return all rows of the CSV and its end, after rebuilding it if it is damaged."""
    for _ in range(MAX_TRIES):
        content, end = log.read()
        rows = _parse(content)
        if rows is not None and end.sound:
            return rows, end
        _rebuild(store, log)
    raise LakeError(f"{layout.RUN_LOG} was damaged by another program during each of {MAX_TRIES} attempts to rebuild it. Run again.")


def _rebuild(store: Store, log: AppendFile) -> tuple[str, ...]:
    """Write the CSV from the records and its own readable rows; return what was rebuilt or skipped."""
    for _ in range(MAX_TRIES):
        content, end = log.read()
        merged = _merge(store, content)
        for path, record in merged.lost.items():
            store.put(path, msgspec.json.encode(record))
        rebuilt = HEADER + _csv(_by_time(merged.rows).values())
        if (rebuilt == content and end.sound) or log.replace(rebuilt, end):
            return merged.notes
    raise LakeError(f"{layout.RUN_LOG} changed during each of {MAX_TRIES} attempts to rebuild it. Run again.")


class _Merged(NamedTuple):
    """The rows of the records and of the CSV, the records that only the CSV has, by path, and notes on what was skipped."""

    rows: Rows
    lost: dict[str, RunRecord]
    notes: tuple[str, ...]


def _merge(store: Store, content: bytes) -> _Merged:
    """Return all rows that can be read; a record comes before the row of its run."""
    found = _readable(content)
    rows, lost, notes = dict(found.rows), {}, []
    if found.problem:
        notes.append(f"{layout.RUN_LOG} {found.problem}: rebuilt from the records and its readable rows.")
    recorded = set()
    paths = {path: key for path in store.list(f"{layout.RUN_RECORDS}/") if (key := layout.run_record_key(path))}
    for path, key in paths.items():
        record = _decode(store.find(path))
        if record is not None:
            recorded.add(key)
            rows[key] = _as_row(record)
        elif (from_row := _from_row(rows.get(key))) is not None:
            lost[path] = from_row
            notes.append(f"{path} cannot be read: rebuilt from its row.")
        else:
            notes.append(f"{path} cannot be read, and {layout.RUN_LOG} has no row of it: skipped.")
    runs = {run_id for _, run_id in recorded}
    kept = {key: row for key, row in rows.items() if key in recorded or key[1] not in runs or is_date(key[0])}
    return _Merged(kept, lost, tuple(notes))


class _Readable(NamedTuple):
    """The rows of a CSV that can be read, and the problem of the others."""

    rows: Rows
    problem: str | None


def _readable(content: bytes) -> _Readable:
    """Return the rows of a CSV that a spreadsheet, another release or a power failure may have changed."""
    first, _, _ = content.partition(b"\n")
    text = io.StringIO(content.decode("utf-8-sig", errors="replace"), newline="")
    reader = csv.reader(text, delimiter=";" if first.count(b";") > first.count(b",") else ",")
    rows: Rows = {}
    skipped = 0
    try:
        header = next(reader, [])
        for line in reader if {"timestamp", "date", "run_id"} <= set(header) else ():
            row = dict.fromkeys(COLUMNS, "") | {name: value for name, value in zip(header, line, strict=False) if name in COLUMNS}
            if len(line) == len(header) and row["run_id"]:
                rows[(row["date"], row["run_id"])] = row
            else:
                skipped += 1
    except csv.Error:
        skipped += 1
    if not content:
        return _Readable(rows, None)
    problem = f"has {counted(skipped, 'row')} that cannot be read" if skipped else None
    return _Readable(rows, problem if tuple(header) == COLUMNS else "does not have the columns of this release")


def _parse(content: bytes) -> Rows | None:
    """Return the rows of a CSV by date and run id, or None if it is not a complete run log."""
    if not (content.startswith(HEADER) and content.endswith(b"\n")):
        return None
    try:
        _, *lines = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    except (csv.Error, UnicodeDecodeError):
        return None
    if any(len(line) != len(COLUMNS) for line in lines):
        return None
    rows = (dict(zip(COLUMNS, line, strict=True)) for line in lines)
    return {(row["date"], row["run_id"]): row for row in rows}


def _by_time(rows: Rows) -> Rows:
    return dict(sorted(rows.items(), key=lambda item: (item[1]["timestamp"], item[0][1])))


def _decode(content: bytes | None) -> RunRecord | None:
    """Return a record, or None if there is none or it is damaged."""
    try:
        return msgspec.json.decode(content or b"", type=RunRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _as_row(record: RunRecord) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in msgspec.to_builtins(record).items()}


def _from_row(row: Mapping[str, str] | None) -> RunRecord | None:
    """Return the record of a row, or None if there is no row or a spreadsheet has changed its numbers."""
    try:
        return msgspec.convert({name: value or None for name, value in (row or {}).items()}, RunRecord, strict=False)
    except msgspec.ValidationError:
        return None


def _csv(rows: Iterable[Mapping[str, str]]) -> bytes:
    return "".join(",".join(_field(row[column]) for column in COLUMNS) + "\n" for row in rows).encode()


def _field(text: str) -> str:
    """Return a text as a CSV field; the csv module of Python 3.11 does not quote a lone carriage return."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def differences(store: Store) -> list[str]:
    """Return a message for each record that cannot be read, is not in the CSV, or differs from its row."""
    with open_append(store, layout.RUN_LOG, HEADER) as log:
        content, _ = log.read()
    paths = [path for path in store.list(f"{layout.RUN_RECORDS}/") if layout.run_record_key(path)]
    rows = _parse(content) if content or paths else {}
    if rows is None:
        return [f"{layout.RUN_LOG} cannot be read. Rebuild it: risk log"]
    recorded = [problem for path in paths if (problem := _difference(path, _decode(store.find(path)), rows))]
    missing = rows.keys() - {layout.run_record_key(path) for path in paths}
    return [*recorded, *(f"{layout.run_record(*key)} is missing, {layout.RUN_LOG} has its row" for key in sorted(missing))]


def _difference(path: str, record: RunRecord | None, rows: Rows) -> str | None:
    if record is None:
        return f"{path} cannot be read. Rebuild it: risk log"
    row = rows.get((record.date, record.run_id))
    if row is None:
        return f"{path} is not in {layout.RUN_LOG}. Add it: risk log"
    if row == _as_row(record):
        return None
    return f"{path} differs from its row in {layout.RUN_LOG}. Restore one from a backup; risk log writes the CSV again if it is deleted"
