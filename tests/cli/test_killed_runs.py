"""Killed commands: the next one reports the run as failed, and the date can run again at once."""

import csv
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from dagster import DagsterExecutionInterruptedError
from dagster._core.executor.in_process import InProcessExecutor

from risk_assets.defs.failures import INTERRUPTED, KILLED
from risk_assets.runner import DATABASES, open_runner
from risk_assets.settings import Settings
from tests.cli.conftest import RISK, Risk, process_environment, run_here, run_process

DATE = "2026-01-04"
COPIES, WAIT_SECONDS = 600, 120


def rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the run log, in the order in which they were added."""
    with (folder / "lakehouse/logs/batch_runs_log.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def statuses(folder: Path) -> list[str]:
    """Return the status of each run in the run history, newest first."""
    files = {"contract": folder / "data/contract.yml", "policy": folder / "data/policy.yml", "DAGSTER_HOME": folder / ".dagster"}
    lake = Settings(lake=str(folder / "lakehouse"), landing=str(folder / "data/landing"), _env_file=None, **files)
    with open_runner(lake) as runner:
        return [run.status.value for run in runner.instance.get_runs()]


@contextmanager
def large_date(folder: Path) -> Iterator[None]:
    """Make the snapshot so large that a run of it takes seconds."""
    path = folder / f"data/landing/accounts_{DATE}.csv"
    small = path.read_bytes()
    header, *lines = small.splitlines(keepends=True)
    path.write_bytes(header + b"".join(b"%d" % copy + line for copy in range(COPIES) for line in lines))
    try:
        yield
    finally:
        path.write_bytes(small)


def end_while_scoring(folder: Path, how: signal.Signals, *options: str) -> tuple[int, str]:
    """Start a run of the date, and send its process a signal when it has begun the second asset; return its exit code and errors."""
    with large_date(folder):
        process = subprocess.Popen(
            [RISK, "run", DATE, *options],
            cwd=folder,
            env=process_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun = folder / f"lakehouse/leases/curated/accounts_{DATE}_features.parquet/000001.json"
        end = time.monotonic() + WAIT_SECONDS
        while not begun.exists() and time.monotonic() < end:
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
        time.sleep(0.2)  # the asset is being computed
        os.kill(process.pid, how)
        _, printed = process.communicate(timeout=WAIT_SECONDS)
    return process.returncode, " ".join(printed.split())


@pytest.fixture
def killed(trained: Path) -> Path:
    """The trained folder after a run of the date was killed."""
    before = len(rows(trained)) if (trained / "lakehouse/logs/batch_runs_log.csv").exists() else 0
    end_while_scoring(trained, signal.SIGKILL)
    assert len(rows(trained) if before else []) == before
    return trained


@pytest.mark.long
def test_log_adds_the_row_of_a_killed_run(killed: Path) -> None:
    assert KILLED[:40] in run_process(killed, "log").text
    row = rows(killed)[-1]
    assert (row["date"], row["status"], row["error"]) == (DATE, "failed", KILLED)
    assert statuses(killed)[0] == "FAILURE"
    assert KILLED[:40] not in run_process(killed, "log").stderr


@pytest.mark.long
def test_the_date_of_a_killed_run_runs_again_at_once(killed: Path) -> None:
    done = run_process(killed, "run", DATE)
    assert "is now reported as failed" in done.text
    assert [(row["date"], row["status"]) for row in rows(killed)[-2:]] == [(DATE, "failed"), (DATE, "success")]
    assert statuses(killed)[:2] == ["SUCCESS", "FAILURE"]


@pytest.mark.long
def test_an_interrupted_run_has_a_row(trained: Path) -> None:
    assert end_while_scoring(trained, signal.SIGINT)[0] == 1
    assert [(row["date"], row["status"], row["error"]) for row in rows(trained)] == [(DATE, "failed", INTERRUPTED)]


def test_an_interrupt_before_the_first_step_is_reported(on_trained: Risk, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise DagsterExecutionInterruptedError

    monkeypatch.setattr(InProcessExecutor, "execute", interrupt)
    assert INTERRUPTED[:40] in on_trained("run", DATE, code=1).text
    assert [(row["date"], row["status"], row["error"]) for row in rows(trained)] == [(DATE, "failed", INTERRUPTED)]
    assert statuses(trained)[0] == "FAILURE"


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_range_of_dates(trained: Path, how: signal.Signals) -> None:
    code, printed = end_while_scoring(trained, how, "--until", "2026-01-05")
    assert code == 1
    assert printed.endswith(f"0 of 2 dates have run. To go on, run it again for {DATE} --until 2026-01-05.")
    assert [row["date"] for row in rows(trained)] == [DATE]


def test_a_command_killed_before_it_added_the_row_is_finished(on_scored: Risk, scored: Path) -> None:
    on_scored("run", DATE)
    last = rows(scored)[-1]
    running = max((scored / ".dagster/running").iterdir(), key=lambda folder: folder.stat().st_mtime)  # others: of the copied lake
    (scored / f"lakehouse/logs/batch_runs/{last['date']}/{last['run_id']}.json").unlink()
    log = scored / "lakehouse/logs/batch_runs_log.csv"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    ended = subprocess.run([RISK.with_name("python"), "-c", PRINT_PROCESS], capture_output=True, check=True).stdout
    (running / f"{last['run_id']}.json").write_bytes(ended)
    assert last["date"] in on_scored("log").stdout
    assert rows(scored)[-1] == last
    assert list(running.iterdir()) == []


@contextmanager
def full_pipe() -> Iterator[int]:
    """Yield the end of a pipe to which a process cannot write: it stops at its first line of output."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write, b"x" * 65536)
    os.set_blocking(write, True)
    try:
        yield write
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.long
def test_a_rollback_killed_while_it_prints_is_not_repeated(on_trained: Risk, trained: Path) -> None:
    for version in ("model_v002", "model_v001"):
        on_trained("promote", version, "--yes", "--reason", "x")
    command, bindings = ("rollback", "--reason", "bad"), trained / "lakehouse/registry/bindings"
    with full_pipe() as stdout:
        process = subprocess.Popen([RISK, *command], cwd=trained, env=process_environment(), stdout=stdout, stderr=subprocess.DEVNULL)
        end = time.monotonic() + WAIT_SECONDS
        while not (bindings / "000004.json").exists() or "SUCCESS" not in statuses(trained)[0]:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.5)  # to read the statuses opens the run history
        process.kill()
        process.wait()
    assert "model_v002" in run_process(trained, *command).stdout
    assert len(list(bindings.iterdir())) == 4
    assert "model_v001" in run_process(trained, *command).stdout  # after one that printed its result, it is another one
    assert len(list(bindings.iterdir())) == 5


