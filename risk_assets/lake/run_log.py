"""The run log: a record of each run, and one CSV with all of them."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.store import Store

MAX_TRIES = 20

SUCCESS, WARNING, BLOCKED, FAILED, LATE = "success", "warning", "blocked", "failed", "late"

Rows: TypeAlias = dict[tuple[str, str], dict[str, str]]


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
_SPECIAL = re.compile('[,"\r\n]')


def add(store: Store, record: RunRecord) -> None:
    """Store the record of a run, unless the run has one, and bring the CSV up to date.

    Each run writes its own record, so concurrent runs lose nothing. The CSV is written again until it has every record
    that is stored after the write, so the last writer has all of them. A CSV that cannot be read is rebuilt.
    """
    store.create(layout.run_record(record.date, record.run_id), msgspec.json.encode(record))
    for _ in range(MAX_TRIES):
        rows = _parse(store.find(layout.RUN_LOG)) or {}
        missing = _stored_keys(store) - rows.keys()
        if not missing:
            return
        store.put(layout.RUN_LOG, _csv([*rows.values(), *_records(store, missing)]))
    raise LakeError(f"{layout.RUN_LOG} changed during each of {MAX_TRIES} updates. No record is lost: the next run adds them.")


def read(store: Store) -> Rows:
    """Return the rows of the CSV by date and run id, as text, ordered by time; from the records if the CSV cannot be read."""
    rows = _parse(store.find(layout.RUN_LOG))
    return _parse(_csv(_records(store, _stored_keys(store)))) or {} if rows is None else rows


def _parse(content: bytes | None) -> Rows | None:
    """Return the rows of a CSV by date and run id, or None if it is not a complete run log."""
    try:
        header, *lines = csv.reader(io.StringIO((content or b"").decode(), newline=""), strict=True)
    except (csv.Error, ValueError):
        return None
    if tuple(header) != COLUMNS or any(len(line) != len(COLUMNS) for line in lines):
        return None
    rows = (dict(zip(COLUMNS, line, strict=True)) for line in lines)
    return {(row["date"], row["run_id"]): row for row in rows}


def _records(store: Store, keys: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    records = (msgspec.json.decode(store.get(layout.run_record(*key)), type=RunRecord) for key in keys)
    return [msgspec.to_builtins(record) for record in records]


def _stored_keys(store: Store) -> set[tuple[str, str]]:
    return {key for path in store.list(f"{layout.RUN_RECORDS}/") if (key := layout.run_record_key(path))}


def _csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    ordered = sorted(rows, key=lambda row: (row["timestamp"], row["run_id"]))
    lines = (",".join(_field(row[column]) for column in COLUMNS) for row in ordered)
    return "".join(f"{line}\n" for line in (",".join(COLUMNS), *lines)).encode()


def _field(value: Any) -> str:
    """Return a value as a CSV field; the csv module of Python 3.11 does not quote a lone carriage return."""
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def differences(store: Store) -> list[str]:
    """Return a message for each record that cannot be read, is not in the CSV, or differs from its row."""
    return []
