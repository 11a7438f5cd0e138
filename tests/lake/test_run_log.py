"""The run log: rows are appended at constant cost, none is lost or doubled, and damaged files are rebuilt."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from risk_assets.lake import append, layout, run_log
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.conftest import ROOT

LOG = "logs/batch_runs_log.csv"
PROCESSES, RECORDS = 2, 50
HEADER = (
    "timestamp,date,job,status,model_version,rows_in,scored,with_issues,not_eligible,min_score,mean_score,max_score,"
    "predicted_bad,challenger,challenger_scored,challenger_mean_score,seconds,input,output,run_id,error,warnings,released"
)
WRITER = """
import sys
from risk_assets.lake import run_log
from risk_assets.settings import load_settings

process, records = sys.argv[1], int(sys.argv[2])
store = load_settings().open_lake()
sys.stdin.readline()
for number in range(records):
    stamp = f"2026-01-01T10:00:{number:02d}+00:00"
    record = run_log.RunRecord(timestamp=stamp, date="2026-01-01", job="scoring", status="ok", run_id=f"run-{process}-{number}")
    run_log.add(store, record)
"""


class KilledError(Exception):
    """Stands for the end of the process."""


def record(run_id: str, timestamp: str = "2026-01-01T10:00:00+00:00", **more: object) -> RunRecord:
    return RunRecord(**{"timestamp": timestamp, "date": "2026-01-01", "job": "daily_scoring", "status": "ok", "run_id": run_id, **more})


def table(store: Store) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store.get(LOG).decode(), newline="")))


def runs(store: Store) -> list[str]:
    return [row["run_id"] for row in table(store)]


def add_three(store: Store, **more: object) -> None:
    for number in range(3):
        run_log.add(store, record(f"run-{number}", f"2026-01-01T1{number}:00:00+00:00", **more))


def test_a_run_has_a_record_and_a_row(store: Store) -> None:
    scores = {
        "rows_in": 10,
        "scored": 9,
        "with_issues": 1,
        "not_eligible": 0,
        "min_score": 0.01,
        "mean_score": 0.1 + 0.2,
        "max_score": 1e-17,
    }
    added = record("run-1", model_version="model_v002", seconds=1.5, input="raw/a.csv", output="curated/b.csv", **scores)
    assert run_log.add(store, added)
    assert store.get(LOG).decode().splitlines() == [
        HEADER,
        "2026-01-01T10:00:00+00:00,2026-01-01,daily_scoring,ok,model_v002,10,9,1,0,0.01,0.30000000000000004,1e-17,,,,,1.5,raw/a.csv,curated/b.csv,run-1,,,",
    ]
    assert json.loads(store.get("logs/batch_runs/2026-01-01/run-1.json"))["mean_score"] == 0.1 + 0.2
    assert store.list("logs/pending/") == ()


def test_rows_are_appended_and_read_by_time(store: Store) -> None:
    for run_id, hour in (("c", 12), ("a", 10), ("b", 11)):
        run_log.add(store, record(run_id, f"2026-01-01T{hour}:00:00+00:00"))
    assert runs(store) == ["c", "a", "b"]
    assert [row["run_id"] for row in run_log.read(store).values()] == ["a", "b", "c"]


def test_the_records_of_a_date_are_read_by_time(store: Store) -> None:
    for run_id, hour in (("a", 12), ("c", 10), ("b", 11)):
        run_log.add(store, record(run_id, f"2026-01-01T{hour}:00:00+00:00"))
    run_log.add(store, record("d", date="2026-01-02"))
    store.put("logs/batch_runs/2026-01-01/b.json", b"{")
    assert [found.run_id for found in run_log.records(store, "2026-01-01")] == ["c", "a"]


def test_the_first_record_of_a_run_is_not_replaced(store: Store) -> None:
    assert run_log.add(store, record("run-1", status="failed", error="the disk is full"))
    assert not run_log.add(store, record("run-1", "2026-01-01T11:00:00+00:00", status="ok"))
    assert [(row["status"], row["error"]) for row in table(store)] == [("failed", "the disk is full")]


def test_one_run_over_two_dates_has_two_rows(store: Store) -> None:
    for date in ("2026-01-01", "2026-01-02"):
        run_log.add(store, record("backfill", date=date))
    assert [row["date"] for row in table(store)] == ["2026-01-01", "2026-01-02"]


@pytest.mark.parametrize(
    "error", ['a, "b", c', "line one\nline two", "CRLF\r\nhere", "a lone \r return", '"', ",,,\n", "Zürich €", "tab\there"]
)
def test_any_text_of_an_error_round_trips(store: Store, error: str) -> None:
    run_log.add(store, record("run-1", "2026-01-01T09:00:00+00:00", error=error))
    run_log.add(store, record("run-2"))
    assert [row["error"] for row in run_log.read(store).values()] == [error, ""]
    assert [row["error"] for row in table(store)] == [error, ""]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "cut off after a line end in a field": lambda content: content[: content.rindex(b"second line")],
    "zeros at the end": lambda content: content[:-40] + bytes(40),
    "a column short": lambda content: content.replace(b",error", b"", 1),
    "line ends of a spreadsheet": lambda content: content.replace(b"\n", b"\r\n"),
    "separators of a spreadsheet": lambda content: content.replace(b",", b";"),
    "no UTF-8": lambda content: b"\xff" + content,
    "an open quote": lambda content: content.replace(b"the disk", b'"the disk', 1),
    "a lone return": lambda content: content.replace(b"run-1", b"run\r-1", 1),
    "a row lost": lambda content: content[: len(HEADER) + 1] + content[content.rindex(b"2026-01-01T12") :],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_csv_is_read_and_repaired(store: Store, damage: Callable[[bytes], bytes]) -> None:
    add_three(store, error="the disk is full\nsecond line")
    before, rows = store.get(LOG), run_log.read(store)
    store.put(LOG, damage(before))
    if damage is not DAMAGES["a row lost"]:
        assert run_log.read(store) == rows
    run_log.repair(store)
    assert store.get(LOG) == before
    assert run_log.repair(store) == ()


@pytest.mark.parametrize("damage", list(DAMAGES.values())[:8], ids=list(DAMAGES)[:8])
def test_the_next_run_repairs_a_damaged_start_or_end(store: Store, damage: Callable[[bytes], bytes]) -> None:
    add_three(store, error="the disk is full\nsecond line")
    whole = table(store)
    content = damage(store.get(LOG))
    store.put(LOG, content)
    if damage is DAMAGES["cut off after a line end in a field"]:  # a power failure leaves the pending record of the row that it cut off
        torn = layout.run_record("2026-01-01", "run-2")
        store.put(layout.pending_record("run-2"), store.get(torn))
        store.delete(torn)
    run_log.add(store, record("run-3", "2026-01-01T13:00:00+00:00"))
    run_log.repair(store)
    assert sorted(runs(store)) == ["run-0", "run-1", "run-2", "run-3"]
    assert [row for row in table(store) if row["run_id"] != "run-3"] == whole


def test_a_lost_csv_is_rebuilt_from_the_records(store: Store) -> None:
    add_three(store)
    before = store.get(LOG)
    store.delete(LOG)
    assert not run_log.add(store, record("run-1"))
    assert store.get(LOG) == before


def test_a_log_of_an_earlier_release_is_converted_once(store: Store) -> None:
    store.put(LOG, b"timestamp,date,run_id,gone\n2025-12-31T10:00:00+00:00,2025-12-31,old,x\n")
    run_log.add(store, record("run-1"))
    converted = store.get(LOG)
    assert converted.decode().splitlines()[0] == HEADER
    assert runs(store) == ["old", "run-1"]
    run_log.add(store, record("run-2"))
    assert store.get(LOG).startswith(converted)


def test_values_that_a_spreadsheet_changed_come_from_the_records(store: Store) -> None:
    add_three(store, mean_score=0.123456789)
    changed = store.get(LOG).replace(b"2026-01-01,", b"01/01/2026,").replace(b"0.123456789", b"0.12").replace(b"\n", b"\r\n")
    store.put(LOG, changed)
    run_log.repair(store)
    assert [(row["date"], row["mean_score"]) for row in table(store)] == [("2026-01-01", "0.123456789")] * 3


@pytest.mark.parametrize("content", [b"", b'{"timestamp": "2026-01', b"\xff\xfe"], ids=["empty", "cut off", "no UTF-8"])
def test_a_damaged_record_is_rebuilt_from_its_row(store: Store, content: bytes) -> None:
    add_three(store, mean_score=0.25, rows_in=3)
    path = layout.run_record("2026-01-01", "run-1")
    before = store.get(path)
    store.put(path, content)
    assert run_log.add(store, record("run-9"))  # other runs do not read it
    store.put(LOG, store.get(LOG) + b"torn")
    assert any(path in note and "rebuilt from its row" in note for note in run_log.repair(store))
    assert json.loads(store.get(path)) == json.loads(before)


def test_a_damaged_record_without_a_row_is_skipped(store: Store) -> None:
    add_three(store)
    path = layout.run_record("2026-01-02", "lost")
    store.put(path, b"")
    (note,) = run_log.repair(store)
    assert path in note and "skipped" in note
    assert run_log.add(store, record("lost", date="2026-01-02"))
    assert runs(store) == ["run-0", "run-1", "run-2", "lost"]
    assert run_log.repair(store) == ()


def test_an_empty_record_with_a_row_does_not_double_it(store: Store) -> None:
    add_three(store)
    store.put(layout.run_record("2026-01-01", "run-1"), b"")
    run_log.add(store, record("run-1"))
    assert runs(store) == ["run-0", "run-1", "run-2"]
    assert run_log.repair(store) == ()


def test_a_damaged_pending_record_is_deleted(store: Store) -> None:
    add_three(store)
    store.put(layout.pending_record("run-8"), b'{"timest')
    (note,) = run_log.repair(store)
    assert "logs/pending/run-8.json cannot be read" in note
    assert store.list("logs/pending/") == ()


@pytest.mark.parametrize("calls", range(8))
def test_a_writer_killed_at_any_step_loses_and_doubles_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    run_log.add(store, record("run-0"))
    with monkeypatch.context() as killed:
        killed_after(killed, calls)
        try:
            run_log.add(store, record("run-1"))
        except KilledError:
            pass
        else:
            assert calls == 7
    assert run_log.add(store, record("run-2"))
    run_log.add(store, record("run-1"))
    assert sorted(runs(store)) == ["run-0", "run-1", "run-2"]
    assert {path.rpartition("/")[2] for path in store.list("logs/batch_runs/")} == {"run-0.json", "run-1.json", "run-2.json"}
    assert store.list("logs/pending/") == ()


def killed_after(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """Let the process end at a step: before or after each of the writes pending, row, record, and delete."""
    left = iter(range(calls))

    def stoppable(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            step(left)
            result = method(*arguments, **options)
            step(left)
            return result

        return call

    monkeypatch.setattr(Store, "create", stoppable(Store.create))
    for kind in (append._DiskFile, append._AzureFile):
        for name in ("append", "discard"):
            monkeypatch.setattr(kind, name, stoppable(getattr(kind, name)))


def step(left: Any) -> None:
    if next(left, None) is None:
        raise KilledError


def test_a_row_that_another_process_adds_meanwhile_is_not_doubled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process adds the same run between each two steps of this one."""
    for position in range(6):
        run_id = f"run-{position}"
        left = iter(range(position))
        with monkeypatch.context() as interleaved:
            for name in ("list", "size", "create"):
                method = getattr(Store, name)

                def call(*arguments: Any, method: Callable[..., Any] = method, run_id: str = run_id, left: Any = left) -> Any:
                    if next(left, None) is None:
                        interleaved.undo()
                        run_log.add(store, record(run_id, job="other"))
                    return method(*arguments)

                interleaved.setattr(Store, name, call)
            run_log.add(store, record(run_id))
    assert runs(store) == [f"run-{position}" for position in range(6)]


