"""The run log: a record for each run, and all of them as one CSV."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.store import Store

MAX_TRIES = 20


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run: when it ended (UTC), for which date, how, by which version, over how many rows, from and to where."""

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


COLUMNS = RunRecord.__struct_fields__


def add(store: Store, record: RunRecord) -> None:
    """Keep a run's record and bring the CSV up to date; a run's first record stands.

    Each run writes a record of its own, so concurrent runs lose nothing. The CSV is written again until it holds every
    record that is there after the writing: whoever writes last has seen them all. One that can't be read is built again.
    """
    store.create(layout.run_record(record.date, record.run_id), msgspec.json.encode(record))
    for _ in range(MAX_TRIES):
        rows = _parse(store.find(layout.RUN_LOG)) or {}
        missing = _recorded(store) - rows.keys()
        if not missing:
            return
        store.put(layout.RUN_LOG, _csv([*rows.values(), *_records(store, missing)]))
    raise LakeError(f"{layout.RUN_LOG} is rewritten faster than it can be read; no record is lost: the next run adds them.")


def read(store: Store) -> dict[tuple[str, str], dict[str, str]]:
    """Return the CSV's rows by date and run id, as text, in the order of their times; the records' where it can't be read."""
    rows = _parse(store.find(layout.RUN_LOG))
    return _parse(_csv(_records(store, _recorded(store)))) or {} if rows is None else rows


def _parse(content: bytes | None) -> dict[tuple[str, str], dict[str, str]] | None:
    """Return a CSV's rows by date and run id, or None where it is no whole run log."""
    try:
        header, *lines = csv.reader(io.StringIO((content or b"").decode(), newline=""), strict=True)
    except (csv.Error, ValueError):
        return None
    if tuple(header) != COLUMNS or any(len(line) != len(COLUMNS) for line in lines):
        return None
    rows = (dict(zip(COLUMNS, line, strict=True)) for line in lines)
    return {(row["date"], row["run_id"]): row for row in rows}


def _records(store: Store, keys: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    found = (msgspec.json.decode(store.get(layout.run_record(*key)), type=RunRecord) for key in keys)
    return [msgspec.to_builtins(record) for record in found]


def _recorded(store: Store) -> set[tuple[str, str]]:
    return {key for path in store.list(f"{layout.RUN_RECORDS}/") if (key := layout.run_record_key(path))}


def _csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    ordered = sorted(rows, key=lambda row: (row["timestamp"], row["run_id"]))
    lines = (",".join(_field(row[column]) for column in COLUMNS) for row in ordered)
    return "".join(f"{line}\n" for line in (",".join(COLUMNS), *lines)).encode()


def _field(value: Any) -> str:
    """Return a value as a field; the csv module of Python 3.11 leaves a lone carriage return without quotes."""
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text
