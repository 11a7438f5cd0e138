"""The run log: concurrent runs lose nothing, and the CSV has every record."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from risk_assets.lake import run_log
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from tests.conftest import ROOT

PROCESSES, RECORDS = 4, 6
HEADER = (
    "timestamp,date,job,status,model_version,rows_in,scored,with_issues,min_score,mean_score,max_score,"
    "predicted_bad,challenger,challenger_scored,challenger_mean_score,seconds,input,output,run_id,error,warnings,released"
)
WRITER = """
import sys
from risk_assets.lake import run_log
from risk_assets.settings import load_settings

process, records = int(sys.argv[1]), int(sys.argv[2])
store = load_settings().open_lake()
sys.stdin.readline()
for number in range(records):
    stamp = f"2026-01-01T{number:02d}:{59 - process:02d}:00+00:00"
    run_log.add(store, run_log.RunRecord(timestamp=stamp, date="2026-01-01", job="scoring", status="ok", run_id=f"run-{process}-{number}"))
"""


def record(run_id: str, timestamp: str = "2026-01-01T10:00:00+00:00", **more: object) -> RunRecord:
    return RunRecord(**{"timestamp": timestamp, "date": "2026-01-01", "job": "daily_scoring", "status": "ok", "run_id": run_id, **more})


def table(store: Store) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store.get("logs/batch_runs_log.csv").decode(), newline="")))


def test_a_run_has_a_record_and_a_row(store: Store) -> None:
    scores = {"rows_in": 10, "scored": 9, "with_issues": 1, "min_score": 0.01, "mean_score": 0.1 + 0.2, "max_score": 1e-17}
    run_log.add(store, record("run-1", model_version="model_v002", seconds=1.5, input="raw/a.csv", output="curated/b.csv", **scores))
    assert store.get("logs/batch_runs_log.csv").decode().splitlines() == [
        HEADER,
        "2026-01-01T10:00:00+00:00,2026-01-01,daily_scoring,ok,model_v002,10,9,1,0.01,0.30000000000000004,1e-17,,,,,1.5,raw/a.csv,curated/b.csv,run-1,,,",
    ]
    assert json.loads(store.get("logs/batch_runs/2026-01-01/run-1.json"))["mean_score"] == 0.1 + 0.2


def test_rows_are_ordered_by_time(store: Store) -> None:
    for run_id, hour in (("c", 12), ("a", 10), ("b", 11)):
        run_log.add(store, record(run_id, f"2026-01-01T{hour}:00:00+00:00"))
    assert [row["run_id"] for row in table(store)] == ["a", "b", "c"]


def test_the_first_record_of_a_run_is_not_replaced(store: Store) -> None:
    run_log.add(store, record("run-1", status="failed", error="the disk is full"))
    run_log.add(store, record("run-1", "2026-01-01T11:00:00+00:00", status="ok"))
    assert [(row["status"], row["error"]) for row in table(store)] == [("failed", "the disk is full")]


def test_one_run_over_two_dates_has_two_rows(store: Store) -> None:
    for date in ("2026-01-01", "2026-01-02"):
        run_log.add(store, record("backfill", date=date))
    assert [row["date"] for row in table(store)] == ["2026-01-01", "2026-01-02"]


@pytest.mark.parametrize("left", [None, b""])
def test_a_lost_csv_is_rebuilt_from_the_records(store: Store, left: bytes | None) -> None:
    for number in range(3):
        run_log.add(store, record(f"run-{number}", f"2026-01-01T1{number}:00:00+00:00"))
    before = store.get("logs/batch_runs_log.csv")
    store.delete("logs/batch_runs_log.csv") if left is None else store.put("logs/batch_runs_log.csv", left)
    run_log.add(store, record("run-1"))  # an existing run
    assert store.get("logs/batch_runs_log.csv") == before


@pytest.mark.parametrize(
    "error", ['a, "b", c', "line one\nline two", "CRLF\r\nhere", "a lone \r return", '"', ",,,\n", "Zürich €", "tab\there"]
)
def test_any_text_of_an_error_round_trips(store: Store, error: str) -> None:
    run_log.add(store, record("run-1", "2026-01-01T09:00:00+00:00", error=error))
    run_log.add(store, record("run-2"))  # reads the first row and writes it again
    assert [row["error"] for row in run_log.read(store).values()] == [error, ""]
    assert [row["error"] for row in table(store)] == [error, ""]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.replace(b"the disk", b"the\rdisk"),
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b",error\n", b"\n", 1),
        lambda content: content.replace(b"the disk", b'"the disk'),
        lambda content: b"\xff" + content,
        lambda content: b"",
    ],
    ids=["a lone return", "cut off", "a column short", "an open quote", "no UTF-8", "empty"],
)
def test_a_damaged_csv_is_rebuilt_by_the_next_run(store: Store, damage: Callable[[bytes], bytes]) -> None:
    for number in range(3):
        run_log.add(store, record(f"run-{number}", f"2026-01-01T1{number}:00:00+00:00", error="the disk is full"))
    rows, whole = run_log.read(store), table(store)
    store.put("logs/batch_runs_log.csv", damage(store.get("logs/batch_runs_log.csv")))
    assert list(run_log.read(store).items()) == list(rows.items())
    run_log.add(store, record("run-3", "2026-01-01T13:00:00+00:00"))
    assert table(store)[:3] == whole
    assert [row["run_id"] for row in table(store)] == ["run-0", "run-1", "run-2", "run-3"]


def test_a_missing_log_is_empty(store: Store) -> None:
    assert run_log.read(store) == {}


def test_concurrent_processes_lose_no_run(settings: Settings) -> None:
    environment = {"PATH": os.environ["PATH"], "RISK_LAKE": settings.lake, "PYTHONPATH": str(ROOT)}
    if settings.connection_string:
        environment["AZURE_STORAGE_CONNECTION_STRING"] = settings.connection_string.get_secret_value()
    command = [sys.executable, "-c", WRITER]
    writers = [
        subprocess.Popen([*command, str(number), str(RECORDS)], env=environment, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    problems = [writer.communicate(timeout=60)[1].decode() for writer in writers]
    assert problems == [""] * PROCESSES
    store = settings.open_lake()
    expected = {f"run-{process}-{number}" for process in range(PROCESSES) for number in range(RECORDS)}
    rows = table(store)
    assert len(rows) == len(expected)
    assert {row["run_id"] for row in rows} == expected
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
    assert len(store.list("logs/batch_runs/")) == len(expected)
