"""The run log: a record for each run, and all of them as one CSV."""

import csv
import io
import re
from collections.abc import Iterable

import msgspec

from risk_assets.domain.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.store import Store

MAX_TRIES = 20
_RECORD = re.compile(rf"{layout.RUN_RECORDS}/(?P<date>[^/]+)/(?P<run>[^/]+)\.json")


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
    seconds: float | None = None
    input: str | None = None
    output: str | None = None
    run_id: str
    error: str | None = None


COLUMNS = RunRecord.__struct_fields__


def add(store: Store, record: RunRecord) -> None:
    """Keep a run's record and bring the CSV up to date; a run's first record stands.

    Each run writes a record of its own, so concurrent runs lose nothing. The CSV is written again until it holds every
    record that is there after the writing: whoever writes last has seen them all.
    """
    store.create(layout.run_record(record.date, record.run_id), msgspec.json.encode(record))
    for _ in range(MAX_TRIES):
        rows = read(store)
        missing = _recorded(store) - rows.keys()
        if not missing:
            return
        fresh = (msgspec.json.decode(store.get(layout.run_record(*key)), type=RunRecord) for key in missing)
        rows |= {(record.date, record.run_id): msgspec.to_builtins(record) for record in fresh}
        store.put(layout.RUN_LOG, _csv(rows.values()))
    raise LakeError(f"{layout.RUN_LOG} is rewritten faster than it can be read; no record is lost: the next run adds them.")


def read(store: Store) -> dict[tuple[str, str], dict[str, str]]:
    """Return the CSV's rows by date and run id, as text, in the order of their times."""
    content = store.find(layout.RUN_LOG) or b""
    rows = csv.DictReader(io.StringIO(content.decode()))
    return {(row["date"], row["run_id"]): row for row in rows}


def _recorded(store: Store) -> set[tuple[str, str]]:
    found = (_RECORD.fullmatch(path) for path in store.list(f"{layout.RUN_RECORDS}/"))
    return {(match["date"], match["run"]) for match in found if match}


def _csv(rows: Iterable[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: (row["timestamp"], row["run_id"])))
    return text.getvalue().encode()