PRINT_PROCESS = "import msgspec, risk_assets.processes as p; print(msgspec.json.encode(p.this_process()).decode())"


def test_a_row_waits_for_the_lake_and_the_log_adds_it(on_trained: Risk, trained: Path) -> None:
    lake, away = trained / "lakehouse", trained / "away"
    lake.rename(away)
    lake.write_bytes(b"")
    failed = on_trained("run", DATE, code=1)
    assert f"{DATE} failed: " in failed.text and "is a file: set RISK_LAKE" in failed.text
    assert "until the next command can add it" in failed.text and ".." not in failed.text.replace("...", "")
    lake.unlink()
    away.rename(lake)
    assert "is in the run log now" in on_trained("log").text
    assert (rows(trained)[-1]["date"], rows(trained)[-1]["status"]) == (DATE, "failed")


def test_log_reports_what_it_rebuilt(on_scored: Risk, scored: Path) -> None:
    log = scored / "lakehouse/logs/batch_runs_log.csv"
    whole = log.read_bytes()
    log.write_bytes(whole[:-20])
    assert "has 1 row that cannot be read: rebuilt" in on_scored("log").stderr
    assert log.read_bytes() == whole
    assert "rebuilt" not in on_scored("log").stderr


@pytest.mark.parametrize("command", [("run", DATE), ("train", "2026-01-03"), ("outcomes", "2026-01-03"), ("ui",)])
def test_a_run_history_that_cannot_be_written_is_an_error(trained: Path, command: tuple[str, ...]) -> None:
    (trained / "file").write_bytes(b"")
    home = str(trained / "file/history")
    done = run_here(trained, *command, code=1, DAGSTER_HOME=home)
    assert f"the run history in {home} cannot be read or written (Not a directory). Set DAGSTER_HOME" in done.text


@pytest.mark.parametrize("database", DATABASES)
def test_a_run_history_that_another_process_keeps_locked_is_an_error(on_trained: Risk, trained: Path, database: str) -> None:
    with closing(sqlite3.connect(trained / ".dagster" / database, isolation_level=None)) as stopped:
        stopped.execute("BEGIN IMMEDIATE")
        done = on_trained("run", DATE, code=1, RISK_LEASE_WAIT_SECONDS="0")
    assert f"the run history in {trained / '.dagster'} is locked" in done.text and "kill -CONT" in done.text
    assert on_trained("run", DATE).code == 0