def test_a_missing_log_is_empty_and_stays_missing(store: Store) -> None:
    assert run_log.read(store) == {}
    assert run_log.repair(store) == ()
    assert store.list("") == ()


def test_adding_a_run_reads_neither_the_records_nor_the_csv(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add_three(store)
    listed: list[str] = []
    listing = Store.list
    monkeypatch.setattr(Store, "list", lambda self, prefix: listed.append(prefix) or listing(self, prefix))
    for kind in ("_DiskFile", "_AzureFile"):
        monkeypatch.setattr(f"risk_assets.lake.append.{kind}.read", None)
    run_log.add(store, record("run-9"))
    assert set(listed) == {"logs/pending/"}


def test_a_sas_is_enough_to_add_runs(azurite: Azurite, worker_id: str) -> None:
    access = f"BlobEndpoint={azurite.endpoint};AccountName={azurite.account};SharedAccessSignature={azurite.sas_token()}"
    store = Settings(lake=f"az://lake/{worker_id}-sas", AZURE_STORAGE_CONNECTION_STRING=access, _env_file=None).open_lake()
    add_three(store)
    assert runs(store) == ["run-0", "run-1", "run-2"]
    assert store.list("logs/pending/") == ()


def test_concurrent_processes_lose_and_double_no_run(settings: Settings) -> None:
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
    problems = [writer.communicate(timeout=120)[1].decode() for writer in writers]
    assert problems == [""] * PROCESSES
    store = settings.open_lake()
    expected = sorted(f"run-{process}-{number}" for process in range(PROCESSES) for number in range(RECORDS))
    assert sorted(runs(store)) == expected
    assert len(store.list("logs/batch_runs/")) == len(expected)
    assert store.list("logs/pending/") == ()