def test_a_damaged_run_history_is_an_error(on_trained: Risk, trained: Path) -> None:
    for database in (trained / ".dagster").rglob("*.db"):
        database.write_bytes(b"not a database" * 1000)
    done = on_trained("run", DATE, code=1)
    assert "the run history in" in done.text and "(file is not a database)" in done.text


def test_a_full_disk_of_the_history_is_not_logged_as_success(trained: Path) -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def limit(connection: object, _record: object) -> None:
        """Let the database be as full as a disk without space."""
        cursor = connection.cursor()  # type: ignore[attr-defined]
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count={max(pages, 80)}")

    event.listen(Engine, "connect", limit)
    try:
        done = run_here(trained, "run", DATE, code=1)
    finally:
        event.remove(Engine, "connect", limit)
    assert "the run history in" in done.text and "database or disk is full" in done.text
    assert [(row["date"], row["status"]) for row in rows(trained)[-1:]] == [(DATE, "failed")]


def without_privileges(folder: Path, *arguments: str, code: int = 0, **settings: str) -> str:
    """Run the command as a user whom permissions stop, also if the tests run as root, and return what it printed."""
    plain = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if plain and not shutil.which("setpriv"):
        pytest.skip("root is not stopped by permissions, and setpriv is not installed")
    done = subprocess.run(
        [*plain, RISK, *arguments], cwd=folder, env=process_environment() | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("command", [("run", DATE), ("train", "2026-01-03"), ("demo",)])
def test_a_landing_folder_that_cannot_be_read_is_an_error(trained: Path, command: tuple[str, ...]) -> None:
    landing = trained / "data/landing"
    landing.chmod(0)
    try:
        shown = without_privileges(trained, *command, code=1, RISK_LANDING="data/landing")
    finally:
        landing.chmod(0o755)
    assert (
        "access denied: user 0 lacks a permission for" in shown
        and "data/landing" in shown
        and "permissions of the folder" in shown
        and "Traceback" not in shown
    )


def test_a_read_only_run_history_is_an_error_and_log_still_works(scored: Path) -> None:
    home = scored / ".dagster"
    subprocess.run(["chmod", "-R", "a-rwx", home], check=True)
    try:
        shown = without_privileges(scored, "run", DATE, code=1)
        log = without_privileges(scored, "log")
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", home], check=True)
    assert "cannot be read or written (Permission denied). Set DAGSTER_HOME" in shown and "Traceback" not in shown
    assert "rows of killed runs may be missing" in log and "2026-01-05" in log


def test_lakes_that_share_a_run_history_keep_their_own_rows(on_trained: Risk, trained: Path) -> None:
    lake, away = trained / "lakehouse", trained / "away"
    shutil.copytree(lake, trained / "other")
    lake.rename(away)
    lake.write_bytes(b"")
    on_trained("run", DATE, code=1)  # its row waits on this disk
    other = {"RISK_LAKE": str(trained / "other")}
    assert DATE not in on_trained("log", **other).text
    assert on_trained("run", DATE, **other).code == 0
    lake.unlink()
    away.rename(lake)
    assert "is in the run log now" in on_trained("log").text
    assert [(row["date"], row["status"]) for row in rows(trained)[-1:]] == [(DATE, "failed")]


@pytest.mark.parametrize("name", ["what?", "100%41"])
def test_a_run_history_in_an_impossible_folder_is_an_error(on_trained: Risk, trained: Path, name: str) -> None:
    failed = on_trained("run", DATE, code=1, DAGSTER_HOME=str(trained / name))
    assert "its database cannot have" in failed.text and "Set DAGSTER_HOME" in failed.text
    assert not (trained / name).exists()


def test_a_run_that_hangs_is_ended_so_that_its_date_has_a_report(tmp_path: Path) -> None:
    with open_runner(
        Settings(lake=str(tmp_path / "lake"), landing=str(tmp_path), DAGSTER_HOME=tmp_path / "home", _env_file=None)
    ) as runner:
        queue = runner.instance.get_concurrency_config().run_queue_config
        assert queue and queue.tag_concurrency_limits[0]["limit"] == 1
        assert runner.instance.run_monitoring_enabled
        assert runner.instance.run_monitoring_max_runtime_seconds == 4 * 3600
